"""Token vectors at 4 bits a component: against loops over the nibbles, and against the vectors they were."""

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

from benchmarks.fit_projection import fit, token_vectors
from pincite.embedding import Embedder, Projection, codes
from pincite.embedding.model import PUBLISHED_SHA256

CORPUS = Path(__file__).parents[1] / "corpus"
SHIPPED = Path(codes.__file__).with_name("projection.npy")


def steps_of(code: bytes) -> list[int]:
    """The 80 steps of one code, each 0 to 15, by arithmetic on its bytes."""
    return [byte % 16 for byte in code] + [byte // 16 for byte in code]


def decoded(code: bytes) -> list[float]:
    """The unit vector that a code stands for: steps lie evenly on both sides of zero."""
    values = [step - 7.5 for step in steps_of(code)]
    length = math.sqrt(sum(value * value for value in values))
    return [value / length for value in values]


def slow_cosine(a: list[float], b: list[float]) -> float:
    """Of two unit vectors, or 0 where one is zero."""
    return sum(x * y for x, y in zip(a, b, strict=True))


def matrix(made: np.ndarray) -> np.ndarray:
    """The unit vectors that codes stand for, float64 of shape (n, 80)."""
    return np.array([decoded(bytes(code)) for code in made]).reshape(-1, 80)


def lengths(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors.astype(np.float64), axis=1)


VECTORS = hypothesis_numpy.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.just(80)),
    # What is as good as nothing is nothing.
    elements=st.floats(-1, 1, width=32, allow_subnormal=False).map(lambda value: value if abs(value) > 1e-9 else 0.0),
).map(codes.unit)
CODES = st.lists(st.binary(min_size=40, max_size=40), min_size=1, max_size=6)


# By hand


def test_component_i_lies_in_the_low_half_of_byte_i_and_i_plus_40_in_the_high_half() -> None:
    vector = np.zeros((1, 80), np.float32)
    vector[0, [0, 1, 2, 40, 41]] = 1.0, -1.0, 0.2, -0.6, 1.0
    # The largest is 1, and 7.5 · component + 7.5 is rounded to the nearest whole, to the even one of two:
    #   1 → 15   −1 → 0   .2 → 9   −.6 → 3   0 → 7.5, so 8
    # Byte 0 holds components 0 and 40, byte 1 holds 1 and 41, byte 2 holds 2 and 42, and so on.
    assert codes.encode(vector).tobytes() == bytes([0x3F, 0xF0, 0x89, *[0x88] * 37])


def test_the_cosine_of_a_code_by_hand() -> None:
    code = np.frombuffer(bytes([0x3F, 0xF0, 0x89, *[0x88] * 37]), np.uint8)[None]
    # Decoded: 7.5, −7.5, 1.5 in components 0 to 2, −4.5 and 7.5 in 40 and 41, .5 in the 75 others.
    # Squared and summed: 56.25 + 56.25 + 2.25 + 20.25 + 56.25 + 75 · .25 = 210.
    questions = np.zeros((3, 80), np.float32)
    questions[0, 0] = 1
    questions[1, [1, 40]] = 0.6, 0.8  # .6 · −7.5 + .8 · −4.5 = −8.1
    questions[2, 79] = -1
    assert codes.cosines(questions, code).ravel().tolist() == pytest.approx(
        [7.5 / math.sqrt(210), -8.1 / math.sqrt(210), -0.5 / math.sqrt(210)], abs=1e-6
    )


def test_a_code_is_40_bytes_whatever_the_model() -> None:
    assert (codes.COMPONENTS, codes.BYTES) == (80, 40)
    for dim in (1, 32, 384, 1024):
        made = codes.encode(Projection("of another model")(np.eye(dim, dtype=np.float32)[:3]))
        assert (made.dtype, made.shape) == (np.uint8, (min(dim, 3), 40))


def test_a_vector_of_zeros_gets_the_middle_step_and_no_error() -> None:
    # 7.5 is rounded to 8 throughout: a direction all the same, (1, …, 1) / √80, which nothing favours.
    made = codes.encode(np.zeros((2, 80), np.float32))
    assert made.tobytes() == bytes([0x88] * 80)
    along = np.full((1, 80), 1 / math.sqrt(80), np.float32)
    one = np.eye(80, dtype=np.float32)[:1]
    assert codes.cosines(np.vstack([along, one]), made).tolist() == [
        pytest.approx([1, 1], abs=1e-6),
        pytest.approx([1 / math.sqrt(80)] * 2, abs=1e-6),
    ]
    assert codes.cosines(np.zeros((1, 80), np.float32), made).tolist() == [[0, 0]]
    assert Projection(PUBLISHED_SHA256)(np.zeros((1, 384), np.float32)).tolist() == [[0] * 80]


def test_unit_divides_each_row_by_its_length_and_leaves_zeros() -> None:
    made = codes.unit(np.array([[3, 4], [0, 0], [-5, 0], [1e-20, 0]], np.float32))
    assert made.dtype == np.float32
    assert made[:3].tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0], [-1, 0]]
    assert made[3].tolist() == [pytest.approx(1e-8), 0]  # shorter than any real vector: as good as zero


def test_nothing_gives_nothing() -> None:
    none, nothing = np.empty((0, 80), np.float32), np.empty((0, 40), np.uint8)
    assert (codes.encode(none).dtype, codes.encode(none).shape) == (np.uint8, (0, 40))
    assert codes.cosines(np.eye(80, dtype=np.float32)[:3], nothing).shape == (3, 0)
    assert codes.cosines(none, codes.encode(np.eye(80, dtype=np.float32))).shape == (0, 80)
    for weights in (PUBLISHED_SHA256, "another"):
        assert Projection(weights)(np.empty((0, 384), np.float32)).shape == (0, 80)


# Against loops


@given(VECTORS)
@hypothesis_settings(deadline=None, max_examples=200)
def test_each_component_gets_the_nearest_of_16_steps(vectors: np.ndarray) -> None:
    for vector, code in zip(vectors.tolist(), codes.encode(vectors), strict=True):
        peak = max(abs(component) for component in vector)
        for component, step in zip(vector, steps_of(bytes(code)), strict=True):
            share = component / peak if peak else 0.0
            distances = [abs(share - (other - 7.5) / 7.5) for other in range(16)]
            assert distances[step] <= min(distances) + 1e-6


@given(VECTORS)
@hypothesis_settings(deadline=None, max_examples=200)
def test_what_is_decoded_is_as_near_as_half_a_step_allows(vectors: np.ndarray) -> None:
    # Scaled so that its largest component is 7.5, a vector of length L is off by ½ at most in each of
    # 80 components, together √20: the sine of the angle is √20 / L at most.
    kept = vectors[vectors.any(axis=1)]
    for vector, code in zip(kept, codes.encode(kept), strict=True):
        scaled = vector.astype(np.float64) * 7.5 / np.abs(vector).max()
        length = float(np.linalg.norm(scaled))
        cosine = slow_cosine(decoded(bytes(code)), (scaled / length).tolist())
        assert cosine >= math.sqrt(1 - 20 / length**2) - 1e-6


@given(VECTORS, st.integers(-20, 20))
@hypothesis_settings(deadline=None, max_examples=100)
def test_only_the_direction_counts(vectors: np.ndarray, power: int) -> None:
    assert np.array_equal(codes.encode(vectors), codes.encode(vectors * np.float32(2.0**power)))


@given(VECTORS, CODES)
@hypothesis_settings(deadline=None, max_examples=200)
def test_cosines_are_those_of_a_loop_over_the_nibbles(questions: np.ndarray, made: list[bytes]) -> None:
    found = codes.cosines(questions, np.frombuffer(b"".join(made), np.uint8).reshape(-1, 40))
    expected = [[slow_cosine(question, decoded(code)) for code in made] for question in questions.tolist()]
    assert found.tolist() == [pytest.approx(row, abs=1e-5) for row in expected]
    assert np.abs(found).max() <= 1 + 1e-5


def test_codes_that_were_read_only_or_lie_apart_are_read_all_the_same() -> None:
    rng = np.random.default_rng(0)
    made = codes.encode(codes.unit(rng.standard_normal((9, 80))))
    question = codes.unit(rng.standard_normal((2, 80)))
    expected = codes.cosines(question, made)
    frozen = np.frombuffer(made.tobytes(), np.uint8).reshape(9, 40)  # as a record gives them
    assert not frozen.flags.writeable
    assert np.array_equal(codes.cosines(question, frozen), expected)
    assert np.allclose(codes.cosines(question, made[::2]), expected[:, ::2], atol=1e-6)


# How much is lost


def test_random_directions_lose_half_a_percent() -> None:
    vectors = codes.unit(np.random.default_rng(0).standard_normal((20_000, 80)))
    kept = np.einsum("ij,ij->i", matrix(codes.encode(vectors)), vectors)
    assert kept.mean() >= 0.994  # .9948
    assert kept.min() >= 0.975  # .9805


@pytest.fixture(scope="module")
def tokens(embedder: Embedder) -> np.ndarray:
    """Unit vectors of the tokens of seven articles."""
    found = token_vectors(CORPUS / "microdosing", embedder)
    assert found.shape[0] > 5_000
    assert np.abs(lengths(found) - 1).max() < 1e-5
    return found


def test_rounding_loses_half_a_percent_of_real_token_vectors_too(tokens: np.ndarray) -> None:
    projected = Projection(PUBLISHED_SHA256)(tokens)
    kept = np.einsum("ij,ij->i", matrix(codes.encode(projected)), projected)
    assert kept.mean() >= 0.994  # .9949 over the whole corpus
    assert kept.min() >= 0.975  # .9816


def test_a_decoded_vector_points_where_the_original_did(tokens: np.ndarray) -> None:
    # 80 of 384 components hold .73 of the vectors, and √.73 = .85 is what their cosines come to.
    back = matrix(codes.encode(Projection(PUBLISHED_SHA256)(tokens))) @ np.load(SHIPPED).astype(np.float64).T
    cosines = np.einsum("ij,ij->i", codes.unit(back), tokens)
    assert cosines.mean() >= 0.83  # .845 over the whole corpus
    assert cosines.min() >= 0.4  # .455


@pytest.mark.parametrize(
    ("weights", "error", "largest"),
    [(PUBLISHED_SHA256, 0.07, 0.45), ("of another model", 0.125, 0.6)],  # .056 and .40; .106 and .53
)
def test_the_cosine_of_two_tokens_is_nearly_that_of_their_whole_vectors(
    tokens: np.ndarray, weights: str, error: float, largest: float
) -> None:
    rng = np.random.default_rng(0)
    ones, others = rng.choice(tokens, 2_000, replace=False), rng.choice(tokens, 2_000, replace=False)
    projection = Projection(weights)
    found = codes.cosines(projection(ones), codes.encode(projection(others)))
    differences = found - ones @ others.T
    assert math.sqrt(float((differences**2).mean())) <= error
    assert np.abs(differences).max() <= largest


# The projections


def test_the_projection_that_ships_has_orthonormal_columns() -> None:
    shipped = np.load(SHIPPED, allow_pickle=False)
    assert (shipped.dtype, shipped.shape) == (np.float16, (384, 80))
    # Components of about .05 to half a step of float16, 2⁻¹⁶: the sums of 384 products are off by less than 3e-4.
    products = shipped.astype(np.float64).T @ shipped.astype(np.float64)
    assert np.abs(products - np.eye(80)).max() < 3e-4


def test_the_default_model_gets_the_projection_that_ships_and_its_name() -> None:
    projection = Projection(PUBLISHED_SHA256)
    assert projection.name == hashlib.sha256(SHIPPED.read_bytes()).hexdigest()
    vectors = np.random.default_rng(1).standard_normal((3, 384))
    for vector, found in zip(vectors, projection(vectors), strict=True):
        product = [sum(x * float(y) for x, y in zip(vector, column, strict=True)) for column in np.load(SHIPPED).T]
        length = math.sqrt(sum(value * value for value in product))
        assert found.tolist() == pytest.approx([value / length for value in product], abs=1e-5)
        assert found.dtype == np.float32


@pytest.mark.parametrize("weights", ["", "0" * 64, PUBLISHED_SHA256.upper(), PUBLISHED_SHA256[:-1] + "c"])
def test_any_other_model_gets_signs_and_says_so(weights: str) -> None:
    projection = Projection(weights)
    assert projection.name == "random signs"
    vectors = np.random.default_rng(2).standard_normal((2, 384))
    for vector, found in zip(vectors, projection(vectors), strict=True):
        sums = [
            sum(x if sign > 0 else -x for x, sign in zip(vector, column, strict=True)) for column in codes.signs(384).T
        ]
        length = math.sqrt(sum(value * value for value in sums))
        assert found.tolist() == pytest.approx([value / length for value in sums], abs=1e-5)


def test_signs_are_the_same_everywhere_and_as_often_minus_as_plus() -> None:
    signs = codes.signs(384)
    assert (signs.dtype, signs.shape) == (np.float32, (384, 80))
    assert set(np.unique(signs).tolist()) == {-1.0, 1.0}
    # An index made with them must be readable anywhere, for ever.
    assert hashlib.sha256(signs.astype(np.int8).tobytes()).hexdigest() == (
        "8addecff830cfecf2ab1e0b455b249f602b55b351f9d12e47eba8dcd59d2b2b6"
    )
    # The sum of n signs has a standard deviation of √n: 175 of all 30,720, 19.6 a column, 8.9 a row.
    assert abs(signs.sum()) < 3 * 175
    assert np.abs(signs.sum(axis=0)).max() < 4 * 19.6
    assert np.abs(signs.sum(axis=1)).max() < 4 * 8.9
    # And no two columns alike: the cosine of two has a standard deviation of 1 / √384 = .051.
    products = signs.T @ signs / 384 - np.eye(80)
    assert np.abs(products).max() < 5 * 0.051


def test_signs_by_hand_from_the_stream_of_bits() -> None:
    # Bit after bit of SHAKE-256 over “pincite”, the highest of each byte first; 1 is plus.
    stream = hashlib.shake_256(b"pincite").digest(30)
    bits = "".join(f"{byte:08b}" for byte in stream)
    expected = [[1.0 if bits[80 * row + column] == "1" else -1.0 for column in range(80)] for row in range(3)]
    assert codes.signs(3).tolist() == expected


def test_a_fit_finds_the_directions_that_hold_most() -> None:
    # 80 of 120 directions hold nearly everything, in a basis that is turned.
    rng = np.random.default_rng(3)
    basis, _ = np.linalg.qr(rng.standard_normal((120, 120)))
    vectors = rng.standard_normal((4_000, 80)) @ basis[:, :80].T + 0.01 * rng.standard_normal((4_000, 120))
    projection, energy = fit(codes.unit(vectors))
    assert np.abs(projection.T @ projection - np.eye(80)).max() < 1e-5
    # The cosines of the angles between two subspaces are the singular values of what maps one to the other.
    assert np.linalg.svd(basis[:, :80].T @ projection, compute_uv=False).min() > 0.999
    # Of each 80 + 120 · .01² in the 120 directions, all but 40 · .01² is kept.
    assert energy == pytest.approx(1 - 40e-4 / (80 + 120e-4), abs=1e-5)
    # Turned at random, each component holds as much as the others: 1 in 80, more or less.
    shares = (codes.unit(vectors) @ projection).var(axis=0)
    assert shares.max() / shares.min() < 1.5


@pytest.mark.slow  # embeds the whole corpus
def test_the_projection_that_ships_is_what_the_sample_corpus_gives(embedder: Embedder) -> None:
    again, energy = fit(token_vectors(CORPUS, embedder))
    shipped, _ = np.linalg.qr(np.load(SHIPPED).astype(np.float64))
    cosines = np.linalg.svd(shipped.T @ again, compute_uv=False)
    assert len(cosines) == 80
    assert cosines.min() >= 0.99
    assert energy == pytest.approx(0.727, abs=0.01)


@given(st.integers(0, 60), st.integers(0, 400), st.integers(0, 90), st.integers(0, 2**32))
@hypothesis_settings(deadline=None, max_examples=40)
def test_a_product_by_pieces_is_the_product(n: int, k: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((n, k), dtype=np.float32), rng.standard_normal((k, m), dtype=np.float32)
    found = codes.product(a, b)
    assert (found.shape, found.dtype) == ((n, m), np.float32)
    assert np.allclose(found, a.astype(float) @ b.astype(float), atol=1e-3)
