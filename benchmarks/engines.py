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

from ir_measures import R, nDCG

from benchmarks.machine import conditions, measured
from benchmarks.milvus_lite import serving
from pincite.evaluation import Collection, draw
from pincite.evaluation.index import open_index
from pincite.evaluation.judgements import JudgedQuery
from pincite.evaluation.measures import ranking_measures
from pincite.evaluation.runs import DEPTH
from pincite.query import plain
from pincite.search import Searcher
from pincite.settings import Engine, Settings
from pincite.sync import sync_collection
from pincite.types import Answer

TOP = 10
VERSIONS = ("faiss-cpu", "milvus-lite", "numpy", "pymilvus", "tantivy")


def ask(searcher: Searcher, queries: Sequence[JudgedQuery]) -> list[Answer]:
    """What each question gets, as deep as an evaluation looks."""
    return [searcher.search(plain(query.question), DEPTH) for query in queries]


def agreement(ones: Sequence[Answer], others: Sequence[Answer]) -> dict[str, float]:
    """How alike the answers are."""
    tops = [(one.hits[:TOP], other.hits[:TOP]) for one, other in zip(ones, others, strict=True)]
    pairs = [([hit.citation for hit in one], [hit.citation for hit in other]) for one, other in tops]
    common = [(a.features, b.features) for one, other in tops for a in one for b in other if a.citation == b.citation]
    return {
        "top tens the same, in order": statistics.fmean(one == other for one, other in pairs),
        "top tens of the same passages": statistics.fmean(set(one) == set(other) for one, other in pairs),
        "passages of a top ten in the other": statistics.fmean(
            len({*one} & {*other}) / len(one) for one, other in pairs if one
        ),
        "largest difference of a feature": max(abs(a[name] - b[name]) for a, b in common for name in a),
    }


def figures(queries: Sequence[JudgedQuery], answers: Sequence[Answer]) -> dict[str, Any]:
    """What one engine came to: each document stands where its best passage does, as `evaluate.py` has it."""
    run = {
        query.id: list(dict.fromkeys(place.source for hit in answer.hits for place in (hit.passage, *hit.also)))
        for query, answer in zip(queries, answers, strict=True)
    }
    found = ranking_measures([nDCG @ 10, R @ 100], {query.id: query.grades for query in queries}, run)
    times = sorted(answer.milliseconds for answer in answers)
    return {
        **{name: statistics.fmean(of[name] for of in found.values()) for name in ("nDCG@10", "R@100")},
        "milliseconds": {"median": statistics.median(times), "95th percentile": times[int(0.95 * (len(times) - 1))]},
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
            sync_collection(settings, (), collection.sha256(), embedder=folder.embedder)
        cluster = Searcher(settings, folder.embedder)
        with cluster.index.snapshot() as snapshot:
            contents = snapshot.contents
        answers = {"folder": ask(folder, queries), "milvus": ask(cluster, queries)}
    found = {name: figures(queries, of) for name, of in answers.items()}
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
        **agreement(*answers.values()),
    }
    text = json.dumps(table, indent=1, ensure_ascii=False)
    print(text)
    if given.json:
        given.json.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
