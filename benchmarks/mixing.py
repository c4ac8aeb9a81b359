"""Passages without end, mixed from a collection's own.

A mixed passage has the first half of the sentences of one passage and the second half of another's, at least one of
each, with the token codes of just these, and a vector between their two, with noise that varies as the collection's
vectors do. The same number gives the same passage in every run.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from pincite.embedding import codes
from pincite.storage import Catalog, IndexFolder, Record, SegmentReader, StoredPassage
from pincite.types import Span

BLOCK = 10_000
"""Mixed passages that are drawn together."""
_SHARE, _NOISE = 0.7, 0.6
"""Of the first vector beside the second, and of the noise's length beside the first's."""

Pair = Sequence[int]
"""Rows of the two passages that one is mixed from."""


class Mixture:
    """Mixes the passages of the collection's own index. Mixed ones are numbered by block and row."""

    def __init__(self, index: IndexFolder, records: int) -> None:
        """Of about so many passages, the collection's own among them, the records differ; then they come again.

        Raises `CorruptRecord`.
        """
        with Catalog(index.path) as catalog:
            self.own: list[StoredPassage] = list(catalog.all_passages())
        self.blocks = max(1, (records - len(self.own)) // BLOCK)
        """After so many the records come again."""
        self._segments = SegmentReader(index.vectors)
        self.vectors = np.stack([self.record(row).vector for row in range(len(self.own))])
        """Of the collection's own passages, float32, unit, shape (n, dim)."""
        self._spread = spread(self.vectors)
        # In order of length, so that those with as many sentences are neighbours.
        lengths = np.array([stored.sentence_count for stored in self.own])
        self._rows = np.argsort(lengths, kind="stable")[np.count_nonzero(lengths == 0) :]
        lengths = lengths[self._rows]
        self._first, self._end = np.searchsorted(lengths, lengths), np.searchsorted(lengths, lengths, "right")

    def record(self, row: int) -> Record:
        """Of one of the collection's own passages. Raises `CorruptRecord`."""
        stored = self.own[row]
        assert stored.location
        return self._segments.read(stored.location, stored.key)

    def pairs(self, block: int) -> np.ndarray:
        """Shape (BLOCK, 2). Where the records come again, it is for passages of other words in as many sentences."""
        turn, again = divmod(block, self.blocks)
        drawn = np.random.default_rng((0, again)).integers(len(self._rows), size=(BLOCK, 2))
        if turn:
            drawn = np.random.default_rng((turn, again)).integers(self._first[drawn], self._end[drawn])
        return self._rows[drawn]

    def mixed_vectors(self, block: int) -> np.ndarray:
        """Float32, unit, shape (BLOCK, dim)."""
        return mixed(self.vectors, self.pairs(block), self._spread, np.random.default_rng(block))

    def mixed_text(self, pair: Pair) -> tuple[str, tuple[Span, ...]]:
        """With the places of its sentences."""
        one, other = (self.own[row].passage for row in pair)
        first, second = _halves(one.sentences, other.sentences)
        texts = [of.text[start:end] for of, spans in ((one, first), (other, second)) for start, end in spans]
        ends = accumulate(len(text) + 1 for text in texts)
        return " ".join(texts), tuple((end - 1 - len(text), end - 1) for text, end in zip(texts, ends, strict=True))

    def mixed_record(self, pair: Pair, key: bytes, vector: np.ndarray) -> Record:
        """With this key and vector; the context line is that of the first."""
        one, other = map(self.record, pair)
        first, second = _halves(one.sentences, other.sentences)
        tokens = [of.tokens[start:end] for of, ranges in ((one, first), (other, second)) for start, end in ranges]
        context = one.tokens[: one.sentences[0, 0]]
        ends = len(context) + np.cumsum([len(some) for some in tokens])
        starts = ends - [len(some) for some in tokens]
        return Record(key, vector, np.concatenate([context, *tokens]), np.stack([starts, ends], axis=1))


def spread(vectors: np.ndarray) -> np.ndarray:
    """What makes noise of independent numbers that varies as these vectors do, shape (dim, dim)."""
    root = np.linalg.cholesky(np.cov(vectors.T) + 1e-6 * np.eye(vectors.shape[1]))
    return np.asarray(_NOISE / np.sqrt(np.square(root).sum()) * root.T, dtype=np.float32)


def mixed(vectors: np.ndarray, pairs: np.ndarray, noise: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Float32, unit, shape (pairs, dim); `noise`: the `spread` of the vectors."""
    one, other = vectors[pairs[:, 0]], vectors[pairs[:, 1]]
    drawn = rng.standard_normal(one.shape, dtype=np.float32)
    return codes.unit(_SHARE * one + (1 - _SHARE) * other + drawn @ noise)


def _halves(one: Any, other: Any) -> tuple[Any, Any]:
    """The first half of one and the second half of the other; of an odd number the middle one is in the first."""
    return one[: (len(one) + 1) // 2], other[-max(1, len(other) // 2) :]
