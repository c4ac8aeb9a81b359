"""What filters mean for what is stored: a condition on documents, and the words of single passages."""

import json
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache
from pathlib import PurePosixPath

import numpy as np

from pincite.filters import Filters
from pincite.storage import lexical
from pincite.types import Passage

_YEARS = range(1902, 2262)
"""Those whose local time every system knows, and whose nanoseconds SQLite's integers hold."""


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The passages that filters leave."""

    filters: tuple[Filters, ...] = ()
    allowed: np.ndarray | None = None
    """Ids, int64, rising; None: all, or what the engine itself makes of the filters. What holds a phrase in other forms
    of its words is among them."""
    no_runs: tuple[tuple[str, ...], ...] = ()
    """Terms that must not stand next to each other, where the engine cannot tell that."""

    @property
    def admits_all(self) -> bool:
        """Whether no allowed passage must be looked at."""
        return not self.no_runs and not any(asked.phrases or asked.no_phrases for asked in self.filters)

    def admits(self, passage: Passage) -> bool:
        """Whether an allowed passage holds the phrases as they are, and none of those that it must not."""
        if self._holds_a_run(passage):
            return False
        text, above = lexical.folded(passage.text), lexical.folded(passage.context)
        return all(
            all(lexical.phrase(words).search(text) for words in asked.phrases)
            and not any(lexical.phrase(words).search(place) for words in asked.no_phrases for place in (above, text))
            for asked in self.filters
        )

    def _holds_a_run(self, passage: Passage) -> bool:
        terms = tuple(lexical.terms(passage.indexed_text)) if self.no_runs else ()
        return any(terms[at : at + len(run)] == run for run in self.no_runs for at in range(len(terms) - len(run) + 1))


def condition(*filters: Filters) -> tuple[str, list[object]]:
    """SQL for the documents `d` that pass all of these, and its values; `true` for all documents."""
    asked = [part for one in filters for part in _conditions(one)]
    return " AND ".join(sql for sql, _ in asked) or "true", [value for _, value in asked]


def _conditions(filters: Filters) -> Iterator[tuple[str, object]]:
    if filters.within:
        yield _WITHIN, _below(filters.within)
    if filters.outside:
        yield f"NOT {_WITHIN}", _below(filters.outside)
    if filters.types:
        yield _OF_TYPE, json.dumps(filters.types)
    if filters.no_types:
        yield f"NOT {_OF_TYPE}", json.dumps(filters.no_types)
    if filters.titles:
        yield _TITLED, " ".join(filters.titles)
    yield from ((f"NOT {_TITLED}", words) for words in filters.no_titles)
    if filters.after:
        yield "d.modified >= ?", nanoseconds(filters.after)
    if filters.before:
        yield "d.modified < ?", nanoseconds(filters.before)


_WITHIN = (
    "d.id IN (SELECT below.id FROM json_each(?) AS range JOIN documents AS below"
    " ON below.source >= json_extract(range.value, '$[0]') AND below.source < json_extract(range.value, '$[1]'))"
)
_OF_TYPE = (
    "EXISTS (SELECT 1 FROM json_each(?) AS ending"
    " WHERE substr(d.source, -length(ending.value) - 1) = '.' || ending.value COLLATE NOCASE)"
)
_TITLED = "is_titled(d.title, d.source, ?)"


def is_titled(title: str, source: str, words: str) -> bool:
    """Whether a document's title, or its file's name where it has none, holds all the words in any form."""
    return _terms(words) <= set(lexical.terms(title or PurePosixPath(source).name))


@lru_cache(maxsize=64)
def _terms(words: str) -> frozenset[str]:
    """Of a question; it is asked of every title."""
    return frozenset(lexical.terms(words))


def _below(places: Sequence[str]) -> str:
    """JSON: from which source to below which one; the index on sources serves these, and no sign is a wildcard."""
    ranges, files = folders_and_files(places)
    return json.dumps([*ranges, *((file, f"{file}\x01") for file in files)])


def folders_and_files(places: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """From which source to below which one, for what lies in these folders; and the sources themselves.

    File names are stored as the system has them, composed or not.
    """
    every = {form for place in places for form in (place, *(unicodedata.normalize(n, place) for n in ("NFC", "NFD")))}
    forms = sorted(every)
    ranges = [(f"{form.rstrip('/')}/", f"{form.rstrip('/')}0") for form in forms]  # “0” comes right after “/”
    return ranges, [form for form in forms if not form.endswith("/")]


def nanoseconds(day: date) -> int:
    """When it begins in local time, as the catalog counts."""
    if day.year not in _YEARS:
        return -(2**63) if day.year < _YEARS.start else 2**63 - 1
    return int(datetime.combine(day, time()).timestamp()) * 10**9
