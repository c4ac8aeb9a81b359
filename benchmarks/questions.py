"""How long a question takes, warm and in process, from embedding to marked hits.

    python -m benchmarks.questions COLLECTION [--sizes 10000 100000] [--questions 300] [--json FILE]

COLLECTION is a folder in BEIR layout. For each size an index is made from it (`benchmarks.enlarged`), kept in the
user's cache and used again. Its questions are asked one after the other, then by several threads at once, then a
new process asks one. Milliseconds of wall time; `cpu` is what they take of all cores together, which other work
on the machine disturbs less.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.enlarged import build
from benchmarks.machine import anonymous_mib, conditions, disk_mib
from pincite import Searcher, Settings, embedding
from pincite.embedding.model import cache_folder
from pincite.errors import QuestionError
from pincite.evaluation.collection import Collection
from pincite.profile import profile
from pincite.query import Query, plain
from pincite.storage import Generation, IndexFolder
from pincite.storage.dense import DenseIndex

COUNT = 10
THREADS = (1, 2, 4)
COLD = 7
"""New processes."""


def latency(searcher: Searcher, questions: Sequence[Query]) -> dict[str, float]:
    """One after the other."""
    cpu = time.process_time()
    taken = [searcher.search(question, COUNT).milliseconds for question in questions]
    spent = (time.process_time() - cpu) * 1000 / len(questions)
    at = {f"p{share}": float(np.percentile(taken, share)) for share in (50, 95, 99)}
    return {name: round(value, 2) for name, value in {**at, "fastest": min(taken), "cpu": spent}.items()}


def rates(searcher: Searcher, questions: Sequence[Query]) -> dict[str, float]:
    """Threads → questions per second."""
    found = {}
    for threads in THREADS:
        with ThreadPoolExecutor(threads) as pool:
            started = time.perf_counter()
            for _ in pool.map(lambda question: searcher.search(question, COUNT), questions):
                pass
            found[str(threads)] = round(len(questions) / (time.perf_counter() - started), 1)
    return found


def cold(index: Path, question: str) -> dict[str, float]:
    """Seconds from the command to its answer, files in the page cache."""
    command = [sys.executable, "-m", "pincite", "search", question, "--index", str(index)]
    taken = []
    for _ in range(COLD):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - started)
    return {"median": round(statistics.median(taken), 2), "fastest": round(min(taken), 2)}


def recall(index: Path, generation: Generation, vectors: Sequence[np.ndarray]) -> dict[str, Any]:
    """Of the ten nearest among all vectors, how many are found, and what the manifest says of that."""
    layout = generation.manifest.dense
    if layout.base is None:
        return {"recall@10": 1.0, "recall_in_manifest": None}
    everywhere = layout.model_copy(update={"base": layout.base.model_copy(update={"probes": layout.base.lists})})
    exact = DenseIndex(IndexFolder(index).generation(generation.manifest.generation) / "dense", everywhere)
    shares = [len({*generation.dense.search(v, 10)} & {*exact.search(v, 10)}) / 10 for v in vectors]
    return {
        "recall@10": round(float(np.mean(shares)), 4),
        "recall_in_manifest": round(layout.base.recall, 4),
        "lists_and_probes": [layout.base.lists, layout.base.probes],
    }


def measure(
    collection: Collection, size: int, questions: Sequence[Query], embedder: embedding.Embedder
) -> dict[str, Any]:
    """One size."""
    index = cache_folder() / "benchmarks" / f"{collection.name}-{collection.sha256()[:16]}-{size}"
    settings = build(Settings(), collection, size, index, embedder)
    searcher = Searcher(settings, embedder)
    latency(searcher, questions)  # warms
    anonymous = anonymous_mib()
    with searcher.index.snapshot() as snapshot:
        passages = snapshot.generation.manifest.passages
        vectors = recall(index, snapshot.generation, [embedder.embed_query(asked.text).vector for asked in questions])
    stages = profile(searcher, questions[0].text, COUNT)
    return {
        "passages": passages,
        "milliseconds": latency(searcher, questions),
        "questions_per_second": rates(searcher, questions),
        "stages": {name: round(value, 2) for name, value in stages.stages.items()},
        "cold_seconds": cold(index, questions[0].text),
        **vectors,
        "disk_mib": round(disk_mib(index)),
        "anonymous_mib": anonymous,
    }


def _askable(questions: Iterable[str]) -> list[Query]:
    """Without those that are refused."""
    found = []
    for question in questions:
        with suppress(QuestionError):
            found.append(plain(question))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    collection = Collection(arguments.collection)
    asked = _askable(collection.questions().values())
    drawn = np.random.default_rng(0).choice(len(asked), min(arguments.questions, len(asked)), replace=False)
    questions = [asked[number] for number in np.sort(drawn)]
    embedder = embedding.open_embedder(embedding.find(Settings().model.name))
    result: dict[str, Any] = conditions(("openvino", "faiss-cpu", "tantivy", "numpy"))
    result |= {"collection": collection.name, "questions": len(questions), "hits": COUNT, "sizes": []}
    for size in arguments.sizes:
        result["sizes"].append(measure(collection, size, questions, embedder))
    print(json.dumps(result, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
