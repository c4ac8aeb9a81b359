"""From files to an answer: time by stage, memory and disk.

    python -m benchmarks.ingest [FOLDER] [--megabytes N] [--free] [--precision int8] [--index DIR] [--json FILE]

`FOLDER` is indexed as it is; with `--megabytes`, so much text is made of its sentences, drawn at random, and that is
indexed. `--free` replaces the model, and it alone, by one that costs no time: tokenizer, readers and storage are the
real ones, so memory and the time of all else can be measured at sizes that would take hours to embed. The last stage
is the first question, with the index opened for it. Peak memory counts files that are mapped, which the system takes
back when it needs to; what is no file's stands beside it.
"""

import argparse
import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.machine import MostAnonymous, Stages, conditions, disk_mib, measured, peak_mib
from benchmarks.reading import peak as largest_child_mib
from pincite import embedding, reading
from pincite.embedding import Embedder, ModelFiles
from pincite.embedding.engine import Batch, Engine, Forward
from pincite.errors import Unreadable
from pincite.search import Searcher
from pincite.settings import Model, Settings
from pincite.sync import sync

QUESTION = "What is it, and what is it used for?"
_FILE = 50_000
"""Characters of a file that is made, about."""


class FreeEngine(Engine):
    """Vectors that cost nothing: the same few for every text, of the right shape."""

    name = "free"

    def __init__(self, files: ModelFiles) -> None:
        config = json.loads((files.folder / "config.json").read_text(encoding="utf-8"))
        rng = np.random.default_rng(0)
        shape = (self.batch, files.max_tokens, config["hidden_size"])
        self._tokens = rng.standard_normal(shape).astype(np.float32)
        self._texts = self._tokens[:, 0]

    def forward(self, batches: Iterable[Batch]) -> Iterator[Forward]:
        """Of each batch, in order."""
        for batch in batches:
            count = len(batch.tokens)
            yield Forward(batch, self._texts[:count], self._tokens[:count, : max(map(len, batch.tokens))])


def make_corpus(source: Path, target: Path, megabytes: float) -> None:
    """Markdown files of paragraphs drawn at random from those of a folder, the same for the same folder."""
    paragraphs = list(_paragraphs(source))
    if not paragraphs:
        raise SystemExit(f"{source}: holds no document that can be read")
    rng = np.random.default_rng(0)
    written = number = 0
    while written < megabytes * 1e6:
        text = f"# Collected {number}\n\n"
        while len(text) < _FILE:
            sentences = paragraphs[rng.integers(len(paragraphs))].split(". ")
            text += ". ".join(sentences[row] for row in rng.permutation(len(sentences))) + "\n\n"
        data = text.encode("utf-8")
        (target / f"{number:06}.md").write_bytes(data)
        written, number = written + len(data), number + 1


def _paragraphs(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        try:
            document = reading.read(path, path.relative_to(folder).as_posix())
        except Unreadable:
            continue
        yield from (" ".join(part.split()) for part in document.text.split("\n\n") if len(part) > 200)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("corpus"))
    parser.add_argument("--megabytes", type=float)
    parser.add_argument("--free", action="store_true")
    parser.add_argument("--precision", choices=("auto", "int8"), default="auto")
    parser.add_argument("--index", type=Path, help="where the index is made and stays; else in a folder that goes")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as temporary:
        corpus = arguments.folder
        if arguments.megabytes:
            corpus = Path(temporary) / "corpus"
            corpus.mkdir()
            make_corpus(arguments.folder, corpus, arguments.megabytes)
        settings = Settings(
            corpus=corpus,
            index=arguments.index or Path(temporary) / "index",
            model=Model(precision=arguments.precision),
        )
        if settings.index.exists():
            parser.error(f"{settings.index} is there already")
        stages = Stages()
        with measured() as cost, MostAnonymous() as anonymous:
            files = embedding.find(settings.model.name)
            embedder = Embedder(files, FreeEngine(files)) if arguments.free else embedding.open_embedder(files)
            report = sync(settings, progress=stages, embedder=embedder)
            after_sync = peak_mib()
            stages("answer")
            Searcher(settings, embedder).search(QUESTION)
            stages("")
        size = sum(path.stat().st_size for path in corpus.rglob("*") if path.is_file())
        result = {
            **conditions(("openvino", "faiss-cpu", "tantivy", "numpy")),
            "model": "free" if arguments.free else settings.model.precision,
            "megabytes": round(size / 1e6, 1),
            "documents": report.documents,
            "passages": report.passages,
            "seconds": round(cost.seconds, 2),
            "cpu_seconds": round(cost.cpu_seconds, 2),
            "passages_per_second": round(report.passages / cost.seconds, 1),
            "seconds_by_stage": {name: round(seconds, 2) for name, seconds in stages.seconds.items()},
            "peak_memory_mib": {
                "sync": round(after_sync),
                "with a question": round(peak_mib()),
                "of it no file's": anonymous.mib and round(anonymous.mib),
                "largest reading process": round(largest_child_mib()),
            },
            "index_mib": round(disk_mib(settings.index), 1),
        }
    print(json.dumps(result, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
