"""A stand-in for the model where a fault has nothing to do with it: equal tokens, equal vectors, in any process."""

from collections.abc import Iterable, Iterator
from functools import cache

import numpy as np

from pincite import embedding
from pincite.embedding import Embedder
from pincite.embedding.engine import Batch, Engine, Forward

_ROWS = 4096
_DIM = 384


class StandInEngine(Engine):
    """A token's vector is drawn by its id, a text's is their mean: texts that share words are near each other."""

    name = "stand-in"

    def forward(self, batches: Iterable[Batch]) -> Iterator[Forward]:
        for batch in batches:
            ids, mask = batch.arrays()
            tokens = _table()[ids % _ROWS] * mask[:, :, None]
            texts = tokens.sum(axis=1)
            yield Forward(batch, texts / np.linalg.norm(texts, axis=1, keepdims=True), tokens)


@cache
def _table() -> np.ndarray:
    table = np.random.default_rng(0).standard_normal((_ROWS, _DIM)).astype(np.float32)
    return table / np.linalg.norm(table, axis=1, keepdims=True)


@cache
def stand_in() -> Embedder:
    """The default model's tokenizer and projection, without the model."""
    return Embedder(embedding.find("all-MiniLM-L6-v2"), StandInEngine())


@cache
def real() -> Embedder:
    """The default model. Opened only in processes that no other is forked from."""
    return embedding.open_embedder(embedding.find("all-MiniLM-L6-v2"))
