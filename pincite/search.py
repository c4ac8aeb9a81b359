"""Hop 5: question → hits."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from pincite import citation, embedding, relevance
from pincite.embedding import Embedder, QueryEmbedding
from pincite.errors import IndexDamaged, StorageError
from pincite.query import Query, parse
from pincite.relevance import Candidate, Evidence, Question, Relevance, TermStatistics, Weights
from pincite.settings import Settings
from pincite.storage import DerivedDamaged, IndexFolder, IndexReader, Recipe, Snapshot, StoredPassage, lexical
from pincite.types import Answer, Hit, Place

RERANKED = 50
"""Hits that a reranker reads."""


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

    def search(self, question: str, count: int | None = None) -> Answer:
        """The `count` nearest passages, whether or not they answer.

        Derived files that are damaged are built again first. Raises `QuestionError`,
        `IndexMissing`, `IndexMismatch`, `IndexDamaged`.
        """
        started = time.perf_counter()
        query = parse(question)
        embedded = self.embedder.embed_query(query.text)
        try:
            return self._answer(query, embedded, count, started)
        except DerivedDamaged:
            from pincite.sync import restore  # only now: a question should not wait for what reads documents

            restore(self.settings, self.embedder)
        try:
            return self._answer(query, embedded, count, started)
        except DerivedDamaged as error:
            raise StorageError(f"{error}: run python ingest.py --rebuild") from error

    def _answer(self, query: Query, embedded: QueryEmbedding, count: int | None, started: float) -> Answer:
        count = count or self.settings.search.results
        with self.index.snapshot() as snapshot:
            question = question_of(snapshot, query, embedded)
            fetched = max(count, self.settings.search.candidates)
            while True:
                candidates = self.candidates(snapshot, query, question, fetched)
                ranked = fold(self.rank(question, candidates))
                if len(ranked) >= count or fetched >= question.passages:
                    break
                fetched *= 4  # many copies of a few passages were folded
            hits = self._hits(self.rerank(query, ranked)[:count])
            generation = snapshot.generation.manifest.generation
        milliseconds = (time.perf_counter() - started) * 1000
        return Answer(query.text, hits[0].band if hits else "none", generation, milliseconds, hits)

    def candidates(
        self, snapshot: Snapshot, query: Query, question: Question, count: int
    ) -> list[tuple[StoredPassage, Candidate]]:
        """The `count` best by vector and by words, each with all that is needed to judge it."""
        by_vector = snapshot.generation.dense.search(question.vector, count)
        by_words = snapshot.generation.lexical.search(query.terms, count)
        found = snapshot.passages([*{*by_vector, *by_words}])
        return [(stored, self.candidate(snapshot, stored, question)) for stored in found]

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
            if not stored.is_sound:
                raise IndexDamaged(
                    f"{stored.passage.source}, characters {stored.passage.start}–{stored.passage.end}: the stored"
                    " passage is damaged: run python ingest.py --rebuild"
                )
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
    """Passages with the same words become one, which names the other places."""
    kept: dict[str, Scored] = {}
    for scored in ranked:
        passage = scored.stored.passage
        words = " ".join(passage.text.split())
        if words in kept:
            place = Place(passage.source, passage.start, passage.end)
            kept[words] = dataclasses.replace(kept[words], also=(*kept[words].also, place))
        else:
            kept[words] = scored
    return list(kept.values())


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
