"""The boundary between what embeds and what it runs on."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pincite.embedding.tokens import Tokens

ON_PROCESSOR = 8
"""Texts a batch on a processor: small ones stay in its cache."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts that go through the model together."""

    rows: tuple[int, ...]
    """The caller's numbers for the texts."""
    tokens: tuple[Tokens, ...]

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Ids and attention mask, both int64 of shape (texts, longest), padded at the end."""
        ids = np.zeros((len(self.tokens), max(map(len, self.tokens))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(self.tokens):
            ids[row, : len(tokens)] = tokens.ids
            mask[row, : len(tokens)] = 1
        return ids, mask


@dataclass(frozen=True, slots=True)
class Forward:
    """What the model made of a batch. The arrays may be reused once the next is asked for."""

    batch: Batch
    texts: np.ndarray
    """float32, shape (texts, dim)."""
    tokens: np.ndarray
    """float32, shape (texts, longest, dim)."""


class Engine(Protocol):
    """Runs a model. Safe to call from several threads."""

    name: str

    @property
    def batch(self) -> int:
        """Texts that it runs best at once."""
        return ON_PROCESSOR

    def forward(self, batches: Iterable[Batch]) -> Iterator[Forward]:
        """Run batches, in order. The next ones are asked for while it is busy."""
        ...

    def start(self, batch: Batch) -> Callable[[], Forward]:
        """Begin with one batch that somebody waits for; what comes back waits for it."""
        return lambda: next(iter(self.forward([batch])))
