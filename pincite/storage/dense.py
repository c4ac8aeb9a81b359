"""The nearest vectors: FAISS. Derived; `distance` exists only here, and here it is a cosine.

    dense/
      base.faiss                   of a large index: lists of vectors around centroids, searched in part
      000000001-000016384.faiss    parts that are searched whole
      dead.ids                     ids of passages in base and parts that are no longer there, int64, rising

Every vector is stored in float16, as in the segments, so a cosine that was found is exact. No file
is ever changed: a sync adds a part and writes `dead.ids`, until what has changed is worth a new base.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from pydantic import BaseModel, ConfigDict

from pincite.storage.derived import noticing_damage
from pincite.storage.parts import Part, Stretch, capacity, count_within, plan, portions

BASE = "base.faiss"
DEAD = "dead.ids"

EXACT = 65_536
"""Passages that are searched one by one; of more, a base is made."""
CHANGED = 0.1
"""A base is made anew when this share of it is dead or lies beside it."""
RECALL = 0.99
"""Of the true ten best, how many the base must find."""
_REGROWN = 2
"""Centroids are learnt again when there are so many times the passages that they were learnt for."""
_LEARNT_FROM = 40
"""Vectors for each centroid, from which they are learnt."""
_ASKED = 256
"""Questions by which recall is measured: each the mean of three passages' vectors. Real questions lie as far from
the passages, and need as many lists; a single passage's neighbours are found in far fewer."""
_AIM = 0.005
"""That much more is asked of the measured recall, for what a sample does not show."""
_FIRST_PROBES = 8
_CHUNK = 8192

Read = Callable[[np.ndarray], np.ndarray]
"""Ids of passages, int64 of shape (n,) → their unit vectors, float32 of shape (n, dim)."""


class Base(Stretch):
    """What the large immutable part is."""

    learnt_for: int
    """Passages there were when the centroids were learnt."""
    lists: int
    probes: int
    """Lists that a question looks into."""
    recall: float
    """Share of the true ten best that it then finds, measured when it was made."""
    files: tuple[str, ...] = (BASE,)


class Layout(BaseModel):
    """What a folder of vectors holds."""

    model_config = ConfigDict(frozen=True)
    base: Base | None = None
    parts: tuple[Part, ...] = ()
    dead: int = 0

    @property
    def passages(self) -> int:
        """Those that are living."""
        return sum(part.passages for part in self.stretches) - self.dead

    @property
    def stretches(self) -> tuple[Base | Part, ...]:
        """All that is searched."""
        return (*([self.base] if self.base else ()), *self.parts)

    @property
    def files(self) -> set[str]:
        """Their names, without the list of the dead."""
        return {name for part in self.stretches for name in part.files}


def build(
    folder: Path,
    before: tuple[Path, Layout] | None,
    gone: np.ndarray,
    new: np.ndarray,
    read: Read,
    is_sound: Callable[[], bool] = lambda: True,
) -> Layout:
    """Write into `folder` what changes: `gone` and `new` are ids, int64, rising.

    What stays of the folder and the layout `before` is linked by the caller, by the name in the layout
    that comes back. Without `before`, `new` are all passages. `read` gives the vectors of any living passage.
    `is_sound` says whether the base before is, byte for byte, what was written: asked before it is copied.
    """
    folder.mkdir(exist_ok=True)
    source, layout = before or (folder, Layout())
    dead = np.union1d(_dead(source, layout), gone)
    base = _base(folder, source, layout, dead, new, read, is_sound)
    if base is not layout.base:  # it holds everything, or there is none any more
        ids = np.empty(0, np.int64) if base else _living(source, layout, dead, new)
        layout, dead, new = Layout(base=base), np.empty(0, np.int64), ids
    living = layout.passages + len(new)
    stretch = Stretch(first=int(new[0]), last=int(new[-1]), passages=len(new)) if len(new) else None
    planned = plan(layout.parts, dead, stretch, most := capacity(living), CHANGED)
    ids = _ids_within([one for one in planned if not isinstance(one, Part)], source, layout, dead, new)
    kept = [one for one in planned if isinstance(one, Part)]
    made = [
        _write_part(folder, portion, read)
        for one in planned
        if not isinstance(one, Part)
        for portion in portions(_within(ids, one), most)
    ]
    dead = np.concatenate([dead[:0], *(_within(dead, one) for one in (*([base] if base else []), *kept))])
    if len(dead):
        dead.astype("<i8").tofile(folder / DEAD)
    return Layout(base=base, parts=tuple(sorted([*kept, *made], key=lambda part: part.first)), dead=len(dead))


def _base(
    folder: Path,
    source: Path,
    layout: Layout,
    dead: np.ndarray,
    new: np.ndarray,
    read: Read,
    is_sound: Callable[[], bool],
) -> Base | None:
    """The base that there is to be: the one before, another one, or none."""
    base = layout.base
    living = sum(one.passages - count_within(dead, one) for one in layout.stretches) + len(new)
    if base is None:
        return _learn(folder, _living(source, layout, dead, new), read) if living > EXACT else None
    beside = living - base.passages + count_within(dead, base)
    if living <= EXACT // 2:
        return None
    if beside + count_within(dead, base) <= CHANGED * base.passages:
        return base
    if living > _REGROWN * base.learnt_for or not is_sound():
        return _learn(folder, _living(source, layout, dead, new), read)
    index: Any = faiss.read_index(str(source / BASE))
    index.remove_ids(faiss.IDSelectorBatch(_within(dead, base)))
    added = _living(source, Layout(parts=layout.parts), dead, new)
    return _write_base(folder, index, added, read, base.learnt_for)


def _learn(folder: Path, ids: np.ndarray, read: Read) -> Base:
    """A base of these passages around centroids of their own; the same passages make the same ones."""
    lists = min(4 * round(len(ids) ** 0.5), len(ids))
    sample = np.sort(np.random.default_rng(0).permutation(ids)[: _LEARNT_FROM * lists])
    vectors = read(sample)
    quantizer = faiss.IndexFlatIP(vectors.shape[1])
    half = faiss.ScalarQuantizer.QT_fp16
    index = faiss.IndexIVFScalarQuantizer(
        quantizer,
        vectors.shape[1],
        lists,
        half,
        faiss.METRIC_INNER_PRODUCT,
        False,  # no residuals: cosines stay exact
    )
    index.cp.spherical = True
    index.cp.min_points_per_centroid = 1
    index.train(vectors)
    return _write_base(folder, index, ids, read, len(ids))


def _write_base(folder: Path, index: faiss.IndexIVF, added: np.ndarray, read: Read, learnt_for: int) -> Base:
    for first in range(0, len(added), _CHUNK):
        ids = added[first : first + _CHUNK]
        index.add_with_ids(read(ids), ids)
    recall = _probe(index)
    faiss.write_index(index, str(folder / BASE))
    ids = _base_ids(index)
    return Base(
        first=int(ids[0]),
        last=int(ids[-1]),
        passages=len(ids),
        learnt_for=learnt_for,
        lists=index.nlist,
        probes=index.nprobe,
        recall=recall,
    )


def _probe(index: faiss.IndexIVF) -> float:
    """Set how many lists a question looks into so that it finds enough; the recall that was measured."""
    rng = np.random.default_rng(0)
    sample = np.concatenate([vectors for _, vectors in _lists(index, rng.integers(0, index.nlist, 64))])
    questions = sample[rng.integers(0, len(sample), (_ASKED, 3))].sum(axis=1)
    questions /= np.linalg.norm(questions, axis=1, keepdims=True)
    wanted = _nearest(index, questions, 10)
    probes = min(_FIRST_PROBES, index.nlist)
    while True:
        index.nprobe = probes
        found, _ = index.search(questions, wanted.shape[1])
        # By cosine, for of two passages that are as near either may be found.
        recall = float((found >= wanted[:, -1:] - 1e-5).mean())
        if recall >= RECALL + _AIM or probes == index.nlist:
            return recall
        probes = min(index.nlist, probes + max(1, probes // 4))


def _nearest(index: faiss.IndexIVF, questions: np.ndarray, count: int) -> np.ndarray:
    """The cosines of the `count` nearest, the highest first, by looking at every vector."""
    best = np.full((len(questions), 0), -1.0, dtype=np.float32)
    for _, vectors in _lists(index, np.arange(index.nlist)):
        best = -np.sort(-np.concatenate([best, questions @ vectors.T], axis=1), axis=1)[:, :count]
    return best


def _lists(index: faiss.IndexIVF, numbers: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Ids and vectors, float32, of some lists, many lists at a time."""
    held: Any = index.invlists
    ids: list[np.ndarray] = []
    codes: list[np.ndarray] = []
    for number in [*map(int, numbers), -1]:
        if ids and (number < 0 or sum(map(len, ids)) >= _CHUNK):
            vectors = np.concatenate(codes).view("<f2").astype(np.float32).reshape(-1, index.d)
            yield np.concatenate(ids), vectors
            ids, codes = [], []
        if number >= 0 and (size := held.list_size(number)):
            ids.append(faiss.rev_swig_ptr(held.get_ids(number), size).copy())
            codes.append(faiss.rev_swig_ptr(held.get_codes(number), size * held.code_size).copy())


def _base_ids(index: faiss.IndexIVF) -> np.ndarray:
    held: Any = index.invlists
    sizes = [(number, size) for number in range(index.nlist) if (size := held.list_size(number))]
    return np.sort(np.concatenate([faiss.rev_swig_ptr(held.get_ids(number), size) for number, size in sizes]))


def _write_part(folder: Path, ids: np.ndarray, read: Read) -> Part:
    index: Any = None
    for first in range(0, len(ids), _CHUNK):
        vectors = read(ids[first : first + _CHUNK])
        index = index or faiss.index_factory(vectors.shape[1], "IDMap,SQfp16", faiss.METRIC_INNER_PRODUCT)
        index.add_with_ids(vectors, ids[first : first + _CHUNK])
    name = f"{ids[0]:09}-{ids[-1]:09}.faiss"
    faiss.write_index(index, str(folder / name))
    return Part(first=int(ids[0]), last=int(ids[-1]), passages=len(ids), files=(name,))


def _living(folder: Path, layout: Layout, dead: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Ids of all passages there are to be."""
    held = [_ids(_open(folder / name)) for name in sorted(layout.files)]
    return np.sort(np.setdiff1d(np.concatenate([*held, new]), dead, assume_unique=True))


def _ids_within(
    stretches: Sequence[Stretch], folder: Path, layout: Layout, dead: np.ndarray, new: np.ndarray
) -> np.ndarray:
    """Ids of the living passages of some stretches, rising."""
    parts = tuple(part for part in layout.parts if any(one.first <= part.first <= one.last for one in stretches))
    return _living(folder, Layout(parts=parts), dead, new)


def _within(ids: np.ndarray, stretch: Stretch) -> np.ndarray:
    return ids[np.searchsorted(ids, stretch.first) : np.searchsorted(ids, stretch.last, "right")]


def _ids(index: Any) -> np.ndarray:
    is_base = isinstance(index, faiss.IndexIVF)
    return _base_ids(index) if is_base else faiss.vector_to_array(index.id_map)


def _open(path: Path) -> faiss.Index:
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)


def _dead(folder: Path, layout: Layout) -> np.ndarray:
    ids = np.fromfile(folder / DEAD, dtype="<i8").astype(np.int64) if layout.dead else np.empty(0, dtype=np.int64)
    if len(ids) != layout.dead or (len(ids) and not (0 <= ids[0] <= ids[-1] <= layout.stretches[-1].last)):
        raise ValueError(f"{len(ids)} dead of {layout.dead}, or of other passages")
    if (np.diff(ids) <= 0).any():
        raise ValueError("the ids of the dead do not rise")
    return ids


class DenseIndex:
    """An opened index: files are memory-mapped and read as they are needed. Safe to share between threads."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        """Raises `DerivedDamaged` for a file that FAISS cannot read, or that is not what the layout says."""
        self._folder = folder
        self._layout = layout
        with noticing_damage(folder):
            self._base = _open(folder / BASE) if layout.base else None
            self._parts = [_open(folder / part.files[0]) for part in layout.parts]
            self._dead = _dead(folder, layout)
            opened = [index.ntotal for index in (*([self._base] if self._base else []), *self._parts)]
            if opened != [part.passages for part in layout.stretches]:
                raise ValueError(f"{opened} vectors")
            last = layout.stretches[-1].last if layout.stretches else 0
            self._living = _bits(last, self._dead, others=True) if layout.dead else None

    def __len__(self) -> int:
        return self._layout.passages

    @property
    def ids(self) -> np.ndarray:
        """Of all passages, int64, rising."""
        with noticing_damage(self._folder):
            return _living(self._folder, self._layout, self._dead, self._dead[:0])

    def search(self, vector: np.ndarray, count: int, allowed: np.ndarray | None = None) -> list[int]:
        """Ids of the passages nearest by cosine, the nearest first; of the `allowed` alone, rising ids.

        As many as were asked for, or all there are. Raises `DerivedDamaged`.
        """
        there = len(self) if allowed is None else len(allowed)
        count = min(count, there)
        if not count:
            return []
        bits = self._bits(allowed)
        # Both outlive the search, for FAISS takes no copy.
        selector = None if bits is None else faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg, arg-type]  # by SWIG
        query = vector[None, :]
        with noticing_damage(self._folder), _one_thread():
            found = [self._near(query, count, there, selector)] if self._base else []
            exact = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]  # by SWIG
            found += [part.search(query, min(count, part.ntotal), params=exact) for part in self._parts]
        cosines, ids = (np.concatenate(lists, axis=1)[0] for lists in zip(*found, strict=True))
        order = np.lexsort((ids, -cosines))
        return [int(id_) for id_ in ids[order] if id_ >= 0][:count]

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

    def _near(
        self, query: np.ndarray, count: int, there: int, selector: faiss.IDSelector | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The nearest in the base. The fewer are allowed, the more lists are looked into, for as many vectors."""
        base = self._layout.base
        assert base is not None
        assert self._base is not None
        probes = min(base.lists, -(-base.probes * len(self) // there))
        while True:
            asked = faiss.SearchParametersIVF(sel=selector, nprobe=probes)  # type: ignore[call-arg]  # by SWIG
            cosines, ids = self._base.search(query, min(count, base.passages), params=asked)
            if ids[0, -1] >= 0 or probes == base.lists:
                return cosines, ids
            probes = min(base.lists, 4 * probes)


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
