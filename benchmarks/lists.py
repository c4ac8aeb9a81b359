"""How many lists of a base a question must look into: among real vectors, and among as many mixed ones.

    python -m benchmarks.lists COLLECTION [--parts 16 8 4 2 1] [--questions 400] [--json FILE]

COLLECTION is a folder in BEIR layout. Of each part, one document in 16, in 8 and so on, the vectors are put into
4·√n lists around centroids, as in `pincite/storage/dense.py`: alone, and enlarged by `benchmarks/mixing.py` to as many
as the whole collection has. Printed are the lists that must be looked into for a recall of .95, .99 and .995 among the
ten nearest, in order of their centroids: by the collection's questions (`real`), and by means of three of the vectors,
by which the manifest's recall is measured (`means`). `recall` is that of the real ones in the lists that the
means need for .995.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from benchmarks.machine import conditions
from benchmarks.mixing import mixed, spread
from pincite import Settings
from pincite.embedding import codes
from pincite.evaluation.collection import Collection
from pincite.evaluation.index import open_index
from pincite.storage import Catalog, SegmentReader

COUNT = 10
GOALS = (0.95, 0.99, 0.995)
MEANS = 400
_LEARNT_FROM = 40
"""Vectors for each centroid, from which they are learnt."""


def ranks(vectors: np.ndarray, centroids: np.ndarray, questions: np.ndarray) -> np.ndarray:
    """For each of the ten nearest of each question, rising: how many lists come before its own."""
    flat, quantizer = faiss.IndexFlatIP(vectors.shape[1]), faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    quantizer.add(centroids)
    _, nearest = flat.search(questions, COUNT)
    _, own = quantizer.search(vectors[nearest.ravel()], 1)
    order = np.argsort(np.argsort(-(questions @ centroids.T), axis=1), axis=1)
    return np.sort(np.take_along_axis(order, own.reshape(nearest.shape), axis=1).ravel())


def needed(found: np.ndarray, goal: float) -> int:
    """Lists for this recall."""
    return int(found[int(np.ceil(goal * len(found))) - 1]) + 1


def measure(vectors: np.ndarray, questions: np.ndarray) -> dict[str, Any]:
    """Lists needed, of how many."""
    rng = np.random.default_rng(0)
    lists = 4 * round(len(vectors) ** 0.5)
    learning = faiss.Kmeans(vectors.shape[1], lists, niter=10, spherical=True, min_points_per_centroid=1)
    learning.train(vectors[rng.permutation(len(vectors))[: _LEARNT_FROM * lists]])
    means = codes.unit(vectors[rng.integers(len(vectors), size=(MEANS, 3))].sum(axis=1))
    real, middle = (ranks(vectors, learning.centroids, asked) for asked in (questions, means))
    return {
        "passages": len(vectors),
        "lists": lists,
        "real": {str(goal): needed(real, goal) for goal in GOALS},
        "means": {str(goal): needed(middle, goal) for goal in GOALS},
        "recall": round(float((real < needed(middle, GOALS[-1])).mean()), 4),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection", type=Path)
    parser.add_argument("--parts", type=int, nargs="+", default=[16, 8, 4, 2, 1])
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    collection = Collection(arguments.collection)
    searcher = open_index(Settings(), collection)
    index = searcher.index.folder
    with Catalog(index.path) as catalog:
        stored = list(catalog.all_passages())
    reader = SegmentReader(index.vectors)
    everything = np.stack([reader.read(one.location, one.key).vector for one in stored if one.location])
    rng = np.random.default_rng(0)
    _, documents = np.unique([one.source for one in stored], return_inverse=True)
    place = rng.permutation(documents.max() + 1)[documents]
    asked = list(collection.questions().values())
    drawn = rng.choice(len(asked), min(arguments.questions, len(asked)), replace=False)
    questions = np.stack([searcher.embedder.embed_query(asked[row]).vector for row in np.sort(drawn)])
    result: dict[str, Any] = conditions(("faiss-cpu", "numpy")) | {"collection": collection.name, "parts": []}
    for part in arguments.parts:
        real = everything[place % part == 0]
        pairs = rng.integers(len(real), size=(len(everything) - len(real), 2))
        enlarged = np.concatenate([real, mixed(real, pairs, spread(real), rng)])
        alone, among = measure(real, questions), measure(enlarged, questions)
        result["parts"].append({"one_in": part, "alone": alone, "enlarged": among})
    print(json.dumps(result, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
