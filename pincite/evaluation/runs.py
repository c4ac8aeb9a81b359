"""Runs: what a method ranks for each query, 100 deep."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pincite.candidates import EVERYTHING
from pincite.errors import QuestionError
from pincite.query import plain
from pincite.search import Searcher
from pincite.storage import Snapshot
from pincite.types import Passage, Place

DEPTH = 100
RRF_K = 60
"""Cormack, Clarke and Büttcher 2009, "Reciprocal Rank Fusion outperforms Condorcet"."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """What one query got. All sequences go from best to worst."""

    places: tuple[Place, ...]
    """Passages."""
    mark: Place | None
    """The marked sentence of the first passage; only `pincite` marks."""
    score: float
    """Of the first passage: a probability with `pincite`, 0 with the others."""
    answer: str
    """The band of the first passage."""
    milliseconds: float | None
    """None where nothing was asked."""
    passage: Passage | None = None
    """The first passage with its words."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Documents, each at its best passage."""
        return tuple(dict.fromkeys(place.source for place in self.places))


Method = Callable[[Searcher, str], Ranked]


def pincite(searcher: Searcher, question: str) -> Ranked:
    """What a person gets: every hit, with the places folded into it right after it."""
    answer = searcher.search(plain(question), DEPTH)
    places: list[Place] = []
    for hit in answer.hits:
        places += [Place(hit.passage.source, hit.passage.start, hit.passage.end), *hit.also]
    first = answer.hits[0] if answer.hits else None
    mark = None
    if first and first.marks:
        offset = first.passage.start
        mark = Place(first.passage.source, offset + first.marks[0][0], offset + first.marks[0][1])
    score, passage = (first.score, first.passage) if first else (0.0, None)
    return Ranked(tuple(places[:DEPTH]), mark, score, answer.answer, answer.milliseconds, passage)


def dense(searcher: Searcher, question: str) -> Ranked:
    """The nearest vectors alone."""
    return _ids(searcher, question, _nearest)


def lexical(searcher: Searcher, question: str) -> Ranked:
    """BM25 alone."""
    return _ids(searcher, question, _matching)


def rrf(searcher: Searcher, question: str) -> Ranked:
    """Reciprocal rank fusion of the two; ties go to the nearer vector."""

    def fused(searcher: Searcher, snapshot: Snapshot, question: str) -> list[int]:
        scores: dict[int, float] = {}
        for ids in (_nearest(searcher, snapshot, question), _matching(searcher, snapshot, question)):
            for rank, id_ in enumerate(ids, start=1):
                scores[id_] = scores.get(id_, 0.0) + 1 / (RRF_K + rank)
        return sorted(scores, key=lambda id_: -scores[id_])

    return _ids(searcher, question, fused)


METHODS: dict[str, Method] = {"pincite": pincite, "dense": dense, "lexical": lexical, "rrf": rrf}


def _nearest(searcher: Searcher, snapshot: Snapshot, question: str) -> list[int]:
    return snapshot.nearest(searcher.embedder.embed_query(plain(question).text).vector, DEPTH, EVERYTHING)


def _matching(_searcher: Searcher, snapshot: Snapshot, question: str) -> list[int]:
    return snapshot.best(plain(question).terms, DEPTH, EVERYTHING)


def _ids(searcher: Searcher, question: str, method: Callable[[Searcher, Snapshot, str], Sequence[int]]) -> Ranked:
    def found() -> list[Passage]:
        with searcher.index.snapshot() as snapshot:
            ids = method(searcher, snapshot, question)[:DEPTH]
            known = {stored.id: stored.passage for stored in snapshot.passages(ids)}
        return [known[id_] for id_ in ids]

    started = time.perf_counter()
    passages = searcher.mending(found)
    milliseconds = (time.perf_counter() - started) * 1000
    places = tuple(Place(passage.source, passage.start, passage.end) for passage in passages)
    return Ranked(places, None, 0.0, "none", milliseconds, passages[0] if passages else None)


def ask(searcher: Searcher, method: str, question: str) -> Ranked:
    """What a method ranks; a question that is refused gets nothing, and counts as nothing found."""
    try:
        return METHODS[method](searcher, question)
    except QuestionError:
        return Ranked((), None, 0.0, "none", None)
