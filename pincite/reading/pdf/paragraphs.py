"""Lines → paragraphs, rows and items, and how their words are joined across the ends of lines.

A paragraph ends where the next line stands further away than usual, is set in another size or weight,
or is indented; where a line ends although the next word would have had room, the line's end is kept.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pincite.reading.pdf.layout import Line, flows

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_ENDS_A_SENTENCE = re.compile(r"[.!?:;…][\"'”’)\]»]*$")
_HYPHENS = "-\u2010"


@dataclass(slots=True, eq=False)
class Paragraph:
    """Lines that are read as one, all from one page."""

    page: int
    """From 0."""
    lines: list[Line]
    kept: set[int] = field(default_factory=set)
    """Lines whose end is kept, by their number."""
    is_item: bool = False
    level: int = 0
    """Of the heading it is; 0 for none."""

    @property
    def is_row(self) -> bool:
        """Whether it is a row of a table, on its own line."""
        return self.lines[0].table >= 0

    @property
    def words(self) -> str:
        """In one line."""
        return " ".join(" ".join(line.text for line in self.lines).split())


def paragraphs(page: int, lines: Sequence[Line], levels: dict[int, int]) -> Iterator[Paragraph]:
    """The paragraphs of a page. `levels` has those lines, by `id`, that the outline calls headings."""
    for flow in flows(lines):
        lead, right = _lead(flow), max(line.right for line in flow)
        stretch: list[Line] = []
        for line in flow:
            if stretch and _is_apart(stretch[-1], line, lead, levels):
                yield from _of_stretch(page, stretch, right, levels)
                stretch = []
            stretch.append(line)
        if stretch:
            yield from _of_stretch(page, stretch, right, levels)


def _lead(flow: Sequence[Line]) -> float:
    """How far lines of running text are apart, in heights of their font."""
    steps = sorted(
        (a.bottom - b.bottom) / a.height
        for a, b in zip(flow, flow[1:], strict=False)
        if a.height > 0 and 0.8 < b.height / a.height < 1.25 and a.table < 0 and b.table < 0 and a.bottom > b.bottom
    )
    return min(max(steps[len(steps) // 4], 0.9), 2.4) if steps else 1.2


def _is_apart(before: Line, line: Line, lead: float, levels: dict[int, int]) -> bool:
    """Whether a line begins something new, whatever its words are."""
    step = before.bottom - line.bottom
    return (
        line.table >= 0
        or before.table >= 0
        or step > 1.3 * lead * max(line.height, before.height)
        or step < 0
        or abs(line.size - before.size) > 0.08 * before.size
        or line.bold != before.bold
        or levels.get(id(line), 0) != levels.get(id(before), 0)
    )


def _of_stretch(page: int, lines: Sequence[Line], right: float, levels: dict[int, int]) -> Iterator[Paragraph]:
    """Lines at an even distance, parted at indents, at items, and at ends that the margin did not ask for."""
    if len(lines) > 2:  # enough to see a margin of their own
        right = max(line.right for line in lines)
    level = levels.get(id(lines[0]), 0)
    open_paragraph = Paragraph(page, [lines[0]], is_item=lines[0].is_item, level=level)
    for before, line in zip(lines, lines[1:], strict=False):
        is_short = right - before.right > line.first_word + 0.6 * line.size
        is_full_stop = _ENDS_A_SENTENCE.search(before.text) is not None
        is_item = line.is_item and (is_short or is_full_stop or len(line.cells) > 1 or open_paragraph.is_item)
        if level and not is_item:
            new = False
        elif is_item:
            new = True
        elif open_paragraph.is_item and line.left > open_paragraph.lines[0].left + 0.5 * line.size:
            new = False  # it hangs below the item's sign
        else:
            indent = (line.left - before.left) / max(line.size, 1.0)
            is_first = before is open_paragraph.lines[0]
            ends = is_short or is_full_stop
            new = (indent > 0.8 and ends) or (indent < -0.8 and ends and not is_first) or (is_short and is_full_stop)
        if new:
            yield open_paragraph
            open_paragraph = Paragraph(page, [line], is_item=is_item, level=level)
            continue
        if is_short:
            open_paragraph.kept.add(len(open_paragraph.lines) - 1)
        open_paragraph.lines.append(line)
    yield open_paragraph


def goes_on(before: Paragraph, after: Paragraph) -> bool:
    """Whether a paragraph that ends a page or a column is continued by the first of the next."""
    last, first = before.lines[-1], after.lines[0]
    if before.is_row or after.is_row or before.level or after.level or after.is_item:
        return False
    if last.angle != first.angle or abs(last.size - first.size) > 0.08 * last.size or last.bold != first.bold:
        return False
    if last.text[-1] in _HYPHENS and _starts_lower(first.text):
        return True
    if _ENDS_A_SENTENCE.search(last.text) and not last.text.endswith((";", ":")):
        return False
    is_full = last.right - last.left > 0.8 * (max(line.right for line in before.lines) - last.left) and (
        len(before.lines) > 1 or len(last.text) > 40
    )
    return is_full and (_starts_lower(first.text) or last.text[-1] == "," or len(after.lines) > 1)


def _starts_lower(text: str) -> bool:
    return text.lstrip("(“\"'‘[")[:1].islower()


class Hyphens:
    """Decides what becomes of a hyphen at the end of a line.

    The document decides: if it has the word with the hyphen elsewhere, within a line, and more often than
    without, the hyphen stays ("long-term"); if it has it without, the hyphen goes ("information"). If it has
    neither, the hyphen stays where both parts are words of the document by themselves, of three letters
    or more, and goes otherwise. It always stays where a capital or a digit follows ("10-Q").
    """

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self._counts: Counter[str] | None = None

    def _count(self, word: str) -> int:
        """How often it stands within a line; what a hyphen parts is not counted."""
        if self._counts is None:  # most documents have no hyphenated line
            self._counts = Counter()
            before = ""
            for line in self._lines:
                words = _WORD.findall(line.text)
                first, last = before.endswith(tuple(_HYPHENS)), line.text.endswith(tuple(_HYPHENS))
                self._counts.update(word.lower() for word in words[first : len(words) - last])
                before = line.text
        return self._counts[word.lower()]

    def join(self, before: str, after: str) -> tuple[str, str]:
        """The line before as it is to stand, and what comes between it and the next."""
        if before[-1:] not in _HYPHENS or not before[-2:-1].isalnum() or not after[:1].isalnum():
            return before, "" if _is_ideograph(before[-1:]) and _is_ideograph(after[:1]) else " "
        start = re.search(r"[^\W\d_]+(?:-[^\W\d_]+)*$", before[:-1])
        end = _WORD.match(after)
        if not start or not end or not after[0].islower():
            return before, ""
        first, second = start[0], end[0]
        hyphenated, joined = self._count(f"{first}-{second}"), self._count(first + second)
        if hyphenated or joined:
            keeps = hyphenated > joined
        else:
            keeps = min(len(first), len(second)) > 2 and self._count(first) > 0 and self._count(second) > 0
        return (before if keeps else before[:-1]), ""


def _is_ideograph(sign: str) -> bool:
    """Whether it is of a script that has no spaces between words."""
    return "\u2e80" <= sign <= "\u9fff" or "\uf900" <= sign <= "\ufaff" or "\uff00" <= sign <= "\uff60"
