"""Why a passage stands where it stands for a question, stage by stage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pincite import citation
from pincite.candidates import EVERYTHING, Pool
from pincite.errors import QuestionError
from pincite.query import Query, parse
from pincite.relevance import Features, Question, Relevance
from pincite.search import RERANKED, Scored, Searcher, fold, scores
from pincite.storage import Snapshot
from pincite.types import Passage


@dataclass(frozen=True, slots=True)
class Reason:
    """One feature of the expected passage beside that of the first."""

    feature: str
    expected: float
    first: float
    gap: float
    """What the difference adds to the first passage's lead: weight × (first − expected)."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Where one passage stands. Positions count from 1 over the whole index; None: not found."""

    citation: str
    by_vector: int | None
    by_words: int | None
    is_candidate: bool
    """Whether it was among those that were ranked."""
    rank: int | None
    """Among the hits; that of the hit it was folded into, if it was."""
    folded_into: str | None
    """Citation of the hit that says the same words."""
    score: float
    """As a search shows it; of what is not ranked, the probability by itself."""
    band: str
    reasons: tuple[Reason, ...]
    """Against the first hit, what weighs most first; empty for the first hit itself."""
    is_below_reranked: bool = False
    """Whether its hit stands below those that a reranker reads, whatever the reasons add up to."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Every passage of the expected place, and what came first instead."""

    question: str
    candidates: int
    first: str | None
    """Citation of the first hit."""
    traces: tuple[Trace, ...]

    def text(self) -> str:
        """For a terminal."""
        lines = [f"{self.candidates} passages were ranked; first is {self.first}"]
        for trace in self.traces:
            lines += ["", trace.citation, *(f"  {line}" for line in _stages(trace))]
            if trace.reasons:
                lines.append("  what puts the first above it:")
                lines += [
                    f"    {r.feature:19} {r.expected:7.3f} here, {r.first:7.3f} there: {r.gap:+.3f}"
                    for r in trace.reasons
                ]
        return "\n".join(lines)


def _stages(trace: Trace) -> list[str]:
    found = [
        f"number {position} {how}" if position else f"not found {how}"
        for position, how in ((trace.by_vector, "by vector"), (trace.by_words, "by words"))
    ]
    lines = [", ".join(found)]
    if not trace.is_candidate:
        lines.append("not ranked: too far down by both (search.candidates says how many are taken)")
    elif trace.folded_into:
        lines.append(f"folded into hit {trace.rank}, which has the same words: {trace.folded_into}")
    else:
        lines.append(f"rank {trace.rank}")
    if trace.is_below_reranked:
        lines.append(f"below the {RERANKED} hits that the reranker reads")
    return [*lines, f"probability {trace.score:.2f}, {trace.band}"]


def explain(searcher: Searcher, text: str, source: str, start: int | None, end: int | None) -> Explanation:
    """How every passage of `source` that touches `start` to `end` fares; without them, all of it.

    Operators of the question are understood, and restrict nothing: the place may be one that they leave out.
    Raises `QuestionError` where nothing of the place is indexed.
    """
    return searcher.mending(lambda: _explained(searcher, parse(text), source, start, end))


def _explained(searcher: Searcher, query: Query, source: str, start: int | None, end: int | None) -> Explanation:
    embedded = searcher.embedder.embed_query(query.text)
    with searcher.index.snapshot() as snapshot:
        expected = _passages(snapshot, source, start, end)
        if not expected:
            raise QuestionError(f"{source}: no passage there is indexed: look at python -m pincite doctor")
        pool = Pool(snapshot, query, searcher.embedder)
        question = Question.of(query, embedded, pool.statistics)
        by_vector = snapshot.nearest(question.vector, question.passages, EVERYTHING)
        by_words = snapshot.best(query.terms, question.passages, EVERYTHING)
        count = searcher.settings.search.candidates
        found = {*pool.by_words(count), *pool.by_vector(question.vector, count)}
        ranked = searcher.rank(question, pool, found)
        # What was not ranked is judged as if it had been; what was keeps its own figures.
        known = searcher.rank(question, pool, {*found, *(id_ for id_, _ in expected)})
    hits = searcher.rerank(query, fold(ranked))
    judged = {scored.stored.id: scored for scored in (*known, *hits)}
    traces = [
        _trace(
            judged[id_],
            hits,
            id_ in found,
            (_position(by_vector, id_), _position(by_words, id_)),
            searcher.relevance,
            question.passages,
        )
        for id_, _ in expected
    ]
    first = citation.cite(hits[0].stored.passage) if hits else None
    return Explanation(query.text, len(found), first, tuple(traces))


def _passages(snapshot: Snapshot, source: str, start: int | None, end: int | None) -> list[tuple[int, Passage]]:
    touched = (
        s
        for s in snapshot.passages_of(source)
        if start is None or (s.passage.start < (end or start + 1) and start < s.passage.end)
    )
    return [(s.id, s.passage) for s in touched]


def _position(ids: list[int], id_: int) -> int | None:
    return ids.index(id_) + 1 if id_ in ids else None


def _trace(
    scored: Scored,
    hits: Sequence[Scored],
    is_candidate: bool,
    found: tuple[int | None, int | None],
    relevance: Relevance,
    passages: int,
) -> Trace:
    passage = scored.stored.passage
    at = next((n for n, hit in enumerate(hits, 1) if scored.stored.id in {s.id for s in (hit.stored, *hit.also)}), None)
    hit = hits[at - 1] if at else None
    score = list(scores(hits))[at - 1] if at else scored.probability
    features = scored.evidence.features
    if hit:
        features = features._replace(reranker=hit.evidence.features.reranker)
    is_reranked = bool(hits) and hits[0].evidence.features.reranker is not None
    weights = relevance.order_weights(passages) | ({"reranker": 1.0} if features.reranker is not None else {})
    return Trace(
        citation=citation.cite(passage),
        by_vector=found[0],
        by_words=found[1],
        is_candidate=is_candidate,
        rank=at,
        folded_into=citation.cite(hit.stored.passage) if hit and hit.stored.id != scored.stored.id else None,
        score=score,
        band=relevance.band(score),
        reasons=_reasons(features, hits[0].evidence.features, weights) if hits and at != 1 else (),
        is_below_reranked=hit is not None and is_reranked and features.reranker is None,
    )


def _reasons(expected: Features, first: Features, weights: Mapping[str, float]) -> tuple[Reason, ...]:
    reasons = [
        Reason(name, mine, theirs, weight * (theirs - mine))
        for name, weight in weights.items()
        for mine, theirs in [(getattr(expected, name), getattr(first, name))]
    ]
    return tuple(sorted(reasons, key=lambda reason: -abs(reason.gap)))
