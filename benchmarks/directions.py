"""What each feature of the order is worth, and what others would add.

    python -m benchmarks.directions FOLDER_OF_COLLECTIONS

Every line is fitted anew, each collection ranked with weights from the others, on at most 1,000
questions a collection: nDCG@10 of documents, and Success@1 of passages that answer.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.fit_relevance import drawn, fit_softmax, trust
from benchmarks.gathering import FEATURES, TRAINING, Asked, Gathered, gather, group
from pincite.evaluation.runs import RRF_K
from pincite.settings import Settings

Columns = Callable[[Asked], np.ndarray]
"""Features that are tried beside the others, shape (candidates, tried)."""


def by_document(asked: Asked, column: str, summary: Callable[[np.ndarray], float]) -> np.ndarray:
    """A feature summed up over the candidates of the same document."""
    values = asked.features[:, FEATURES.index(column)]
    found = np.empty((len(values), 1))
    for source in np.unique(asked.sources):
        own = asked.sources == source
        found[own] = summary(values[own])
    return found


def reciprocal_rank(rows: np.ndarray, candidates: int) -> np.ndarray:
    """1 / (60 + rank), scaled to begin at 1; 0 for what was not found."""
    found = np.zeros((candidates, 1))
    found[rows, 0] = (RRF_K + 1) / (RRF_K + np.arange(1, len(rows) + 1))
    return found


TRIED: dict[str, Columns] = {
    "with the document's mean cosine": lambda a: by_document(a, "cosine", lambda v: float(v.mean())),
    "with the document's best cosine": lambda a: by_document(a, "cosine", lambda v: float(v.max())),
    "with the document's best token similarity": lambda a: by_document(a, "token_similarity", lambda v: float(v.max())),
    "with how many candidates the document has": lambda a: by_document(a, "cosine", lambda v: np.log(len(v))),
    "with the rank by BM25": lambda a: reciprocal_rank(a.by_words, len(a.features)),
    "with the rank by vector": lambda a: reciprocal_rank(a.by_vector, len(a.features)),
    "with the square of the token similarity": lambda a: a.features[:, [FEATURES.index("token_similarity")]] ** 2,
    "with cosine × idf share": lambda a: a.features[:, [0]] * a.features[:, [FEATURES.index("idf_share")]],
}


def measure(collections: Sequence[Gathered], kept: Sequence[str], tried: Columns | None) -> tuple[list[float], float]:
    """nDCG@10 of each collection left out, and the mean Success@1 of passages."""
    columns = [FEATURES.index(name) for name in kept]

    def seen(collection: Gathered) -> Gathered:
        """With the features that are kept, already as trusted as the index is large, and those tried."""
        scaled = [one.features * trust(collection) for one in collection.asked]
        parts = [
            np.hstack([features[:, columns], tried(one)] if tried else [features[:, columns]])
            for one, features in zip(collection.asked, scaled, strict=True)
        ]
        asked = [replace(one, features=part) for one, part in zip(collection.asked, parts, strict=True)]
        return replace(collection, asked=asked)

    shown = [seen(collection) for collection in collections]
    values, first = [], []
    for left in shown:
        rest = [c for c in shown if group(c.name) != group(left.name)]
        weights = fit_softmax([(one.features, one.answers, 1 / len(c.asked)) for c in rest for one in c.asked])
        grades = {query.id: query.grades for query in left.queries}
        orders = [np.argsort(-(one.features @ weights), kind="stable") for one in left.asked]
        values.append(
            np.mean([ndcg(one, order, grades[one.query]) for one, order in zip(left.asked, orders, strict=True)])
        )
        first.append(np.mean([one.answers[order[:1]].any() for one, order in zip(left.asked, orders, strict=True)]))
    return [float(value) for value in values], float(np.mean(first))


def ndcg(asked: Asked, order: np.ndarray, grades: dict[str, int]) -> float:
    """nDCG@10 of documents, each at its best passage."""
    found = list(dict.fromkeys(asked.sources[order].tolist()))[:10]
    gain = sum(grades.get(source, 0) / np.log2(rank + 2) for rank, source in enumerate(found))
    best = sorted(grades.values(), reverse=True)[:10]
    return float(gain / sum(grade / np.log2(rank + 2) for rank, grade in enumerate(best)))


def main() -> None:
    """Print a line for each set of features."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    collections = [gather(arguments.folder, name, Settings().passages.tokens) for name in TRAINING]
    collections = [replace(c, asked=drawn(c.asked)) for c in collections]
    sets: dict[str, tuple[Sequence[str], Columns | None]] = {"as it is": (FEATURES, None)}
    sets |= {f"without {name}": ([other for other in FEATURES if other != name], None) for name in FEATURES}
    sets["without any token vector"] = (["cosine", "idf_share", "proximity"], None)
    sets |= {name: (FEATURES, tried) for name, tried in TRIED.items()}
    print("| | " + " | ".join(TRAINING) + " | mean nDCG@10 | mean Success@1 |")
    print("|---" * (len(TRAINING) + 3) + "|")
    for name, (kept, tried) in sets.items():
        values, first = measure(collections, kept, tried)
        cells = " | ".join(f"{value:.3f}" for value in values)
        print(f"| {name} | {cells} | {np.mean(values):.4f} | {first:.4f} |", flush=True)


if __name__ == "__main__":
    main()
