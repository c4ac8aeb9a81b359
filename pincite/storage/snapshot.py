"""One state of an index, held for the time of one answer."""

import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain

import numpy as np

from pincite.errors import IndexMissing
from pincite.filters import Filters
from pincite.storage import lexical
from pincite.storage.catalog import Catalog, StoredPassage
from pincite.storage.derived import DerivedDamaged
from pincite.storage.generation import Generation, IndexFolder, Manifest, Recipe, open_generation, shared
from pincite.storage.selection import Selection
from pincite.storage.vectors import CorruptRecord, Held, SegmentReader

_TRIES = 20


@contextmanager
def current_generation(index: IndexFolder, catalog: Catalog) -> Iterator[int]:
    """Lock the current generation and fix the catalog's state; start again if it moved between.

    Raises `IndexMissing`, or `DerivedDamaged` where the generation is not there.
    """
    damage: DerivedDamaged | None = None
    for _ in range(_TRIES):
        number = catalog.generation
        if number == 0:
            raise IndexMissing(f"{index.path}: nothing is indexed yet: run python ingest.py")
        with ExitStack() as attempt:
            try:
                attempt.enter_context(shared(index.generation(number)))
            except DerivedDamaged as error:
                damage = error
                continue
            attempt.enter_context(catalog.reading())
            if catalog.generation == number:
                yield number
                return
    raise damage or DerivedDamaged("the index changes faster than it can be read")


@dataclass(frozen=True, slots=True)
class FolderSnapshot:
    """Catalog, generation and vectors of the same state."""

    catalog: Catalog
    generation: Generation
    _segments: SegmentReader

    @property
    def contents(self) -> Manifest:
        """What it is."""
        return self.generation.manifest

    @property
    def is_large(self) -> bool:
        """Whether the nearest are looked for in another thread."""
        return self.generation.dense.is_large

    def frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        """Term → passages that hold it."""
        return {term: self.generation.lexical.frequency(term) for term in terms}

    def select(self, *filters: Filters) -> Selection:
        """What passes all of these. Raises `DerivedDamaged`."""
        return Selection(filters, self.allowed(*filters))

    def best(self, terms: Sequence[str], count: int, selection: Selection) -> list[int]:
        """Ids by BM25, the best first. Raises `DerivedDamaged`."""
        return self.generation.lexical.search(terms, count, selection.allowed)

    def nearest(self, vector: np.ndarray, count: int, selection: Selection) -> list[int]:
        """Ids by cosine, the nearest first. Raises `DerivedDamaged`."""
        return self.generation.dense.search(vector, count, selection.allowed)

    def records(self, stored: Iterable[StoredPassage]) -> list[Held | None]:
        """The vectors of passages; None where a record is damaged."""
        return [self.record(one) for one in stored]

    def record(self, stored: StoredPassage) -> Held | None:
        """The vectors of a passage; None where the record is damaged."""
        try:
            record = self._segments.hold(stored.location, stored.key) if stored.location else None
        except CorruptRecord:
            return None
        return record if record and record.sentence_count == stored.sentence_count else None

    def allowed(self, *filters: Filters) -> np.ndarray | None:
        """Ids of the passages that may pass all of these, int64, rising; None: all.

        Where a phrase must stand, those that hold its words in other forms are among them:
        `Selection.admits` tells by their text. Raises `DerivedDamaged`.
        """
        words, dense = self.generation.lexical, self.generation.dense
        allowed = self.catalog.allowed(*filters)
        for phrase in chain.from_iterable(asked.phrases for asked in filters):
            held = words.holding(lexical.terms(phrase))
            allowed = held if allowed is None else np.intersect1d(allowed, held, assume_unique=True)
        for word in chain.from_iterable(asked.no_words for asked in filters):
            held = words.holding(lexical.terms(word))
            allowed = np.setdiff1d(dense.ids if allowed is None else allowed, held, assume_unique=True)
        return allowed

    def passages(self, ids: Sequence[int]) -> list[StoredPassage]:
        """In order of source and start."""
        return self.catalog.passages(ids)

    def passages_of(self, source: str) -> list[StoredPassage]:
        """All of a document, in order of start."""
        return self.catalog.passages(self.catalog.passage_ids([source]).tolist())


@dataclass(frozen=True, slots=True)
class _Opened:
    """What is kept between two answers from the same state."""

    manifest_sha256: str
    generation: Generation
    segments: SegmentReader


class IndexReader:
    """Opens snapshots of one index. Safe to share between threads.

    Connections, the last generation and its maps stay open between answers, for opening them takes longer than
    a question may. What belongs to a generation goes with it, so that nothing of a deleted text stays.
    """

    def __init__(self, folder: IndexFolder, recipe: Recipe) -> None:
        self.folder = folder
        self._recipe = recipe
        self._opened: _Opened | None = None
        self._lock = threading.Lock()
        self._idle: list[Catalog] = []
        weakref.finalize(self, _close, self._idle)

    @contextmanager
    def snapshot(self) -> Iterator[FolderSnapshot]:
        """Raises `IndexMissing`, `IndexMismatch`, `IndexDamaged`, or `DerivedDamaged` to be rebuilt."""
        catalog = self._connected()
        try:
            with catalog.named(), current_generation(self.folder, catalog) as number:
                opened = self._of(number, catalog)
                yield FolderSnapshot(catalog, opened.generation, opened.segments)
        except BaseException:
            catalog.close()  # whatever it was, the next answer does not inherit it
            raise
        self._idle.append(catalog)

    @contextmanager
    def catalog(self) -> Iterator[Catalog]:
        """One state of the catalog alone, for what needs no generation. Raises `IndexMissing`, `IndexMismatch`,
        `IndexDamaged`."""
        catalog = self._connected()
        try:
            with catalog.named(), catalog.reading():
                yield catalog
        except BaseException:
            catalog.close()
            raise
        self._idle.append(catalog)

    def generation(self) -> int:
        """The current one; 0 where there is none. Raises `IndexMissing`, `IndexMismatch`, `IndexDamaged`."""
        with self.catalog() as catalog:
            if catalog.generation:
                self._recipe.check(catalog, self.folder.path)
            return catalog.generation

    def _connected(self) -> Catalog:
        """A connection that nobody uses; a catalog that has been replaced is connected to anew."""
        while self._idle:
            try:
                catalog = self._idle.pop()
            except IndexError:  # another thread was quicker
                break
            if catalog.is_in_place():
                return catalog
            catalog.close()
        return Catalog(self.folder.path)

    def _of(self, number: int, catalog: Catalog) -> _Opened:
        """Told by its manifest, for an index that was made anew counts its generations from 1 again."""
        manifest_sha256 = catalog.meta("manifest")
        with self._lock:
            if self._opened is None or self._opened.manifest_sha256 != manifest_sha256:
                self._recipe.check(catalog, self.folder.path)
                generation = open_generation(self.folder.generation(number), manifest_sha256)
                self._opened = _Opened(manifest_sha256, generation, SegmentReader(self.folder.vectors))
                _close(self._idle)  # SQLite keeps pages of its own
            return self._opened


def _close(catalogs: list[Catalog]) -> None:
    with suppress(IndexError):  # that there are none left; another thread may take some meanwhile
        while True:
            catalogs.pop().close()
