"""The nearest vectors: FAISS. Derived; `distance` exists only here, and here it is a cosine."""

from collections.abc import Iterable
from pathlib import Path

import faiss
import numpy as np

from pincite.storage.derived import noticing_damage

FILE = "exact.faiss"


def build(folder: Path, chunks: Iterable[tuple[np.ndarray, np.ndarray]], previous: Path | None) -> None:
    """Write the index in the folder `previous`, if given, with `chunks` added.

    A chunk is passage ids, int64 of shape (n,), and unit vectors, float32 of shape (n, dim).
    """
    index = faiss.read_index(str(previous / FILE)) if previous else None
    for ids, vectors in chunks:
        index = index or faiss.index_factory(vectors.shape[1], "IDMap2,SQfp16", faiss.METRIC_INNER_PRODUCT)
        index.add_with_ids(vectors, ids)
    if index is None:
        raise ValueError("an index holds at least one vector")
    folder.mkdir(exist_ok=True)
    faiss.write_index(index, str(folder / FILE))


class DenseIndex:
    """An opened index. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        """Raises `DerivedDamaged` for a file that FAISS cannot read."""
        self._folder = folder
        with noticing_damage(folder):
            self._index = faiss.read_index(str(folder / FILE))

    def __len__(self) -> int:
        return self._index.ntotal

    @property
    def ids(self) -> np.ndarray:
        """Of all passages, int64, rising."""
        return np.sort(faiss.vector_to_array(self._index.id_map))  # type: ignore[attr-defined]  # that of an IDMap2

    def search(self, vector: np.ndarray, count: int, allowed: np.ndarray | None = None) -> list[int]:
        """Ids of the passages nearest by cosine, the nearest first; of the `allowed` alone, rising ids.

        Raises `DerivedDamaged`.
        """
        if allowed is not None and not len(allowed):
            return []
        with noticing_damage(self._folder):
            if allowed is None:
                _, ids = self._index.search(vector[None, :], min(count, len(self)))
            else:
                bits = _bitmap(allowed)  # outlives the search, for FAISS takes no copy
                only = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))  # type: ignore[call-arg, arg-type]  # by SWIG
                _, ids = self._index.search(vector[None, :], min(count, len(allowed)), params=only)
        return [int(id_) for id_ in ids[0] if id_ >= 0]


def _bitmap(ids: np.ndarray) -> np.ndarray:
    """Bit i % 8 of byte i // 8 says whether i is among the rising `ids`."""
    flags = np.zeros(int(ids[-1]) + 1, dtype=bool)
    flags[ids] = True
    return np.packbits(flags, bitorder="little")
