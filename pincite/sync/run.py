"""One run of a writer: from a difference to a committed generation."""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np

from pincite import embedding
from pincite.embedding import Embedder
from pincite.errors import Inaccessible
from pincite.settings import Settings
from pincite.storage import (
    Catalog,
    Change,
    CorruptRecord,
    DerivedDamaged,
    FileState,
    IndexFolder,
    NewDocument,
    NewPassage,
    Recipe,
    SegmentReader,
    SegmentWriter,
    Writer,
    generation,
    vectors,
)
from pincite.sync.difference import Difference, attempt
from pincite.sync.work import Cut, Here, Work
from pincite.types import Document, Passage, Progress

_BATCH = 256
"""Vector records between two commits: what a run that dies loses at most."""
_ID_BLOCK = 4096
_DEAD_SHARE = 0.3
_PATIENCE = 10.0
"""Seconds for which the readers of older states are waited for."""
_LOOK = 0.05
"""Seconds between two looks whether they are done."""
_LIVE = "live_bytes"
"""In the catalog: segment → bytes of records that some passage uses, so that nobody has to count them."""


class Run:
    """Applies one difference, under the writer's lock."""

    def __init__(
        self,
        settings: Settings,
        index: IndexFolder,
        catalog: Catalog,
        staged: Catalog,
        recipe: Recipe,
        engine: Writer,
        embedder: Embedder | None = None,
        progress: Progress | None = None,
        work: Work | None = None,
    ) -> None:
        """`staged` takes what is read until it is committed. Without `work` this process does it all.

        `progress` is told the stages `read`, `embed` and `commit`, never after the commit.
        """
        self._settings = settings
        self._index = index
        self._catalog = catalog
        self._staged = staged
        self._recipe = recipe
        self._here = Here(settings, catalog, recipe, embedder)
        self._work = work or self._here
        self._engine = engine
        self._progress = progress or (lambda _stage, _done, _total: None)
        self._ids = range(0)
        """Reserved passage ids that are still free."""

    def apply(self, difference: Difference, *, anew: bool = False) -> int:
        """Bring the index to a state that was read; `anew` builds the derived files from nothing.

        Returns how many passages were embedded.
        """
        catalog = self._catalog
        vectors.trim(self._index.vectors, catalog.committed_ends())
        if catalog.generation:  # before it the segments of a lost catalog are all there is
            self._sweep()  # what dead runs left takes the room that this one may need
        self._engine.settle()
        anew = anew or not self.is_intact()
        embedded = 0
        if difference.is_empty() and not anew and not (self._engine.holds_times and self._touched(difference)):
            self._note(difference)
        else:
            old_names = {new: old for old, new in difference.moved}
            gone = [*difference.removed, *(old_names.get(source, source) for source in self._staged.files())]
            anew = anew or not self._engine.is_reusable()
            embedded = self._embed(self._unembedded(gone, everything=anew))
            catalog.attach(self._staged)
            try:
                self._commit(difference, gone, None if anew else catalog.generation)
            except DerivedDamaged:  # what was to be shared or read again is not as it was written
                embedded += self._embed(self._unembedded(gone, everything=True))
                self._commit(difference, gone, None)
            self._engine.publish()
        self._let_go()
        return embedded

    def _let_go(self) -> None:
        """Delete what no reader of the current state needs. Those of older ones are waited for: each holds on for one
        answer."""
        end = time.monotonic() + _PATIENCE
        while not (self._catalog.checkpoint() & self._sweep()) and time.monotonic() < end:
            time.sleep(_LOOK)

    def _sweep(self) -> bool:
        """Whether nothing is left of older states."""
        return generation.sweep(self._index, self._catalog.generation, set(self._catalog.committed_ends()))

    # Reading

    def read(self, difference: Difference, corpus: Path, *, anew: bool = False) -> Difference:
        """Read and cut what was added or changed, and with `anew` everything else too.

        Returns the difference as it was found when the files were read.
        """
        with self._staged.writing():
            difference = self._read(difference, corpus, anew=anew)
            if anew:
                self._cut_again(difference)
        return difference

    def _cut_again(self, difference: Difference) -> None:
        """Documents that stay although their files cannot be read now: cut from the text in the catalog."""
        done = {*difference.removed, *self._staged.files()}
        new_names = dict(difference.moved)
        for source, before in self._catalog.files().items():
            name = new_names.get(source, source)
            if not done & {source, name} and (document := self._catalog.document(source)):
                self.stage(replace(document, source=name), difference.states.get(name, before))

    def _read(self, difference: Difference, corpus: Path, *, anew: bool) -> Difference:
        moved = [new for _, new in difference.moved] if anew else []
        sources = sorted([*difference.added, *difference.changed, *moved])
        inaccessible: dict[str, str] = {}
        unreadable: dict[str, str] = {}
        self._progress("read", 0, len(sources))  # where workers must start first, the first file takes its time
        with closing(self._work.read(corpus, sources)) as outcomes:  # no reading process outlives a sync that stops
            for done, (source, outcome) in enumerate(outcomes):
                self._progress("read", done, len(sources))
                if isinstance(outcome, Cut):
                    # The bytes that were read may be newer than those that were compared.
                    self._stage(outcome, difference.states[source]._replace(sha256=outcome.document.sha256))
                else:
                    (inaccessible if isinstance(outcome, Inaccessible) else unreadable)[source] = str(outcome)
        self._progress("read", len(sources), len(sources))
        staying = [source for source in difference.changed if source in inaccessible]
        for source in staying:
            inaccessible[source] += "; the indexed version stays"
        failed = inaccessible | unreadable
        lost = [source for source in difference.changed if source in unreadable]
        lost += [old for old, new in difference.moved if new in unreadable]
        kept_moves = [(old, new) for old, new in difference.moved if new not in unreadable]
        named_again = {new for _, new in kept_moves}
        return replace(
            difference,
            added=[source for source in difference.added if source not in failed],
            changed=[source for source in difference.changed if source not in failed],
            moved=kept_moves,
            removed=sorted(difference.removed + lost),
            unchanged=difference.unchanged + len(staying),
            skipped=dict(sorted((difference.skipped | failed).items())),
            failed=difference.failed | {source: self._attempted(difference.states[source]) for source in unreadable},
            states={s: at for s, at in difference.states.items() if s not in failed or s in named_again},
        )

    def _attempted(self, state: FileState) -> FileState:
        return state._replace(reader=attempt(state.reader, self._settings.sync))

    def stage(self, document: Document, state: FileState) -> None:
        """Cut a document into passages, ready to be committed. Within `writing` of what is staged."""
        self._stage(self._here.cut(document), state)

    def _stage(self, made: Cut, state: FileState) -> None:
        ids = self._new_ids(len(made.passages))
        new = [NewPassage(id_, passage, self._key(passage)) for id_, passage in zip(ids, made.passages, strict=True)]
        self._staged.put_document(NewDocument(made.document, state, new))

    def _new_ids(self, count: int) -> range:
        """Passage ids that nobody else gets. Reserved by the block, for each reservation is a commit."""
        if len(self._ids) < count:
            block = max(count, _ID_BLOCK)
            first = self._catalog.reserve("next_passage", block)
            self._ids = range(first, first + block)
        taken, self._ids = self._ids[:count], self._ids[count:]
        return taken

    def _key(self, passage: Passage) -> bytes:
        """What decides a passage's vectors: model, projection, precision, context line, text, sentences."""
        model = [self._recipe.weights_sha256, self._recipe.projection]
        if self._recipe.precision != "auto":
            model.append(self._recipe.precision)
        parts = (*model, passage.context, passage.text, repr(passage.sentences))
        return hashlib.sha256("\0".join(parts).encode("utf-8")).digest()

    # Embedding

    def _unembedded(self, gone: Sequence[str], *, everything: bool) -> dict[bytes, int]:
        """Keys without a sound record, each with the first passage that has it: of what is staged, and with
        `everything` of what stays, too."""
        last = max(self._catalog.number("next_passage") - 1, self._catalog.last_id())  # should the first be damaged
        is_leaving = np.zeros(last + 1, dtype=bool)
        if everything:
            is_leaving[self._catalog.passage_ids(gone)] = True
        wanted = chain(self._staged.keys(), self._catalog.keys() if everything else ())
        reader = SegmentReader(self._index.vectors, vectors.AT_A_TIME)

        def is_sound(key: bytes) -> bool:
            try:
                location = self._catalog.location(key)
                return location is not None and bool(reader.read(location, key))
            except CorruptRecord:
                return False

        missing: dict[bytes, int] = {}
        try:
            for id_, key in wanted:
                if not is_leaving[id_] and key not in missing and not is_sound(key):
                    missing[key] = id_
        finally:
            reader.close()
        return missing

    def _passages(self, ids: Iterable[int]) -> Iterator[Passage]:
        """Staged or committed passages, in order of `ids`."""
        remaining = iter(ids)
        while some := list(islice(remaining, _BATCH)):
            found = {
                stored.id: stored for catalog in (self._staged, self._catalog) for stored in catalog.passages(some)
            }
            yield from (found[id_].passage for id_ in some)

    def _embed(self, missing: Mapping[bytes, int]) -> int:
        """Embed, write and commit vectors batch by batch, so that a run that dies goes on from here."""
        if not missing:
            return 0
        keys = list(missing)
        self._progress("embed", 0, len(keys))
        writer = SegmentWriter(self._index.vectors, self._catalog.committed_ends())
        done = 0
        try:
            with closing(self._work.embed(keys, partial(self._passages, missing.values()))) as records:
                while batch := list(islice(records, _BATCH)):
                    placed = [(record.key, writer.append(record)) for record in batch]
                    writer.flush()
                    with self._catalog.writing():
                        if any(map(self._catalog.location, (key for key, _ in placed))):  # damaged, and perhaps in use
                            self._catalog.set_meta(_LIVE, "")
                        self._catalog.put_vectors(placed)
                    done += len(batch)
                    self._progress("embed", done, len(keys))
        finally:
            writer.close()
        return len(keys)

    # Committing

    def _note(self, difference: Difference) -> None:
        """Remember what was looked at, though nothing changed."""
        is_told = (difference.skipped, difference.failed) == (self._catalog.skipped(), self._catalog.failed())
        if difference.states or not is_told:
            with self._catalog.writing():
                self._catalog.touch(difference.states.values())
                self._catalog.put_skipped(difference.skipped, difference.failed)

    def _commit(self, difference: Difference, gone: Sequence[str], previous: int | None) -> None:
        """The one transaction that makes the new state the current one; `gone`: whose passages go."""
        self._progress("commit", 0, 0)
        catalog = self._catalog
        gone_ids = catalog.passage_ids(gone)
        touched = [*self._touched(difference), *(new for _, new in difference.moved)]
        staged = self._staged.files()
        number = catalog.reserve("next_generation")
        with catalog.writing():
            live = None if previous is None else self._live()
            concerned: set[bytes] = set()
            if live is not None:
                concerned = catalog.keys_of(gone_ids).union(key for _, key in self._staged.keys())  # noqa: SIM118 - no dictionary
            used_before = catalog.used_bytes(concerned)
            for source in difference.removed:
                catalog.remove_document(source)
            for old, new in difference.moved:
                catalog.rename_document(old, difference.states[new])
            catalog.touch(difference.states.values())
            catalog.put_staged()
            catalog.put_skipped(difference.skipped, difference.failed)
            if live is not None:
                live.subtract(used_before)
                live.update(catalog.used_bytes(concerned))
            self._compact(live)
            told_anew = catalog.passage_ids(set(touched) - staged.keys())
            change = Change(number, previous, gone_ids, told_anew)
            catalog.set_meta("manifest", self._engine.build(change, self._progress))
            catalog.set_meta("generation", str(number))
            catalog.set_meta("recipe", self._recipe.model_dump_json())
            catalog.set_meta("languages", " ".join(embedding.find(self._settings.model.name).languages))
            if self._ids:  # nobody else has got any since
                catalog.set_meta("next_passage", str(self._ids.start))
            catalog.set_meta("last_passage", str(catalog.number("next_passage") - 1))

    def is_intact(self) -> bool:
        """Whether what is searched and the segments look as they were written."""
        return self._engine.is_intact() and not generation.short_segments(self._index, self._catalog)

    def is_readable(self) -> bool:
        """Whether what is searched is, wholly looked at, as it was written."""
        return self.is_intact() and not self._engine.problems()

    def _touched(self, difference: Difference) -> list[str]:
        """Documents whose files have another time than the catalog knows."""
        known = self._catalog.states(difference.states)
        return [source for source, at in known.items() if difference.states[source].modified != at.modified]

    def _compact(self, live: Counter[int] | None) -> None:
        """Copy what lives out of segments that are mostly dead; the sweeper deletes the old ones.

        `live`: segment → bytes of records that passages use; None: they are counted, which takes as long as the index
        is large.
        """
        catalog = self._catalog
        for number in generation.short_segments(self._index, catalog):  # what lived there was embedded again
            catalog.remove_vectors(catalog.dead_keys(number))
        if live is None:
            live = catalog.live_bytes()
        ends = catalog.committed_ends()
        if wasteful := [number for number, end in ends.items() if live[number] < (1 - _DEAD_SHARE) * end]:
            self._copy(wasteful, ends)
            live = catalog.live_bytes()
        catalog.set_meta(_LIVE, json.dumps(live))

    def _copy(self, segments: Sequence[int], ends: Mapping[int, int]) -> None:
        """What lives in these, into new ones."""
        catalog, folder = self._catalog, self._index.vectors
        writer = SegmentWriter(folder, ends)
        reader = SegmentReader(folder, vectors.AT_A_TIME)
        try:
            writer.begin_segment()
            for number in segments:
                catalog.remove_vectors(catalog.dead_keys(number))
                for key, location in catalog.live_keys(number):
                    catalog.put_vectors([(key, writer.append_bytes(reader.read_bytes(location)))])
        finally:
            reader.close()
            writer.close()

    def _live(self) -> Counter[int] | None:
        """What was noted of the segments; None where nothing was, or it cannot be read."""
        try:
            return Counter({int(number): int(size) for number, size in json.loads(self._catalog.meta(_LIVE)).items()})
        except (ValueError, TypeError, AttributeError):
            return None
