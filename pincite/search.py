"""Hop 5: question → hits."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pincite import citation, embedding, relevance
from pincite.embedding import Embedder, QueryEmbedding
from pincite.errors import IndexDamaged, StorageError
from pincite.filters import Filters
from pincite.query import Query, parse
from pincite.relevance import Candidate, Evidence, Question, Relevance, TermStatistics, Weights
from pincite.settings import Settings
from pincite.storage import (
    DerivedDamaged,
    IndexFolder,
    IndexReader,
    Recipe,
    Selection,
    Snapshot,
    StoredPassage,
)
from pincite.types import Answer, Hit, Place

RERANKED = 50
"""Hits that a reranker reads."""
EVERYTHING = Selection()
Told = Callable[[str], None]
"""Told the name of a stage when it ends."""


@dataclasses.dataclass(frozen=True, slots=True)
class Scored:
    """A candidate with everything a hit is made of."""

    stored: StoredPassage
    evidence: Evidence
    order: float
    probability: float
    also: tuple[Place, ...] = ()


def nobody(_stage: str) -> None:
    """Who is told where nobody asked."""


class Searcher:
    """Answers questions from one index. Safe to share between threads.

    The model is loaded once, a reranker with the first question; the index is followed from generation to generation.
    """

    def __init__(self, settings: Settings, embedder: Embedder | None = None, weights: Relevance | None = None) -> None:
        """`weights`: others than those that ship.

        Raises `ModelError`. The index itself is opened with the first question.
        """
        self.settings = settings
        self.relevance = weights or relevance.load()
        self.embedder = embedder or embedding.open_embedder(embedding.find(settings.model.name), settings.model.engine)
        self.reranker = embedding.open_reranker(name) if (name := settings.reranker.model) else None
        self.index = IndexReader(IndexFolder(settings.index), Recipe.of(settings))

    def search(
        self, question: str | Query, count: int | None = None, filters: Filters | None = None, told: Told = nobody
    ) -> Answer:
        """The `count` nearest passages that pass the filters, whether or not they answer.

        What is typed may have operators (`query.parse`); `filters` hold besides those. Derived files
        that are damaged are built again first. Raises `QuestionError`, `IndexMissing`, `IndexMismatch`, `IndexDamaged`.

        `told` hears of each stage as it ends: `opening` the index while `embedding` goes on, `vectors` and `words` that
        find candidates, their `passages` and `records`, their `features`, `order` and folding, `hits` with their marks.
        """
        started = time.perf_counter()
        query = parse(question) if isinstance(question, str) else question
        asked = tuple(chosen for chosen in (query.filters, filters) if chosen)
        try:
            return self._answer(query, asked, count, started, told)
        except DerivedDamaged:
            from pincite.sync import restore  # only now: a question should not wait for what reads documents

            restore(self.settings, self.embedder)
        try:
            return self._answer(query, asked, count, started, told)
        except DerivedDamaged as error:
            raise StorageError(f"{error}: run python ingest.py --rebuild") from error

    def _answer(
        self,
        query: Query,
        filters: tuple[Filters, ...],
        count: int | None,
        started: float,
        told: Told,
    ) -> Answer:
        count = count or self.settings.search.results
        begun = self.embedder.begin_query(query.text)
        with self.index.snapshot() as snapshot:
            selection = Selection(filters, snapshot.allowed(*filters))
            told("opening")
            question = question_of(snapshot, query, begun())
            most = question.passages if selection.allowed is None else len(selection.allowed)
            fetched = max(count, self.settings.search.candidates)
            told("embedding")
            while True:
                candidates = self.candidates(snapshot, query, question, fetched, selection, told)
                ranked = fold(self.rank(question, candidates, told))
                told("order")
                if len(ranked) >= count or fetched >= most:
                    break
                fetched *= 4  # many copies of a few passages were folded
            hits = self._hits(self.rerank(query, ranked)[:count])
            generation = snapshot.generation.manifest.generation
        told("hits")
        milliseconds = (time.perf_counter() - started) * 1000
        return Answer(query.typed or query.text, hits[0].band if hits else "none", generation, milliseconds, hits)

    def candidates(
        self,
        snapshot: Snapshot,
        query: Query,
        question: Question,
        count: int,
        selection: Selection = EVERYTHING,
        told: Told = nobody,
    ) -> list[tuple[StoredPassage, Candidate]]:
        """The `count` best by vector and by words of a selection, each with all that is needed to judge it."""
        dense, words = snapshot.generation.dense, snapshot.generation.lexical
        fetched = count
        while True:
            nearest = dense.search(question.vector, fetched, selection.allowed)
            told("vectors")
            matching = words.search(query.terms, fetched, selection.allowed)
            told("words")
            lists = nearest, matching
            found = {stored.id: stored for stored in snapshot.passages([*{*nearest, *matching}])}
            admitted = {
                id_ for id_, stored in found.items() if selection.admits_all or selection.admits(stored.passage)
            }
            told("passages")
            best = [[id_ for id_ in ids if id_ in admitted][:count] for ids in lists]
            # A list that is shorter than was asked for is all there is.
            if all(len(kept) == count or len(ids) < fetched for kept, ids in zip(best, lists, strict=True)):
                chosen = {*best[0], *best[1]}
                candidates = [(s, self.candidate(snapshot, s)) for s in found.values() if s.id in chosen]
                told("records")
                return candidates
            fetched *= 4

    def candidate(self, snapshot: Snapshot, stored: StoredPassage) -> Candidate:
        """A passage with its vectors and terms, whether or not anything found it."""
        record = snapshot.record(stored)
        if record is None:  # damaged: what it held is made again for this question, and rounded as it was
            ((_, made),) = self.embedder.embed_passages([stored.passage])
            vectors = made.vector.astype(np.float16).astype(np.float32), made.tokens, made.sentences
        else:
            vectors = record.vector, record.tokens, record.sentences
        return Candidate(*vectors, stored.terms)

    def rank(
        self, question: Question, candidates: Sequence[tuple[StoredPassage, Candidate]], told: Told = nobody
    ) -> list[Scored]:
        """Best first; ties end with source and start."""
        judged = relevance.judge(question, [candidate for _, candidate in candidates])
        told("features")
        features = [found.features for found in judged]
        orders = Weights(0.0, self.relevance.order_weights(question.passages)).each(features)
        probabilities = self.relevance.probabilities(features)
        scored = [
            Scored(stored, evidence, order, probability)
            for (stored, _), evidence, order, probability in zip(candidates, judged, orders, probabilities, strict=True)
        ]
        return sorted(scored, key=_best_first)

    def rerank(self, query: Query, ranked: Sequence[Scored]) -> Sequence[Scored]:
        """The best `RERANKED` as the reranker has them, the rest below; all as they are where there is none.

        The order was fitted by softmax, so it is log-odds but for a constant that all passages of a
        question share: those of the reranker are added. Its scale is its own, so it says nothing
        of how likely the first passage answers, or the second: the probabilities stay with the ranks.
        """
        if self.reranker is None:
            return ranked
        head = ranked[:RERANKED]
        log_odds = self.reranker.score(query.text, [scored.stored.passage for scored in head])
        moved = sorted(
            (_reranked(scored, float(found)) for scored, found in zip(head, log_odds, strict=True)), key=_best_first
        )
        kept = [dataclasses.replace(s, probability=at.probability) for s, at in zip(moved, head, strict=True)]
        return [*kept, *ranked[RERANKED:]]

    def _hits(self, ranked: Sequence[Scored]) -> tuple[Hit, ...]:
        hits: list[Hit] = []
        score = 1.0
        for rank, scored in enumerate(ranked, start=1):
            stored = scored.stored
            _check(stored)
            score = min(score, scored.probability)
            hits.append(
                Hit(
                    passage=stored.passage,
                    rank=rank,
                    score=score,
                    band=self.relevance.band(score),
                    marks=citation.mark(stored.passage, scored.evidence.sentence),
                    citation=citation.cite(stored.passage),
                    sha256=stored.file_sha256,
                    also=scored.also,
                    features=scored.evidence.features.as_dict(),
                )
            )
        return tuple(hits)


def _best_first(scored: Scored) -> tuple[float, str, int]:
    """What hits are sorted by."""
    return -scored.order, scored.stored.source, scored.stored.start


def _reranked(scored: Scored, log_odds: float) -> Scored:
    features = dataclasses.replace(scored.evidence.features, reranker=log_odds)
    evidence = dataclasses.replace(scored.evidence, features=features)
    return dataclasses.replace(scored, evidence=evidence, order=scored.order + log_odds)


def question_of(snapshot: Snapshot, query: Query, embedded: QueryEmbedding) -> Question:
    """What this index makes of a query."""
    frequencies = {term: snapshot.generation.lexical.frequency(term) for term in query.terms}
    return Question.of(query, embedded, TermStatistics(snapshot.generation.manifest.passages, frequencies))


def fold(ranked: Sequence[Scored]) -> list[Scored]:
    """Passages with the same words become one, which names the other places. Raises `IndexDamaged`."""
    kept: list[Scored] = []
    alike: dict[tuple[str, ...], list[int]] = {}  # few passages share their first word and their last
    for scored in ranked:
        text = scored.stored.text
        those = alike.setdefault((*text.split(None, 1)[:1], *text.rsplit(None, 1)[-1:]), [])
        same = next((at for at in those if kept[at].stored.text.split() == text.split()), None)
        if same is None:
            those.append(len(kept))
            kept.append(scored)
        else:
            _check(scored.stored)
            place = Place(scored.stored.source, scored.stored.start, scored.stored.end)
            kept[same] = dataclasses.replace(kept[same], also=(*kept[same].also, place))
    return kept


def _check(stored: StoredPassage) -> None:
    """Raise `IndexDamaged` for a passage that is not what was committed, before it is shown or cited."""
    if not stored.is_sound:
        raise IndexDamaged(
            f"{stored.passage.source}, characters {stored.passage.start}–{stored.passage.end}: the stored passage is"
            " damaged: run python ingest.py --rebuild"
        )


def as_json(answer: Answer) -> dict[str, Any]:
    """What `search --json` prints."""
    return {
        "question": answer.question,
        "answer": answer.answer,
        "generation": answer.generation,
        "milliseconds": round(answer.milliseconds, 2),
        "hits": [_hit_as_json(hit) for hit in answer.hits],
    }


def _hit_as_json(hit: Hit) -> dict[str, Any]:
    passage = hit.passage
    page: int | list[int] | None = None
    if passage.pages is not None:
        page = passage.pages[0] if passage.pages[0] == passage.pages[1] else list(passage.pages)
    return {
        "rank": hit.rank,
        "score": round(hit.score, 4),
        "band": hit.band,
        "source": passage.source,
        "title": citation.display_title(passage),
        "heading": list(passage.heading),
        "page": page,
        "start": passage.start,
        "end": passage.end,
        "text": passage.text,
        "marks": [list(span) for span in hit.marks],
        "citation": hit.citation,
        "also": [dataclasses.asdict(place) for place in hit.also],
        "features": {name: round(value, 4) for name, value in hit.features.items()},
    }
