"""Parts: what a sync of a derived index writes, and that it then answers as one that was built anew."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pincite.errors import StorageError
from pincite.storage import dense, lexical
from pincite.storage.derived import DerivedDamaged
from pincite.storage.parts import IndexPart, Stretch, count_within, plan, portions

DIM = 24
WORDS = ["heron", "zebra", "owl", "night", "river", "grass", "fish", "moon", "reed", "stone"]


def part(first: int, last: int, passages: int) -> IndexPart:
    return IndexPart(first=first, last=last, passages=passages, files=(f"{first}",))


def stretch(first: int, last: int, passages: int) -> Stretch:
    return Stretch(first=first, last=last, passages=passages)


def ids(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


# The plan


@pytest.mark.parametrize(
    ("parts", "gone", "new", "planned"),
    [
        ([], ids(), stretch(1, 9, 9), [stretch(1, 9, 9)]),
        # What is much larger stays, and what is as small is taken in.
        ([part(1, 90, 90)], ids(), stretch(91, 93, 3), [part(1, 90, 90), stretch(91, 93, 3)]),
        ([part(1, 90, 90), part(91, 93, 3)], ids(), stretch(94, 95, 2), [part(1, 90, 90), stretch(91, 95, 5)]),
        # Only the part that held what is gone is written again, without it.
        (
            [part(1, 80, 80), part(81, 119, 39), part(120, 199, 80)],
            ids(90, 91),
            None,
            [part(1, 80, 80), stretch(81, 119, 37), part(120, 199, 80)],
        ),
        # A part of which nothing is left goes, and nothing is left of an index of nothing.
        ([part(1, 60, 60), part(61, 62, 2)], ids(61, 62), None, [part(1, 60, 60)]),
        ([part(1, 2, 2)], ids(1, 2), None, []),
        # Ids that nobody has are no matter.
        ([part(1, 60, 30)], ids(77), None, [part(1, 60, 30)]),
    ],
)
def test_only_what_is_touched_is_written(
    parts: list[IndexPart], gone: np.ndarray, new: Stretch | None, planned: list[IndexPart | Stretch]
) -> None:
    assert plan(parts, gone, new, 100) == planned


def test_a_part_stays_that_lost_no_more_than_is_tolerated() -> None:
    assert plan([part(1, 10, 10)], ids(3), None, 100, 0.1) == [part(1, 10, 10)]
    assert plan([part(1, 10, 10)], ids(3, 4), None, 100, 0.1) == [stretch(1, 10, 8)]


@hypothesis_settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=60))
def test_there_are_never_many_small_parts_however_an_index_grows(added: list[int]) -> None:
    parts: list[IndexPart] = []
    after = 0
    for count in added:
        planned = plan(parts, ids(), stretch(after + 1, after + count, count), 100)
        after += count
        parts = [one if isinstance(one, IndexPart) else part(one.first, one.last, one.passages) for one in planned]
        assert sum(one.passages for one in parts) == after
        assert all(one.last < other.first for one, other in zip(parts, parts[1:], strict=False))
        assert all(one.passages <= 100 for one in parts)
        small = [one.passages for one in parts if one.passages < 100 / 3]
        assert len(small) <= 8, small


@hypothesis_settings(deadline=None)
@given(st.integers(1, 500), st.integers(1, 60))
def test_portions_hold_all_in_order_and_none_too_many(count: int, most: int) -> None:
    found = list(portions(np.arange(count), most))
    assert np.concatenate(found).tolist() == list(range(count))
    assert len(found) == -(-count // most)
    assert max(map(len, found)) <= most


# What is built

Kept = dict[int, tuple[np.ndarray, str]]
"""Id → unit vector as it is stored, and text."""


def passage(id_: int) -> tuple[np.ndarray, str]:
    rng = np.random.default_rng(id_)
    vector = rng.standard_normal(DIM) + 2 * np.eye(DIM)[id_ % 5]
    vector = (vector / np.linalg.norm(vector)).astype(np.float16).astype(np.float32)
    return vector, " ".join([*rng.choice(WORDS, rng.integers(1, 6)), f"word{id_}x"])


class Derived:
    """Both indexes over some passages, from generation to generation, as a sync has them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept: Kept = {}
        self.next = 1
        self.number = 0
        self.layout: dense.Layout | None = None
        self.words: tuple[IndexPart, ...] = ()

    @property
    def current(self) -> Path:
        return self.folder / str(self.number)

    def sync(self, gone: Sequence[int], added: int) -> None:
        before = self.current
        for id_ in gone:
            del self.kept[id_]
        new = ids(*range(self.next, self.next + added))
        self.kept |= {int(id_): passage(int(id_)) for id_ in new}
        self.next += added
        self.number += 1
        self.current.mkdir()
        lost = np.sort(ids(*gone))
        coming = stretch(int(new[0]), int(new[-1]), added) if added else None
        known = self.layout is not None
        words = lexical.build(
            self.current / "lexical", (before / "lexical", self.words) if known else None, lost, coming, self.texts
        )
        was = (before / "dense", self.layout) if self.layout else None
        layout = dense.build(self.current / "dense", was, lost, new, self.read)
        self.layout, self.words = layout, words

    def texts(self, first: int, last: int) -> Iterator[tuple[int, str]]:
        return ((id_, self.kept[id_][1]) for id_ in sorted(self.kept) if first <= id_ <= last)

    def read(self, wanted: np.ndarray) -> np.ndarray:
        return np.stack([self.kept[int(id_)][0] for id_ in wanted])

    @property
    def dense(self) -> dense.DenseIndex:
        assert self.layout is not None
        return dense.DenseIndex(self.current / "dense", self.layout)

    @property
    def lexical(self) -> lexical.LexicalIndex:
        return lexical.LexicalIndex(self.current / "lexical")

    def exact(self, question: np.ndarray, allowed: Sequence[int]) -> np.ndarray:
        """The cosines of all that are allowed, the highest first."""
        return -np.sort(-np.array([self.kept[id_][0] @ question for id_ in allowed]))


def question(seed: int) -> np.ndarray:
    vector = np.random.default_rng(10_000 + seed).standard_normal(DIM).astype(np.float32)
    return vector / np.linalg.norm(vector)


def assert_as_one_built_anew(derived: Derived) -> None:
    living = sorted(derived.kept)
    vectors, words = derived.dense, derived.lexical
    assert (len(vectors), vectors.ids.tolist(), len(words)) == (len(living), living, len(living))
    for seed in range(3):
        asked = question(seed)
        found = vectors.search(asked, len(living) + 5)
        assert sorted(found) == living  # asked for all of them, all are found, the dead never
        cosines = np.array([derived.kept[id_][0] @ asked for id_ in found])
        assert cosines == pytest.approx(derived.exact(asked, living), abs=1e-5)
        allowed = living[seed :: seed + 2]
        best = vectors.search(asked, 4, ids(*allowed))
        assert {*best} <= {*allowed}
        assert len(best) == min(4, len(allowed))
    for word in WORDS:
        holding = [id_ for id_ in living if word in derived.kept[id_][1].split()]
        (term,) = lexical.terms(word)
        assert words.frequency(term) == len(holding)
        assert words.holding([term]).tolist() == holding


def on_a_smaller_scale(patch: pytest.MonkeyPatch, part: int) -> None:
    """Parts that hold so many passages, two thirds of which are enough for codes, and short shortlists, which are long
    for so few."""
    patch.setattr(dense, "PART", part)
    patch.setattr(dense, "WHOLE", part * 2 // 3)
    patch.setattr(dense, "_SHORTLIST", 20)
    patch.setattr(dense, "_FOR_EACH", 2)
    patch.setattr(dense, "_LISTED", 0.5)
    patch.setattr(lexical, "PART", part // 3)


class Growing(RuleBasedStateMachine):
    """Passages come and go in any order. Thresholds are low, so that codes come and go with them."""

    def __init__(self) -> None:
        super().__init__()
        self.thresholds = pytest.MonkeyPatch()
        on_a_smaller_scale(self.thresholds, part=40)
        self.place = tempfile.TemporaryDirectory()
        self.derived = Derived(Path(self.place.name))
        self.derived.sync([], 12)

    def teardown(self) -> None:
        self.thresholds.undo()
        self.place.cleanup()

    @rule(data=st.data(), added=st.integers(0, 30), share=st.floats(0, 0.6))
    def change(self, data: st.DataObject, added: int, share: float) -> None:
        living = sorted(self.derived.kept)
        seed = data.draw(st.integers(0, 99))
        gone = np.random.default_rng(seed).permutation(living)[: int(share * len(living))]
        if added + len(living) - len(gone):
            self.derived.sync([int(id_) for id_ in gone], added)

    @invariant()
    def is_as_one_built_anew(self) -> None:
        assert_as_one_built_anew(self.derived)


TestGrowing = Growing.TestCase
TestGrowing.pytestmark = pytest.mark.slow  # type: ignore[attr-defined]
TestGrowing.settings = hypothesis_settings(max_examples=12, stateful_step_count=8, deadline=None)


@pytest.fixture
def derived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Derived:
    """400 passages in three parts with codes."""
    on_a_smaller_scale(monkeypatch, part=150)
    made = Derived(tmp_path)
    made.sync([], 400)
    return made


def inodes(folder: Path) -> dict[str, int]:
    kept = {
        path.name: path.stat().st_ino
        for path in folder.iterdir()
        if path.suffix in (".faiss", ".codes", ".term", ".pos")
    }
    return dict(sorted(kept.items()))


def test_the_nearest_stand_on_the_shortlist_of_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_smaller_scale(monkeypatch, part=900)
    derived = Derived(tmp_path)
    derived.sync([], 2401)
    assert derived.layout is not None
    parts = derived.layout.parts
    assert [one.passages for one in parts] == [801, 800, 800]
    assert parts[0].files == ("000000001-000000801.faiss", "000000001-000000801.codes")
    opened = derived.dense
    kept = sorted(derived.kept)
    shares = []
    for seed in range(100):
        wanted = derived.exact(question(seed), kept)[:10]
        cosines, found = opened.nearest(question(seed), 10)
        assert cosines == pytest.approx([derived.kept[id_][0] @ question(seed) for id_ in found.tolist()], abs=1e-6)
        assert cosines.tolist() == sorted(cosines.tolist(), reverse=True)
        shares.append(float(np.mean(cosines >= wanted[-1] - 1e-5)))
    # Codes were used, and are of use even to questions that have nothing to do with any passage.
    assert 0.9 <= np.mean(shares) < 1


def test_where_codes_say_too_little_the_shortlist_is_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_smaller_scale(monkeypatch, part=700)
    monkeypatch.setattr(dense, "_SHORTLIST", 1)
    monkeypatch.setattr(dense, "_FOR_EACH", 1)
    made = Derived(tmp_path)
    made.sync([], 600)
    assert made.layout is not None
    assert made.layout.shortlist >= 16
    shorter = made.layout.model_copy(update={"shortlist": 1})
    hasty, opened = dense.DenseIndex(made.current / "dense", shorter), made.dense
    worst = dict.fromkeys(("hasty", "opened"), 1.0)
    for seed in range(50):
        middle = np.sum([made.kept[1 + (seed * n) % 600][0] for n in (1, 7, 13)], axis=0)
        middle /= np.linalg.norm(middle)
        tenth = made.exact(middle, sorted(made.kept))[9] - 1e-5
        for name, index in (("hasty", hasty), ("opened", opened)):
            worst[name] = min(worst[name], float(np.mean(index.nearest(middle, 10)[0] >= tenth)))
    assert worst["hasty"] < worst["opened"]


def measured(derived: Derived) -> float:
    """Of the ten nearest to each of the questions that recall is measured by, the share that is found, by hand."""
    assert derived.layout is not None
    folder = derived.current / "dense"
    parts = [faiss.read_index(str(folder / one.files[0])) for one in derived.layout.parts]
    held = np.concatenate([faiss.vector_to_array(part.id_map) for part in parts])
    rows = np.random.default_rng(0).integers(0, len(held), (256, 3))
    all_held = np.stack([passage(int(id_))[0] for id_ in held])
    living = np.stack([vector for vector, _ in derived.kept.values()])
    opened, shares = derived.dense, []
    for three in rows:
        middle = all_held[three].sum(axis=0)
        middle /= np.linalg.norm(middle)
        tenth = -np.sort(-(living @ middle))[9]
        shares.append(np.mean(opened.nearest(middle, 10)[0] >= tenth - 1e-5))
    return float(np.mean(shares))


def two_parts_with_codes(folder: Path, patch: pytest.MonkeyPatch) -> tuple[Derived, dense.Layout]:
    """Of 1,500 passages each, and shortlists as short as recall allows."""
    on_a_smaller_scale(patch, part=1500)
    patch.setattr(dense, "_SHORTLIST", 1)
    patch.setattr(dense, "_FOR_EACH", 1)
    made = Derived(folder)
    made.sync([], 3000)
    assert made.layout is not None
    return made, made.layout


def test_recall_is_that_of_all_parts_together_and_measured_when_one_gets_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, first = two_parts_with_codes(tmp_path, monkeypatch)
    assert made.layout is not None
    assert [len(one.files) for one in first.parts] == [2, 2]
    assert dense.RECALL <= first.recall < 1
    assert first.recall == pytest.approx(measured(made), abs=1e-6)

    made.sync([3, 7], 20)  # small, and looked at whole
    assert (made.layout.shortlist, made.layout.recall) == (first.shortlist, first.recall)
    made.sync([], 6000)  # three times as many compete for the shortlist
    assert made.layout.shortlist > first.shortlist
    assert dense.RECALL <= made.layout.recall < 1
    assert made.layout.recall == pytest.approx(measured(made), abs=1e-6)
    second = made.layout
    assert second.measured == sum(one.passages for one in second.parts if len(one.files) == 2) > 8000


def test_recall_is_measured_again_when_as_many_others_took_the_place_of_those_it_was_measured_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, first = two_parts_with_codes(tmp_path, monkeypatch)
    assert made.layout is not None
    made.sync(list(range(1, 100)), 150)  # these are looked at whole
    assert (made.layout.recall, made.layout.measured) == (first.recall, 3000)
    made.sync(list(range(100, 1501)), 1500)  # half of them
    assert sum(one.passages for one in made.layout.parts if len(one.files) == 2) == made.layout.measured
    assert made.layout.recall != first.recall
    assert made.layout.recall == pytest.approx(measured(made), abs=1e-6)


def test_a_file_that_the_system_did_not_take_whole_is_noticed_when_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_index = faiss.write_index

    def cut(index: object, name: str) -> None:  # FAISS only prints it where closing a file fails
        write_index(index, name)
        os.truncate(name, Path(name).stat().st_size - 100)

    monkeypatch.setattr(faiss, "write_index", cut)
    with pytest.raises(Exception, match=r"(?s)000000001-000000030\.faiss|read error|mmap"):
        Derived(tmp_path).sync([], 30)


def test_few_that_are_allowed_are_looked_at_one_by_one(derived: Derived) -> None:
    for seed in range(30):
        few = np.sort(np.random.default_rng(seed).permutation(400)[:60] + 1)
        cosines = np.array([derived.kept[int(id_)][0] @ question(seed) for id_ in few])
        assert derived.dense.search(question(seed), 20, few) == few[np.lexsort((few, -cosines))][:20].tolist()


def test_the_same_passages_make_the_same_codes(derived: Derived, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Derived(tmp_path / "other")
    other.sync([], 400)
    assert other.layout == derived.layout
    assert [other.dense.search(question(n), 20) for n in range(20)] == [
        derived.dense.search(question(n), 20) for n in range(20)
    ]


def test_a_small_change_shares_all_vectors_and_all_segments_but_one(derived: Derived) -> None:
    before, words = inodes(derived.current / "dense"), inodes(derived.current / "lexical")
    assert derived.layout is not None
    parts = derived.layout.parts
    derived.sync([7, 8], 2)
    after, now = inodes(derived.current / "dense"), inodes(derived.current / "lexical")
    assert (derived.layout.parts[:-1], derived.layout.dead) == (parts, 2)
    assert {**after, **before} == after
    assert set(after) - set(before) == {"000000401-000000402.faiss"}
    assert len({*words.items()} & {*now.items()}) == len(words) - 2  # two files of the one segment that held them
    assert np.fromfile(derived.current / "dense" / dense.DEAD, dtype="<i8").tolist() == [7, 8]
    assert_as_one_built_anew(derived)


def test_a_part_of_which_more_than_a_tenth_is_dead_is_written_again(derived: Derived) -> None:
    assert derived.layout is not None
    before = derived.layout.parts
    derived.sync([*range(1, 14)], 0)
    assert (derived.layout.parts, derived.layout.dead) == (before, 13)
    derived.sync([14, 200], 0)
    first, *others = derived.layout.parts
    assert (first.first, first.passages, derived.layout.dead) == (15, 120, 1)
    assert others == [*before[1:]]
    assert_as_one_built_anew(derived)


@pytest.mark.parametrize(
    "name",
    [
        "000000001-000000134.faiss",
        "000000001-000000134.codes",
        dense.DIRECTIONS,
        dense.DEAD,
        "000000401-000000402.faiss",
    ],
)
def test_a_file_of_vectors_that_is_missing_or_another_ones_is_noticed(derived: Derived, name: str) -> None:
    derived.sync([7], 2)
    path = derived.current / "dense" / name
    path.unlink()
    with pytest.raises(DerivedDamaged):
        _ = derived.dense
    if name == dense.DEAD:
        ids(7, 8).tofile(path)
    else:
        index = faiss.index_factory(DIM, "IDMap,SQfp16", faiss.METRIC_INNER_PRODUCT)
        index.add_with_ids(np.ones((3, DIM), np.float32), ids(1, 2, 3))
        faiss.write_index(index, str(path))
    with pytest.raises(DerivedDamaged):
        _ = derived.dense


def test_codes_of_other_passages_are_noticed(derived: Derived) -> None:
    """As many of them, so that only their ids tell."""
    folder = derived.current / "dense"
    shutil.copyfile(folder / "000000135-000000267.codes", folder / "000000268-000000400.codes")
    with pytest.raises(DerivedDamaged, match="codes of other passages"):
        _ = derived.dense


def test_codes_are_of_directions_in_which_most_of_the_products_lie() -> None:
    rng = np.random.default_rng(5)
    plane = rng.standard_normal((6, 12))
    vectors = (rng.standard_normal((500, 6)) + 3) @ plane + 0.01 * rng.standard_normal((500, 12))
    directions = dense.main_directions(vectors.astype(np.float32), 6)
    assert directions @ directions.T == pytest.approx(np.eye(6), abs=1e-5)
    _, _, longest = np.linalg.svd(vectors, full_matrices=False)
    assert directions.T @ directions == pytest.approx(longest[:6].T @ longest[:6], abs=1e-4)
    # Products of what lies in these directions are as they were, the mean's share among them.
    one, other = vectors[:2] @ longest[:6].T @ longest[:6]
    assert (directions @ one) @ (directions @ other) == pytest.approx(one @ other, rel=1e-4)


def test_no_direction_says_much_more_than_another() -> None:
    lengths = 1.1 ** -np.arange(128)
    vectors = np.random.default_rng(6).standard_normal((2000, 128)) * lengths
    along = vectors @ dense.main_directions(vectors.astype(np.float32), 64).T
    shares = np.square(along).mean(axis=0)
    assert shares.max() / shares.min() < 10 < 1e5 < (lengths[0] / lengths[63]) ** 2


def test_parts_that_come_later_have_the_directions_of_those_that_stay(derived: Derived) -> None:
    def directions() -> bytes:
        return (derived.current / "dense" / dense.DIRECTIONS).read_bytes()

    assert derived.layout is not None
    first = directions()
    assert (derived.layout.directions, len(first)) == (DIM // 2, 4 * DIM // 2 * DIM)
    derived.sync([], 150)
    assert len(derived.dense._coded) == 4
    assert directions() == first
    assert_as_one_built_anew(derived)
    # Without any codes there are none; new codes then have their own.
    derived.sync([*range(41, 551)], 0)
    assert (derived.layout.directions, derived.layout.files) == (0, {"000000001-000000040.faiss"})
    derived.sync([], 150)
    assert directions() != first
    assert_as_one_built_anew(derived)


@pytest.mark.parametrize("dim", [4, 6, 50, 100])
def test_vectors_of_any_length_have_codes(dim: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_smaller_scale(monkeypatch, part=300)
    vectors = np.random.default_rng(0).standard_normal((250, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    layout = dense.build(tmp_path, None, ids(), ids(*range(250)), vectors.__getitem__)
    assert [len(one.files) for one in layout.parts] == [2]
    assert layout.directions == {4: 2, 6: 2, 50: 24, 100: 50}[dim]
    index = dense.DenseIndex(tmp_path, layout)
    assert np.mean([index.search(vectors[row], 1) == [row] for row in range(250)]) > 0.95


def test_threads_find_what_one_alone_finds(derived: Derived, monkeypatch: pytest.MonkeyPatch) -> None:
    derived.sync([3, 77, 300], 5)
    alone = derived.dense
    assert not alone.is_large
    wanted = [alone.search(question(seed), 3) for seed in range(40)]
    monkeypatch.setattr(dense, "_LARGE", 0)
    monkeypatch.setattr(dense, "cores", lambda: 2)
    before = threads_of_this_process()
    together = derived.dense
    assert together.is_large
    assert [together.search(question(seed), 3) for seed in range(40)] == wanted
    # FAISS' two, and none that these begin in turn. Those of earlier tests may end meanwhile.
    assert not before or len(threads_of_this_process() - before) == 2
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda seed: together.search(question(seed), 3), range(40))) == wanted


def threads_of_this_process() -> set[str]:
    """The system's numbers of them; none where it does not say."""
    tasks = Path("/proc/self/task")
    return {one.name for one in tasks.iterdir()} if tasks.is_dir() else set()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux names threads in a file")
def test_where_texts_break_off_no_thread_writes_on(tmp_path: Path) -> None:
    def writing() -> int:
        return sum(one.read_text().startswith("thrd-tantivy-in") for one in Path("/proc/self/task").glob("*/comm"))

    def texts(first: int, last: int) -> Iterator[tuple[int, str]]:
        yield from ((id_, f"heron {id_} " * 20) for id_ in range(first, last))
        at_work.append(writing())
        raise StorageError("broken off")

    at_work: list[int] = []
    with pytest.raises(StorageError, match="broken off") as error:
        lexical.build(tmp_path / "words", None, ids(), stretch(1, 12_000, 12_000), texts)
    at_work.append(writing())
    assert at_work[0] > 0 == at_work[1]
    assert error.tb  # which keeps the writer
    assert not (tmp_path / "words" / lexical._META).exists()


def test_words_that_are_gone_are_in_no_file(derived: Derived) -> None:
    derived.sync([33, 34, 399], 1)
    held = b"".join(path.read_bytes() for path in (derived.current / "lexical").iterdir())
    assert b"word33x" not in held
    assert b"word399x" not in held
    assert count_within(ids(33, 34, 399), derived.words[0]) == 2


def test_many_segments_score_as_one(derived: Derived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    derived.sync([3, 99], 5)
    monkeypatch.setattr(lexical, "PART", 1000)
    whole = lexical.build(tmp_path / "whole", None, ids(), stretch(1, 500, len(derived.kept)), derived.texts)
    assert (len(whole), len(derived.words) > 5) == (1, True)
    one, many = lexical.LexicalIndex(tmp_path / "whole"), derived.lexical
    for words in (["heron"], ["zebra", "night", "moon"], lexical.terms("stone reed river grass")):
        assert {*many.search(words, 500)} == {*one.search(words, 500)}
        assert many.frequency(words[0]) == one.frequency(words[0])


@hypothesis_settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6), st.integers(1, 40))
def test_what_frequent_terms_alone_find_is_left_out_only_where_it_cannot_be_among_the_best(
    common: lexical.LexicalIndex, query: list[str], count: int
) -> None:
    """Against tantivy itself, asked for every passage that holds any of the terms."""
    every = common._found([common._any(query)], [], 600)
    scores = dict(zip(common._ids(every), [score for score, _ in every], strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lexical, "_MANY", 1)
        found = common.search(query, count)
    assert [scores[id_] for id_ in found] == pytest.approx([score for score, _ in every[:count]], rel=1e-5)


def test_frequent_terms_are_those_that_are_worth_less_than_the_others(
    common: lexical.LexicalIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert common._divided(["heron", "stone", "owl"])[0] == []
    monkeypatch.setattr(lexical, "_MANY", 1)
    frequent, others, bound = common._divided(["heron", "stone", "owl", "heron"])
    assert (frequent, others) == (["owl", "heron", "heron"], ["stone"])
    every = common._found([common._any(frequent)], [], 600)
    assert bound / 2 < every[0][0] < bound


@pytest.fixture(scope="module")
def common(tmp_path_factory: pytest.TempPathFactory) -> lexical.LexicalIndex:
    """600 passages of words of which each is rarer than the one before."""
    rng = np.random.default_rng(3)
    chances = 0.75 ** np.arange(len(WORDS))
    texts = [" ".join(rng.choice(WORDS, 6, p=chances / chances.sum())) for _ in range(600)]
    folder = tmp_path_factory.mktemp("common") / "lexical"
    lexical.build(folder, None, ids(), stretch(1, 600, 600), lambda _first, _last: iter(enumerate(texts, 1)))
    return lexical.LexicalIndex(folder)


# What FAISS does not do, and why files are never changed in place


def test_an_index_that_is_memory_mapped_takes_nothing_out(derived: Derived) -> None:
    change = (
        "import faiss, sys, numpy as np\n"
        "index = faiss.read_index(sys.argv[1], faiss.IO_FLAG_MMAP_IFC)\n"
        "index.remove_ids(faiss.IDSelectorBatch(np.array([1])))"
    )
    path = derived.current / "dense" / "000000001-000000134.faiss"
    before = path.read_bytes()
    done = subprocess.run([sys.executable, "-c", change, str(path)], capture_output=True, check=False)
    assert done.returncode != 0  # an exception with one kind of map, the end of the process with the other
    assert path.read_bytes() == before
