"""An index of any size made from a collection, for what questions cost in it.

    python -m benchmarks.enlarged COLLECTION PASSAGES

COLLECTION is a folder in BEIR layout. Its own passages come first, as the model reads them; every further one is mixed
from two of them (`benchmarks/mixing.py`). What is found is no measure of anything; what it costs is. Real are the kind
and the size of all that lies on the disk: rows, terms, records, lists and words, written by the project's own code. At
the end a sync deletes some documents and adds others, so there are dead ids, and a small part.

Past `RECORDS` passages the segments hold no further records, and documents no text of their own, so that the disk holds
them. A mixed passage beyond has its own text, terms and vector to be found by; its token codes, and the vector that its
cosine is computed from, are another one's. No question reads the text of documents.

The index is kept in the user's cache, and beside it what each stage took, as JSON. A run that ends early goes on after
the last block of passages, or after the words or the vectors, once they are done.
"""

import argparse
import hashlib
import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import TypeAdapter

from benchmarks import mixing
from benchmarks.machine import measured, peak_mib
from benchmarks.mixing import Mixture
from pincite import Settings, embedding
from pincite.embedding.model import cache_folder
from pincite.evaluation.collection import Collection, document
from pincite.evaluation.index import open_index
from pincite.storage import (
    Catalog,
    FileState,
    IndexFolder,
    NewDocument,
    NewPassage,
    Recipe,
    Record,
    SegmentWriter,
    create,
    dense,
    generation,
    lexical,
    staging,
    vectors,
)
from pincite.storage.catalog import exists
from pincite.storage.generation import FolderWriter
from pincite.storage.parts import IndexPart, Stretch, link_or_copy
from pincite.sync.difference import Difference
from pincite.sync.run import Run
from pincite.types import Document, Passage

RECORDS = 1_000_000
"""Passages that have records of their own, about."""
A_DOCUMENT = 4
"""Mixed passages in a document."""
CHANGED = 300
"""Documents that are added, and passages in each of three places whose documents are deleted; in a small index one for
a hundred passages."""

T = TypeVar("T")


class Enlarged:
    """The passages of an index, by id: from 1 on the collection's own, then mixed ones, block by block."""

    def __init__(self, collection: Collection, mixture: Mixture, passages: int) -> None:
        """So many, or as many more as the last document has. Raises `CorruptRecord`."""
        rows = defaultdict(list)
        for row, stored in enumerate(mixture.own):
            rows[stored.source].append(row)
        self._documents: list[tuple[Document, list[int]]] = []
        own: list[int] = []
        for given in collection.documents():
            if len(own) >= passages:
                break
            self._documents.append((given, rows[given.source]))
            own += rows[given.source]
        self.passages = max(passages, len(own))
        self._rows = np.array(own, dtype=np.int64)
        self._mixture = mixture
        self._drawn: tuple[int, np.ndarray] = -1, np.empty(0)

    def vectors(self, ids: np.ndarray) -> np.ndarray:
        """Of passages by rising ids, float32, unit, shape (n, dim)."""
        own = int(np.searchsorted(ids, len(self._rows), "right"))
        blocks, rows = np.divmod(ids[own:] - len(self._rows) - 1, mixing.BLOCK)
        starts = [0, *(np.flatnonzero(np.diff(blocks)) + 1), len(blocks)]
        found = [self._mixture.vectors[self._rows[ids[:own] - 1]]]
        for start, end in zip(starts, starts[1:], strict=False):
            if start < end:
                found.append(self._block(int(blocks[start]))[rows[start:end]])
        return np.concatenate(found)

    def _block(self, number: int) -> np.ndarray:
        """Its vectors; the last is kept, for neighbours are asked for one after the other."""
        if self._drawn[0] != number:
            self._drawn = number, self._mixture.mixed_vectors(number)
        return self._drawn[1]

    def after(self, done: int) -> Iterator[tuple[list[NewDocument], dict[bytes, Record]]]:
        """What follows the first `done` passages, in pieces to commit; a record that was there before is left out."""
        if not done:
            yield self._own()
        mixed = range(len(self._rows), self.passages, mixing.BLOCK)
        for number, first in enumerate(mixed):
            if first >= done:
                yield self._mixed(number, first, min(mixing.BLOCK, self.passages - first))

    def _own(self) -> tuple[list[NewDocument], dict[bytes, Record]]:
        made, ids = [], iter(range(1, len(self._rows) + 1))
        for given, rows in self._documents:
            stored = [self._mixture.own[row] for row in rows]
            made.append(_new(given, [NewPassage(next(ids), one.passage, one.key) for one in stored]))
        return made, {self._mixture.own[row].key: self._mixture.record(row) for row in self._rows}

    def _mixed(self, block: int, first: int, count: int) -> tuple[list[NewDocument], dict[bytes, Record]]:
        """Those with the ids after `first`."""
        mixture, pairs = self._mixture, self._mixture.pairs(block)
        turn, again = divmod(block, mixture.blocks)
        keys = [_key(again * mixing.BLOCK + row) for row in range(count)]
        made = []
        for start in range(0, count, A_DOCUMENT):
            rows = range(start, min(start + A_DOCUMENT, count))
            source, title = f"mixed/{block:04}/{start:05}", mixture.own[pairs[start, 0]].passage.title
            text, passages = "", []
            for row in rows:
                own, sentences = mixture.mixed_text(pairs[row])
                begins = len(text) + 2 if text else 0
                text = f"{text}\n\n{own}" if text else own
                passage = Passage(source, begins, len(text), own, title, sentences=sentences)
                passages.append(NewPassage(first + row + 1, passage, keys[row]))
            given = document(source, title, text)
            made.append(_new(replace(given, text="") if turn else given, passages))
        if turn:
            return made, {}
        drawn = self._block(block)
        return made, {
            key: mixture.mixed_record(pair, key, vector)
            for key, pair, vector in zip(keys, pairs[:count], drawn[:count], strict=True)
        }


def _new(given: Document, passages: list[NewPassage]) -> NewDocument:
    return NewDocument(given, FileState(given.source, 0, 0, 0, given.sha256), passages)


def _key(number: int) -> bytes:
    """Of a mixed passage's record. They rise, for SQLite writes neighbours together."""
    return number.to_bytes(8, "big") + hashlib.sha256(number.to_bytes(8, "big")).digest()[8:]


def folder_of(collection: Collection, passages: int, settings: Settings) -> Path:
    """Where the index of so many passages is kept."""
    seen = f"{collection.sha256()}{Recipe.of(settings).model_dump_json()}"
    name = f"{collection.name}-{hashlib.sha256(seen.encode()).hexdigest()[:16]}-{passages}"
    return cache_folder() / "benchmarks" / f"enlarged-{name}"


def build(collection: Collection, passages: int, settings: Settings) -> Path:
    """The folder of an index of so many passages, made or finished there unless it is."""
    index = IndexFolder(folder_of(collection, passages, settings))
    settings = settings.model_copy(update={"corpus": collection.folder, "index": index.path})
    took = index.path.with_suffix(".json")
    if not exists(index.path):
        index.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        create(index.path, collection.folder.resolve())
    with index.writer(), Catalog(index.path, writable=True) as catalog:
        if catalog.generation == 0:
            with timed(took, "own"):
                own = IndexFolder(open_index(settings, collection).settings.index)
                mixture = Mixture(own, RECORDS)
                enlarged = Enlarged(collection, mixture, passages)
            _write(index, catalog, enlarged, took)
            _derive(index, catalog, enlarged, settings, took)
        if catalog.generation == 1:
            with timed(took, "change"):
                _change(index, catalog, collection, settings)
    return index.path


@contextmanager
def timed(took: Path, stage: str) -> Iterator[None]:
    """Note what is done in the `with` block, beside what a run before took for it."""
    with measured() as cost:
        yield
    noted = json.loads(took.read_text(encoding="utf-8")) if took.is_file() else {}
    before = noted.get(stage, {"seconds": 0, "cpu_seconds": 0})
    noted[stage] = {
        "seconds": round(before["seconds"] + cost.seconds, 1),
        "cpu_seconds": round(before["cpu_seconds"] + cost.cpu_seconds, 1),
        "peak_mib": round(peak_mib()),
    }
    took.write_text(json.dumps(noted, indent=1) + "\n", encoding="utf-8")


def _write(index: IndexFolder, catalog: Catalog, enlarged: Enlarged, took: Path) -> None:
    """Catalog and segments, from where the last run stopped."""
    if catalog.number("next_passage") == 1:
        catalog.reserve("next_passage", enlarged.passages)
    vectors.trim(index.vectors, catalog.committed_ends())
    writer = SegmentWriter(index.vectors, catalog.committed_ends())
    pieces = enlarged.after(catalog.counts()["passages"])
    try:
        while True:
            with timed(took, "passages"):
                piece = next(pieces, None)
                if piece is None:
                    break
                documents, records = piece
                placed = [(key, writer.append(record)) for key, record in records.items()]
                writer.flush()
                with catalog.writing():
                    catalog.put_vectors(placed)
                    for new in documents:
                        catalog.put_document(new)
    finally:
        writer.close()
    catalog.checkpoint()


def _derive(index: IndexFolder, catalog: Catalog, enlarged: Enlarged, settings: Settings, took: Path) -> None:
    """The first generation. Words and vectors are made in a folder beside it, where what is done stays done."""
    making, none = index.path / "making", np.empty(0, dtype=np.int64)
    making.mkdir(exist_ok=True)
    ids = np.arange(1, enlarged.passages + 1)

    def words() -> tuple[IndexPart, ...]:
        everything = Stretch(first=1, last=enlarged.passages, passages=enlarged.passages)
        return lexical.build(making / "lexical", None, none, everything, catalog.indexed_texts)

    def lists() -> dense.Layout:
        return dense.build(making / "dense", None, none, ids, enlarged.vectors)

    parts = _once(making / "lexical", TypeAdapter(tuple[IndexPart, ...]), words, took)
    layout = _once(making / "dense", TypeAdapter(dense.Layout), lists, took)
    recipe, folder = Recipe.of(settings), index.generation(1)
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("dense", "lexical"):
        (folder / name).mkdir(parents=True)
        for path in (making / name).iterdir():
            if path.suffix != ".lock":
                link_or_copy(path, folder / name / path.name)
    (folder / generation.LOCK).touch(mode=0o600)
    with timed(took, "commit"), catalog.writing():
        manifest_sha256 = generation.write_manifest(folder, catalog, 1, recipe, layout, parts, {})
        catalog.set_meta("generation", "1")
        catalog.set_meta("next_generation", "2")
        catalog.set_meta("manifest", manifest_sha256)
        catalog.set_meta("recipe", recipe.model_dump_json())
        catalog.set_meta("languages", " ".join(embedding.find(settings.model.name).languages))
        catalog.set_meta("last_passage", str(catalog.number("next_passage") - 1))
    shutil.rmtree(making)


def _once(folder: Path, kind: TypeAdapter[T], make: Callable[[], T], took: Path) -> T:
    """What `make` says of the folder that it makes, in this run or in one before."""
    said = folder.with_suffix(".json")
    if not said.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        with timed(took, folder.name):
            made = make()
        said.with_suffix(".new").write_bytes(kind.dump_json(made))
        said.with_suffix(".new").replace(said)
    return kind.validate_json(said.read_bytes())


def _change(index: IndexFolder, catalog: Catalog, collection: Collection, settings: Settings) -> None:
    """Delete documents in three places and add as many others, as a sync does."""
    passages = catalog.counts()["passages"]
    changed = min(CHANGED, passages // 100)
    places = [passages * quarter // 4 for quarter in (1, 2, 3)]
    removed = sorted({one.source for at in places for one in catalog.all_passages(at, at + changed)})
    embedder = embedding.open_embedder(embedding.find(settings.model.name), settings.model.engine)
    with staging(index.path) as staged:
        recipe = Recipe.of(settings)
        run = Run(settings, index, catalog, staged, recipe, FolderWriter(index, catalog, recipe), embedder)
        with staged.writing():
            for given in islice(collection.documents(), changed):
                turned = ". ".join(reversed(given.text.split(". ")))
                new = document(f"{given.source}/turned", given.title, turned)
                run.stage(new, FileState(new.source, 0, 0, 0, new.sha256))
        run.apply(Difference(removed=removed))


def main() -> None:
    """Make it and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection", type=Path)
    parser.add_argument("passages", type=int)
    arguments = parser.parse_args()
    print(build(Collection(arguments.collection), arguments.passages, Settings()))


if __name__ == "__main__":
    main()
