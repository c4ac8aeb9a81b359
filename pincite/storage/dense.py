"""The nearest vectors: FAISS. Derived. Scores are cosines: higher is nearer.

    dense/
      000000001-000131072.faiss    a part: ids of passages and their vectors
      000000001-000131072.codes    of a large part: the vectors again, in a bit for each number
      directions                   what codes are made of, where there are any: float32, one direction after the other
      dead.ids                     ids of passages in the parts that are no longer there, int64, rising

A small part is searched whole. In a large one the codes of all vectors are compared (product quantisation in 4 bits,
tables held in registers: André, Kermarrec and Le Scouarnec, Quicker ADC, 2019), and the vectors of a shortlist of the
nearest. These are stored in float16, as in the segments, so a cosine that was found is exact. Codes are made of what
vectors are along half as many directions, in which most of their products lie.

No file is ever changed: a sync adds a part and writes `dead.ids`, until enough of a part is dead to write it again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from pydantic import BaseModel, ConfigDict

from pincite.processors import cores
from pincite.storage.derived import noticing_damage
from pincite.storage.parts import IndexPart, Stretch, capacity, count_within, link, plan, portions

DEAD = "dead.ids"
DIRECTIONS = "directions"

PART = 131_072
"""Passages that a part holds at most."""
_PARTS = 8
"""Where there are more than so many full ones, the parts are larger: each costs a question something of its own."""
WHOLE = 16_384
"""Passages up to which a part is searched whole, or those that are allowed are looked at one by one."""
CHANGED = 0.1
"""A part is written again when this share of it is dead."""
RECALL = 0.99
"""Of the true ten best, how many must be found."""
_ASKED = 256
"""Questions by which recall is measured: each the mean of three passages' vectors. Their nearest lie as far away as
those of real questions and nearer to each other: the shortlist they need is longer."""
_SHORTLIST = 200
"""How long the shortlist is at first; it grows until recall is what it must be."""
_FOR_EACH = 2
"""So much longer is the shortlist for each one that is asked for."""
_LISTED = 0.1
"""Of the passages that have codes, how many may be on it: of more, codes miss too many."""
_A_CODE = 2
"""Numbers that 4 bits stand for together."""
_LEARNT_FROM = 4_096
"""Vectors from which directions, and what the codes of a part stand for, are learnt: of more, FAISS makes no use."""
_LARGE = 400_000
"""Passages of which codes are compared for some milliseconds."""
_CHUNK = 8192

Read = Callable[[np.ndarray], np.ndarray]
"""Ids of passages, int64 of shape (n,) → their unit vectors, float32 of shape (n, dim)."""


class Layout(BaseModel):
    """What a folder of vectors holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    parts: tuple[IndexPart, ...] = ()
    dead: int = 0
    directions: int
    """Of which codes are made; 0 where no part has any."""
    shortlist: int
    """How many of the nearest by their codes, of all parts that have them together, are looked at."""
    recall: float = 1.0
    """Share of the true ten best that is then found, as it was measured last."""
    measured: int = 0
    """How many passages have the codes that they had then."""

    @property
    def passages(self) -> int:
        """Those that are living."""
        return sum(part.passages for part in self.parts) - self.dead

    @property
    def files(self) -> set[str]:
        """Their names, without the list of the dead."""
        return {name for part in self.parts for name in part.files} | ({DIRECTIONS} if self.directions else set())


def build(
    folder: Path,
    before: tuple[Path, Layout] | None,
    gone: np.ndarray,
    new: np.ndarray,
    read: Read,
    go_on: Callable[[], None] = lambda: None,
) -> Layout:
    """Write into `folder` what changes: `gone` and `new` are ids, int64, rising.

    What stays of the folder and the layout `before` is linked. Without `before`, `new` are all passages. `read` gives
    the vectors of any living passage. `go_on` is called now and then, and may raise to stop it.
    """
    folder.mkdir(exist_ok=True)
    source, layout = before or (folder, Layout(directions=0, shortlist=_SHORTLIST))
    dead = np.union1d(_dead(source, layout), gone)
    living = sum(part.passages - count_within(dead, part) for part in layout.parts) + len(new)
    stretch = Stretch(first=int(new[0]), last=int(new[-1]), passages=len(new)) if len(new) else None
    planned = plan(layout.parts, dead, stretch, most := capacity(living, PART, _PARTS), CHANGED)
    kept = [one for one in planned if isinstance(one, IndexPart)]
    stretches = [one for one in planned if not isinstance(one, IndexPart)]
    ids = _ids_within(stretches, source, layout, dead, new)
    coming = [some for one in stretches for some in portions(_within(ids, one), most)]
    directions = _directions(source, layout) if _coded(kept) else _new_directions(folder, coming, read)
    made = [_write_part(folder, some, read, directions) for some in coming]
    dead = np.concatenate([dead[:0], *(_within(dead, one) for one in kept)])
    if len(dead):
        (folder / DEAD).write_bytes(dead.astype("<i8").tobytes())
    parts = tuple(sorted([*kept, *made], key=lambda part: part.first))
    coded, stayed = _coded(parts), _coded(kept)
    unmeasured = min(_coded(layout.parts) - layout.measured, stayed)  # any of which may have stayed
    known = {"parts": parts, "dead": len(dead), "measured": stayed - unmeasured}
    layout = layout.model_copy(update=known | {"directions": len(directions) if coded else 0})
    link(source, folder, layout.files)
    for part in made:  # FAISS says nothing where the system did not take all of a file that is closed
        _OpenPart(folder, part)
    return _measured(folder, layout, go_on) if coded > (1 + CHANGED) * layout.measured else layout


def _coded(parts: Iterable[IndexPart]) -> int:
    """How many passages have codes."""
    return sum(part.passages for part in parts if len(part.files) > 1)


def _write_part(folder: Path, ids: np.ndarray, read: Read, directions: np.ndarray) -> IndexPart:
    name = f"{ids[0]:09}-{ids[-1]:09}"
    sample = _sample(ids, read)
    vectors = faiss.index_factory(sample.shape[1], "IDMap,SQfp16", faiss.METRIC_INNER_PRODUCT)
    codes = _learn(sample @ directions.T) if len(ids) > WHOLE else None
    for first in range(0, len(ids), _CHUNK):
        some = read(ids[first : first + _CHUNK])
        vectors.add_with_ids(some, ids[first : first + _CHUNK])
        if codes:
            codes.add_with_ids(some @ directions.T, ids[first : first + _CHUNK])
    part = IndexPart(first=int(ids[0]), last=int(ids[-1]), passages=len(ids), files=(f"{name}.faiss",))
    faiss.write_index(vectors, str(folder / part.files[0]))
    if not codes:
        return part
    faiss.write_index(codes, str(folder / f"{name}.codes"))
    return part.model_copy(update={"files": (*part.files, f"{name}.codes")})


def _sample(ids: np.ndarray, read: Read) -> np.ndarray:
    return read(np.sort(np.random.default_rng(0).permutation(ids)[:_LEARNT_FROM]))


def _learn(sample: np.ndarray) -> Any:
    """An index of codes without any, in one list of FAISS': without lists it cannot leave passages out."""
    dim = sample.shape[1]
    codes: Any = faiss.index_factory(dim, f"IVF1,PQ{dim // _A_CODE}x4fs", faiss.METRIC_INNER_PRODUCT)
    codes.by_residual = False
    codes.cp.min_points_per_centroid = codes.pq.cp.min_points_per_centroid = 1
    codes.train(sample)
    return codes


def _new_directions(folder: Path, coming: Iterable[np.ndarray], read: Read) -> np.ndarray:
    """Those of the first large one of the parts to come; of none where all are small."""
    large = next((ids for ids in coming if len(ids) > WHOLE), None)
    if large is None:
        return np.empty((0, 0), dtype=np.float32)
    sample = _sample(large, read)
    directions = main_directions(sample, sample.shape[1] // (2 * _A_CODE) * _A_CODE)
    (folder / DIRECTIONS).write_bytes(directions.astype("<f4").tobytes())
    return directions


def main_directions(sample: np.ndarray, count: int) -> np.ndarray:
    """Directions at right angles, float32 of shape (count, dim), in which most of the vectors' products lie.

    They span the first eigenvectors of the second moments, about 0 and not about the mean, for products are. They are
    turned at random, so that none says much more than another: each gets as many bits.
    """
    _, rising = np.linalg.eigh(sample.T.astype(np.float64) @ sample)
    turn, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((count, count)))
    return np.ascontiguousarray(turn @ rising[:, -count:].T, dtype=np.float32)


def _directions(folder: Path, layout: Layout) -> np.ndarray:
    if not layout.directions:
        return np.empty((0, 0), dtype=np.float32)
    return np.fromfile(folder / DIRECTIONS, dtype="<f4").astype(np.float32).reshape(layout.directions, -1)


def _measured(folder: Path, layout: Layout, go_on: Callable[[], None]) -> Layout:
    """With a shortlist on which the nearest stand, and the recall that was measured."""
    coded = _coded(layout.parts)
    index = DenseIndex(folder, layout)
    questions = index.means(np.random.default_rng(0).integers(0, index.held, (_ASKED, 3)))
    wanted = index.best(questions, 10, go_on)
    while True:
        # By cosine, for of two passages that are as near either may be found.
        recall = float((index.found(questions, 10, go_on) >= wanted[:, -1:] - 1e-5).mean())
        if recall >= RECALL or index.shortlist >= coded:
            return layout.model_copy(update={"shortlist": index.shortlist, "recall": recall, "measured": coded})
        index.shortlist += index.shortlist // 2 + 1


def _ids_within(
    stretches: Sequence[Stretch], folder: Path, layout: Layout, dead: np.ndarray, new: np.ndarray
) -> np.ndarray:
    """Ids of the living passages of some stretches, rising."""
    parts = (part for part in layout.parts if any(one.first <= part.first <= one.last for one in stretches))
    held = [_ids(faiss.read_index(str(folder / part.files[0]), faiss.IO_FLAG_MMAP_IFC)) for part in parts]
    return _living([*held, new], dead)


def _living(ids: Sequence[np.ndarray], dead: np.ndarray) -> np.ndarray:
    """All of the ids but those of the dead, rising."""
    return np.sort(np.setdiff1d(np.concatenate([*ids, dead[:0]]), dead, assume_unique=True))


def _ids(vectors: Any) -> np.ndarray:
    return np.asarray(faiss.vector_to_array(vectors.id_map))


def _ids_of_codes(codes: Any) -> np.ndarray:
    lists = faiss.downcast_InvertedLists(codes.invlists)
    return np.asarray(faiss.rev_swig_ptr(lists.get_ids(0), lists.list_size(0)))


def _within(ids: np.ndarray, stretch: Stretch) -> np.ndarray:
    return ids[np.searchsorted(ids, stretch.first) : np.searchsorted(ids, stretch.last, "right")]


def _dead(folder: Path, layout: Layout) -> np.ndarray:
    ids = np.fromfile(folder / DEAD, dtype="<i8").astype(np.int64) if layout.dead else np.empty(0, dtype=np.int64)
    if len(ids) != layout.dead or (len(ids) and not (0 <= ids[0] <= ids[-1] <= layout.parts[-1].last)):
        raise ValueError(f"{len(ids)} dead of {layout.dead}, or of other passages")
    if (np.diff(ids) <= 0).any():
        raise ValueError("the ids of the dead do not rise")
    return ids


Found = tuple[np.ndarray, np.ndarray]
"""Cosines, float32, and the ids they belong to, of the same length."""


class _OpenPart:
    """A part whose files are open: the vectors memory-mapped and read as they are needed, the codes in memory."""

    def __init__(self, folder: Path, part: IndexPart) -> None:
        self.part = part
        opened: list[Any] = [faiss.read_index(str(folder / name), faiss.IO_FLAG_MMAP_IFC) for name in part.files]
        if any(index.ntotal != part.passages for index in opened):
            raise ValueError(f"{[index.ntotal for index in opened]} vectors of {part.passages}")
        self._vectors, *codes = opened
        self.ids = _ids(self._vectors)
        self.codes = codes[0] if codes else None
        if self.codes and not np.array_equal(self.ids, _ids_of_codes(self.codes)):
            raise ValueError("codes of other passages")

    @cached_property
    def matrix(self) -> np.ndarray:
        """The vectors, float16, shape (n, dim)."""
        held: Any = faiss.downcast_index(self._vectors.index)
        return faiss.rev_swig_ptr(held.codes.data(), held.ntotal * held.code_size).view("<f2").reshape(-1, held.d)

    def cosines(self, questions: np.ndarray, dead: np.ndarray) -> Iterator[np.ndarray]:
        """Of each question and every passage, some thousand passages at a time; −1 of the dead."""
        for first in range(0, len(self.matrix), _CHUNK):
            some = questions @ self.matrix[first : first + _CHUNK].astype(np.float32).T
            some[:, np.isin(self.ids[first : first + _CHUNK], dead, assume_unique=True)] = -1
            yield some

    def nearest(self, query: np.ndarray, count: int, selector: faiss.IDSelector | None) -> Found:
        """By looking at every vector."""
        asked = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]  # by SWIG
        (cosines,), (ids,) = self._vectors.search(query, min(count, self.part.passages), params=asked)
        return cosines[ids >= 0], ids[ids >= 0]

    def vectors(self, ids: np.ndarray) -> np.ndarray:
        """Of those of its passages that are among these, float16; `ids` rise."""
        return self.matrix[np.searchsorted(self.ids, _within(ids, self.part))]


class DenseIndex:
    """An opened index. Safe to share between threads."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        """Raises `DerivedDamaged` for a file that FAISS cannot read, or that is not what the layout says."""
        self._folder = folder
        self._layout = layout
        self.shortlist = layout.shortlist
        with noticing_damage(folder):
            self._parts = [_OpenPart(folder, part) for part in layout.parts]
            self._dead = _dead(folder, layout)
            self._directions = _directions(folder, layout)
            self._coded = [one for one in self._parts if one.codes]
            self._all_codes = _together([one.codes for one in self._coded], cores() if self.is_large else 1)
        last = layout.parts[-1].last if layout.parts else 0
        self._living = _bits(last, self._dead, others=True) if layout.dead else None

    def __len__(self) -> int:
        return self._layout.passages

    @property
    def is_large(self) -> bool:
        """Whether a search takes longer than it costs to have it done in other threads."""
        return len(self) > _LARGE

    @property
    def ids(self) -> np.ndarray:
        """Of all passages, int64, rising."""
        return _living([part.ids for part in self._parts], self._dead)

    @property
    def held(self) -> int:
        """Passages of all parts, the dead among them."""
        return sum(one.part.passages for one in self._parts)

    def means(self, rows: np.ndarray) -> np.ndarray:
        """Unit vectors, float32 of shape (n, dim): each the mean of those that stand at some of the `held` rows, shape
        (n, m)."""
        found: dict[int, np.ndarray] = {}
        first = 0
        for one in self._one_by_one():
            inside = rows[(first <= rows) & (rows < first + one.part.passages)]
            found |= zip(inside.tolist(), one.matrix[inside - first].astype(np.float32), strict=True)
            first += one.part.passages
        means: np.ndarray = np.stack([np.sum([found[row] for row in some], axis=0) for some in rows.tolist()])
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        return means

    def best(self, questions: np.ndarray, count: int, go_on: Callable[[], None]) -> np.ndarray:
        """The cosines of the `count` nearest to each, the highest first, by looking at every vector."""
        best = np.full((len(questions), 0), -1.0, dtype=np.float32)
        for one in self._one_by_one():
            for cosines in one.cosines(questions, _within(self._dead, one.part)):
                go_on()
                best = _highest([best, cosines], count)
        return best

    def found(self, questions: np.ndarray, count: int, go_on: Callable[[], None]) -> np.ndarray:
        """The same of those that `nearest` finds."""
        selector = _selector(self._living)
        shortlists = []
        with _one_thread():
            for question in questions:
                go_on()
                shortlists.append(self._shortlist(question[None, :], count, selector))
            best = np.full((len(questions), count), -1.0, dtype=np.float32)
            for one, alone in zip(self._parts, self._one_by_one(), strict=True):
                for question, shortlist, row in zip(questions, shortlists, best, strict=True):
                    if shortlist is not None and one in self._coded:
                        cosines = alone.vectors(shortlist).astype(np.float32) @ question
                    else:
                        cosines, _ = alone.nearest(question[None, :], count, selector)
                    row[:] = _highest([row, cosines], count)
        return best

    def _one_by_one(self) -> Iterator[_OpenPart]:
        """The vectors of each part, opened again for as long as it is their turn: what is mapped and was looked at
        counts as memory of this process."""
        for part in self._layout.parts:
            yield _OpenPart(self._folder, part.model_copy(update={"files": part.files[:1]}))

    def search(self, vector: np.ndarray, count: int, allowed: np.ndarray | None = None) -> list[int]:
        """Ids of the passages nearest by cosine, the nearest first; of the `allowed` alone, rising ids.

        As many as were asked for, or all there are. Raises `DerivedDamaged`.
        """
        _, ids = self.nearest(vector, count, allowed)
        return [int(id_) for id_ in ids]

    def nearest(self, vector: np.ndarray, count: int, allowed: np.ndarray | None = None) -> Found:
        """The same, with their cosines."""
        count = min(count, len(self) if allowed is None else len(allowed))
        if not count:
            return np.empty(0, np.float32), np.empty(0, np.int64)
        bits = self._bits(allowed)
        # Both outlive the search, for FAISS takes no copy.
        selector = _selector(bits)
        query, are_few = vector[None, :], allowed is not None and len(allowed) <= WHOLE
        with noticing_damage(self._folder), _one_thread():
            shortlist = None if are_few else self._shortlist(query, count, selector)
            listed = [] if shortlist is None else self._coded
            found = [one.nearest(query, count, selector) for one in self._parts if one not in listed]
            if shortlist is not None:
                vectors = np.concatenate([one.vectors(shortlist) for one in listed])
                # By no BLAS: its threads, once they are begun, keep a core for what may come next.
                found.append((np.einsum("nd,d->n", vectors.astype(np.float32), vector), shortlist))
        cosines, ids = map(np.concatenate, zip(*found, strict=True))
        order = np.lexsort((ids, -cosines))[:count]
        return cosines[order], ids[order]

    def _shortlist(self, query: np.ndarray, count: int, selector: faiss.IDSelector | None) -> np.ndarray | None:
        """Ids, rising, of the nearest by their codes in all parts that have them together; None where every vector is
        to be looked at."""
        length = self.shortlist + _FOR_EACH * count
        if self._all_codes is None or length > _LISTED * self._all_codes.ntotal:
            return None
        asked = faiss.SearchParametersIVF(sel=selector, nprobe=1)  # type: ignore[call-arg]  # by SWIG
        _, (ids,) = self._all_codes.search(query @ self._directions.T, length, params=asked)
        return np.sort(ids[ids >= 0])

    def _bits(self, allowed: np.ndarray | None) -> np.ndarray | None:
        """The bitmap of the passages that may be found; None: all."""
        if allowed is None:
            return self._living
        bits = _bits(int(allowed[-1]), allowed)
        if self._living is not None:
            shortest = min(len(bits), len(self._living))
            bits = bits[:shortest]
            bits &= self._living[:shortest]
        return bits


def _together(codes: Sequence[Any], threads: int) -> Any | None:
    """One index of several, in which so many threads look: FAISS' own, which need no turn of the interpreter. None of
    none."""
    if not codes:
        return None
    together: Any = faiss.IndexShards(codes[0].d, threads > 1, False)  # type: ignore[call-arg]  # by SWIG
    for first in range(min(threads, len(codes))):
        shard: Any = faiss.IndexShards(codes[0].d, False, False)  # type: ignore[call-arg]  # by SWIG
        for one in codes[first::threads]:
            shard.add_shard(one)
        together.add_shard(shard)
    return together


def _selector(bits: np.ndarray | None) -> faiss.IDSelector | None:
    """Of a bitmap, which must outlive it: FAISS takes no copy."""
    return None if bits is None else faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg, arg-type]  # by SWIG


def _highest(some: Sequence[np.ndarray], count: int) -> np.ndarray:
    """Of each row, the highest first."""
    return -np.sort(-np.concatenate(some, axis=-1), axis=-1)[..., :count]


@contextmanager
def _one_thread() -> Iterator[None]:
    """FAISS has no use for more with a single question, but waits for them."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _bits(last: int, ids: np.ndarray, *, others: bool = False) -> np.ndarray:
    """Bit i % 8 of byte i // 8 says whether i, up to `last`, is among the rising `ids`, or among the `others`."""
    flags = np.full(last + 1, others)
    flags[ids] = not others
    return np.packbits(flags, bitorder="little")
