"""Hop 5: question → the passages that may answer it."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from pincite import relevance
from pincite.embedding import Embedder
from pincite.query import Query
from pincite.relevance import Evidence, Question, TermStatistics, WordEvidence
from pincite.storage import Record, Records, Selection, Snapshot, StoredPassage, vectors
from pincite.storage.vectors import Held

Told = Callable[[str], None]
"""Told the name of a stage when it ends."""
EVERYTHING = Selection()
_DEEPEST = 50_000
"""Passages in whose text phrases are looked for, the nearest first: some seconds' worth."""


def nobody(_stage: str) -> None:
    """Who is told where nobody asked."""


class _Batch(NamedTuple):
    """Records that were read together."""

    keys: list[bytes]
    records: Records
    words: list[WordEvidence]


class Pool:
    """Passages of one snapshot that one question looks at, each read once.

    What its words say of them is known as soon as they are read, which may be while the model reads the question.
    Copies share a record, which is judged once: in a product of matrices even equal rows may differ in the last bit,
    and what is equal is to stay so. `told` hears of `words` and `vectors` that find passages, and of the `passages` and
    their `records` that are read.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        query: Query,
        embedder: Embedder,
        selection: Selection = EVERYTHING,
        told: Told = nobody,
    ) -> None:
        self._snapshot = snapshot
        self._query = query
        self._embedder = embedder
        self._selection = selection
        self._told = told
        self.statistics = TermStatistics(snapshot.contents.passages, snapshot.frequencies(query.terms))
        self.gave_up = False
        """Whether phrases were looked for in many passages and not in all."""
        self._passages: dict[int, StoredPassage] = {}
        self._read: set[bytes] = set()
        self._batches: list[_Batch] = []
        self._evidence: dict[bytes, Evidence] = {}
        """By the key of the record."""

    def by_words(self, count: int) -> list[int]:
        """Ids of the `count` best by BM25, the best first."""
        words = self._query.terms
        return self._best(count, lambda most: self._snapshot.best(words, most, self._selection), "words")

    def by_vector(self, vector: np.ndarray, count: int, nearest: list[int] | None = None) -> list[int]:
        """Ids of the `count` nearest, the nearest first; `nearest`: what `self.nearest` gave for as many."""
        return self._best(count, lambda most: self.nearest(vector, most), "vectors", nearest)

    def nearest(self, vector: np.ndarray, count: int) -> list[int]:
        """The same without a look at the passages, whatever is done with the pool meanwhile in another thread."""
        return self._snapshot.nearest(vector, count, self._selection)

    def judged(self, question: Question, ids: Iterable[int]) -> list[tuple[StoredPassage, Evidence]]:
        """These passages, whether or not anything found them, each with the evidence for it; in no given order."""
        ids = list(ids)
        self._look_at(ids)
        self._read_records(ids)
        if self._batches:
            judged = chain.from_iterable(batch.keys for batch in self._batches)
            words = list(chain.from_iterable(batch.words for batch in self._batches))
            records = vectors.joined([batch.records for batch in self._batches])
            self._evidence |= zip(judged, relevance.judge(question, records, words), strict=True)
            self._batches = []
        return [(stored, self._evidence[stored.key]) for stored in map(self._passages.__getitem__, ids)]

    def _best(
        self, count: int, find: Callable[[int], list[int]], stage: str, found: list[int] | None = None
    ) -> list[int]:
        fetched = count
        while True:
            found = find(fetched) if found is None else found
            self._told(stage)
            self._look_at(found)
            admitted = [id_ for id_ in found if self._admits(id_)][:count]
            # A list that is shorter than was asked for is all there is.
            if len(admitted) == count or len(found) < fetched or fetched >= _DEEPEST:
                self.gave_up = self.gave_up or len(found) >= max(count + 1, _DEEPEST)
                self._read_records(admitted)
                return admitted
            fetched, found = min(4 * fetched, max(_DEEPEST, count)), None

    def _admits(self, id_: int) -> bool:
        stored = self._passages.get(id_)
        return stored is not None and (self._selection.admits_all or self._selection.admits(stored.passage))

    def _look_at(self, ids: Iterable[int]) -> None:
        if unknown := [id_ for id_ in ids if id_ not in self._passages]:
            self._passages |= {stored.id: stored for stored in self._snapshot.passages(unknown)}
            self._told("passages")

    def _read_records(self, ids: Iterable[int]) -> None:
        asked = map(self._passages.__getitem__, ids)
        if unread := {stored.key: stored for stored in asked if stored.key not in self._read}:
            self._read.update(unread)
            records = vectors.decode_all(self._records([*unread.values()]))
            words = relevance.word_evidence(self.statistics.all_idf(), [stored.terms for stored in unread.values()])
            self._batches.append(_Batch([*unread], records, words))
            self._told("records")

    def _records(self, passages: Sequence[StoredPassage]) -> list[Held]:
        found = self._snapshot.records(passages)
        return [record or self._made_again(stored) for record, stored in zip(found, passages, strict=True)]

    def _made_again(self, stored: StoredPassage) -> Held:
        """What a damaged record held, made for this question, and rounded as it was."""
        ((_, made),) = self._embedder.embed_passages([stored.passage])
        return vectors.held(vectors.encode(Record(stored.key, made.vector, made.tokens, made.sentences)))
