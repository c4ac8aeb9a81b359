"""How long a question takes, warm and in process, from embedding to marked hits, and what an index costs.

    python -m benchmarks.questions COLLECTION [--sizes 10000 100000] [--questions 300] [--json FILE]
    python -m benchmarks.questions COLLECTION --index DIR [--questions 300] [--json FILE]

COLLECTION is a folder in BEIR layout. For each size an index is made from it in a process of its own
(`benchmarks.enlarged` says what is real in it and what is not), kept in the user's cache and used again; 1000000 and
10000000 take hours. A fresh process opens it, or the index DIR of the collection that is there already. The questions
of the collection are asked one after the other, twice, then by several threads at once; then new processes ask one.

Milliseconds of wall time are those of the second round; `cpu` is what they take of all cores together, which other
work on the machine disturbs less. `stages` are medians over the questions. Anonymous memory is that of the fresh
process when the model is loaded and when all questions have been asked; what belongs to files is not in it. Recall is
of the ten nearest vectors, against a look at every one.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import anonymous_mib, conditions, disk_mib
from pincite import Searcher, Settings, embedding
from pincite.errors import QuestionError
from pincite.evaluation.collection import Collection
from pincite.processors import cores
from pincite.profile import profile
from pincite.query import Query, plain
from pincite.storage import Generation, IndexFolder
from pincite.storage.catalog import FILE
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


def stages(searcher: Searcher, questions: Sequence[Query]) -> dict[str, float]:
    """Medians over the questions."""
    taken = defaultdict(list)
    for question in questions:
        for name, milliseconds in profile(searcher, question, COUNT, repetitions=1).stages.items():
            taken[name].append(milliseconds)
    return {name: round(statistics.median(each), 2) for name, each in taken.items()}


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
    whole = tuple(part.model_copy(update={"files": part.files[:1]}) for part in layout.parts)  # without their codes
    everywhere = layout.model_copy(update={"parts": whole})
    exact = DenseIndex(IndexFolder(index).generation(generation.manifest.generation) / "dense", everywhere)

    def share(vector: np.ndarray) -> float:
        return len({*generation.dense.search(vector, COUNT)} & {*exact.search(vector, COUNT)}) / COUNT

    with ThreadPoolExecutor(cores()) as pool:
        shares = list(pool.map(share, vectors))
    return {
        "recall@10": round(float(np.mean(shares)), 4),
        "recall_in_manifest": round(layout.recall, 4),
        "shortlist": layout.shortlist,
        "parts": [[part.passages, len(part.files) > 1] for part in layout.parts],
    }


def disk(index: IndexFolder, generation: int) -> dict[str, float]:
    """MiB by part."""
    folder = index.generation(generation)
    return {
        "catalog": round((index.path / FILE).stat().st_size / (1 << 20), 1),
        "segments": round(disk_mib(index.vectors), 1),
        "dense": round(disk_mib(folder / "dense"), 1),
        "lexical": round(disk_mib(folder / "lexical"), 1),
        "all": round(disk_mib(index.path), 1),
    }


def measure(index: Path, collection: Collection, questions: Sequence[Query]) -> dict[str, Any]:
    """An index that is there; memory is that of this process."""
    settings = Settings(corpus=collection.folder, index=index)
    embedder = embedding.open_embedder(embedding.find(settings.model.name))
    embedder.embed_query(questions[0].text)
    before = anonymous_mib()
    searcher = Searcher(settings, embedder)
    first = latency(searcher, questions)
    memory = {"model": before, "asked": anonymous_mib()}
    result = {
        "anonymous_mib": memory,
        "first_round": first,
        "milliseconds": latency(searcher, questions),
        "stages": stages(searcher, questions),
        "questions_per_second": rates(searcher, questions),
        "cold_seconds": cold(index, questions[0].text),
    }
    vectors = [embedder.embed_query(asked.text).vector for asked in questions]
    with searcher.index.snapshot() as snapshot:
        generation = snapshot.generation
        layout = generation.manifest.dense
        return {
            "documents": generation.manifest.documents,
            "passages": generation.manifest.passages,
            "dead": layout.dead,
            **result,
            **recall(index, generation, vectors),
            "disk_mib": disk(IndexFolder(index), generation.manifest.generation),
        }


def askable(questions: Iterable[str]) -> list[Query]:
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
    parser.add_argument("--index", type=Path, help="an index of the collection's documents, in place of those sizes")
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    collection = Collection(arguments.collection)
    asked = askable(collection.questions().values())
    drawn = np.random.default_rng(0).choice(len(asked), min(arguments.questions, len(asked)), replace=False)
    questions = [asked[number] for number in np.sort(drawn)]
    result: dict[str, Any] = conditions(("openvino", "faiss-cpu", "tantivy", "numpy"))
    result |= {"collection": collection.name, "questions": len(questions), "hits": COUNT, "sizes": []}
    if arguments.index:
        result["sizes"].append(measure(arguments.index, collection, questions))
    else:
        for size in arguments.sizes:
            result["sizes"].append(_enlarged(arguments.collection, size, arguments.questions))
    print(json.dumps(result, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _enlarged(collection: Path, size: int, questions: int) -> dict[str, Any]:
    """One size: made in a process, asked in another one."""
    python = [sys.executable, "-m"]
    making = [*python, "benchmarks.enlarged", str(collection), str(size)]
    made = Path(subprocess.run(making, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.json"
        asking = [*python, "benchmarks.questions", str(collection), "--index", str(made)]
        asking += ["--questions", str(questions), "--json", str(file)]
        subprocess.run(asking, check=True, stdout=subprocess.DEVNULL)
        (found,) = json.loads(file.read_text(encoding="utf-8"))["sizes"]
    return {**found, "made": json.loads(made.with_suffix(".json").read_text(encoding="utf-8"))}


if __name__ == "__main__":
    main()
