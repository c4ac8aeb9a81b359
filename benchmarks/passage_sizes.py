"""How large passages should be: the same questions over the same documents, cut at several sizes.

    python -m benchmarks.passage_sizes FOLDER_OF_COLLECTIONS [--queries N] [--json FILE]

On collections of long documents with exact answers: Success@1 and R@5 of the passage that holds the
answer. On very long ones: recall, precision and intersection over union of the characters of the
first 5 passages, beside a plain recursive splitter of 200 and 400 tokens with the same model, its
pieces ranked by vector alone. The default is the size at which most questions are answered within the
first 1,000 characters shown, on average over all three. Weights are those fitted without the collection's group, at the
default size.
"""

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fit_relevance import leave_out
from benchmarks.gathering import TRAINING, gather
from pincite.embedding import Embedder
from pincite.embedding.embedder import batches
from pincite.evaluation import Collection, JudgedQuery, draw, evaluate
from pincite.evaluation.index import open_index
from pincite.evaluation.measures import character_measures
from pincite.relevance import Relevance
from pincite.search import Searcher
from pincite.settings import Passages, Settings
from pincite.types import Document, Place, Span

SIZES = (96, 128, 160, 200, 256)
ARTICLES = ("covidqa-articles", "squad-dev-articles")
LONG = "chroma-chunking"
PIECES = (200, 400)
READ = "Success@1000 characters"
"""What decides on the default: it asks the same of the reader at every size."""
SHOWN = ("Success@1", "R@5", READ)
CHARACTERS = ("character R@5", "character P@5", "character IoU@5", READ)
_SEPARATORS = (r"\n\s*\n", r"\n", r"(?<=[.!?])\s", r"\s")


def at_size(folder: Path, name: str, size: int, queries: int | None, model: Relevance) -> dict[str, float]:
    """Passage measures of a collection cut at a size."""
    collection = Collection(folder / name)
    found = open_index(Settings(passages=Passages(tokens=size)), collection)
    searcher = Searcher(found.settings, found.embedder, model)
    table = evaluate(searcher, draw(collection.queries(), queries), "pincite").as_json()
    return {**table["passage_measures"], "passages": table["passages"]}


def pieces(document: Document, count: Any, size: int) -> list[Span]:
    """A plain recursive splitter: at blank lines, else lines, else sentences, else words; then neighbours
    are joined while they fit into `size` tokens. No overlap."""
    joined: list[Span] = []
    for start, end in _split(document.text, (0, len(document.text)), count, size, _SEPARATORS):
        if joined and count([document.text[joined[-1][0] : end]])[0] <= size:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _split(text: str, span: Span, count: Any, size: int, separators: Sequence[str]) -> Iterator[Span]:
    start, end = span
    if not text[start:end].strip():
        return
    if count([text[start:end]])[0] <= size or not separators:
        yield span
        return
    for match in re.finditer(separators[0], text[start:end]):
        yield from _split(text, (start, span[0] + match.end()), count, size, separators[1:])
        start = span[0] + match.end()
    yield from _split(text, (start, end), count, size, separators[1:])


def plain(folder: Path, queries: Sequence[JudgedQuery], size: int, embedder: Embedder) -> dict[str, float]:
    """Characters of the 5 pieces nearest by vector. Pieces above what the model reads are cut off by it."""
    places, texts = [], []
    for document in Collection(folder / LONG).documents():
        for start, end in pieces(document, embedder.tokenizer.count, size):
            places.append(Place(document.source, start, end))
            texts.append(document.text[start:end])
    vectors = np.empty((len(texts), 384), dtype=np.float32)
    tokens = [_cut_off(t, embedder.files.max_tokens) for t in embedder.tokenizer.encode(texts)]
    for forward in embedder.engine.forward(batches(tokens)):
        for row, number in enumerate(forward.batch.rows):
            vectors[number] = forward.texts[row] / np.linalg.norm(forward.texts[row])
    found = []
    for query in queries:
        nearest = np.argsort(-(vectors @ embedder.embed_query(query.question).vector), kind="stable")[:5]
        gold = [place for place, grade in query.places.items() if grade > 0]
        found.append(character_measures([places[row] for row in nearest], gold))
    return {**{name: float(np.mean([row[name] for row in found])) for name in CHARACTERS}, "passages": len(texts)}


def _cut_off(tokens: Any, limit: int) -> Any:
    return type(tokens)(tokens.ids[:limit], tokens.spans[:limit])


def report(sizes: dict[str, dict[int, dict[str, float]]], splitter: dict[int, dict[str, float]]) -> str:
    """The tables, in Markdown."""
    heads = [f"{name} {measure}" for name in ARTICLES for measure in SHOWN]
    lines = [f"| tokens | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for size in SIZES:
        values = [sizes[name][size][measure] for name in ARTICLES for measure in SHOWN]
        lines.append(f"| {size} | " + " | ".join(f"{v:.3f}" for v in values) + " |")
    lines += ["", f"| {LONG} | passages | recall | precision | IoU | {READ} |", "|---" * 6 + "|"]
    for label, rows in (("pincite", sizes[LONG]), ("recursive splitter, vectors", splitter)):
        for size, row in rows.items():
            cells = " | ".join(f"{row[name]:.3f}" for name in CHARACTERS)
            lines.append(f"| {label}, {size} | {row['passages']:,} | {cells} |")
    lines += ["", f"| tokens | mean {READ} |", "|---" * 2 + "|"]
    lines += [f"| {size} | {np.mean([sizes[name][size][READ] for name in (*ARTICLES, LONG)]):.4f} |" for size in SIZES]
    return "\n".join(lines)


def main() -> None:
    """Measure every size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--queries", type=int, help="draw so many questions of each collection")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    arguments = parser.parse_args()
    folder = arguments.folder
    training = [gather(folder, name, Settings().passages.tokens) for name in TRAINING]
    sizes: dict[str, dict[int, dict[str, float]]] = {}
    for name in (*ARTICLES, LONG):
        model = leave_out(training, name)
        sizes[name] = {size: at_size(folder, name, size, arguments.queries, model) for size in SIZES}
    searcher = open_index(Settings(), Collection(folder / LONG))
    queries = draw(Collection(folder / LONG).queries(), arguments.queries)
    splitter = {size: plain(folder, queries, size, searcher.embedder) for size in PIECES}
    if arguments.json:
        arguments.json.write_text(json.dumps({"sizes": sizes, "splitter": splitter}, indent=1) + "\n", encoding="utf-8")
    print(report(sizes, splitter))


if __name__ == "__main__":
    main()
