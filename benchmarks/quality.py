"""How good the ranking is on collections that its weights were not fitted on.

    python -m benchmarks.quality FOLDER_OF_COLLECTIONS [--queries N] [--json FILE]

Every collection is ranked, marked and abstained on with weights and thresholds fitted on the others
(`benchmarks/fit_relevance.py`); collections that share questions are left out together. Prints the
tables of `docs/quality.md`: documents by method, passages by method, marked sentences, abstention.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ir_measures import nDCG

from benchmarks.fit_relevance import leave_out, ranked
from benchmarks.gathering import FEATURES, SUBJECTS, TRAINING, Asked, Gathered, gather, group
from pincite.evaluation import draw
from pincite.evaluation.measures import area_under_curve, interval, kept_at_false_answers, ranking_measures
from pincite.evaluation.runs import RRF_K
from pincite.relevance import Relevance
from pincite.settings import Settings

COLLECTIONS = (*TRAINING, "squad-dev-articles", "chroma-chunking")
MEAN_OF = ("scifact-train", "covidqa-articles", "squad-dev", "clapnq-dev", "medquad")
"""Collections over which the gain is stated."""
METHODS = ("dense", "lexical", "rrf", "pincite")

Order = Callable[[Asked], np.ndarray]
"""A question → rows of its candidates, best first."""


def orders(collection: Gathered, model: Relevance) -> dict[str, Order]:
    """Every method's order of the same candidates, as `pincite.evaluation.runs` has them."""
    weights = np.array([model.order.weights[name] for name in FEATURES])
    return {
        "dense": lambda asked: asked.by_vector,
        "lexical": lambda asked: asked.by_words,
        "rrf": fused,
        "pincite": lambda asked: ranked(collection, asked, weights),
    }


def fused(asked: Asked) -> np.ndarray:
    """Reciprocal rank fusion; ties go to the nearer vector."""
    scores = np.zeros(len(asked.features))
    for rows in (asked.by_vector, asked.by_words):
        scores[rows] += 1 / (RRF_K + np.arange(1, len(rows) + 1))
    nearness = np.full(len(scores), len(scores))
    nearness[asked.by_vector] = np.arange(len(asked.by_vector))
    order = np.lexsort((nearness, -scores))
    return order[scores[order] > 0]


def documents(collection: Gathered, order: Order) -> list[float]:
    """nDCG@10 of every query's documents, each at its best passage."""
    qrels = {query.id: query.grades for query in collection.queries}
    run = {one.query: list(dict.fromkeys(one.sources[order(one)].tolist())) for one in collection.asked}
    found = ranking_measures([nDCG @ 10], qrels, run)
    return [found[query.id]["nDCG@10"] for query in collection.queries]


def passages(collection: Gathered, order: Order) -> tuple[list[float], list[float]]:
    """Success@1 and R@5 of the passages that hold the exact answer, of queries that have one."""
    success, recall = [], []
    for one in collection.asked:
        if collection.answering[one.query]:
            answers = one.answers[order(one)]
            success.append(float(answers[:1].any()))
            recall.append(answers[:5].sum() / collection.answering[one.query])
    return success, recall


def marks(collection: Gathered, model: Relevance) -> list[float]:
    """Whether the sentence marked in the first passage of each document that answers holds the answer."""
    weights = np.array([model.order.weights[name] for name in FEATURES])
    trusted = [Asked("", *[np.empty(0)] * 2, one.features, *[np.empty(0)] * 3) for one in collection.marked]
    return [
        float(one.holds[ranked(collection, asked, weights)[0]])
        for one, asked in zip(collection.marked, trusted, strict=True)
    ]


def scores(collection: Gathered, asked: Sequence[Asked], model: Relevance) -> np.ndarray:
    """The probability of the first hit of every question; 0 for one that finds nothing."""
    weights = np.array([model.order.weights[name] for name in FEATURES])
    linear = np.array([model.probability.weights.get(name, 0.0) for name in FEATURES])
    first = [one.features[ranked(collection, one, weights)[0]] if len(one.features) else None for one in asked]
    return np.array(
        [0.0 if f is None else 1 / (1 + np.exp(-(f @ linear + model.probability.intercept))) for f in first]
    )


def abstention(collection: Gathered, model: Relevance) -> dict[str, Any]:
    """How the first score tells this collection's questions from others'."""
    answerable = scores(collection, collection.asked, model)
    unanswerable = scores(collection, [one for _, one in collection.foreign], model)
    subject = SUBJECTS.get(group(collection.name))
    far = np.array([SUBJECTS.get(group(name)) != subject for name, _ in collection.foreign])
    return {
        "kept": kept_at_false_answers(answerable.tolist(), unanswerable.tolist()),
        "kept, other subjects": kept_at_false_answers(answerable.tolist(), unanswerable[far].tolist()),
        "area": area_under_curve(answerable.tolist(), unanswerable.tolist()),
        "answerable answered": _mean(answerable >= model.weak),
        "unanswerable answered": _mean(unanswerable >= model.weak),
    }


def _mean(values: Sequence[float] | np.ndarray) -> dict[str, float]:
    low, high = interval([float(value) for value in values])
    return {"mean": float(np.mean(values)), "low": low, "high": high}


def measure(collection: Gathered, model: Relevance) -> dict[str, Any]:
    """Everything about one collection."""
    methods = orders(collection, model)
    table: dict[str, Any] = {
        "queries": len(collection.queries),
        "passages": collection.passages,
        "weights": {name: round(weight, 2) for name, weight in model.order.weights.items()},
        "nDCG@10": {name: _mean(documents(collection, order)) for name, order in methods.items()},
        "abstention": abstention(collection, model),
    }
    if any(collection.answering.values()):
        found = {name: passages(collection, order) for name, order in methods.items()}
        table["passage Success@1"] = {name: _mean(success) for name, (success, _) in found.items()}
        table["passage R@5"] = {name: _mean(recall) for name, (_, recall) in found.items()}
        table["marked"] = _mean(marks(collection, model))
        table["marked pairs"] = len(collection.marked)
    return table


def report(tables: dict[str, dict[str, Any]]) -> str:
    """The tables, in Markdown."""
    lines = ["| nDCG@10 | questions | " + " | ".join(METHODS) + " | pincite − rrf |", "|---" * 7 + "|"]
    for name, table in tables.items():
        means = {method: table["nDCG@10"][method]["mean"] for method in METHODS}
        own = table["nDCG@10"]["pincite"]
        shown = [f"{means[method]:.3f}" for method in METHODS[:-1]]
        shown.append(f"{means['pincite']:.3f} ({own['low']:.3f} to {own['high']:.3f})")
        gain = means["pincite"] - means["rrf"]
        lines.append(f"| {name} | {table['queries']:,} | " + " | ".join(shown) + f" | {gain:+.3f} |")
    if set(MEAN_OF) <= set(tables):
        mean = {m: float(np.mean([tables[name]["nDCG@10"][m]["mean"] for name in MEAN_OF])) for m in METHODS}
        shown = [f"{mean[method]:.3f}" for method in METHODS]
        lines.append(
            f"| mean of {len(MEAN_OF)} | | " + " | ".join(shown) + f" | {mean['pincite'] - mean['rrf']:+.3f} |"
        )
    lines += ["", "| passages | " + " | ".join(f"{m} Success@1 | {m} R@5" for m in METHODS) + " | marked |"]
    lines.append("|---" * 10 + "|")
    for name, table in tables.items():
        if "marked" in table:
            cells = [f"{table[f'passage {k}'][m]['mean']:.3f}" for m in METHODS for k in ("Success@1", "R@5")]
            mark = table["marked"]
            cells.append(f"{mark['mean']:.3f} ({mark['low']:.3f} to {mark['high']:.3f}) of {table['marked pairs']:,}")
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    heads = ("kept at 5 %", "the same, other subjects", "area", "answerable answered", "unanswerable answered")
    lines += ["", "| abstention | " + " | ".join(heads) + " |", "|---" * 6 + "|"]
    for name, table in tables.items():
        found = table["abstention"]
        cells = [f"{found[key]:.3f}" for key in ("kept", "kept, other subjects", "area")]
        for key in heads[-2:]:
            cells.append("{mean:.3f} ({low:.3f} to {high:.3f})".format(**found[key]))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    means = [
        np.mean([table["abstention"][key] for table in tables.values()]) for key in ("kept", "kept, other subjects")
    ]
    lines.append(f"| mean | {means[0]:.3f} | {means[1]:.3f} | | | |")
    return "\n".join(lines)


def main() -> None:
    """Measure every collection that is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--queries", type=int, help="draw so many questions of each collection")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    arguments = parser.parse_args()
    tokens = Settings().passages.tokens
    training = [gather(arguments.folder, name, tokens) for name in TRAINING]
    tables = {}
    for name in COLLECTIONS:
        model = leave_out(training, name)
        collection = gather(arguments.folder, name, tokens)
        if arguments.queries is not None and arguments.queries < len(collection.asked):
            collection = drawn_as_evaluated(collection, arguments.queries)
        tables[name] = measure(collection, model)
    if arguments.json:
        arguments.json.write_text(json.dumps(tables, indent=1) + "\n", encoding="utf-8")
    print(report(tables))


def drawn_as_evaluated(collection: Gathered, count: int) -> Gathered:
    """With the queries that `evaluate.py --queries` draws."""
    queries = draw(collection.queries, count)
    kept = {query.id for query in queries}
    return replace(collection, queries=queries, asked=[one for one in collection.asked if one.query in kept])


if __name__ == "__main__":
    main()
