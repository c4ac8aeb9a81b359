"""Running headers, footers and page numbers: lines that stand in the same place, with the same words, on
most of the pages around.

Numbers in them may grow with the pages, and nothing else may differ. Pages on the left and on the right
may have their own. Only what is outermost counts: the first line that stands on its page alone ends the
search from its edge.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pincite.reading.pdf.layout import Line

_ZONE = 0.2
"""Of the page's height, at its top and at its bottom."""
_MOST = 6
_TOLERANCE = 4.0
"""Points by which a place may differ."""
_NUMBER = re.compile(r"\d+")
_ROMAN = re.compile(r"[ivxlcdm]+", re.IGNORECASE)
_PAGE_NUMBER = re.compile(
    r"(?:page|seite|p\.)?[\s\-–—|]*(?:[A-Z]{1,2}-)?(?:\d{1,5}|[ivxlcdm]+)[\s\-–—|]*(?:(?:of|/|von|de)\s*\d{1,5})?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A line near an edge of its page. `kind` says which edge; lines in other directions have one of their own."""

    line: int
    kind: str
    across: float
    inwards: float
    """From its edge to its far side."""
    words: str
    """Numbers written as #."""
    numbers: tuple[int, ...]
    is_last: bool
    """Whether no line stands nearer to its edge."""


_ByWords = dict[tuple[str, str], list[_Candidate]]
"""Those of a page, by their kind and words."""


def running(pages: Sequence[Sequence[Line]], heights: Sequence[float]) -> list[set[int]]:
    """For each page, which of its lines are running."""
    candidates = [list(_candidates(lines, height)) for lines, height in zip(pages, heights, strict=True)]
    by_words: list[_ByWords] = []
    for own in candidates:
        alike: _ByWords = {}
        by_words.append(alike)
        for candidate in own:
            alike.setdefault((candidate.kind, candidate.words), []).append(candidate)
    return [_outermost(own, number, by_words) for number, own in enumerate(candidates)]


def _outermost(own: Sequence[_Candidate], number: int, pages: Sequence[_ByWords]) -> set[int]:
    """The running lines of one page: from each edge inwards, up to the first line of the page's own."""
    found: set[int] = set()
    for kind in ("top", "bottom", "other"):
        limit = math.inf
        for candidate in own:
            if candidate.kind != kind or candidate.inwards > limit:
                continue
            if _is_running(candidate, number, pages):
                found.add(candidate.line)
            elif kind != "other":
                limit = min(limit, candidate.inwards + _TOLERANCE)
    return found


def is_page_number(line: Line) -> bool:
    """Whether a running line says nothing but the page's number."""
    return _PAGE_NUMBER.fullmatch(line.text) is not None


def _candidates(lines: Sequence[Line], height: float) -> Iterator[_Candidate]:
    """Lines near the edges, from each edge inwards; the outermost wherever it stands."""
    if not lines:
        return
    main = lines[0].angle
    upright = [number for number, line in enumerate(lines) if line.angle == main]
    floor, ceiling = (0.0, height) if main == 0 else (
        min(lines[number].bottom for number in upright), max(lines[number].top for number in upright)
    )  # fmt: skip
    zone = _ZONE * (ceiling - floor)
    for rank, number in enumerate(sorted(upright, key=lambda number: -lines[number].top)[:_MOST]):
        down = ceiling - lines[number].bottom
        if down <= zone or not rank:
            yield _candidate(lines, number, "top", down, not rank)
    for rank, number in enumerate(sorted(upright, key=lambda number: lines[number].bottom)[:_MOST]):
        up = lines[number].top - floor
        if up <= zone or not rank:
            yield _candidate(lines, number, "bottom", up, not rank)
    for number, line in enumerate(lines):
        if line.angle != main:
            yield _candidate(lines, number, "other", line.bottom, False)


def _candidate(lines: Sequence[Line], number: int, kind: str, inwards: float, is_last: bool) -> _Candidate:
    text = " ".join(lines[number].text.split())
    if _ROMAN.fullmatch(text):
        return _Candidate(number, kind, lines[number].left, inwards, "#", (_roman(text.lower()),), is_last)
    numbers = tuple(int(digits[:9]) for digits in _NUMBER.findall(text))
    return _Candidate(number, kind, lines[number].left, inwards, _NUMBER.sub("#", text), numbers, is_last)


def _roman(text: str) -> int:
    values = [{"i": 1, "v": 5, "x": 10, "l": 50, "c": 100, "d": 500, "m": 1000}[sign] for sign in text]
    return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))


def _is_running(candidate: _Candidate, number: int, pages: Sequence[_ByWords]) -> bool:
    """Whether at least half of the four pages around have it too, or of the four on the same side."""
    named = candidate.kind, candidate.words
    for steps in ((-2, -1, 1, 2), (-4, -2, 2, 4)):
        around = [step for step in steps if 0 <= number + step < len(pages)]
        alike = sum(
            any(_is_alike(candidate, other, step) for other in pages[number + step].get(named, ())) for step in around
        )
        if alike and 2 * alike >= len(around):
            return True
    return False


def _is_alike(one: _Candidate, other: _Candidate, step: int) -> bool:
    """Whether two of the same words stand in the same place; numbers are the same, or grow as the pages do.

    A last line whose number grows with the pages may stand at any height: it comes where the text ends.
    """
    if len(one.numbers) != len(other.numbers):
        return False
    steps = {b - a for a, b in zip(one.numbers, other.numbers, strict=True)}
    is_counting = one.is_last and other.is_last and step in steps
    return (
        steps <= {0, step}
        and (abs(one.inwards - other.inwards) <= _TOLERANCE or is_counting)
        and (abs(one.across - other.across) <= 4 * _TOLERANCE or step in steps)
    )
