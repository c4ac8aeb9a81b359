"""Ingest on a Ray cluster beside a plain one: time, and whether the index is the same.

    python -m benchmarks.cluster [FOLDER] [--megabytes N] [--workers 1 2] [--json FILE]

So much text is made of the sentences of `FOLDER` as `--megabytes` says, and indexed once by this process alone and once
by each number of workers: nodes of a local cluster with one processor each, beside a first that has none and writes.
All share this machine's cores, so this says what Ray costs and how the work divides, not what more machines give. The
nodes run before the time begins; that workers start and open the model counts.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.ingest import Stages, make_corpus
from benchmarks.machine import conditions, measured
from pincite import embedding
from pincite.settings import Settings
from pincite.storage import Catalog, IndexFolder, SegmentReader
from pincite.sync import Report, cluster, sync


@contextmanager
def nodes(workers: int) -> Iterator[str]:
    """The address of a cluster with so many."""
    with cluster.environment(cluster.SILENT | cluster.ALONE):
        from ray.cluster_utils import Cluster

        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        for _ in range(workers):
            made.add_node(num_cpus=1)
    try:
        yield made.address
    finally:
        made.shutdown()


def told(report: Report, seconds: float, stages: Stages) -> dict[str, Any]:
    """One run."""
    return {
        "passages": report.passages,
        "seconds": round(seconds, 2),
        "passages_per_second": round(report.passages / seconds, 1),
        "seconds_by_stage": {name: round(spent, 2) for name, spent in stages.seconds.items()},
    }


def lowest_cosine(one: Settings, other: Settings) -> float:
    """Between the vectors of two indexes of the same passages, ids and keys; else an error."""
    found = []
    for settings in (one, other):
        reader = SegmentReader(IndexFolder(settings.index).vectors)
        with Catalog(settings.index) as catalog:
            found.append(
                {
                    (stored.id, stored.key): reader.read(stored.location, stored.key).vector
                    for stored in catalog.all_passages()
                    if stored.location
                }
            )
        reader.close()
    ours, theirs = found
    if ours.keys() != theirs.keys():
        raise SystemExit("the indexes hold other passages")
    return min(float(vector @ theirs[name]) for name, vector in ours.items())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("corpus"))
    parser.add_argument("--megabytes", type=float, default=1.0)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "corpus").mkdir()
        make_corpus(arguments.folder, folder / "corpus", arguments.megabytes)
        plain = Settings(corpus=folder / "corpus", index=folder / "plain")
        embedder = embedding.open_embedder(embedding.find(plain.model.name))
        result = conditions(("ray", "openvino", "numpy"))
        with measured() as cost:
            stages = Stages()
            report = sync(plain, progress=stages, embedder=embedder)
            stages("")
        result["plain"] = told(report, cost.seconds, stages)
        for workers in arguments.workers:
            settings = plain.model_copy(update={"index": folder / f"{workers}"})
            with nodes(workers) as address, cluster.connected(settings, address) as work, measured() as cost:
                stages = Stages()
                report = sync(settings, progress=stages, work=work)
                stages("")
            result[f"ray, workers: {workers}"] = {
                **told(report, cost.seconds, stages),
                "lowest_cosine": round(lowest_cosine(plain, settings), 6),
            }
    print(json.dumps(result, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
