"""The boundary between an index and what searches it: two engines do, one in the index folder, one on a cluster.

Engines find candidates and hand over what is stored of them. What follows from that is computed in one place
(`candidates`, `relevance`), so the order is the same whichever found them. `snapshot` and `generation` are the engine
in the folder (FAISS and tantivy), `milvus` is the one on a cluster.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import numpy as np

from pincite.errors import StorageError
from pincite.filters import Filters
from pincite.settings import Settings
from pincite.storage.catalog import Catalog, StoredPassage
from pincite.storage.generation import Change, Contents, FolderWriter, IndexFolder, Recipe
from pincite.storage.selection import Selection
from pincite.storage.snapshot import IndexReader
from pincite.storage.vectors import Held
from pincite.types import Progress


class Snapshot(Protocol):
    """One state of an index, held for the time of one answer. For one thread; another may ask for `nearest`."""

    @property
    def contents(self) -> Contents:
        """What it is."""

    @property
    def catalog(self) -> Catalog:
        """The documents of the same state. Raises `StorageError` where they are on another machine."""

    @property
    def is_large(self) -> bool:
        """Whether looking for the nearest takes longer than it costs to have another thread do it."""

    def frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        """Term → passages that hold it, exactly."""

    def select(self, *filters: Filters) -> Selection:
        """What passes all of these."""

    def best(self, terms: Sequence[str], count: int, selection: Selection) -> list[int]:
        """Ids of the passages best by BM25, the best first: `count` of them, or all there are."""

    def nearest(self, vector: np.ndarray, count: int, selection: Selection) -> list[int]:
        """Ids of the passages nearest by cosine, the nearest first: `count` of them, or all there are."""

    def passages(self, ids: Sequence[int]) -> list[StoredPassage]:
        """In order of source and start; those not there are left out."""

    def passages_of(self, source: str) -> list[StoredPassage]:
        """All of a document, in order of start."""

    def records(self, stored: Sequence[StoredPassage]) -> list[Held | None]:
        """The vectors of passages that this gave; None where a record is damaged."""


class Reader(Protocol):
    """Opens snapshots of one index. Safe to share between threads."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Raises `IndexMissing`, `IndexMismatch`, `IndexDamaged`, or `DerivedDamaged` to be built again."""

    def catalog(self) -> AbstractContextManager[Catalog]:
        """One state of the catalog alone. Raises `IndexMissing`, also where it is on another machine, `IndexMismatch`,
        `IndexDamaged`."""

    def generation(self) -> int:
        """The one that is read; 0 where there is none. Raises `StorageError`, as where it was built in another way."""


class Writer(Protocol):
    """Brings what is searched to the state of the catalog. The caller holds the writer's lock."""

    holds_times: bool
    """Whether it keeps when files were changed, so that a file that was only touched is a change to it."""

    def settle(self) -> None:
        """Put right what a run that died left."""

    def is_intact(self) -> bool:
        """Whether the catalog's state looks as it was written."""

    def is_reusable(self) -> bool:
        """Whether the next state may be made from that one."""

    def build(self, change: Change, progress: Progress) -> str:
        """Make the next state ready, from what the catalog sees within its transaction; returns what names it.

        Nobody reads it before `publish`. `progress` is told how many passages have been written. Raises
        `DerivedDamaged` where the state before turns out not to be reusable, `StorageError`.
        """

    def publish(self) -> None:
        """Have readers take the state that the catalog has committed."""

    def problems(self) -> list[str]:
        """What is wrong with the catalog's state, looked at whole: each a line that ends with what mends it."""


def open_index(settings: Settings) -> Reader:
    """For reading; nothing is read before the first question. Raises `ModelError`."""
    recipe = Recipe.of(settings)
    if settings.engine.url:
        with _installed():
            from pincite.storage.milvus import ClusterReader

        return ClusterReader(settings, recipe)
    return IndexReader(IndexFolder(settings.index), recipe)


def open_writer(settings: Settings, catalog: Catalog, recipe: Recipe) -> Writer:
    """For a sync, and for whoever looks whether all is well."""
    if settings.engine.url:
        with _installed():
            from pincite.storage.milvus import ClusterWriter

        return ClusterWriter(settings, catalog, recipe)
    return FolderWriter(IndexFolder(settings.index), catalog, recipe)


@contextmanager
def _installed() -> Iterator[None]:
    """Around the import of what most people do not have."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("pincite"):
            raise
        raise StorageError(f"{error.name} is not installed: pip install -r requirements-cluster.txt") from error
