"""What a bibliography names: a document, with the quotes from it."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pincite.citation import display_title
from pincite.export.listed import Listed
from pincite.reading import READERS
from pincite.types import Band, Hit

_BANDS: dict[Band, str] = {"strong": "likely answers", "weak": "may answer", "none": "probably does not answer"}


@dataclass(frozen=True, slots=True)
class Reference:
    """A document that is cited. Every text is one line."""

    source: str
    title: str
    notes: tuple[str, ...]
    """Each a quote with its exact place."""

    @property
    def media_type(self) -> str:
        """By the ending of the file; empty where no reader has it."""
        reader = READERS.get(PurePosixPath(self.source).suffix.lower())
        return reader.media_type if reader else ""


def band(hit: Hit) -> str:
    """How likely a hit answers, in words and as a number."""
    return f"{_BANDS[hit.band]}, {hit.score:.2f}"


def from_hits(hits: Iterable[Hit]) -> list[Reference]:
    """The documents of some hits, each where its best hit stands."""
    return _references(
        (
            hit.passage.source,
            display_title(hit.passage),
            f"“{hit.passage.text.strip()}” ({hit.citation}; {band(hit)})",
        )
        for hit in hits
    )


def from_list(listed: Sequence[Listed]) -> list[Reference]:
    """The documents of a reading list, in the order in which they were collected."""
    return _references((one.entry.source, one.entry.title or one.entry.source, _note(one)) for one in listed)


def _note(one: Listed) -> str:
    entry = one.entry
    return " ".join(part for part in (f"“{entry.quote.strip()}” ({entry.citation})", entry.note, one.change) if part)


def _references(quoted: Iterable[tuple[str, str, str]]) -> list[Reference]:
    """From source, title and note of each quote."""
    found: dict[str, tuple[str, list[str]]] = {}
    for source, title, note in quoted:
        found.setdefault(source, (title, []))[1].append(one_line(note))
    return [Reference(source, one_line(title), tuple(notes)) for source, (title, notes) in found.items()]


def one_line(text: str) -> str:
    """With white space folded, and without what only steers a terminal."""
    return " ".join("".join(c for c in text if c.isspace() or unicodedata.category(c) != "Cc").split())
