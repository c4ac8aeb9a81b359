"""Hop 5: features → order and probability, against arithmetic by hand and loops over the vectors."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.resources import files
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from one_by_one import Candidate, judge, token_evidence

from pincite import relevance
from pincite.embedding import Embedder, QueryEmbedding, codes
from pincite.embedding.engine import Batch
from pincite.passages import cut
from pincite.query import Query, parse
from pincite.reading import read
from pincite.relevance import (
    REACH,
    Features,
    Question,
    Relevance,
    TermStatistics,
    TokenEvidence,
    Weights,
    pair_weight,
    word_evidence,
)
from pincite.settings import Settings
from pincite.storage.terms import numbered
from pincite.types import Passage

ROOT = Path(__file__).parents[1]
STATISTICS = TermStatistics(passages=10, frequencies={"dose": 2, "legal": 9, "nowher": 0})
# idf by hand, ln(1 + (N − n + ½) / (n + ½)):
#   dose    ln(1 + 8.5 / 2.5)   = ln 4.4       = 1.48160
#   legal   ln(1 + 1.5 / 9.5)   = ln 1.157895  = 0.14660
#   nowher  ln(1 + 10.5 / 0.5)  = ln 22        = 3.09104
# All of it: 4.71925.
IDF = {"dose": 1.4816, "legal": 0.1466, "nowher": 3.09104}


def near(value: float) -> object:
    return pytest.approx(value, abs=5e-5)


# Vectors whose cosines can be told by hand: ±1 / √80 in each component, minus in the first n. The
# cosine of two of them is 1 − |m − n| / 40, and a code holds each exactly.


def line(*minuses: int) -> np.ndarray:
    """Unit vectors of shape (minuses, 80)."""
    return np.array([[-1.0] * n + [1.0] * (80 - n) for n in minuses], np.float32).reshape(-1, 80) / np.float32(80**0.5)


def test_the_vectors_of_these_tests_have_the_cosines_that_their_places_say() -> None:
    places = [0, 7, 40, 66, 80]
    expected = [[1 - abs(a - b) / 40 for b in places] for a in places]
    assert codes.cosines(line(*places), codes.encode(line(*places))) == pytest.approx(np.array(expected), abs=1e-6)


def question(
    tokens: Sequence[int] = (),
    weights: Sequence[float] = (),
    asking: Sequence[float] = (),
    idf: dict[str, float] | None = None,
) -> Question:
    return Question(
        vector=np.array([1, 0], np.float32),
        tokens=line(*tokens),
        weights=np.array(weights, float),
        asking=np.array(asking or [0.0] * len(tokens)),
        idf=idf or IDF,
        passages=10,
    )


def candidate(
    tokens: Sequence[int],
    sentences: Sequence[tuple[int, int]] = (),
    terms: Sequence[tuple[int, str]] = (),
    vector: tuple[float, float] = (1, 0),
) -> Candidate:
    ranges = np.array(sentences, np.uint16).reshape(-1, 2)
    return Candidate(np.array(vector, np.float32), codes.encode(line(*tokens)), ranges, laid_out(terms))


def laid_out(terms: Sequence[tuple[int, str]]) -> np.ndarray:
    """The terms of a passage in which these stand at these positions, and others everywhere else."""
    words = ["other"] * (max((position for position, _ in terms), default=-1) + 1)
    for position, term in terms:
        words[position] = term
    return numbered(words)


def proximity(terms: Sequence[tuple[int, str]], idf: dict[str, float]) -> float:
    return word_evidence(idf, [laid_out(terms)])[0].proximity


# Words


def test_idf_falls_with_the_passages_that_hold_a_term() -> None:
    assert [STATISTICS.idf(term) for term in IDF] == [near(idf) for idf in IDF.values()]


def test_the_share_of_idf_by_hand() -> None:
    passages = [["dose"], ["dose", "legal", "other", "dose"], ["legal", "nowher", "dose"], [], ["other"]]
    found = [evidence.idf_share for evidence in word_evidence(IDF, list(map(numbered, passages)))]
    assert found == [near(1.4816 / 4.71925), near(1.6282 / 4.71925), pytest.approx(1), 0, 0]
    assert word_evidence(IDF, []) == []


def test_the_weight_of_all_pairs_by_hand() -> None:
    # dose with legal .1466, legal with nowher .1466, dose with nowher 1.4816.
    assert pair_weight([1.4816, 0.1466, 3.09104]) == near(1.7748)
    assert pair_weight([1.4816]) == 0
    assert pair_weight([]) == 0


@given(st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), st.floats(0, 20), max_size=12))
@hypothesis_settings(deadline=None)
def test_the_weight_of_all_pairs_is_that_of_a_loop_over_them(idf: dict[str, float]) -> None:
    expected = 0.0
    for first in idf:
        for second in idf:
            if first < second:
                expected += min(idf[first], idf[second])
    assert pair_weight(list(idf.values())) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([], 0),
        ([(3, "dose")], 0),
        ([(3, "dose"), (4, "dose"), (9, "dose")], 0),  # a term is not near to itself
        ([(3, "dose"), (4, "legal")], 0.1466),
        ([(3, "legal"), (4, "dose")], 0.1466),  # in either order
        ([(3, "dose"), (5, "legal")], 0.1466 / 2),
        ([(0, "dose"), (16, "nowher")], 1.4816 / 16),  # as far as it reaches
        ([(0, "dose"), (17, "nowher")], 0),
        ([(100, "dose"), (1000, "nowher")], 0),
        ([(0, "dose"), (9, "legal"), (11, "dose")], 0.1466 / 2),  # the nearest of a term that is repeated
        ([(0, "dose"), (2, "legal"), (11, "dose")], 0.1466 / 2),
        ([(0, "dose"), (1, "dose"), (2, "dose"), (3, "nowher")], 1.4816),
        # dose and legal 1 apart, legal and nowher 1, dose and nowher 2.
        ([(7, "dose"), (8, "legal"), (9, "nowher")], 0.1466 + 0.1466 + 1.4816 / 2),
        # What stands between does not keep two apart: 1, 5 and 4 apart.
        ([(7, "nowher"), (8, "legal"), (12, "dose")], 0.1466 + 0.1466 / 4 + 1.4816 / 5),
        # Each pair somewhere side by side: all there is.
        ([(0, "dose"), (1, "legal"), (2, "nowher"), (3, "dose")], 1.7748),
    ],
)
def test_proximity_by_hand(terms: list[tuple[int, str]], expected: float) -> None:
    assert proximity(terms, IDF) == near(expected / 1.7748)


def test_one_term_alone_has_nothing_to_be_near_to() -> None:
    alone = {"dose": 1.4816}
    assert proximity([(0, "dose"), (1, "dose")], alone) == 0


IDFS = st.dictionaries(st.sampled_from("abcdef"), st.floats(0.01, 9), min_size=1, max_size=6)


@st.composite
def occurrences(draw: st.DrawFn) -> tuple[list[tuple[int, str]], dict[str, float]]:
    """Where the terms of a question stand in a passage, and what they weigh."""
    idf = draw(IDFS)
    positions = sorted(draw(st.sets(st.integers(0, 60), max_size=25)))
    return [(position, draw(st.sampled_from(sorted(idf)))) for position in positions], idf


def by_all_pairs(terms: list[tuple[int, str]], idf: dict[str, float]) -> float:
    """The sum as it is defined: every pair of terms, every pair of places."""
    found, all_pairs = 0.0, 0.0
    for one, other in combinations(sorted(idf), 2):
        weight = min(idf[one], idf[other])
        all_pairs += weight
        distances = [abs(a - b) for a, s in terms for b, t in terms if s == one and t == other]
        if distances and min(distances) <= 16:
            found += weight / min(distances)
    return found / all_pairs if all_pairs else 0.0


@given(occurrences())
@hypothesis_settings(deadline=None, max_examples=300)
def test_proximity_is_a_loop_over_all_pairs_and_stays_between_0_and_1(
    made: tuple[list[tuple[int, str]], dict[str, float]],
) -> None:
    terms, idf = made
    found = proximity(terms, idf)
    assert found == pytest.approx(by_all_pairs(terms, idf), abs=1e-9)
    assert 0 <= found <= 1 + 1e-9


@given(occurrences(), st.integers(0, 1000))
@hypothesis_settings(deadline=None)
def test_proximity_is_the_same_backwards_and_wherever_the_passage_begins(
    made: tuple[list[tuple[int, str]], dict[str, float]], shift: int
) -> None:
    terms, idf = made
    found = proximity(terms, idf)
    assert proximity([(60 - at, term) for at, term in reversed(terms)], idf) == pytest.approx(found)
    assert proximity([(at + shift, term) for at, term in terms], idf) == found


@given(IDFS, st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=30), min_size=1, max_size=6))
@hypothesis_settings(deadline=None, max_examples=300)
def test_passages_judged_together_get_what_each_gets_by_the_formula(
    idf: dict[str, float], passages: list[list[str]]
) -> None:
    together = word_evidence(idf, [numbered(words) for words in passages])
    for words, found in zip(passages, together, strict=True):
        share = sum(weight for term, weight in idf.items() if term in words) / sum(idf.values())
        terms = [(at, term) for at, term in enumerate(words) if term in idf]
        assert found == pytest.approx((share, by_all_pairs(terms, idf)), abs=1e-9)
        # Exactly what it gets alone, so that passages with the same words tie.
        assert word_evidence(idf, [numbered(words)]) == [found]


@given(IDFS)
@hypothesis_settings(deadline=None)
def test_proximity_is_1_where_each_two_terms_stand_side_by_side_somewhere(idf: dict[str, float]) -> None:
    side_by_side = list(enumerate(term for pair in combinations(idf, 2) for term in pair))
    assert proximity(side_by_side, idf) == pytest.approx(1 if len(idf) > 1 else 0)


def test_more_of_a_passage_is_never_farther() -> None:
    terms = [(0, "dose"), (9, "legal"), (12, "nowher"), (13, "dose"), (30, "legal"), (31, "nowher")]
    found = [proximity(terms[:count], IDF) for count in range(len(terms) + 1)]
    assert found == sorted(found)


def test_words_in_a_great_heap_are_told_in_no_time() -> None:
    # A passage of nothing but the question's words: each looks no farther than it reaches.
    terms = [(position, ("dose", "legal", "nowher")[position % 3]) for position in range(100_000)]
    assert proximity(terms, IDF) == pytest.approx(1)
    assert REACH == 16


# What a question's tokens count for


def embedded(spans: Sequence[tuple[int, int]]) -> QueryEmbedding:
    """A question of these tokens, wherever they point."""
    vectors = line(*range(len(spans)))
    return QueryEmbedding(np.array([1, 0], np.float32), vectors, np.array(spans, np.int64).reshape(-1, 2))


def spans_of(text: str, *pieces: str) -> list[tuple[int, int]]:
    """Where these pieces of a text stand, one after the other."""
    spans, position = [], 0
    for piece in pieces:
        position = text.index(piece, position)
        spans.append((position, position + len(piece)))
        position += len(piece)
    return spans


def test_tokens_share_the_idf_of_their_word_by_hand() -> None:
    text = "When is a dose legal nowhere?"
    query = Query(text, ("dose", "legal", "nowher"))
    made = Question.of(
        query, embedded(spans_of(text, "When", "is", "a", "dose", "legal", "no", "where", "?")), STATISTICS
    )
    assert made.weights.tolist() == [
        0, 0, 0, near(1.4816 / 4.71925), near(0.1466 / 4.71925), near(3.09104 / 2 / 4.71925),
        near(3.09104 / 2 / 4.71925), 0,
    ]  # fmt: skip
    assert made.asking.tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert made.idf == {term: near(weight) for term, weight in IDF.items()}
    assert (made.passages, made.vector.tolist()) == (10, [1, 0])
    assert np.array_equal(made.tokens, line(*range(8)))


def test_a_word_that_is_asked_twice_counts_twice() -> None:
    text = "dose, legal Doses"
    query = Query(text, ("dose", "legal"))
    made = Question.of(query, embedded(spans_of(text, "dose", ",", "legal", "Doses")), STATISTICS)
    # 1.4816 + .1466 + 1.4816 = 3.1098
    assert made.weights.tolist() == [near(1.4816 / 3.1098), 0, near(0.1466 / 3.1098), near(1.4816 / 3.1098)]


def test_a_word_of_two_terms_weighs_what_the_rarer_does() -> None:
    text = "legal_dose"
    made = Question.of(Query(text, ("legal", "dose")), embedded(spans_of(text, "legal", "_", "dose")), STATISTICS)
    assert made.weights.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3])


def test_asking_words_share_what_is_asked_in_equal_parts() -> None:
    text = "How many years old is the dose?"
    pieces = ("How", "many", "years", "ol", "d", "is", "the", "dose", "?")
    made = Question.of(Query(text, ("dose",)), embedded(spans_of(text, *pieces)), STATISTICS)
    assert made.asking.tolist() == pytest.approx([1 / 3, 1 / 3, 0, 1 / 6, 1 / 6, 0, 0, 0, 0])
    assert made.weights.tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 0]


def test_a_question_whose_words_are_not_told_apart_weighs_its_tokens_alike() -> None:
    # “㎏” is indexed as kg, and is no word of the text: then every token counts the same.
    query = parse("㎏ ㎜")
    assert (query.terms, query.words()) == (("kg", "mm"), [])
    made = Question.of(query, embedded([(0, 1), (2, 3)]), TermStatistics(10, {"kg": 1, "mm": 0}))
    assert made.weights.tolist() == [0.5, 0.5]
    assert made.asking.tolist() == [0, 0]


def test_a_question_of_which_the_tokenizer_leaves_nothing_has_no_weights_and_finds_nothing_by_tokens() -> None:
    made = Question.of(Query("dose", ("dose",)), embedded([]), TermStatistics(10, {"dose": 2}))
    assert (made.weights.tolist(), made.asking.tolist()) == ([], [])
    (found,) = token_evidence(made, [candidate([10, 20], [(0, 2)])])
    assert found == TokenEvidence(0, 0, 0)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("When did esketamine cystitis get its psychoplastogen name?", {"esketamine": 4, "cystitis": 3}),
        ("How many microdoses of psilocybin, ketamine's cousin?", {"psilocybin": 4}),
        ("Zoë's naïve SSRI-withdrawal questionnaire", {"questionnaire": 2}),
    ],
)
def test_the_real_tokenizers_pieces_share_the_idf_of_their_word(
    embedder: Embedder, text: str, pieces: dict[str, int]
) -> None:
    query = parse(text)
    made = embedder.embed_query(query.text)
    frequencies = {term: 3 * number + 1 for number, term in enumerate(query.terms)}
    statistics = TermStatistics(100, frequencies)
    asked = Question.of(query, made, statistics)
    by_word = {word.span: word.terms for word in query.words()}
    idf = {
        span: max((statistics.idf(t) for t in terms if t in frequencies), default=0) for span, terms in by_word.items()
    }
    for span in by_word:
        inside = [row for row, (start, end) in enumerate(made.spans) if start >= span[0] and end <= span[1]]
        shares = asked.weights[inside]
        assert shares.tolist() == pytest.approx([idf[span] / sum(idf.values()) / len(inside)] * len(inside))
        name = text[span[0] : span[1]]
        if name in pieces:
            assert len(inside) == pieces[name]
    assert asked.weights.sum() == pytest.approx(1)
    assert asked.asking.sum() == pytest.approx(1 if text[:3] in ("Whe", "How") else 0)
    marks = [row for row, (start, end) in enumerate(made.spans) if not text[start:end].isalnum()]
    assert not asked.weights[marks].any()
    assert not asked.asking[marks].any()


def test_a_question_of_unknown_words_alone_weighs_each_word_the_same(embedder: Embedder) -> None:
    query = parse("xyzzy plugh frotz")
    made = embedder.embed_query(query.text)
    asked = Question.of(query, made, TermStatistics(50, dict.fromkeys(query.terms, 0)))
    for word in query.words():
        inside = (made.spans[:, 0] >= word.span[0]) & (made.spans[:, 1] <= word.span[1])
        assert asked.weights[inside].sum() == pytest.approx(1 / 3)
    (judged,) = judge(asked, [_ferries(embedder)])
    assert judged.features.idf_share == judged.features.proximity == 0
    assert all(math.isfinite(value) for value in judged.features.as_dict().values())


def _ferries(embedder: Embedder) -> Candidate:
    text = "Ferries sail daily."
    ((_, made),) = embedder.embed_passages([Passage("a.txt", 0, len(text), text, sentences=((0, len(text)),))])
    return Candidate(made.vector, made.tokens, made.sentences, numbered([]))


# Tokens by hand


def test_token_similarity_of_passage_and_sentence_by_hand() -> None:
    asked = question(tokens=(0, 40), weights=(0.75, 0.25))
    # Cosines, 1 − distance / 40:      at 10   at 30   at 60   at 80
    #   the question's token at 0        .75     .25    −.5     −1
    #   the question's token at 40       .25     .75     .5      0
    places = (10, 30, 60, 80)
    found = token_evidence(
        asked,
        [
            candidate(places, [(0, 2), (2, 4)]),
            candidate(places, [(1, 3)]),
            candidate(places, [(2, 3), (3, 4)]),
            candidate((60,), [(0, 1)]),
        ],
    )
    # The best of each token: .75 · .75 + .25 · .75 = .75; of the one at 60 alone .75 · −.5 + .25 · .5 = −.25.
    assert [one.similarity for one in found] == pytest.approx([0.75, 0.75, 0.75, -0.25], abs=1e-6)
    # The same best tokens within each sentence:
    #   .75 · .75 + .25 · .75 = .75 and .75 · −.5 + .25 · .5 = −.25; .75 · .25 + .25 · .75 = .375;
    #   −.25 and .75 · −1 + .25 · 0 = −.75; −.25
    assert [one.sentence_similarity for one in found] == pytest.approx([0.75, 0.375, -0.25, -0.25], abs=1e-6)
    assert [one.sentence for one in found] == [0, 0, 0, 0]


def test_the_best_sentence_is_told_apart_from_the_passage_by_hand() -> None:
    asked = question(tokens=(0, 40), weights=(0.5, 0.5))
    # One token of the question is met in each sentence, so the passage has both and no sentence has.
    (found,) = token_evidence(asked, [candidate((5, 80, 80, 45), [(0, 2), (2, 4)])])
    # The passage: (35/40 + 35/40) / 2. The first sentence: (35/40 + 5/40) / 2; the second: (−5/40 + 35/40) / 2.
    assert (found.similarity, found.sentence_similarity, found.sentence) == (
        pytest.approx(0.875),
        pytest.approx(0.5),
        0,
    )


def test_within_a_sentence_the_words_that_ask_count_three_tenths() -> None:
    asked = question(tokens=(0, 40), weights=(1, 0), asking=(0, 1))
    (found,) = token_evidence(asked, [candidate((10, 40, 20), [(0, 1), (1, 3)])])
    # The passage knows nothing of them: 1 − 10/40. The first sentence: .75 + .3 · (1 − 30/40) = .825; the second:
    # 1 − 20/40 + .3 · 1 = .8.
    assert (found.similarity, found.sentence_similarity, found.sentence) == (
        pytest.approx(0.75),
        pytest.approx(0.825),
        0,
    )


def test_a_token_that_weighs_nothing_changes_nothing() -> None:
    passages = [candidate((10, 30, 60), [(0, 3)]), candidate((0,), [(0, 1)])]
    with_it = question(tokens=(0, 80, 40), weights=(0.75, 0, 0.25))
    without = question(tokens=(0, 40), weights=(0.75, 0.25))
    for one, other in zip(token_evidence(with_it, passages), token_evidence(without, passages), strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_a_passage_without_tokens_or_sentences_has_none_of_their_evidence() -> None:
    asked = question(tokens=(0, 40), weights=(0.75, 0.25))
    found = token_evidence(
        asked,
        [
            candidate((), [(0, 0)]),
            candidate((10, 30), [(0, 0), (0, 0)]),
            candidate((10, 30), [(0, 0), (1, 2)]),  # the tokenizer left nothing of the first
            candidate((10, 30)),
            candidate(()),
        ],
    )
    # The passages: .75 · .75 + .25 · .75 = .75; the one sentence, at 30: .75 · .25 + .25 · .75 = .375.
    expected = [(0, 0, 0), (0.75, 0, 0), (0.75, 0.375, 1), (0.75, 0, 0), (0, 0, 0)]
    assert found == [pytest.approx(one, abs=1e-6) for one in expected]
    assert token_evidence(asked, [candidate(())]) == [TokenEvidence(0, 0, 0)]


# Tokens against loops over decoded codes


def decoded(code: bytes) -> list[float]:
    """The unit vector of a code: the low halves of its bytes, then the high ones, less 7½."""
    values = [byte % 16 - 7.5 for byte in code] + [byte // 16 - 7.5 for byte in code]
    length = math.sqrt(sum(value * value for value in values))
    return [value / length for value in values]


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def slow_evidence(asked: Question, tokens: list[list[float]], sentences: Sequence[Sequence[int]]) -> TokenEvidence:
    """From whole vectors, one product after the other."""

    def nearest(weights: Sequence[float], among: list[list[float]]) -> float:
        met = zip(asked.tokens.tolist(), weights, strict=True)
        return sum(weight * max(dot(token, other) for other in among) for token, weight in met if weight)

    parts = {number: tokens[first:last] for number, (first, last) in enumerate(sentences) if last > first}
    within = (asked.weights + 0.3 * asked.asking).tolist()
    similarities = {number: nearest(within, part) for number, part in parts.items()}
    best = max(similarities, key=lambda number: (similarities[number], -number), default=0)
    similarity = nearest(asked.weights.tolist(), tokens) if tokens else 0.0
    return TokenEvidence(similarity, similarities.get(best, 0.0), best)


@st.composite
def made_up(draw: st.DrawFn) -> tuple[Question, list[Candidate]]:
    """A question and candidates of random tokens, some without any, in overlapping sentences."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(1, 6))
    weights = np.array(draw(st.lists(st.sampled_from([0, 0, 1, 2.5]), min_size=count, max_size=count)), float)
    weights = weights / (weights.sum() or 1)
    vectors = codes.unit(rng.standard_normal((count, 80)))
    asking = np.array(draw(st.lists(st.sampled_from([0, 0, 0.5, 1]), min_size=count, max_size=count)), float)
    asked = Question(vectors[0], vectors, weights, asking, IDF, 10)
    candidates = []
    for length in draw(st.lists(st.integers(0, 9), min_size=1, max_size=5)):
        edges = [sorted(draw(st.tuples(st.integers(0, length), st.integers(0, length)))) for _ in range(3)]
        tokens = rng.integers(0, 256, (length, 40), dtype=np.uint8)
        candidates.append(Candidate(vectors[0], tokens, np.array(edges, np.uint16), numbered([])))
    return asked, candidates


@given(made_up())
@hypothesis_settings(deadline=None, max_examples=150)
def test_token_evidence_is_that_of_a_loop_over_decoded_codes(made: tuple[Question, list[Candidate]]) -> None:
    asked, candidates = made
    for one, found in zip(candidates, token_evidence(asked, candidates), strict=True):
        tokens = [decoded(bytes(code)) for code in one.tokens]
        expected = slow_evidence(asked, tokens, one.sentences.tolist())
        assert found[:2] == pytest.approx(expected[:2], abs=1e-5)
        # Equal but for rounding, either may be the best.
        marked = slow_evidence(asked, tokens, one.sentences.tolist()[found.sentence : found.sentence + 1])
        assert marked.sentence_similarity == pytest.approx(expected.sentence_similarity, abs=1e-5)
        # Each alone gets what it gets among the others.
        assert token_evidence(asked, [one])[0][:2] == pytest.approx(found[:2], abs=1e-5)
        assert -1 - 1e-6 <= found.similarity <= 1 + 1e-6


# Tokens against vectors that were never rounded, with the real model


@pytest.fixture(scope="module")
def real(embedder: Embedder) -> list[tuple[Candidate, np.ndarray]]:
    """40 passages of the sample corpus, each with the model's own token vectors, unit, shape (tokens, 384)."""
    passages: list[Passage] = []
    for path in sorted((ROOT / "corpus").rglob("*.md")):
        passages += cut(read(path, path.name), embedder.tokenizer.count, 128)
    passages = passages[:: len(passages) // 40][:40]
    found = []
    for number, made in sorted(embedder.embed_passages(passages), key=lambda numbered: numbered[0]):
        passage = passages[number]
        (tokens,) = embedder.tokenizer.encode([passage.indexed_text])
        (forward,) = embedder.engine.forward([Batch((0,), (tokens,))])
        whole = codes.unit(np.array(forward.tokens[0, 1:-1]))  # without [CLS] and [SEP]
        assert len(whole) == len(made.tokens)
        found.append((Candidate(made.vector, made.tokens, made.sentences, numbered([])), whole))
    return found


QUESTIONS = [
    "How fast does ketamine work?",
    "Is esketamine approved by regulators?",
    "What does a microdose of psilocybin do to sleep?",
    "Who should not take it because of heart disease?",
]


def asked_of(embedder: Embedder, text: str) -> Question:
    query = parse(text)
    statistics = TermStatistics(400, {term: 5 * number + 2 for number, term in enumerate(query.terms)})
    return Question.of(query, embedder.embed_query(query.text), statistics)


@pytest.mark.parametrize("text", QUESTIONS)
def test_token_evidence_is_that_of_unrounded_vectors_within_what_rounding_takes(
    embedder: Embedder, real: list[tuple[Candidate, np.ndarray]], text: str
) -> None:
    asked = asked_of(embedder, text)
    found = token_evidence(asked, [one for one, _ in real])
    errors = []
    for (one, whole), evidence in zip(real, found, strict=True):
        projected = embedder.projection(whole)
        expected = slow_evidence(asked, projected.tolist(), one.sentences.tolist())
        # Where a token was moved by at most d, so is its product with any unit vector, and so are best and mean.
        moved = np.linalg.norm(np.array([decoded(bytes(code)) for code in one.tokens]) - projected, axis=1).max()
        assert moved < 0.3  # alone and in a batch the model rounds differently, beyond the codes' .2
        errors += np.abs(np.subtract(evidence[:2], expected[:2])).tolist()
        assert max(errors[-2:]) <= 1.3 * moved
    assert max(errors) < 0.04
    assert sum(errors) / len(errors) < 0.01


@pytest.mark.parametrize("text", QUESTIONS)
def test_token_similarity_orders_passages_nearly_as_whole_vectors_do(
    embedder: Embedder, real: list[tuple[Candidate, np.ndarray]], text: str
) -> None:
    asked = asked_of(embedder, text)
    (tokens,) = embedder.tokenizer.encode([text])
    (forward,) = embedder.engine.forward([Batch((0,), (tokens,))])
    whole = codes.unit(np.array(forward.tokens[0, 1:-1]))
    expected = [float(asked.weights @ (whole @ passage.T).max(axis=1)) for _, passage in real]
    found = [evidence.similarity for evidence in token_evidence(asked, [one for one, _ in real])]
    assert np.corrcoef(found, expected)[0, 1] > 0.97


# All of them


def test_features_by_hand() -> None:
    asked = question(tokens=(0, 40), weights=(0.75, 0.25))
    judged = judge(
        asked,
        [
            candidate((10, 30, 60, 80), [(0, 2), (2, 4)], [(0, "dose"), (2, "legal")], (0.6, 0.8)),
            candidate((60,), [(0, 1)], [], (-0.6, 0.8)),
            candidate((), (), [(4, "dose"), (5, "nowher")], (1, 0)),
        ],
    )
    expected = [  # cosine, token similarity, that of the best sentence, share of 4.71925, of 1.7748
        (0.6, 0.75, 0.75, 1.6282 / 4.71925, 0.1466 / 2 / 1.7748),
        (-0.6, -0.25, -0.25, 0.0, 0.0),
        (1.0, 0.0, 0.0, 4.57264 / 4.71925, 1.4816 / 1.7748),
    ]
    found = [one.features for one in judged]
    assert [list(row.as_dict().values()) for row in found] == [pytest.approx(row, abs=5e-5) for row in expected]
    names = ["cosine", "token_similarity", "sentence_similarity", "idf_share", "proximity"]
    assert list(found[0].as_dict()) == names
    assert {type(value) for row in found for value in row.as_dict().values()} <= {float, int}  # JSON takes them
    assert [one.sentence for one in judged] == [0, 0, 0]


def test_order_and_probability_are_weighted_sums() -> None:
    model = Relevance(
        order=Weights(0.0, {"cosine": 2.0, "idf_share": 3.0, "proximity": 4.0}),
        probability=Weights(-1.0, {"cosine": 4.0, "idf_share": 1.0}),
        strong=0.75,
        weak=0.5,
    )
    judged = Features(0.5, 0.7, 0.6, idf_share=0.25, proximity=0.125)
    # Among 300 passages words weigh 300 / 400 = .75 of their weight: 2 · .5 + .75 · (3 · .25 + 4 · .125)
    assert Weights(0.0, model.order_weights(300))(judged) == pytest.approx(1.9375)
    assert model.order_weights(0) == {"cosine": 2.0, "idf_share": 0.0, "proximity": 0.0}
    # −1 + 4 · .5 + .25 = 1.25, and 1 / (1 + e^−1.25) = .77730
    assert model.probabilities([judged]) == [near(0.7773)]
    assert [model.band(p) for p in (1.0, 0.75, 0.7499, 0.5, 0.4999, 0.0)] == [
        "strong",
        "strong",
        "weak",
        "weak",
        "none",
        "none",
    ]


def test_the_weights_that_ship_say_where_they_come_from() -> None:
    table = json.loads(files("pincite").joinpath("relevance.json").read_text(encoding="utf-8"))
    for key in ("command", "trained_on", "questions", "model", "date"):
        assert table[key], key
    assert set(table["questions"]) == set(table["trained_on"])
    assert table["model"] == "all-MiniLM-L6-v2"


def test_the_weights_that_ship_are_of_features_that_there_are() -> None:
    model = relevance.load()
    names = set(Features._fields)
    assert set(model.order.weights) <= names
    assert set(model.probability.weights) <= names
    assert set(relevance.WORDS) <= names
    assert 0 < model.weak < model.strong < 1
    nothing, everything = Features(0, 0, 0, 0, 0), Features(1, 1, 1, 1, 1)
    assert list(map(model.band, model.probabilities([nothing, everything]))) == ["none", "strong"]
    assert model.order(everything) > model.order(nothing)


# What it costs


MEASURE = """
import statistics, sys, time
from pathlib import Path

from pincite import Searcher, Settings
from pincite.candidates import Pool
from pincite.query import parse
from pincite.relevance import Question, token_evidence
from pincite.storage import vectors

searcher = Searcher(Settings(corpus=Path(sys.argv[1]), index=Path(sys.argv[2])))
query = parse("what does a course of ketamine infusions for depression cost without insurance")
embedded = searcher.embedder.embed_query(query.text)
with searcher.index.snapshot() as snapshot:
    pool = Pool(snapshot, query, searcher.embedder)
    question = Question.of(query, embedded, pool.statistics)
    count = searcher.settings.search.candidates
    ids = sorted({*pool.by_words(count), *pool.by_vector(question.vector, count)})
    records = vectors.decode_all([snapshot.record(stored) for stored in snapshot.passages(ids)])
assert len(records.vectors) > 60 and len(records.tokens) > 5_000

def milliseconds():
    started = time.perf_counter()
    assert len(token_evidence(question, records)) == len(records.vectors)
    return (time.perf_counter() - started) * 1000

print(min(statistics.median(milliseconds() for _ in range(30)) for _ in range(10)))
"""


@pytest.mark.slow
@pytest.mark.alone
def test_late_interaction_adds_less_than_3_milliseconds_to_a_question(sample: Settings) -> None:
    # On one thread, in a process of its own; the best of ten medians, for others may be at work on the machine.
    one_thread = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, str(sample.corpus), str(sample.index)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=os.environ | one_thread,
    )
    assert float(ran.stdout) < 3
