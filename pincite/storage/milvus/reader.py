"""One state of an index on a cluster, held for the time of one answer."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from operator import attrgetter

import numpy as np

from pincite.errors import IndexDamaged, IndexMissing, IndexOutrun, StorageError
from pincite.filters import Filters
from pincite.settings import Settings
from pincite.storage.catalog import Catalog, StoredPassage, Undecodable, exists
from pincite.storage.generation import IndexFolder, Recipe
from pincite.storage.milvus import rows
from pincite.storage.milvus.cluster import MOST, Cluster, Published, Row
from pincite.storage.milvus.expression import alive, among, expression, quoted, selected
from pincite.storage.selection import Selection
from pincite.storage.snapshot import IndexReader
from pincite.storage.vectors import Held

_CARRIED = 1000
"""Passages that come with the search that finds them; of more, the ids alone."""
_SOON = 5.0
"""Seconds for which a refused connection is not tried again."""


class ClusterSnapshot:
    """What is alive in one generation. What was read is kept for the answer."""

    is_large = True

    def __init__(self, cluster: Cluster, published: Published, reader: "ClusterReader", held: ExitStack) -> None:
        self.contents = published
        self._cluster = cluster
        self._reader = reader
        self._held = held
        self._catalog: Catalog | None = None
        self._rows: dict[int, Row] = {}
        self._stored: dict[int, StoredPassage] = {}

    @property
    def _generation(self) -> int:
        return self.contents.generation

    @property
    def catalog(self) -> Catalog:
        """The documents, where they are on this machine. Raises `IndexMissing`, `IndexOutrun`."""
        if self._catalog is None:
            catalog = self._held.enter_context(self._reader.catalog())
            if catalog.generation != self._generation:
                raise IndexOutrun(
                    f"{catalog.path}: is at generation {catalog.generation}, the cluster at {self._generation}: wait"
                    " for the sync that runs, or run python ingest.py"
                )
            self._catalog = catalog
        return self._catalog

    def frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        """Term → passages that hold it, as they were published with the generation."""
        asked = {rows.encoded(term): term for term in terms}
        names, found = list(asked), dict.fromkeys(asked.values(), 0)
        for at in range(0, len(names), _CARRIED):
            some = f"{among('term', names[at : at + _CARRIED])} and {alive(self._generation)}"
            for row in self._cluster.few(self.contents.terms, some, ["term", "passages"]):
                found[asked[row["term"]]] = row["passages"]
        return found

    def select(self, *filters: Filters) -> Selection:
        """What passes all of these."""
        return selected(filters)

    def best(self, terms: Sequence[str], count: int, selection: Selection) -> list[int]:
        """Ids by BM25 over all that was ever written, the best first, `MOST` at most."""
        return self._search("by_words", rows.joined(terms), count, selection) if terms else []

    def nearest(self, vector: np.ndarray, count: int, selection: Selection) -> list[int]:
        """Ids by cosine, the nearest first, `MOST` at most.

        A graph of neighbours may miss some of those that filters leave, so where not enough are found, all that are
        left are looked at, or as many as the cluster gives.
        """
        found = self._search("vector", vector, count, selection)
        if len(found) == min(count, MOST, self.contents.passages):
            return found
        asked = expression(self._generation, selection.filters)
        left = self._cluster.few(self.contents.collection, asked, ["id", "vector"])
        if len(left) <= len(found):
            return found
        cosines = np.array([row["vector"] for row in left], dtype=np.float32) @ vector
        ranked = [left[at]["id"] for at in np.argsort(-cosines, kind="stable")]
        if len(left) == MOST:  # there may be more, and nearer ones among those that were found
            ranked = list(dict.fromkeys([*found, *ranked]))
        return ranked[:count]

    def _search(self, field: str, asked: str | np.ndarray, count: int, selection: Selection) -> list[int]:
        fields = rows.PASSAGE if count <= _CARRIED else ("id",)
        found = self._cluster.search(
            self.contents.collection,
            field,
            asked,
            min(count, MOST),
            expression(self._generation, selection.filters),
            fields,
        )
        if count <= _CARRIED:
            self._rows |= {row["id"]: row for row in found}
        return [row["id"] for row in found]

    def passages(self, ids: Sequence[int]) -> list[StoredPassage]:
        """In order of source and start."""
        unread = [id_ for id_ in ids if id_ not in self._rows]
        for at in range(0, len(unread), _CARRIED):
            self._read(among("id", unread[at : at + _CARRIED]))
        found = (self._passage(self._rows[id_]) for id_ in ids if id_ in self._rows)
        return sorted(found, key=attrgetter("source", "start"))

    def passages_of(self, source: str) -> list[StoredPassage]:
        """All of a document, in order of start."""
        return sorted(map(self._passage, self._read(f"source == {quoted(source)}")), key=attrgetter("start"))

    def records(self, stored: Sequence[StoredPassage]) -> list[Held | None]:
        """The vectors of passages that were read; None where a record is damaged."""
        return [rows.held(self._rows[one.id], one) for one in stored]

    def _read(self, asked: str) -> list[Row]:
        found = list(
            self._cluster.rows(self.contents.collection, f"{asked} and {alive(self._generation)}", rows.PASSAGE)
        )
        self._rows |= {row["id"]: row for row in found}
        return found

    def _passage(self, row: Row) -> StoredPassage:
        if (stored := self._stored.get(row["id"])) is None:
            stored = self._stored[row["id"]] = rows.stored_passage(row)
        return stored


class ClusterReader:
    """Opens snapshots of an index on a cluster. Safe to share between threads; the connection stays open."""

    def __init__(self, settings: Settings, recipe: Recipe) -> None:
        self._settings = settings
        self._recipe = recipe
        self._index = IndexReader(IndexFolder(settings.index), recipe)
        self._opened: Cluster | None = None
        self._refused: tuple[float, StorageError] | None = None
        """When a connection was refused last, and why."""
        self._lock = threading.Lock()

    @contextmanager
    def snapshot(self) -> Iterator[ClusterSnapshot]:
        """Raises `IndexMissing`, `IndexMismatch`, `IndexDamaged`, `StorageError`; `IndexOutrun` at the end, where what
        was read may be of two states."""
        cluster = self._cluster()
        published = self._published(cluster)
        try:
            with ExitStack() as held:
                yield ClusterSnapshot(cluster, published, self, held)
        except StorageError:
            self._check(cluster, published)  # then that is why
            raise
        except Undecodable as error:
            raise IndexDamaged(f"{error}: damaged on the cluster: run python ingest.py --rebuild") from error
        self._check(cluster, published)

    @contextmanager
    def catalog(self) -> Iterator[Catalog]:
        """One state of the catalog on this machine. Raises `IndexMissing`, `IndexMismatch`, `IndexDamaged`."""
        self._look_for_documents()
        with self._index.catalog() as catalog:
            yield catalog

    def generation(self) -> int:
        """The one that is read; 0 where there is none."""
        try:
            return self._published(self._cluster()).generation
        except IndexMissing:
            return 0

    def _look_for_documents(self) -> None:
        folder = self._settings.index
        if not exists(folder):
            raise IndexMissing(f"{folder}: the documents are on the machine that syncs: ask there")

    def _cluster(self) -> Cluster:
        """The connection. Where there is none to be had, whoever asks soon after is told so at once: they would wait
        for the same, one after the other."""
        with self._lock:
            if self._opened is None:
                if self._refused is not None and time.monotonic() - self._refused[0] < _SOON:
                    raise StorageError(str(self._refused[1]))
                try:
                    self._opened = Cluster(self._settings.engine)
                except StorageError as error:
                    self._refused = (time.monotonic(), error)
                    raise
            return self._opened

    def _published(self, cluster: Cluster) -> Published:
        engine = self._settings.engine
        published = cluster.published()
        if published is None:
            raise IndexMissing(f"{engine.url}: holds no index {engine.name} yet: run python ingest.py")
        self._recipe.compare(published.recipe, f"{engine.url}, index {engine.name}")
        return published

    def _check(self, cluster: Cluster, published: Published) -> None:
        now = cluster.published()
        if now is None or now.collection != published.collection or now.oldest > published.generation:
            raise IndexOutrun(f"{self._settings.engine.url}: the index changes faster than it can be read: ask again")
