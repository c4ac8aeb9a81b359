"""How many of the nearest by codes of several kinds must be looked at, and what lists and a graph would do instead.

    python -m benchmarks.shortlists COLLECTION [OTHER ...] --index DIR [--passages N] [--questions 300] [--json FILE]

COLLECTION is a folder in BEIR layout, DIR an index of its documents, as `benchmarks.enlarged` makes larger ones too.
Codes of each kind are made of the first N vectors of the index, all by default, as if they were one part. Printed are
the bytes of a code, the median milliseconds of one thread that compares all with a question, the kinds in turn, and how
long the shortlist must be on which .99 of the ten nearest stand: of the collection's questions, of means of three
passages, and of the questions of any OTHER collection, which the index need not answer. Then, for lists around
centroids: the share of all vectors that a question must look at for as many. Last, for a graph of near neighbours
(HNSW: Malkov and Yashunin, 2018): what it takes to build, and how many of the ten nearest are found by how broad a
search.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from benchmarks.machine import conditions
from benchmarks.questions import askable
from pincite import Searcher, Settings, embedding
from pincite.evaluation.collection import Collection
from pincite.processors import cores
from pincite.storage import IndexFolder
from pincite.storage.dense import main_directions

COUNT = 10
FOUND = 0.99
DEEPEST = 10_000
SAMPLE = 4_096
CHUNK = 65_536
TIMED = 100
"""Questions whose time is taken."""
KINDS = {
    "all directions, 3 numbers in 4 bits": (1, 3),
    "half of the directions, 2 numbers in 4 bits": (2, 2),
    "half of the directions, 3 numbers in 4 bits": (2, 3),
    "a third of the directions, 2 numbers in 4 bits": (3, 2),
}
"""The directions there are for one that is kept, and the numbers that 4 bits stand for."""
LISTS = 1_024
NEIGHBOURS = 32
"""Of a passage in the graph; twice as many at its bottom."""
BUILT_BROADLY = 80
"""How broadly the neighbours of each are looked for."""
BREADTHS = (100, 200, 400, 800)

Asked = dict[str, np.ndarray]
"""Kind of question → vectors, float32, unit, shape (n, dim)."""


def stored(index: Path, passages: int | None) -> np.ndarray:
    """The vectors of an index, float16, shape (n, dim); those of dead passages among them."""
    with Searcher(Settings(index=index)).snapshot() as snapshot:
        generation = snapshot.generation
        folder = IndexFolder(index).generation(generation.manifest.generation) / "dense"
        files = [folder / part.files[0] for part in generation.manifest.dense.parts]
    vectors = []
    for file in files:
        held: Any = faiss.read_index(str(file))
        vectors.append(faiss.downcast_index(held.index).reconstruct_n(0, held.ntotal).astype(np.float16))
    return np.concatenate(vectors)[:passages]


def pieces(vectors: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """In float32, some at a time, each with the row of its first."""
    return ((first, vectors[first : first + CHUNK].astype(np.float32)) for first in range(0, len(vectors), CHUNK))


def nearest(asked: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Rows of the `COUNT` nearest to each, by looking at all."""
    heap = faiss.ResultHeap(len(asked), COUNT, keep_max=True)
    for first, some in pieces(vectors):
        cosines = asked @ some.T
        rows = np.argsort(-cosines, axis=1)[:, :COUNT]
        heap.add_result(np.take_along_axis(cosines, rows, axis=1), rows + first)
    heap.finalize()
    return np.asarray(heap.I)


def codes(vectors: np.ndarray, sample: np.ndarray, directions: int, numbers: int) -> Any:
    """An index of codes of all vectors."""
    kept = vectors.shape[1] // directions
    made: Any = faiss.index_factory(kept, f"IVF1,PQ{kept // numbers}x4fs", faiss.METRIC_INNER_PRODUCT)
    made.by_residual = False
    if directions > 1:
        turn = faiss.LinearTransform(vectors.shape[1], kept, False)
        faiss.copy_array_to_vector(main_directions(sample, kept).ravel(), turn.A)
        turn.is_trained = True
        made = faiss.IndexPreTransform(turn, made)
    made.train(sample)
    for _, some in pieces(vectors):
        made.add(some)
    return made


def shortlist(index: Any, asked: np.ndarray, wanted: np.ndarray) -> int | None:
    """How many of the nearest by their codes hold `FOUND` of those that are wanted; None: more than `DEEPEST`."""
    places = []
    for question, rows in zip(asked, wanted, strict=True):
        _, (found,) = index.search(question[None, :], DEEPEST)
        place = {row: place for place, row in enumerate(found.tolist(), 1)}
        places += [place.get(row, DEEPEST + 1) for row in rows.tolist()]
    needed = int(np.quantile(places, FOUND, method="inverted_cdf"))
    return needed if needed <= DEEPEST else None


def milliseconds(indexes: Sequence[Any], asked: np.ndarray) -> list[float]:
    """Of each index, the median of comparing all its codes with a question; one after the other with each question."""
    taken = []
    for question in asked:
        for index in indexes:
            started = time.thread_time()
            index.search(question[None, :], 20 * COUNT)
            taken.append((time.thread_time() - started) * 1000)
    return [round(float(median), 2) for median in np.median(np.reshape(taken, (len(asked), -1)), axis=0)]


def lists(vectors: np.ndarray, asked: Asked, wanted: Asked) -> dict[str, Any]:
    """Share of the passages in the lists nearest to a question that hold `FOUND` of those that are wanted."""
    sample = vectors[np.random.default_rng(0).permutation(len(vectors))[: 64 * LISTS]].astype(np.float32)
    means = faiss.Kmeans(vectors.shape[1], LISTS, niter=10, spherical=True, seed=1)
    means.train(sample)
    centroids = np.asarray(means.centroids)
    list_of = np.concatenate([np.argmax(some @ centroids.T, axis=1) for _, some in pieces(vectors)])
    sizes = np.bincount(list_of, minlength=LISTS)
    shares = {}
    for kind, questions in asked.items():
        order = np.argsort(-(questions @ centroids.T), axis=1)
        place = np.argsort(order, axis=1)
        needed = np.take_along_axis(place, list_of[wanted[kind]], axis=1)
        looked_into = int(np.quantile(needed, FOUND, method="inverted_cdf")) + 1
        shares[kind] = round(float(sizes[order[:, :looked_into]].sum(axis=1).mean() / len(vectors)), 3)
    return {"lists": LISTS, "share_of_passages": shares}


def graph(vectors: np.ndarray, sample: np.ndarray, asked: Asked, wanted: Asked) -> dict[str, Any]:
    """Of half of the directions, each in 8 bits: the share of those wanted that searches of some breadth find."""
    directions = main_directions(sample, vectors.shape[1] // 2)
    # By distance: by product, of vectors that are nearly as long as each other, as much is found or less.
    made = faiss.IndexHNSWSQ(len(directions), faiss.ScalarQuantizer.QT_8bit, NEIGHBOURS)
    made.hnsw.efConstruction = BUILT_BROADLY
    made.train(sample @ directions.T)
    faiss.omp_set_num_threads(cores())
    started = time.process_time()
    for _, some in pieces(vectors):
        made.add(some @ directions.T)
    built = time.process_time() - started
    faiss.omp_set_num_threads(1)
    searches = []
    for breadth in BREADTHS:
        broad = faiss.SearchParametersHNSW(efSearch=breadth)  # type: ignore[call-arg]  # by SWIG
        taken, found = [], {}
        for kind, questions in asked.items():
            shares = []
            for question, rows in zip(questions @ directions.T, wanted[kind], strict=True):
                started = time.thread_time()
                _, (near,) = made.search(question[None, :], breadth, params=broad)
                taken.append((time.thread_time() - started) * 1000)
                shares.append(np.isin(rows, near).mean())
            found[kind] = round(float(np.mean(shares)), 3)
        searches.append({"breadth": breadth, "milliseconds": round(float(np.median(taken)), 2), "found": found})
    size = len(directions) + 4 * 2 * NEIGHBOURS
    return {"bytes": size, "processor_seconds_to_build": round(built, 1), "searches": searches}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection", type=Path)
    parser.add_argument("others", type=Path, nargs="*")
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--passages", type=int)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    vectors = stored(arguments.index, arguments.passages)
    rng = np.random.default_rng(0)
    embedder = embedding.open_embedder(embedding.find(Settings().model.name))

    def drawn(folder: Path) -> np.ndarray:
        every = askable(Collection(folder).questions().values())
        numbers = rng.permutation(len(every))[: arguments.questions]
        return np.stack([embedder.embed_query(every[number].text).vector for number in numbers])

    questions = drawn(arguments.collection)
    means = vectors[rng.integers(0, len(vectors), (arguments.questions, 3))].astype(np.float32).sum(axis=1)
    asked = {
        "questions": questions,
        "means": means / np.linalg.norm(means, axis=1, keepdims=True),
        **{other.name: drawn(other) for other in arguments.others},
    }
    faiss.omp_set_num_threads(1)
    wanted = {kind: nearest(some, vectors) for kind, some in asked.items()}
    result = conditions(("faiss-cpu", "numpy")) | {"passages": len(vectors), "codes": []}
    sample = vectors[rng.permutation(len(vectors))[:SAMPLE]].astype(np.float32)
    indexes = [codes(vectors, sample, *kind) for kind in KINDS.values()]
    taken = milliseconds(indexes, asked["questions"][:TIMED])
    for (name, (directions, numbers)), index, median in zip(KINDS.items(), indexes, taken, strict=True):
        needed = {kind: shortlist(index, some, wanted[kind]) for kind, some in asked.items()}
        size = vectors.shape[1] // directions // numbers // 2
        result["codes"].append({"kind": name, "bytes": size, "milliseconds": median, "shortlist": needed})
    result["lists"] = lists(vectors, asked, wanted)
    result["graph"] = graph(vectors, sample, asked, wanted)
    print(json.dumps(result, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
