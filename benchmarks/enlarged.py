"""An index of any size made from a collection: real words and questions, vectors mixed from real ones.

Beyond what the collection has, its documents come again with their sentences in another order. The model reads
the first `POOL` passages; every other gets a mixture of two of theirs with noise, and the token codes of one.
So what is found is no measure of anything; what it costs is.
"""

import random
from collections.abc import Iterable, Iterator
from itertools import count, islice
from pathlib import Path

import numpy as np

from pincite.embedding import Embedder, codes
from pincite.embedding.embedder import Embedding
from pincite.evaluation.collection import Collection, document
from pincite.passages import cut
from pincite.settings import Settings
from pincite.sync import sync_collection
from pincite.types import Document, Passage

POOL = 2_000
_SHARE, _NOISE = 0.7, 0.3


class Mixing(Embedder):
    """Reads questions and the first passages itself, and mixes the others."""

    _pool: list[Embedding] | None = None

    def embed_passages(self, passages: Iterable[Passage]) -> Iterator[tuple[int, Embedding]]:
        """As `Embedder` does."""
        every = enumerate(passages)
        rng = np.random.default_rng(0)
        if self._pool is None:
            first = [passage for _, passage in islice(every, POOL)]
            read = sorted(super().embed_passages(first), key=lambda numbered: numbered[0])
            yield from read
            self._pool = [made for _, made in read]
        for number, passage in every:
            one, other = (self._pool[row] for row in rng.integers(len(self._pool), size=2))
            noise = rng.standard_normal(len(one.vector)).astype(np.float32)
            mixed = _SHARE * one.vector + (1 - _SHARE) * other.vector + _NOISE * noise / np.linalg.norm(noise)
            (vector,) = codes.unit(mixed[None])
            yield number, Embedding(vector, one.tokens, _sentences(passage, len(one.tokens)))


def _sentences(passage: Passage, tokens: int) -> np.ndarray:
    """As if every character had as many tokens as every other."""
    spans = np.array(passage.sentences, dtype=float).reshape(-1, 2)
    return (spans / max(len(passage.text), 1) * tokens).astype(np.uint16)


def documents(collection: Collection) -> Iterator[Document]:
    """The collection's, then the same again and again with their sentences in another order."""
    yield from collection.documents()
    for turn in count(1):
        shuffled = random.Random(turn)
        for given in collection.documents():
            sentences = given.text.split(". ")
            shuffled.shuffle(sentences)
            yield document(f"{given.source}/{turn}", given.title, ". ".join(sentences))


def _enough(collection: Collection, passages: int, embedder: Embedder, budget: int) -> Iterator[Document]:
    left = passages
    for given in documents(collection):
        left -= len(cut(given, embedder.tokenizer.count, budget))
        yield given
        if left <= 0:
            return


def build(settings: Settings, collection: Collection, passages: int, index: Path, embedder: Embedder) -> Settings:
    """The settings of an index of about so many passages in `index`, made there unless it is."""
    settings = settings.model_copy(update={"corpus": collection.folder, "index": index})
    sync_collection(
        settings,
        _enough(collection, passages, embedder, settings.passages.tokens),
        embedder=Mixing(embedder.files, embedder.engine),
    )
    return settings
