"""Judged queries and a method → measures with their intervals."""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
)
from pincite.evaluation.runs import Ranked, ask
from pincite.search import Searcher
from pincite.types import Place, Progress


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured."""

    method: str
    passages: int
    """In the index."""
    rows: list[dict[str, Any]]
    """One a query: id, question, measures, what came first."""
    seconds: float
    lost: list[str] = field(default_factory=list)
    """Judged places that are no longer in the index, one line each."""

    def values(self, level: str) -> dict[str, list[float]]:
        """Measure → value of every query it applies to. `level`: `measures` or `passage_measures`."""
        found: dict[str, list[float]] = {}
        for row in self.rows:
            for name, value in row[level].items():
                found.setdefault(name, []).append(value)
        return found

    def as_json(self) -> dict[str, Any]:
        """What `evaluate.py --json` writes."""
        table: dict[str, Any] = {
            "queries": len(self.rows),
            "passages": self.passages,
            "method": self.method,
            "measures": _means(self.values("measures")),
            "intervals": _intervals(self.values("measures")),
            "passage_measures": _means(self.values("passage_measures")),
            "passage_intervals": _intervals(self.values("passage_measures")),
            "abstention": self._abstention(),
            "milliseconds": self._latency(),
            "seconds": round(self.seconds, 3),
            "lost": self.lost,
            "rows": self.rows,
        }
        return table

    def _abstention(self) -> dict[str, float]:
        """How well the score tells answerable questions from those that nothing answers."""
        answerable = [row["score"] for row in self.rows if not row["unanswerable"]]
        unanswerable = [row["score"] for row in self.rows if row["unanswerable"]]
        if self.method != "pincite" or not answerable or not unanswerable:
            return {}
        answered = [row["answer"] != "none" for row in self.rows if not row["unanswerable"]]
        wrongly = [row["answer"] != "none" for row in self.rows if row["unanswerable"]]
        return {
            "unanswerable": len(unanswerable),
            "area under the ROC curve": area_under_curve(answerable, unanswerable),
            "answerable kept at 5 % false answers": kept_at_false_answers(answerable, unanswerable),
            "answerable answered": statistics.fmean(answered),
            "unanswerable answered": statistics.fmean(wrongly),
        }

    def _latency(self) -> dict[str, float]:
        times = sorted(row["milliseconds"] for row in self.rows)
        return {"median": statistics.median(times), "95th percentile": times[int(0.95 * (len(times) - 1))]}


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
    with searcher.index.snapshot() as snapshot:
        passages = snapshot.generation.manifest.passages
        places = {source: snapshot.catalog.places(source) for query in queries for source in query.grades}
    answerable = [query for query in queries if not query.unanswerable]
    documents = ranking_measures(
        DOCUMENT_MEASURES,
        {query.id: query.grades for query in answerable},
        {query.id: ranked[query.id].sources for query in answerable},
    )
    placed = [query for query in answerable if query.places]
    exact = ranking_measures(
        PASSAGE_MEASURES,
        {query.id: _passage_grades(query, places) for query in placed},
        {query.id: [_name(place) for place in ranked[query.id].places] for query in placed},
    )
    rows = [_row(query, ranked[query.id], documents, exact) for query in queries]
    return Evaluation(method, passages, rows, time.monotonic() - started)


def _passage_grades(query: JudgedQuery, passages: Mapping[str, Sequence[Place]]) -> dict[str, int]:
    """Every passage that shares a character with a judged place, with the best grade it shares."""
    grades: dict[str, int] = {}
    for gold, grade in query.places.items():
        for passage in passages[gold.source]:
            if overlaps(gold, passage):
                grades[_name(passage)] = max(grades.get(_name(passage), 0), grade)
    return grades


def _name(place: Place) -> str:
    return f"{place.source}:{place.start}-{place.end}"


def _row(query: JudgedQuery, ranked: Ranked, documents: Mapping[str, Any], exact: Mapping[str, Any]) -> dict[str, Any]:
    gold = [place for place, grade in query.places.items() if grade > 0]
    passage_measures = dict(exact.get(query.id, {}))
    if gold:
        passage_measures |= character_measures(ranked.places, gold)
        if ranked.mark and any(overlaps(ranked.places[0], place) for place in gold):
            passage_measures["marked sentence"] = float(any(overlaps(ranked.mark, place) for place in gold))
    return {
        "id": query.id,
        "question": query.question,
        "unanswerable": query.unanswerable,
        "measures": documents.get(query.id, {}),
        "passage_measures": passage_measures,
        "answer": ranked.answer,
        "score": round(ranked.score, 6),
        "first": _name(ranked.places[0]) if ranked.places else None,
        "milliseconds": round(ranked.milliseconds, 3),
    }


def _means(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: round(statistics.fmean(column), 6) for name, column in values.items()}


def _intervals(values: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    return {name: [round(end, 6) for end in interval(column)] for name, column in values.items()}
