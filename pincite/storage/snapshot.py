"""One state of an index, held for the time of one answer."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from pincite.errors import IndexMissing
from pincite.storage.catalog import Catalog, StoredPassage
from pincite.storage.generation import DerivedDamaged, Generation, IndexFolder, Recipe, open_generation, shared
from pincite.storage.vectors import CorruptRecord, Record, SegmentReader

_TRIES = 20


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Catalog, generation and vectors of the same state."""

    catalog: Catalog
    generation: Generation
    _segments: SegmentReader

    def record(self, stored: StoredPassage) -> Record | None:
        """The vectors of a passage; None where the record is damaged."""
        try:
            return self._segments.read(stored.location, stored.key) if stored.location else None
        except CorruptRecord:
            return None

    def passages(self, ids: Sequence[int]) -> list[StoredPassage]:
        """In order of source and start."""
        return self.catalog.passages(ids)


class IndexReader:
    """Opens snapshots of one index. Safe to share between threads; keeps the last generation open."""

    def __init__(self, folder: IndexFolder, recipe: Recipe) -> None:
        self.folder = folder
        self._recipe = recipe
        self._opened: Generation | None = None
        self._lock = threading.Lock()

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Raises `IndexMissing`, `IndexMismatch`, `IndexDamaged`, or `DerivedDamaged` to be rebuilt."""
        with ExitStack() as held:
            catalog = held.enter_context(Catalog(self.folder.path))
            number = self._hold_current(catalog, held)
            segments = SegmentReader(self.folder.vectors)
            held.callback(segments.close)
            yield Snapshot(catalog, self._generation(number), segments)

    def _hold_current(self, catalog: Catalog, held: ExitStack) -> int:
        """Lock the current generation and fix the catalog's state; start again if it moved between."""
        damage: DerivedDamaged | None = None
        for _ in range(_TRIES):
            number = catalog.generation
            if number == 0:
                raise IndexMissing(f"{self.folder.path}: nothing is indexed yet: run python ingest.py")
            with ExitStack() as attempt:
                try:
                    attempt.enter_context(shared(self.folder.generation(number)))
                except DerivedDamaged as error:
                    damage = error
                    continue
                attempt.enter_context(catalog.reading())
                if catalog.generation != number:
                    continue
                self._recipe.check(Recipe.model_validate_json(catalog.meta("recipe")), self.folder.path)
                held.push(attempt.pop_all())
                return number
        raise damage or DerivedDamaged("the index changes faster than it can be read")

    def _generation(self, number: int) -> Generation:
        with self._lock:
            if self._opened is None or self._opened.manifest.generation != number:
                self._opened = open_generation(self.folder.generation(number))
            return self._opened
