"""Judged queries and a method → measures with their intervals."""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from pincite import citation
from pincite.evaluation.judgements import JudgedQuery
from pincite.evaluation.measures import (
    DOCUMENT_MEASURES,
    PASSAGE_MEASURES,
    area_under_curve,
    character_measures,
    interval,
    kept_at_false_answers,
    overlaps,
    ranking_measures,
    two_sample_interval,
)
from pincite.evaluation.runs import Ranked, ask
from pincite.evaluation.trec import Run
from pincite.search import Searcher
from pincite.types import Document, Place, Progress

_EXPECTED = 5
"""Places that a row quotes of those that answer."""


@dataclass(frozen=True)
class Evaluation:
    """What was measured."""

    method: str
    passages: int | None
    """In the index; None where a run was scored, and no index was asked."""
    rows: list[dict[str, Any]]
    """One a query: id, question, measures, what was expected, what came first."""
    run: Mapping[str, Sequence[str]]
    """Query → documents from best to worst, each at its best passage."""
    seconds: float
    lost: list[str] = field(default_factory=list)
    """What was judged and is not there: places and documents in the index, questions; one line each."""
    remarks: list[str] = field(default_factory=list)
    """What a person should know of a run that was scored, one line each."""

    @property
    def has_probabilities(self) -> bool:
        """Whether scores are probabilities and answers are bands: those of `pincite` are."""
        return self.method == "pincite" and self.passages is not None

    def values(self, level: str) -> dict[str, list[float]]:
        """Measure → value of every query it applies to. `level`: `measures` or `passage_measures`."""
        found: dict[str, list[float]] = {}
        for row in self.rows:
            for name, value in row[level].items():
                found.setdefault(name, []).append(value)
        return found

    def as_json(self) -> dict[str, Any]:
        """What `evaluate.py --json` writes."""
        return self._table

    @cached_property
    def _table(self) -> dict[str, Any]:
        """Its intervals take their time."""
        abstention, abstention_intervals = self._answered()
        return {
            "queries": len(self.rows),
            "passages": self.passages,
            "method": self.method,
            "measures": _means(self.values("measures")),
            "intervals": _intervals(self.values("measures")),
            "passage_measures": _means(self.values("passage_measures")),
            "passage_intervals": _intervals(self.values("passage_measures")),
            "abstention": abstention,
            "abstention_intervals": abstention_intervals,
            "milliseconds": self._latency(),
            "seconds": round(self.seconds, 3),
            "lost": self.lost,
            "remarks": self.remarks,
            "rows": self.rows,
        }

    def _answered(self) -> tuple[dict[str, float], dict[str, list[float]]]:
        """How well the score tells answerable questions from those that nothing answers, with intervals."""
        answerable = [row for row in self.rows if not row["unanswerable"]]
        unanswerable = [row for row in self.rows if row["unanswerable"]]
        if not self.has_probabilities or not answerable or not unanswerable:
            return {}, {}
        scores = [row["score"] for row in answerable], [row["score"] for row in unanswerable]
        answered = [float(row["answer"] != "none") for row in answerable]
        wrongly = [float(row["answer"] != "none") for row in unanswerable]
        figures = {
            "area under the ROC curve": area_under_curve(*scores),
            "answerable kept at 5 % false answers": kept_at_false_answers(*scores),
            "answerable answered": statistics.fmean(answered),
            "unanswerable answered": statistics.fmean(wrongly),
        }
        intervals = {
            "area under the ROC curve": two_sample_interval(area_under_curve, *scores),
            "answerable kept at 5 % false answers": two_sample_interval(kept_at_false_answers, *scores),
            "answerable answered": interval(answered),
            "unanswerable answered": interval(wrongly),
        }
        return {"unanswerable": len(unanswerable), **figures}, {k: list(ends) for k, ends in intervals.items()}

    def _latency(self) -> dict[str, float]:
        times = [row["milliseconds"] for row in self.rows if row["milliseconds"] is not None]
        if not times:
            return {}
        return {"median": statistics.median(times), "95th percentile": float(np.percentile(times, 95))}


def evaluate(
    searcher: Searcher,
    queries: Sequence[JudgedQuery],
    method: str,
    progress: Progress = lambda _stage, _done, _total: None,
) -> Evaluation:
    """Ask every query, and measure what came."""
    started = time.monotonic()
    ranked: dict[str, Ranked] = {}
    for done, query in enumerate(queries):
        progress("ask", done, len(queries))
        ranked[query.id] = ask(searcher, method, query.question)
    placed = [
        query for query in queries if not query.unanswerable and any(grade > 0 for grade in query.places.values())
    ]
    with searcher.snapshot() as snapshot:
        passages = snapshot.contents.passages
        held = {place.source for query in placed for place in query.places}
        places = {source: snapshot.catalog.places(source) for source in held}
        sources = {place.source for query in queries for place in _wanted(query)}
        shelf = {source: snapshot.catalog.document(source) for source in sources}
    exact = ranking_measures(
        PASSAGE_MEASURES,
        {query.id: _passage_grades(query, places) for query in placed},
        {query.id: [_name(place) for place in ranked[query.id].places] for query in placed},
    )
    rows = _rows(queries, ranked, exact, shelf)
    run = {query: found.sources for query, found in ranked.items()}
    return Evaluation(method, passages, rows, run, time.monotonic() - started)


def score(run: Run, queries: Sequence[JudgedQuery]) -> Evaluation:
    """Measure the documents of a run, without an index. Its tag is the method.

    A judged query that the run lacks counts with 0; it and a query that nothing judges are remarked on.
    """
    started = time.monotonic()
    ranked = {query.id: _documents(run.documents.get(query.id, ())) for query in queries}
    rows = _rows([replace(query, places={}) for query in queries], ranked, {}, {})
    remarks = [
        *(f"{q.id}: the run has nothing for it: counts 0" for q in queries if q.grades and q.id not in run.documents),
        *(f"{id_}: is in the run, but nothing judges it: left out" for id_ in run.documents if id_ not in ranked),
    ]
    found = {query: documents.sources for query, documents in ranked.items()}
    return Evaluation(run.tag, None, rows, found, time.monotonic() - started, remarks=remarks)


def _documents(sources: Sequence[str]) -> Ranked:
    """Whole documents: their places have no extent."""
    return Ranked(tuple(Place(source, 0, 0) for source in sources), None, 0.0, "none", None)


def _wanted(query: JudgedQuery) -> list[Place]:
    """The best of what answers: places, or whole documents where no place is known; at most 5."""
    judged = query.places or {Place(source, 0, 0): grade for source, grade in query.grades.items()}
    return sorted((place for place, grade in judged.items() if grade > 0), key=lambda place: -judged[place])[:_EXPECTED]


def _passage_grades(query: JudgedQuery, passages: Mapping[str, Sequence[Place]]) -> dict[str, int]:
    """Every passage that shares a character with a judged place, with the best grade it shares."""
    grades: dict[str, int] = {}
    for gold, grade in query.places.items():
        for passage in passages[gold.source]:
            if overlaps(gold, passage):
                grades[_name(passage)] = max(grades.get(_name(passage), 0), grade)
    return grades


def _name(place: Place) -> str:
    return f"{place.source}:{place.start}-{place.end}" if place.end else place.source


def _rows(
    queries: Sequence[JudgedQuery],
    ranked: Mapping[str, Ranked],
    exact: Mapping[str, Mapping[str, float]],
    shelf: Mapping[str, Document | None],
) -> list[dict[str, Any]]:
    """One a query. `exact`: query → ranking measures of passages; `shelf`: source → what is indexed of it."""
    answerable = [query for query in queries if not query.unanswerable]
    documents = ranking_measures(
        DOCUMENT_MEASURES,
        {query.id: query.grades for query in answerable},
        {query.id: ranked[query.id].sources for query in answerable},
    )
    return [
        {
            "id": query.id,
            "question": query.question,
            "unanswerable": query.unanswerable,
            "measures": documents.get(query.id, {}),
            "passage_measures": _passage_measures(query, found, exact.get(query.id, {})),
            "answer": found.answer,
            "score": round(found.score, 6),
            "first": _name(found.places[0]) if found.places else None,
            "milliseconds": None if found.milliseconds is None else round(found.milliseconds, 3),
            "expected": _expected(query, shelf),
            "found": _found(found),
        }
        for query in queries
        for found in [ranked[query.id]]
    ]


def _passage_measures(query: JudgedQuery, ranked: Ranked, exact: Mapping[str, float]) -> dict[str, float]:
    gold = [place for place, grade in query.places.items() if grade > 0]
    found = dict(exact)
    if gold:
        found |= character_measures(ranked.places, gold)
        if ranked.mark and any(overlaps(ranked.places[0], place) for place in gold):
            found["marked sentence"] = float(any(overlaps(ranked.mark, place) for place in gold))
    return found


def _expected(query: JudgedQuery, shelf: Mapping[str, Document | None]) -> list[dict[str, Any]]:
    """What answers, with its words where a place is known."""
    return [
        {
            "place": _name(place),
            "title": document.title if (document := shelf.get(place.source)) else "",
            "text": document.text[place.start : place.end] if document else "",
        }
        for place in _wanted(query)
    ]


def _found(ranked: Ranked) -> dict[str, Any] | None:
    """The first passage: its citation, its words and the span of the marked sentence in them."""
    passage = ranked.passage
    if passage is None:
        return None
    mark = [ranked.mark.start - passage.start, ranked.mark.end - passage.start] if ranked.mark else None
    return {"citation": citation.cite(passage), "title": passage.title, "text": passage.text, "mark": mark}


def _means(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: round(statistics.fmean(column), 6) for name, column in values.items()}


def _intervals(values: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    return {name: [round(end, 6) for end in interval(column)] for name, column in values.items()}
