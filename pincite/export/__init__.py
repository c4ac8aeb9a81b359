"""Hop 6: an answer, or a reading list → a text that other programs read. One module a format.

Quotes are word for word. Markdown and CSV keep their lines; RIS and BibTeX, where a line break has a
meaning of its own, have white space folded.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pincite.export import bibtex, markdown, ris, table
from pincite.export.listed import Listed
from pincite.export.reference import from_hits, from_list
from pincite.reading_list import Entry
from pincite.search import as_json
from pincite.types import Answer, Hit

__all__ = ["FORMATS", "Format", "Listed", "cited", "of_answer", "of_list"]


@dataclass(frozen=True, slots=True)
class Format:
    """A format, and how both kinds of things are written in it."""

    name: str
    """For people."""
    ending: str
    """Of files, with its dot."""
    media_type: str
    of_answer: Callable[[Answer], str]
    of_list: Callable[[Sequence[Listed]], str]
    encoding: str = "utf-8"
    """Of files."""


FORMATS = {
    "markdown": Format("Markdown", ".md", "text/markdown", markdown.of_answer, markdown.of_list),
    # Spreadsheets take a file for UTF-8 only where it begins with a byte-order mark.
    "csv": Format("CSV", ".csv", "text/csv", table.of_answer, table.of_list, "utf-8-sig"),
    "json": Format(
        "JSON",
        ".json",
        "application/json",
        lambda answer: _json(as_json(answer)),
        lambda listed: _json({"entries": [one.as_json() for one in listed]}),
    ),
    "ris": Format(
        "RIS",
        ".ris",
        "application/x-research-info-systems",
        lambda answer: ris.write(from_hits(answer.hits)),
        lambda listed: ris.write(from_list(listed)),
    ),
    "bibtex": Format(
        "BibTeX",
        ".bib",
        "application/x-bibtex",
        lambda answer: bibtex.write(from_hits(answer.hits)),
        lambda listed: bibtex.write(from_list(listed)),
    ),
}


def of_answer(answer: Answer, form: str) -> str:
    """An answer in one of `FORMATS`: every hit of it, with its band."""
    return FORMATS[form].of_answer(answer)


def of_list(listed: Sequence[Listed], form: str) -> str:
    """A reading list in one of `FORMATS`, with its notes and what has changed since."""
    return FORMATS[form].of_list(listed)


def cited(found: Hit | Entry) -> str:
    """The marked sentence in quotation marks, or the passage where none is marked, and its citation behind it."""
    text = found.quote if isinstance(found, Entry) else found.passage.text
    quote = " … ".join(text[start:end].strip() for start, end in found.marks) or text.strip()
    return f"“{quote}” ({found.citation})"


def _json(what: dict[str, Any]) -> str:
    return json.dumps(what, ensure_ascii=False, indent=1) + "\n"
