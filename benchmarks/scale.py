"""How many machines so many passages take, reckoned from what other benchmarks measured; and a simulation of them.

    python -m benchmarks.scale --questions FILE --ingest FILE --index DIR
        [--passages 100000000 1000000000] [--cores 16] [--memory 128] [--changed 0.01] [--rate 200] [--json FILE]

`--questions` and `--ingest`: what `benchmarks.questions` and `benchmarks.ingest` kept with `--json`, on the kind of
processor that the machines will have. `--index`: an index whose passages are weighed as rows of a cluster, and written
once more for what that takes. `--cores` and `--memory` (GiB) are those of a machine.

What is measured is in those files or measured here; what is assumed stands below, in capitals. The simulation asks
questions as they come by chance (Poisson), each of which has a core of a front machine, then one of every machine that
searches, of which the slowest counts, then a core of the front again; and it has workers embed for one machine that
writes, and die.
"""

import argparse
import heapq
import json
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import conditions
from pincite.storage import (
    Catalog,
    IndexFolder,
    NewDocument,
    NewPassage,
    Record,
    SegmentReader,
    SegmentWriter,
    create,
    staging,
)
from pincite.storage.milvus.rows import row

GRAPH = 2 * 32 * 4
"""Bytes of a passage's neighbours in HNSW with M = 32: twice as many on its lowest level, of 4 bytes each."""
POSTING = 8
"""Bytes of a term in a passage: the passage and its weight."""
SCALARS = 6 * 16
"""Bytes of a passage in the indexes of ids, generations, sources and times."""
FILLED = 0.7
"""Share of a machine's memory that may be full: segments are merged beside those that are searched."""
SEARCH = 0.004
"""Seconds of a core for the vectors and words of one machine, at the median; not measured on a cluster."""
SPREAD = 0.5
"""Of the logarithm of that time, and of the front's: the 95th percentile is 2.3 times the median."""
MESSAGE = 0.001
"""Seconds to a machine and back."""
FAILURES = 1 / (24 * 3600)
"""Of a worker, in a second: one a day."""
BATCH = 256
"""Passages that a worker loses when it dies, at most."""
QUESTIONS = 20_000
"""That are simulated at each rate."""
_SAMPLE = 2000
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Measured:
    """What one passage, and one question, take."""

    memory: float
    """Bytes on the machines that search."""
    stored: float
    """Bytes of a row, as it is kept and read for candidates."""
    catalog: float
    """Bytes on the machine that syncs: catalog and segments."""
    embedding: float
    """Seconds of a core, for all of an ingest: reading and cutting are a few hundredths of it."""
    writing: float
    """Seconds of the machine that syncs, for what only it does; without the cluster's own time to take rows."""
    front: float
    """Seconds of a core for a question, at the median: the model, and the ranking of candidates."""


def measured(questions: Path, ingest: Path, index: Path) -> Measured:
    """From the files of other benchmarks and an index."""
    largest = max(json.loads(questions.read_text(encoding="utf-8"))["sizes"], key=lambda size: size["passages"])
    real = json.loads(ingest.read_text(encoding="utf-8"))
    memory, stored = weighed(index)
    disk = largest["disk_mib"]
    return Measured(
        memory,
        stored,
        (disk["catalog"] + disk["segments"]) * 2**20 / largest["passages"],
        real["cpu_seconds"] / real["passages"],
        written(index),
        largest["milliseconds"]["cpu"] / 1000,
    )


def weighed(index: Path) -> tuple[float, float]:
    """Bytes of a passage in the memory of a machine that searches, and of its row, as means of some."""
    reader = SegmentReader(IndexFolder(index).vectors)
    memory, stored = [], []
    with Catalog(index) as catalog:
        ids = catalog.ids_after(0)
        drawn = np.random.default_rng(0).choice(ids, min(_SAMPLE, len(ids)), replace=False)
        for passage in catalog.passages(drawn.tolist()):
            if passage.location is None:
                continue
            held = row(passage, reader.read_bytes(passage.location), 0, 1)
            terms = len(set(held["words"].split()))
            memory.append(4 * len(held["vector"]) + GRAPH + POSTING * terms + SCALARS)
            texts = [held["words"], held["source"], *held["passage"], *held["record"]]
            stored.append(4 * len(held["vector"]) + sum(len(text.encode("utf-8")) for text in texts))
    reader.close()
    return float(np.mean(memory)), float(np.mean(stored))


def written(index: Path) -> float:
    """Seconds a passage for what one machine does for all: staging, segments, the commit, and rows for the cluster."""
    reader = SegmentReader(IndexFolder(index).vectors)
    documents: list[NewDocument] = []
    records: list[Record] = []
    with Catalog(index) as catalog:
        for source, state in catalog.files().items():
            document = catalog.document(source)
            stored = catalog.passages(catalog.passage_ids([source]).tolist())
            if document is None or len(records) > _SAMPLE:
                continue
            documents.append(NewDocument(document, state, [NewPassage(p.id, p.passage, p.key) for p in stored]))
            records += [reader.read(p.location, p.key) for p in stored if p.location]
    reader.close()
    with tempfile.TemporaryDirectory() as folder:
        made = IndexFolder(Path(folder))
        create(made.path, index)
        with Catalog(made.path, writable=True) as catalog, staging(made.path) as staged:
            began = time.perf_counter()
            with staged.writing():
                for document in documents:
                    staged.put_document(document)
            writer = SegmentWriter(made.vectors, {})
            for at in range(0, len(records), BATCH):
                placed = [(record.key, writer.append(record)) for record in records[at : at + BATCH]]
                writer.flush()
                with catalog.writing():
                    catalog.put_vectors(placed)
            catalog.attach(staged)
            with catalog.writing():
                catalog.put_staged()
                again = SegmentReader(made.vectors)
                passages = [passage for passage in catalog.all_passages() if passage.location]
                for passage in passages:
                    row(passage, again.read_bytes(passage.location), 0, 1)
                again.close()
            taken = time.perf_counter() - began
            writer.close()
    return taken / len(passages)


def machines(per: Measured, passages: int, cores: int, memory: int, changed: float, rate: float) -> dict[str, Any]:
    """What so many passages take."""
    searching = math.ceil(passages * per.memory / (memory * _GIB * FILLED))
    by_rate = math.ceil(rate * SEARCH / (cores * FILLED))
    front = max(1, math.ceil(rate * per.front / (cores * FILLED)))
    worker_rate = cores / per.embedding
    enough = math.ceil(1 / per.writing / worker_rate)
    return {
        "passages": passages,
        "machines_that_search": max(searching, by_rate),
        "of_them_for_memory": searching,
        "machines_in_front": front,
        "gib_in_memory": round(passages * per.memory / _GIB),
        "gib_of_rows": round(passages * per.stored / _GIB),
        "gib_of_the_catalog": round(passages * per.catalog / _GIB),
        "full_sync": {
            "hours_of_cores": round(passages * per.embedding / 3600),
            "workers_that_keep_the_writer_busy": enough,
            "hours_with_them": round(passages * per.writing / 3600, 1),
            "hours_with_one": round(passages / worker_rate / 3600, 1),
        },
        "daily_sync": {
            "passages": round(passages * changed),
            "hours_of_cores": round(passages * changed * per.embedding / 3600, 1),
            "hours_of_the_writer": round(2 * passages * changed * per.writing / 3600, 1),
        },
    }


class Servers:
    """Cores that take what waits in the order in which it came."""

    def __init__(self, count: int) -> None:
        self._free = [0.0] * count

    def serve(self, arrival: float, seconds: float) -> float:
        """When it is done."""
        began = max(arrival, self._free[0])
        heapq.heapreplace(self._free, began + seconds)
        return began + seconds


def asked(per: Measured, searching: int, front: int, cores: int, rate: float) -> dict[str, float]:
    """Milliseconds of a question at so many a second.

    Half of its time in front is before the search, half after it.
    """
    rng = np.random.default_rng(0)
    fronts, others = Servers(front * cores), [Servers(cores) for _ in range(searching)]
    arrivals = np.cumsum(rng.exponential(1 / rate, QUESTIONS))
    halves = per.front / 2 * rng.lognormal(0.0, SPREAD, QUESTIONS)
    taken = np.empty(QUESTIONS)
    # All that comes, in order of time: what a server is given first it does first.
    events = [(float(at), question, "reads") for question, at in enumerate(arrivals)]
    while events:
        now, question, step = heapq.heappop(events)
        if step == "reads":
            heapq.heappush(events, (fronts.serve(now, halves[question]), question, "searches"))
        elif step == "searches":
            times = SEARCH * rng.lognormal(0.0, SPREAD, searching)
            done = max(each.serve(now + MESSAGE, time) for each, time in zip(others, times, strict=True))
            heapq.heappush(events, (done + MESSAGE, question, "ranks"))
        else:
            taken[question] = fronts.serve(now, halves[question]) - arrivals[question]
    return {f"p{share}": round(float(np.percentile(taken, share)) * 1000, 1) for share in (50, 95, 99)}


def embedded(per: Measured, workers: int, cores: int, passages: int) -> dict[str, float]:
    """Hours until so many passages are written, by workers of whom some die; their batch is done again."""
    rng = np.random.default_rng(0)
    batch = BATCH * cores
    seconds, writing = batch * per.embedding / cores, batch * per.writing
    ready = [(seconds * (1 + number / workers), number) for number in range(workers)]
    heapq.heapify(ready)
    written = lost = 0
    now = 0.0
    while written < passages:
        at, worker = heapq.heappop(ready)
        if rng.random() < seconds * FAILURES:
            lost += 1
            heapq.heappush(ready, (at + seconds, worker))
            continue
        taken = max(now, at)  # until then the worker waits with it
        now = taken + writing
        written += batch
        heapq.heappush(ready, (taken + seconds, worker))
    return {"hours": round(now / 3600, 2), "batches_lost": lost}


def most(per: Measured, front: int, cores: int) -> float:
    """Questions a second with which some machine has no core free any more, on the mean."""
    mean = math.exp(SPREAD**2 / 2)  # of a lognormal whose median is 1
    return min(front * cores / (per.front * mean), cores / (SEARCH * mean))


def simulated(per: Measured, sized: Sequence[dict[str, Any]], cores: int, wanted: float) -> list[dict[str, Any]]:
    """Questions, as many as wanted and as many as can be, and a full sync on the machines of each size; of a sync, an
    hour's passages."""
    found = []
    for one in sized:
        workers = one["full_sync"]["workers_that_keep_the_writer_busy"]
        hour = round(3600 / per.writing)
        found.append(
            {
                "passages": one["passages"],
                "question_ms": {
                    str(round(rate)): asked(per, one["machines_that_search"], one["machines_in_front"], cores, rate)
                    for rate in (wanted, 0.95 * most(per, one["machines_in_front"], cores))
                },
                "sync_of_an_hour": {
                    str(count): embedded(per, count, cores, hour) for count in sorted({1, workers // 2 or 1, workers})
                },
            }
        )
    return found


def main() -> None:
    """Reckon, simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("questions", "ingest", "index"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--passages", type=int, nargs="+", default=[100_000_000, 1_000_000_000])
    parser.add_argument("--cores", type=int, default=16)
    parser.add_argument("--memory", type=int, default=128)
    parser.add_argument("--changed", type=float, default=0.01)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    per = measured(given.questions, given.ingest, given.index)
    sized = [machines(per, n, given.cores, given.memory, given.changed, given.rate) for n in given.passages]
    result = {
        **conditions(("pymilvus", "openvino", "numpy")),
        "of_each_machine": {"cores": given.cores, "gib": given.memory},
        "a_passage": {
            "bytes_in_memory": round(per.memory),
            "bytes_of_its_row": round(per.stored),
            "bytes_in_the_catalog": round(per.catalog),
            "milliseconds_of_a_core": round(per.embedding * 1000, 2),
            "milliseconds_of_the_writer": round(per.writing * 1000, 3),
        },
        "a_question": {"milliseconds_of_a_core_in_front": round(per.front * 1000, 1)},
        "assumed": {
            "search_ms": SEARCH * 1000,
            "message_ms": MESSAGE * 1000,
            "spread": SPREAD,
            "filled": FILLED,
            "failures_a_day": FAILURES * 24 * 3600,
        },
        "machines": sized,
        "simulated": simulated(per, sized, given.cores, given.rate),
    }
    print(json.dumps(result, indent=1))
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
