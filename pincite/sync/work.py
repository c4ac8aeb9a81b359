"""Who reads, cuts and embeds for a run: this process, or the machines of a cluster (`cluster.py`).

What is made is the same either way, and only the run itself writes.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from pincite import embedding
from pincite.embedding import Embedder
from pincite.errors import Unreadable
from pincite.passages import cut
from pincite.reading.language import with_language
from pincite.reading.pool import Readers
from pincite.settings import Settings
from pincite.storage import Catalog, Recipe, Record
from pincite.sync import precision
from pincite.types import Document, Passage

_T = TypeVar("_T")
_MANY = 1000
"""Files beyond which the reading processes tell languages: each takes longer to learn how than to read many files."""
Passages = Callable[[], Iterator[Passage]]
"""Passages that can be gone through more than once."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A document with its passages."""

    document: Document
    passages: list[Passage]


class Work(Protocol):
    """What a run has done for it. Nothing goes on once what comes back is closed."""

    def read(self, corpus: Path, sources: Sequence[str]) -> Generator[tuple[str, Cut | Unreadable], None, None]:
        """What became of each file, in the order of `sources`."""
        ...

    def embed(self, keys: Sequence[bytes], passages: Passages) -> Generator[Record, None, None]:
        """The records of passages, whose keys stand in the same order; in no given order, as they are made."""
        ...


class Here:
    """This process, and the reading processes that it starts."""

    def __init__(self, settings: Settings, catalog: Catalog, recipe: Recipe, embedder: Embedder | None = None) -> None:
        """Without an `embedder` the model is opened with the first passage."""
        self._settings = settings
        self._catalog = catalog
        self._recipe = recipe
        self._embedder = embedder

    def read(self, corpus: Path, sources: Sequence[str]) -> Generator[tuple[str, Cut | Unreadable], None, None]:
        """What became of each file, in the order of `sources`: while one is cut, others are read."""
        are_many = len(sources) > _MANY
        with Readers(self._settings.sync, tell_language=are_many) as readers:
            for source, outcome in _in_order(sources, readers.read(corpus, sources)):
                if isinstance(outcome, Document):
                    yield source, self.cut(outcome if are_many else with_language(outcome))
                else:
                    yield source, outcome

    def cut(self, document: Document) -> Cut:
        """A document that has been read."""
        return Cut(document, cut(document, self._model().tokenizer.count, self._settings.passages.tokens))

    def embed(self, keys: Sequence[bytes], passages: Passages) -> Generator[Record, None, None]:
        """The records of passages, in the precision of the index."""
        embedder = precision.embedder(self._model(), self._catalog, self._recipe, passages())
        for number, made in embedder.embed_passages(passages()):
            yield Record(keys[number], made.vector, made.tokens, made.sentences)

    def _model(self) -> Embedder:
        if self._embedder is None:
            files = embedding.find(self._settings.model.name)
            self._embedder = embedding.open_embedder(files, self._settings.model.engine)
        return self._embedder


def _in_order(sources: Iterable[str], outcomes: Iterable[tuple[str, _T]]) -> Iterator[tuple[str, _T]]:
    """Outcomes that come as they are done, in the order of `sources`."""
    early: dict[str, _T] = {}
    waiting = iter(sources)
    expected = next(waiting, None)
    for source, outcome in outcomes:
        early[source] = outcome
        while expected in early:
            yield expected, early.pop(expected)
            expected = next(waiting, None)
