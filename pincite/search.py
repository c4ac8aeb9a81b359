"""Hop 5: question → hits."""

import dataclasses
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pincite import citation, embedding, relevance, storage
from pincite.candidates import Pool, Told, nobody
from pincite.embedding import Embedder, QueryEmbedding
from pincite.errors import IndexDamaged, IndexOutrun, QuestionError, StorageError
from pincite.filters import Filters
from pincite.processors import cores
from pincite.query import Query, parse
from pincite.relevance import Evidence, Question, Relevance, Weights
from pincite.settings import Settings
from pincite.storage import DerivedDamaged, Snapshot, StoredPassage, settings_of
from pincite.types import Answer, Hit, Place

_T = TypeVar("_T")
RERANKED = 50
"""Hits that a reranker reads."""
_END = 16
"""Characters."""
_TRIES = 20


class Scored(NamedTuple):
    """A candidate with everything a hit is made of."""

    stored: StoredPassage
    evidence: Evidence
    order: float
    probability: float
    also: tuple[StoredPassage, ...] = ()
    """Those that say the same words."""


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
        self.index = storage.open_index(settings)
        self._threads = ThreadPoolExecutor()
        self._turns = threading.BoundedSemaphore(cores())
        """More questions at a time would have the cores and Python's lock change hands, and all of them wait longer."""

    def search(
        self, question: str | Query, count: int | None = None, filters: Filters | None = None, told: Told = nobody
    ) -> Answer:
        """The `count` nearest passages that pass the filters, whether or not they answer.

        What is typed may have operators (`query.parse`); `filters` hold besides those. Derived files
        that are damaged are built again first. Raises `QuestionError`, `IndexMissing`, `IndexMismatch`, `IndexDamaged`.

        `told` hears of each stage as it ends. While the model reads the question: `opening` the index, `words` that
        find candidates, their `passages` and `records`; then what is left of `embedding`, the nearest `vectors` (in a
        large index these are looked for meanwhile, and count as `embedding`), their `features`, `order` and folding,
        `hits` with their marks.
        """
        started = time.perf_counter()
        query = parse(question) if isinstance(question, str) else question
        asked = tuple(chosen for chosen in (query.filters, filters) if chosen)
        return self.mending(lambda: self._answered(query, asked, count, started, told))

    def mending(self, ask: Callable[[], _T]) -> _T:
        """What `ask` finds in the index; it is asked again once derived files that turn out to be damaged have been
        built again. Raises `StorageError` where they are damaged even then.
        """
        try:
            return ask()
        except DerivedDamaged:
            from pincite.sync import restore  # only now: a question should not wait for what reads documents

            restore(self.settings, self.embedder)
        try:
            return ask()
        except DerivedDamaged as error:
            raise StorageError(f"{error}: run python ingest.py --rebuild") from error

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """One state of the index, mended if need be as it is opened. Raises what `search` raises of the index."""
        with ExitStack() as held:
            yield self.mending(lambda: held.enter_context(self.index.snapshot()))

    def _answered(
        self, query: Query, filters: tuple[Filters, ...], count: int | None, started: float, told: Told
    ) -> Answer:
        """Asked again where syncs were faster than the answer."""
        with self._turns:
            for _ in range(_TRIES - 1):
                with suppress(IndexOutrun):
                    return self._answer(query, filters, count, started, told)
            return self._answer(query, filters, count, started, told)

    def _answer(
        self,
        query: Query,
        filters: tuple[Filters, ...],
        count: int | None,
        started: float,
        told: Told,
    ) -> Answer:
        count = count or self.settings.search.results
        fetched = max(count, self.settings.search.candidates)
        embed = self.embedder.begin_query(query.text)
        with self.index.snapshot() as snapshot:
            selection = snapshot.select(*filters)
            pool = Pool(snapshot, query, self.embedder, selection, told)
            told("opening")

            def embed_and_find() -> tuple[QueryEmbedding, list[int] | None]:
                embedded = embed()
                return embedded, pool.nearest(embedded.vector, fetched)

            ahead = self._threads.submit(embed_and_find) if snapshot.is_large else None
            by_words = pool.by_words(fetched)  # while the model reads the question
            embedded, nearest = ahead.result() if ahead else (embed(), None)
            question = Question.of(query, embedded, pool.statistics)
            told("embedding")
            while True:
                by_vector = pool.by_vector(question.vector, fetched, nearest)
                if pool.gave_up and not by_words and not by_vector:
                    raise QuestionError(
                        "none of the passages nearest to the question is as its phrases ask: leave them away, or limit"
                        " where to look with in:"
                    )
                ranked = fold(self.rank(question, pool, {*by_words, *by_vector}, told))
                told("order")
                if len(ranked) >= count or len(by_vector) < fetched:  # those are all there are
                    break
                fetched *= 4  # many copies of a few passages were folded
                by_words, nearest = pool.by_words(fetched), None
            hits = self._hits(self.rerank(query, ranked)[:count])
            generation = snapshot.contents.generation
        told("hits")
        milliseconds = (time.perf_counter() - started) * 1000
        return Answer(query.typed or query.text, hits[0].band if hits else "none", generation, milliseconds, hits)

    def rank(self, question: Question, pool: Pool, ids: Iterable[int], told: Told = nobody) -> list[Scored]:
        """These passages, best first; ties end with source and start."""
        judged = pool.judged(question, ids)
        told("features")
        features = [evidence.features for _, evidence in judged]
        orders = Weights(0.0, self.relevance.order_weights(question.passages)).each(features)
        probabilities = self.relevance.probabilities(features)
        scored = [
            Scored(stored, evidence, order, probability)
            for (stored, evidence), order, probability in zip(judged, orders, probabilities, strict=True)
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
        kept = [s._replace(probability=at.probability) for s, at in zip(moved, head, strict=True)]
        return [*kept, *ranked[RERANKED:]]

    def _hits(self, ranked: Sequence[Scored]) -> tuple[Hit, ...]:
        hits: list[Hit] = []
        for rank, (scored, score) in enumerate(zip(ranked, scores(ranked), strict=True), start=1):
            stored = scored.stored
            for shown in (stored, *scored.also):
                check(shown)
            hits.append(
                Hit(
                    passage=stored.passage,
                    rank=rank,
                    score=score,
                    band=self.relevance.band(score),
                    marks=citation.mark(stored.passage, scored.evidence.sentence),
                    citation=citation.cite(stored.passage),
                    sha256=stored.file_sha256,
                    also=tuple(Place(other.source, other.start, other.end) for other in scored.also),
                    features=scored.evidence.features.as_dict(),
                )
            )
        return tuple(hits)


def open(index: str | Path, settings: Settings | None = None) -> Searcher:
    """A searcher of the index in this folder, with the settings that it was built with, or with those given.

    `pincite.toml` is not read: pass `Settings.load()` for what it says. Raises `IndexMissing`, `IndexMismatch`,
    `IndexDamaged`, `ModelError`.
    """
    folder = Path(index)
    return Searcher(settings.model_copy(update={"index": folder}) if settings else settings_of(folder))


def _best_first(scored: Scored) -> tuple[float, str, int]:
    """What hits are sorted by."""
    return -scored.order, scored.stored.source, scored.stored.start


def _reranked(scored: Scored, log_odds: float) -> Scored:
    features = scored.evidence.features._replace(reranker=log_odds)
    return scored._replace(evidence=scored.evidence._replace(features=features), order=scored.order + log_odds)


def scores(ranked: Iterable[Scored]) -> Iterator[float]:
    """The probability that is shown of each: it does not rise with rank."""
    return accumulate((scored.probability for scored in ranked), min)


def fold(ranked: Sequence[Scored]) -> list[Scored]:
    """Passages with the same words become one, which names the others."""
    words = cache(str.split)  # many begin and end alike
    kept: list[Scored] = []
    copies: list[list[StoredPassage]] = []
    alike: dict[tuple[str, ...], list[int]] = {}
    for scored in ranked:
        text = scored.stored.text
        those = alike.setdefault(_ends(text), [])
        same = next((at for at in those if words(kept[at].stored.text) == words(text)), None)
        if same is None:
            those.append(len(kept))
            kept.append(scored)
            copies.append([])
        else:
            copies[same].append(scored.stored)
    return [scored._replace(also=tuple(also)) for scored, also in zip(kept, copies, strict=True)]


def _ends(text: str) -> tuple[str, ...]:
    """The beginning of its first word and the end of its last one: few passages share both, and to compare
    all words takes longer."""
    return (*text[:_END].split(maxsplit=1)[:1], *text[-_END:].split()[-1:])


def check(stored: StoredPassage) -> None:
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
    return {
        "rank": hit.rank,
        "score": round(hit.score, 4),
        "band": hit.band,
        "source": passage.source,
        "title": citation.display_title(passage),
        "heading": list(passage.heading),
        "page": citation.page(passage),
        "start": passage.start,
        "end": passage.end,
        "text": passage.text,
        "marks": [list(span) for span in hit.marks],
        "citation": hit.citation,
        "also": [dataclasses.asdict(place) for place in hit.also],
        "features": {name: round(value, 4) for name, value in hit.features.items()},
    }
