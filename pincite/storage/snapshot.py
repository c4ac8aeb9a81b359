"""One state of an index, held for the time of one answer."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain

import numpy as np

from pincite.errors import IndexMissing
from pincite.filters import Filters
from pincite.storage import lexical
from pincite.storage.catalog import Catalog, StoredPassage
from pincite.storage.derived import DerivedDamaged
from pincite.storage.generation import Generation, IndexFolder, Recipe, open_generation, shared
from pincite.storage.vectors import CorruptRecord, Record, SegmentReader

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
class Snapshot:
    """Catalog, generation and vectors of the same state."""

    catalog: Catalog
    generation: Generation
    _segments: SegmentReader

    def record(self, stored: StoredPassage) -> Record | None:
        """The vectors of a passage; None where the record is damaged."""
        try:
            record = self._segments.read(stored.location, stored.key) if stored.location else None
        except CorruptRecord:
            return None
        return record if record and len(record.sentences) == len(stored.passage.sentences) else None

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


class IndexReader:
    """Opens snapshots of one index. Safe to share between threads; keeps the last generation open."""

    def __init__(self, folder: IndexFolder, recipe: Recipe) -> None:
        self.folder = folder
        self._recipe = recipe
        self._opened: Generation | None = None
        self._opened_sha256 = ""
        self._lock = threading.Lock()

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Raises `IndexMissing`, `IndexMismatch`, `IndexDamaged`, or `DerivedDamaged` to be rebuilt."""
        with ExitStack() as held:
            catalog = held.enter_context(Catalog(self.folder.path))
            number = held.enter_context(current_generation(self.folder, catalog))
            self._recipe.check(catalog, self.folder.path)
            segments = SegmentReader(self.folder.vectors)
            held.callback(segments.close)
            yield Snapshot(catalog, self._generation(number, catalog.meta("manifest")), segments)

    def _generation(self, number: int, manifest_sha256: str) -> Generation:
        """Told by its manifest, for an index that was made anew counts its generations from 1 again."""
        with self._lock:
            if self._opened is None or self._opened_sha256 != manifest_sha256:
                self._opened = open_generation(self.folder.generation(number), manifest_sha256)
                self._opened_sha256 = manifest_sha256
            return self._opened
