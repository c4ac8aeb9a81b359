"""Hop 5: question → hits."""

import dataclasses
import time
from collections.abc import Sequence
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
    lexical,
)
from pincite.types import Answer, Hit, Place

RERANKED = 50
"""Hits that a reranker reads."""
EVERYTHING = Selection()


@dataclasses.dataclass(frozen=True, slots=True)
class Scored:
    """A candidate with everything a hit is made of."""

    stored: StoredPassage
    evidence: Evidence
    order: float
    probability: float
    also: tuple[Place, ...] = ()


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

    def search(self, question: str | Query, count: int | None = None, filters: Filters | None = None) -> Answer:
        """The `count` nearest passages that pass the filters, whether or not they answer.

        What is typed may have operators (`query.parse`); `filters` hold besides those. Derived files
        that are damaged are built again first. Raises `QuestionError`, `IndexMissing`, `IndexMismatch`, `IndexDamaged`.
        """
        started = time.perf_counter()
        query = parse(question) if isinstance(question, str) else question
        asked = tuple(chosen for chosen in (query.filters, filters) if chosen)
        embedded = self.embedder.embed_query(query.text)
        try:
            return self._answer(query, asked, embedded, count, started)
        except DerivedDamaged:
            from pincite.sync import restore  # only now: a question should not wait for what reads documents

            restore(self.settings, self.embedder)
        try:
            return self._answer(query, asked, embedded, count, started)
        except DerivedDamaged as error:
            raise StorageError(f"{error}: run python ingest.py --rebuild") from error

    def _answer(
        self,
        query: Query,
        filters: tuple[Filters, ...],
        embedded: QueryEmbedding,
        count: int | None,
        started: float,
    ) -> Answer:
        count = count or self.settings.search.results
        with self.index.snapshot() as snapshot:
            question = question_of(snapshot, query, embedded)
            selection = Selection(filters, snapshot.allowed(*filters))
            most = question.passages if selection.allowed is None else len(selection.allowed)
            fetched = max(count, self.settings.search.candidates)
            while True:
                candidates = self.candidates(snapshot, query, question, fetched, selection)
                ranked = fold(self.rank(question, candidates))
                if len(ranked) >= count or fetched >= most:
                    break
                fetched *= 4  # many copies of a few passages were folded
            hits = self._hits(self.rerank(query, ranked)[:count])
            generation = snapshot.generation.manifest.generation
        milliseconds = (time.perf_counter() - started) * 1000
        return Answer(query.typed or query.text, hits[0].band if hits else "none", generation, milliseconds, hits)

    def candidates(
        self, snapshot: Snapshot, query: Query, question: Question, count: int, selection: Selection = EVERYTHING
    ) -> list[tuple[StoredPassage, Candidate]]:
        """The `count` best by vector and by words of a selection, each with all that is needed to judge it."""
        dense, words = snapshot.generation.dense, snapshot.generation.lexical
        fetched = count
        while True:
            lists = (
                dense.search(question.vector, fetched, selection.allowed),
                words.search(query.terms, fetched, selection.allowed),
            )
            found = {stored.id: stored for stored in snapshot.passages([*{*lists[0], *lists[1]}])}
            admitted = {id_ for id_, stored in found.items() if selection.admits(stored.passage)}
            best = [[id_ for id_ in ids if id_ in admitted][:count] for ids in lists]
            # A list that is shorter than was asked for is all there is.
            if all(len(kept) == count or len(ids) < fetched for kept, ids in zip(best, lists, strict=True)):
                chosen = {*best[0], *best[1]}
                return [
                    (stored, self.candidate(snapshot, stored, question))
                    for stored in found.values()
                    if stored.id in chosen
                ]
            fetched *= 4

    def candidate(self, snapshot: Snapshot, stored: StoredPassage, question: Question) -> Candidate:
        """A passage with its vectors and terms, whether or not anything found it."""
        passage = stored.passage
        record = snapshot.record(stored)
        if record is None:  # damaged: what it held is made again for this question, and rounded as it was
            ((_, made),) = self.embedder.embed_passages([passage])
            vectors = made.vector.astype(np.float16).astype(np.float32), made.tokens, made.sentences
        else:
            vectors = record.vector, record.tokens, record.sentences
        terms = [at for at in enumerate(lexical.terms(passage.indexed_text)) if at[1] in question.idf]
        return Candidate(*vectors, terms)

    def rank(self, question: Question, candidates: Sequence[tuple[StoredPassage, Candidate]]) -> list[Scored]:
        """Best first; ties end with source and start."""
        order = Weights(0.0, self.relevance.order_weights(question.passages))
        judged = relevance.judge(question, [candidate for _, candidate in candidates])
        scored = [
            Scored(stored, found, order(found.features), self.relevance.probability_of(found.features))
            for (stored, _), found in zip(candidates, judged, strict=True)
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
    return -scored.order, scored.stored.passage.source, scored.stored.passage.start


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
    kept: dict[str, Scored] = {}
    for scored in ranked:
        passage = scored.stored.passage
        words = " ".join(passage.text.split())
        if words in kept:
            _check(scored.stored)
            place = Place(passage.source, passage.start, passage.end)
            kept[words] = dataclasses.replace(kept[words], also=(*kept[words].also, place))
        else:
            kept[words] = scored
    return list(kept.values())


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
