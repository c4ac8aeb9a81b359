"""Whether both engines answer alike: the same questions to the index folder and over a connection to Milvus.

    python -m benchmarks.engines COLLECTION [--queries N] [--url http://…:19530] [--json FILE]

The collection's index is that of `evaluate.py --collection`; a copy of it is published. Without `--url`, a
`milvus-lite` server is started on loopback: what it takes says nothing about a cluster, what it answers does.
"""

import argparse
import json
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.machine import conditions, measured
from benchmarks.milvus_lite import serving
from pincite.evaluation import Collection, draw, evaluate
from pincite.evaluation.evaluator import Evaluation
from pincite.evaluation.index import open_index
from pincite.evaluation.judgements import JudgedQuery
from pincite.query import plain
from pincite.search import Searcher
from pincite.settings import Engine, Settings
from pincite.sync import sync_collection
from pincite.types import Hit

TOP = 10
VERSIONS = ("faiss-cpu", "milvus-lite", "numpy", "pymilvus", "tantivy")


def tops(searcher: Searcher, queries: Sequence[JudgedQuery]) -> list[tuple[Hit, ...]]:
    """The best hits of each question."""
    return [searcher.search(plain(query.question), TOP).hits for query in queries]


def agreement(ones: Sequence[tuple[Hit, ...]], others: Sequence[tuple[Hit, ...]]) -> dict[str, float]:
    """How alike the answers are."""
    pairs = [([h.citation for h in one], [h.citation for h in other]) for one, other in zip(ones, others, strict=True)]
    common = [
        (a.features, b.features)
        for one, other in zip(ones, others, strict=True)
        for a in one
        for b in other
        if a.citation == b.citation
    ]
    return {
        "top tens the same, in order": statistics.fmean(one == other for one, other in pairs),
        "top tens of the same passages": statistics.fmean(set(one) == set(other) for one, other in pairs),
        "passages of a top ten in the other": statistics.fmean(
            len({*one} & {*other}) / len(one) for one, other in pairs if one
        ),
        "largest difference of a feature": max(abs(a[name] - b[name]) for a, b in common for name in a),
    }


def figures(found: Evaluation) -> dict[str, Any]:
    """What one engine came to."""
    table = found.as_json()
    return {
        "nDCG@10": table["measures"]["nDCG@10"],
        "R@100": table["measures"]["R@100"],
        "milliseconds": table["milliseconds"],
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collection", type=Path)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--url")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    collection = Collection(given.collection)
    queries = draw(collection.queries(), given.queries)
    folder = open_index(Settings(), collection)
    with ExitStack() as running:
        at = Path(running.enter_context(tempfile.TemporaryDirectory()))
        url = given.url or running.enter_context(serving(at / "milvus"))
        shutil.copytree(folder.settings.index, at / "index")
        engine = Engine(url=url, name="benchmark")
        settings = folder.settings.model_copy(update={"index": at / "index", "engine": engine})
        with measured() as publishing:
            sync_collection(settings, (), embedder=folder.embedder)
        cluster = Searcher(settings, folder.embedder)
        with cluster.index.snapshot() as snapshot:
            contents = snapshot.contents
        found = {name: figures(evaluate(one, queries, "pincite")) for name, one in _both(folder, cluster)}
        alike = agreement(tops(folder, queries), tops(cluster, queries))
    table = {
        **conditions(VERSIONS),
        "collection": collection.name,
        "server": given.url or "milvus-lite",
        "queries": len(queries),
        "documents": contents.documents,
        "passages": contents.passages,
        "publishing_seconds": round(publishing.seconds, 1),
        "engines": found,
        "difference of nDCG@10": abs(found["folder"]["nDCG@10"] - found["milvus"]["nDCG@10"]),
        **alike,
    }
    text = json.dumps(table, indent=1, ensure_ascii=False)
    print(text)
    if given.json:
        given.json.write_text(f"{text}\n", encoding="utf-8")


def _both(folder: Searcher, cluster: Searcher) -> list[tuple[str, Searcher]]:
    return [("folder", folder), ("milvus", cluster)]


if __name__ == "__main__":
    main()
