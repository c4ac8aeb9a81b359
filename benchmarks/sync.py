"""Syncs of a large index: without a change, and of one document, to the first answer from it.

    python -m benchmarks.sync FOLDER [--passages 100000] [--a-file 10] [--rounds 3] [--json FILE]

FOLDER gets a corpus and an index of it, and is used again where it holds one of that size; one that holds anything else
is left alone. No model makes a large index in reasonable time: its texts are passages of the sample corpus, drawn with
replacement, and its vectors are those of two of them mixed, with noise. The files, the catalog, the segments and all
derived files are real, and so are the syncs: reading, model and all. Which documents are changed is drawn, others in
each run; a word of theirs is asked for, in quotes. Written bytes are those of new or grown files and of the system's
count. The models, of passages and of languages, are loaded before the clock starts.
"""

import argparse
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.embedding import passages_of
from benchmarks.machine import Stages, anonymous_mib, conditions, disk_mib, measured, peak_mib, written_mib
from pincite import embedding, reading
from pincite.errors import PinciteError
from pincite.reading.language import detect
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.storage import (
    Catalog,
    FileState,
    IndexFolder,
    NewDocument,
    NewPassage,
    Recipe,
    Record,
    SegmentWriter,
    open_writer,
    staging,
)
from pincite.storage.catalog import create, peek
from pincite.storage.generation import open_generation
from pincite.sync import sync
from pincite.sync.difference import Difference
from pincite.sync.run import Run
from pincite.types import Document, Passage

_AT_ONCE = 200
"""Files between two commits of their vectors."""


def build(settings: Settings, count: int, a_file: int, embedder: embedding.Embedder) -> None:
    """Write the files and index them."""
    real = passages_of(Path("corpus"), embedder)
    made = dict(embedder.embed_passages(real))
    index = IndexFolder(settings.index)
    with index.writer():
        create(index.path, settings.corpus.resolve())
        with Catalog(index.path, writable=True) as catalog, staging(index.path) as staged:
            with staged.writing():
                for new in _documents(settings, count // a_file, a_file, real, made, index, catalog):
                    staged.put_document(new)
            recipe = Recipe.of(settings)
            engine = open_writer(settings, catalog, recipe)
            Run(settings, index, catalog, staged, recipe, engine, embedder).apply(Difference(), anew=True)


def _documents(
    settings: Settings,
    files: int,
    a_file: int,
    real: list[Passage],
    made: dict[int, embedding.Embedding],
    index: IndexFolder,
    catalog: Catalog,
) -> Iterator[NewDocument]:
    rng = np.random.default_rng(0)
    reader = reading.reader_name("a.md")
    first = catalog.reserve("next_passage", files * a_file)
    writer = SegmentWriter(index.vectors, {})
    placed = []
    for number in range(files):
        source = _source(number)
        drawn = rng.integers(0, len(real), a_file)
        text, spans = "", []
        for row in drawn:
            spans.append((len(text), len(text) + len(real[row].text)))
            text += f"{real[row].text}\n\n"
        path = settings.corpus / source
        path.parent.mkdir(parents=True, exist_ok=True)
        data = text.encode()
        path.write_bytes(data)
        info = path.stat()
        sha256 = hashlib.sha256(data).hexdigest()
        state = FileState(source, info.st_size, info.st_mtime_ns, info.st_mtime_ns + 3 * 10**9, sha256, reader)
        new = []
        for place, (row, (start, end)) in enumerate(zip(drawn, spans, strict=True)):
            own = made[int(row)]
            mixed = own.vector + 0.5 * made[int(rng.integers(0, len(real)))].vector
            mixed = mixed + rng.standard_normal(len(mixed)).astype(np.float32) * (0.3 / len(mixed) ** 0.5)
            key = hashlib.sha256(f"{number} {place}".encode()).digest()
            vector = mixed / np.linalg.norm(mixed)
            placed.append((key, writer.append(Record(key, vector, own.tokens, own.sentences))))
            passage = Passage(source, start, end, text[start:end], "", (), None, real[row].sentences)
            new.append(NewPassage(first + number * a_file + place, passage, key))
        if number % _AT_ONCE == 0 or number == files - 1:
            writer.flush()
            with catalog.writing():
                catalog.put_vectors(placed)
            placed = []
        yield NewDocument(Document(source, "", "text/markdown", sha256, text, reader=reader), state, new)
    writer.close()


def _source(number: int) -> str:
    return f"{number // 1000:04}/{number:07}.md"


def written(folder: Path) -> dict[tuple[int, int], int]:
    """Every file by what it is, and its size."""
    return {
        (info.st_dev, info.st_ino): info.st_size
        for at, _, names in os.walk(folder)
        for name in names
        for info in [(Path(at) / name).stat()]
    }


def timed(work: Callable[[Stages], object]) -> dict[str, object]:
    """Seconds by the clock, of the processor, and by the stages that `work` tells."""
    stages = Stages()
    with measured() as cost:
        work(stages)
        stages("")
    by_stage = {name: round(seconds, 3) for name, seconds in stages.seconds.items()}
    return {"seconds": round(cost.seconds, 3), "cpu": round(cost.cpu_seconds, 3), "seconds_by_stage": by_stage}


def holds(settings: Settings, passages: int, files: int) -> bool:
    """Whether the folder has an index of about so many passages and so many files; raises `ValueError` if of others.

    A document that was changed by an earlier run may have a passage more.
    """
    folder = settings.index.parent
    if not folder.exists() or not any(folder.iterdir()):
        return False
    if peek(settings.index, "generation") in ("", "0"):
        raise ValueError(
            f"{folder}: holds something else, or what a run left that was ended: name another, or delete it"
        )
    with Catalog(settings.index) as catalog:
        counts = catalog.counts()
    if counts["documents"] != files or abs(counts["passages"] - passages) > files:
        raise ValueError(
            f"{folder}: holds {counts['passages']:,} passages in {counts['documents']:,} files, and {passages:,} in"
            f" {files:,} were asked for: name another folder"
        )
    return True


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--a-file", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    settings = Settings(corpus=arguments.folder / "corpus", index=arguments.folder / "index")
    files = arguments.passages // arguments.a_file
    try:
        is_there = holds(settings, files * arguments.a_file, files)
    except (ValueError, PinciteError) as error:
        parser.error(str(error))
    embedder = embedding.open_embedder(embedding.find(settings.model.name))
    report: dict[str, object] = {
        **conditions(("faiss-cpu", "tantivy", "numpy")),
        "passages": files * arguments.a_file,
        "files": files,
    }
    if not is_there:
        settings.corpus.mkdir(parents=True)
        report["build"] = timed(lambda _: build(settings, arguments.passages, arguments.a_file, embedder))
    index = IndexFolder(settings.index)
    detect("The ferry leaves at nine in the morning and comes back at five.")
    report["no_change"] = [
        timed(lambda stages: sync(settings, progress=stages, embedder=embedder)) for _ in range(arguments.rounds)
    ]
    searcher = Searcher(settings, embedder)
    with Catalog(settings.index) as catalog:
        drawn = np.random.default_rng(catalog.generation).choice(files, min(files, arguments.rounds), replace=False)
    changes = []
    for number in drawn:
        path = settings.corpus / _source(number)
        word = f"xyzzyq{time.time_ns()}q"

        def change(stages: Stages, path: Path = path, word: str = word) -> None:
            path.write_text(f"The word of today is {word}.\n\n{path.read_text()}")
            sync(settings, progress=stages, embedder=embedder)
            stages("answer")
            # In quotes, for passages with the words of earlier runs are as near.
            assert any(word in hit.passage.text for hit in searcher.search(f'"{word}"').hits)

        before, output = written(settings.index), written_mib()
        entry: dict[str, object] = {**timed(change)}
        after, now = written(settings.index), written_mib()
        entry["mib_of_files"] = round(sum(max(0, after[file] - before.get(file, 0)) for file in after) / 2**20, 1)
        entry["mib_written"] = None if output is None or now is None else round(now - output, 1)
        changes.append(entry)
    report["one_document"] = changes
    with Catalog(settings.index) as catalog:
        opened = open_generation(index.generation(catalog.generation))
    report["dense"] = opened.manifest.dense.model_dump(exclude={"parts"})
    report["parts"] = {"dense": len(opened.manifest.dense.parts), "lexical": len(opened.manifest.lexical)}
    report["anonymous_mib"] = anonymous_mib()
    report["peak_mib"] = round(peak_mib())
    report["disk_mib"] = round(disk_mib(settings.index))
    told = json.dumps(report, indent=1)
    print(told)
    if arguments.json:
        arguments.json.write_text(told)


if __name__ == "__main__":
    main()
