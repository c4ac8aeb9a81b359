"""Passages embedded per second: Pincite beside `SentenceTransformer.encode` in float32, same run.

    python -m benchmarks.embedding [FOLDER_OF_DOCUMENTS] [--rounds 5] [--json FILE]

Both embed the same texts, context line included, on all cores. The two take turns, each round
begins with the other, and the medians are compared.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from benchmarks.machine import conditions, peak_mib
from pincite import embedding, reading
from pincite.errors import Unreadable
from pincite.passages import cut
from pincite.settings import Settings
from pincite.types import Passage


def passages_of(folder: Path, embedder: embedding.Embedder) -> list[Passage]:
    """Every passage of the documents in a folder."""
    passages: list[Passage] = []
    for path in sorted(folder.rglob("*")):
        try:
            document = reading.read(path, path.relative_to(folder).as_posix())
        except Unreadable:
            continue
        passages += cut(document, embedder.tokenizer.count, Settings().passages.tokens)
    return passages


def timed(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Seconds, and what came out."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("corpus"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    files = embedding.find(Settings().model.name)
    embedder = embedding.open_embedder(files)
    passages = passages_of(arguments.folder, embedder)
    texts = [f"{passage.context}\n{passage.text}" if passage.context else passage.text for passage in passages]
    tokens = sum(map(len, embedder.tokenizer.encode(texts)))
    reference = SentenceTransformer(str(files.folder), device="cpu")

    def ours() -> np.ndarray:
        made = dict(embedder.embed_passages(passages))
        return np.stack([made[number].vector for number in range(len(passages))])

    def theirs() -> np.ndarray:
        return np.asarray(reference.encode(texts, normalize_embeddings=True))

    seconds: dict[str, list[float]] = {"pincite": [], "sentence-transformers": []}
    _, a = timed(ours)  # a first round that does not count warms both
    _, b = timed(theirs)
    cosines = (a * b).sum(axis=1)
    for number in range(arguments.rounds):
        turns = [("pincite", ours), ("sentence-transformers", theirs)]
        for name, work in turns if number % 2 == 0 else reversed(turns):
            seconds[name].append(timed(work)[0])

    rates = {name: len(passages) / statistics.median(times) for name, times in seconds.items()}
    ratios = [b / a for a, b in zip(seconds["pincite"], seconds["sentence-transformers"], strict=True)]
    result = {
        **conditions(("openvino", "torch", "sentence-transformers")),
        "engine": embedder.engine.name,
        "passages": len(passages),
        "tokens_per_passage": round(tokens / len(passages), 1),
        "passages_per_second": {name: round(rate, 1) for name, rate in rates.items()},
        "times_as_fast": {
            "median": round(statistics.median(ratios), 2),
            "lowest": round(min(ratios), 2),
            "highest": round(max(ratios), 2),
        },
        "cosine": {"lowest": round(float(cosines.min()), 6), "mean": round(float(cosines.mean()), 6)},
        "peak_memory_mib": round(peak_mib()),  # with both of them
    }
    print(json.dumps(result, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
