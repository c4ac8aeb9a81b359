"""From a state of the catalog to what a cluster holds of it."""

import hashlib
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice

import numpy as np
from pydantic import ValidationError

from pincite.errors import OtherCorpus, StorageError
from pincite.settings import Settings
from pincite.storage import lexical
from pincite.storage.catalog import Catalog, StoredPassage
from pincite.storage.derived import DerivedDamaged
from pincite.storage.generation import ENGINE, PUBLISHED, Change, IndexFolder, Recipe
from pincite.storage.milvus import rows
from pincite.storage.milvus.cluster import ALIVE, Cluster, Published, Row
from pincite.storage.milvus.expression import alive, among
from pincite.storage.vectors import AT_A_TIME, CorruptRecord, SegmentReader
from pincite.types import Progress

_BATCH = 256
_ASKED = 1000
_TERMS = ("key", "term", "born", "died", "passages", "nothing")
_REBUILD = "run python ingest.py --rebuild"


class ClusterWriter:
    """Publishes the catalog's states. What it has prepared is in the catalog, committed with everything else."""

    holds_times = True

    def __init__(self, settings: Settings, catalog: Catalog, recipe: Recipe) -> None:
        """Raises `StorageError` where the cluster does not answer, `OtherCorpus` where it holds another index."""
        self._engine = settings.engine
        self._index = IndexFolder(settings.index)
        self._catalog = catalog
        self._recipe = recipe
        self._cluster = Cluster(settings.engine)
        there, own = self._cluster.published(), self._committed()
        if there and there.corpus != catalog.meta("corpus") and (own is None or own.catalog != there.catalog):
            raise OtherCorpus(
                f"{self._engine.url}, index {self._engine.name}: is that of {there.corpus}, not of"
                f" {catalog.meta('corpus')}: give this one another name under [engine]"
            )

    def _committed(self) -> Published | None:
        """The state that the catalog's last commit prepared; None where that was no state of this engine and name."""
        try:
            found = Published.model_validate_json(self._catalog.meta(PUBLISHED))
        except ValidationError:
            return None
        return found if found.collection.startswith(self._cluster.name("")) else None

    def settle(self) -> None:
        """Take back what a run wrote that died before its commit; publish what one committed that died after it."""
        own, there = self._committed(), self._cluster.published()
        if own is None or not self._cluster.holds(own.collection, own.terms):
            return
        begun = there.generation if there and there.collection == own.collection else 0
        if begun > own.generation:  # the catalog was restored from a copy, or another copy of it has published
            return
        known = f"born <= {begun} or born == {own.generation}"
        for collection, fields in ((own.collection, rows.WHOLE), (own.terms, _TERMS)):
            self._cluster.delete(collection, f"not ({known})")
            undone = f"died > {begun} and died < {ALIVE} and died != {own.generation}"
            revived = ({**row, "died": ALIVE} for row in self._cluster.rows(collection, undone, fields))
            _do(self._cluster.put(collection, revived))
        if there != own:
            self.publish()

    def is_intact(self) -> bool:
        """Whether readers take what the catalog holds."""
        own = self._committed()
        return own is not None and own == self._cluster.published() and self._cluster.holds(own.collection, own.terms)

    def is_reusable(self) -> bool:
        """Whatever is written is written beside it."""
        return True

    def build(self, change: Change, progress: Progress) -> str:
        """Write what is born and mark what dies with the change's generation; hash of the state that tells of it."""
        own = self._committed() if change.previous is not None else None
        collection = own.collection if own else self._new_collection(change.number)
        try:
            held: Counter[str] = Counter()
            if own:
                self._bury(own, change, held)
                ids = np.union1d(self._catalog.ids_after(self._catalog.number("last_passage")), change.told_anew)
            else:
                ids = self._catalog.ids_after(0)
                self._cluster.create_passages(collection, self._dim(ids))
            for done in self._cluster.put(collection, self._born(ids, change.number, held)):
                progress("commit", done, len(ids))
            self._count(f"{collection}_terms", held, own, change.number)
        except CorruptRecord as error:
            if own:
                raise DerivedDamaged(str(error)) from error
            raise StorageError(f"{error}: see to the disk and run again") from error
        if not own:
            self._cluster.settle(collection)
            self._cluster.settle(f"{collection}_terms")
        state = Published(
            generation=change.number,
            built_at=datetime.now(UTC),
            recipe=self._recipe,
            **self._catalog.counts(),
            catalog=own.catalog if own else secrets.token_hex(16),
            corpus=self._catalog.meta("corpus"),
            collection=collection,
            oldest=own.generation if own else change.number,
        ).model_dump_json()
        self._catalog.set_meta(PUBLISHED, state)
        self._catalog.set_meta(ENGINE, self._engine.model_dump_json())
        return hashlib.sha256(state.encode("utf-8")).hexdigest()

    def publish(self) -> None:
        """The row of the state, then what nobody can read any more goes."""
        state = self._committed()
        if state is None:
            return
        self._cluster.publish(state)
        self._cluster.point(state.collection)
        self._cluster.drop_others(state.collection, state.terms)
        for collection in (state.collection, state.terms):
            self._cluster.delete(collection, f"died <= {state.oldest}")

    def problems(self) -> list[str]:
        """What the cluster holds otherwise than the catalog."""
        own, where = self._committed(), f"{self._engine.url}, index {self._engine.name}"
        if own is None or not self.is_intact():
            return [f"{where}: is not at generation {self._catalog.generation}: run python ingest.py"]
        known, found = self._catalog.counts(), self._cluster.count(own.collection, alive(own.generation))
        if (own.passages, found) == (known["passages"], known["passages"]):
            return []
        return [f"{where}: holds {found} passages, the catalog {known['passages']}: {_REBUILD}"]

    # What is written

    def _new_collection(self, number: int) -> str:
        """Of a name that no other copy of the catalog will give."""
        made = f"{number}_{secrets.token_hex(4)}"
        name = self._cluster.name(f"{self._recipe.format}_{self._recipe.weights_sha256[:12]}_{made}")
        self._cluster.create_terms(f"{name}_terms")
        return name

    def _dim(self, ids: np.ndarray) -> int:
        """Of the vectors; any where there are none."""
        for key, location in self._catalog.records(ids[:1]):
            return len(SegmentReader(self._index.vectors).read(location, key).vector)
        return 2

    def _born(self, ids: np.ndarray, number: int, held: Counter[str]) -> Iterator[Row]:
        """Rows of passages; `held` counts the passages that hold each term."""
        reader = SegmentReader(self._index.vectors, AT_A_TIME)
        try:
            for at in range(0, len(ids), _BATCH):
                passages = self._catalog.passages(ids[at : at + _BATCH].tolist())
                states = self._catalog.states({stored.source for stored in passages})
                held.update(_terms_of(passages))
                for stored in passages:
                    if stored.location is None:
                        raise CorruptRecord(f"no vectors: {stored.source}")
                    record = reader.read_bytes(stored.location)
                    yield rows.row(stored, record, states[stored.source].modified, number)
        finally:
            reader.close()

    def _bury(self, own: Published, change: Change, held: Counter[str]) -> None:
        """Mark the rows of what is gone or told anew; `held` loses their terms.

        Raises `DerivedDamaged` where they are not all there.
        """
        ids = np.union1d(change.gone, change.told_anew).tolist()
        for at in range(0, len(ids), _ASKED):
            some = ids[at : at + _ASKED]
            found = list(
                self._cluster.rows(own.collection, f"{among('id', some)} and {alive(own.generation)}", rows.WHOLE)
            )
            if len(found) != len(some):
                raise DerivedDamaged(f"{own.collection}: {len(found)} of {len(some)} passages")
            _do(self._cluster.put(own.collection, ({**row, "died": change.number} for row in found)))
            held.subtract(_terms_of(map(rows.stored_passage, found)))

    def _count(self, collection: str, change: Counter[str], own: Published | None, number: int) -> None:
        """Write by how many passages more or fewer hold each term."""
        remaining = iter(sorted(term for term, more in change.items() if more))
        while some := list(islice(remaining, _ASKED)):
            known: dict[str, Row] = {}
            if own:
                asked = f"{among('term', some)} and {alive(own.generation)}"
                known = {row["term"]: row for row in self._cluster.few(collection, asked, _TERMS)}
            written = (
                {
                    "key": f"{number}:{term}",
                    "term": term,
                    "born": number,
                    "died": ALIVE,
                    "passages": change[term] + (known[term]["passages"] if term in known else 0),
                    "nothing": [0.0, 0.0],
                }
                for term in some
            )
            _do(self._cluster.put(collection, written))
            _do(self._cluster.put(collection, ({**row, "died": number} for row in known.values())))


def _terms_of(passages: Iterable[StoredPassage]) -> Iterator[str]:
    """Each term of each passage, once a passage."""
    for stored in passages:
        yield from {rows.encoded(term) for term in lexical.terms(stored.passage.indexed_text)}


def _do(steps: Iterable[object]) -> None:
    for _ in steps:
        pass
