"""Characters → lines in the order a person reads them. Knows one page and nothing of the others.

The order of the file is not trusted: characters become words, words become rows by where they stand,
rows are cut into columns at gutters, and only then into lines. Text that is written in another
direction is laid out by itself, in its own frame, after the text of the main direction.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from pincite.reading.pdf.pdfium import Characters

_WORD_GAP = 0.17
"""White space between words, in font sizes, where the file has no space."""
_CELL_GAP = 0.8
"""Between cells of a table, in font sizes."""
_GUTTER_ROWS = 4
_GUTTER_GAP = 0.8
_PROSE_FILL = 0.7
_PROSE_LETTERS = 0.6
_PROSE_CHARACTERS = 15
_SAME_ROW = 0.5


@dataclass(slots=True, eq=False)
class Word:
    """Characters that stand together. Coordinates are of the frame it is laid out in."""

    text: str
    left: float
    bottom: float
    right: float
    top: float
    size: float
    bold: bool
    spaced: bool
    """Whether the file has white space before it."""
    places: np.ndarray
    """Of its characters among the page's."""


@dataclass(slots=True, eq=False)
class Cell:
    """Words of one row without a clear gap between them."""

    words: list[Word]
    left: float
    right: float

    @property
    def text(self) -> str:
        """Its words, with spaces where a person sees them."""
        return "".join(words_with_gaps(self.words))


@dataclass(slots=True, eq=False)
class Line:
    """One line as it is read: of a paragraph, or a row of a table."""

    cells: list[Cell]
    left: float
    bottom: float
    right: float
    top: float
    size: float
    """Of most of its characters."""
    bold: bool
    """Whether all its letters are."""
    flow: int = 0
    """Which stretch of the page it is in; within one, lines follow each other downwards."""
    angle: int = 0
    table: int = -1
    """Which table of the page it is a row of; -1 for none."""
    is_header: bool = False
    """Whether it names the columns of its table."""
    columns: str = ""
    """On the first row of a table below its header: the names of the columns."""
    text: str = ""
    """Cells apart by spaces, those of a table by tabs."""
    first_word: float = 0.0
    """How wide its first word is."""
    is_item: bool = False
    """Whether it begins with the sign or number of a list's item."""

    @property
    def height(self) -> float:
        """From the descent of its letters to their ascent."""
        return self.top - self.bottom


def lay_out(characters: Characters) -> list[Line]:
    """All lines of a page, in reading order."""
    lines: list[Line] = []
    for angle, places in _directions(characters):
        words = list(_words(characters, places, angle))
        for flow in _flows(words, 0):
            first = lines[-1].flow + 1 if lines else 0
            for line in map(_line, flow):
                line.flow, line.angle = first, angle
                lines.append(line)
    return lines


def words_with_gaps(words: Sequence[Word]) -> Iterator[str]:
    """The words' texts and a space between those that stand apart."""
    for number, word in enumerate(words):
        if number and stands_apart(words[number - 1], word):
            yield " "
        yield word.text


def stands_apart(left: Word, right: Word) -> bool:
    """Whether a person sees a space between two words of a line."""
    if _is_rtl(left.text[0]) and _is_rtl(right.text[0]):
        return right.spaced or left.left - right.right > _WORD_GAP * min(left.size, right.size)
    gap = right.left - left.right
    size = max(min(left.size, right.size), 1.0)
    return gap > (0.02 if right.spaced else _WORD_GAP) * size or (right.spaced and gap > -0.5 * size)


# Characters → words


def _directions(characters: Characters) -> Iterator[tuple[int, np.ndarray]]:
    """Angles of writing with the places of their characters, the most used first."""
    angles, counts = np.unique(characters.angle, return_counts=True)
    for number in sorted(range(len(angles)), key=lambda number: (-counts[number], angles[number])):
        yield int(angles[number]), np.flatnonzero(characters.angle == angles[number])


def _words(characters: Characters, places: np.ndarray, angle: int) -> Iterator[Word]:
    """Runs of the file's order that stand side by side; a run that is cut too often is joined in its line."""
    left, bottom, right, top = _turned(characters, places, angle)
    size, code = characters.size[places], characters.code[places]
    bold, spaced = characters.bold[places], characters.spaced[places]
    height = np.maximum(top - bottom, 0.1)
    gap = np.abs(np.where(_rtl(code)[1:] & _rtl(code)[:-1], left[:-1] - right[1:], left[1:] - right[:-1]))
    breaks = (
        spaced[1:]
        | (np.diff(places) != 1)
        | (gap > np.maximum(_WORD_GAP * height[1:], 0.5))
        | (np.abs(np.diff(bottom)) > 0.1 * height[1:])
        | (np.abs(np.diff(size)) > 0.1 * size[1:])
    )
    starts = np.concatenate(([0], np.flatnonzero(breaks) + 1))
    ends = np.append(starts[1:], len(places))
    text = code.astype("<u4").tobytes().decode("utf-32-le")
    boxes = zip(
        starts.tolist(),
        ends.tolist(),
        np.minimum.reduceat(left, starts).tolist(),
        np.minimum.reduceat(bottom, starts).tolist(),
        np.maximum.reduceat(right, starts).tolist(),
        np.maximum.reduceat(top, starts).tolist(),
        np.where(size[starts] > 0, size[starts], height[starts]).tolist(),
        bold[starts].tolist(),
        spaced[starts].tolist(),
        strict=True,
    )
    for start, end, x0, y0, x1, y1, points, is_bold, is_spaced in boxes:
        yield Word(text[start:end], x0, y0, x1, y1, points, is_bold, is_spaced, places[start:end])


def _turned(characters: Characters, places: np.ndarray, angle: int) -> tuple[np.ndarray, ...]:
    """Boxes in a frame in which the text runs from left to right."""
    x0, y0 = characters.left[places], characters.bottom[places]
    x1, y1 = characters.right[places], characters.top[places]
    if angle == 0:
        return x0, y0, x1, y1
    if angle == 90:
        return y0, -x1, y1, -x0
    if angle == 180:
        return -x1, -y1, -x0, -y0
    if angle == 270:
        return -y1, x0, -y0, x1
    # A box around a slanting character is larger than the character: its height is that of the font.
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    x, y = (x0 + x1) / 2 * cos + (y0 + y1) / 2 * sin, (y0 + y1) / 2 * cos - (x0 + x1) / 2 * sin
    height = 1.15 * characters.size[places]
    wide = ((x1 - x0) - height * abs(sin)) / abs(cos) if abs(cos) > abs(sin) else (
        (y1 - y0) - height * abs(cos)
    ) / abs(sin)  # fmt: skip
    half = np.maximum(wide, 0.2 * height) / 2
    return x - half, y - height / 2, x + half, y + height / 2


def _rtl(code: np.ndarray) -> np.ndarray:
    return (
        ((code >= 0x590) & (code < 0x900)) | ((code >= 0xFB1D) & (code < 0xFE00)) | ((code >= 0xFE70) & (code < 0xFEFF))
    )


def _is_rtl(sign: str) -> bool:
    return sign >= "\u0590" and bool(_rtl(np.array([ord(sign)]))[0])


# Words → rows → flows

Row = list[Word]


def _rows(words: Sequence[Word]) -> list[Row]:
    """Words that stand beside each other, from the top down, each row from left to right."""
    rows: list[Row] = []
    bands: list[tuple[float, float]] = []
    for word in sorted(words, key=lambda word: (-word.bottom - word.top, word.left)):
        height = word.top - word.bottom
        best, most = -1, _SAME_ROW
        for number in range(len(rows) - 1, max(-1, len(rows) - 5), -1):
            bottom, top = bands[number]
            low, high = (height, top - bottom) if height < top - bottom else (top - bottom, height)
            share = (min(top, word.top) - max(bottom, word.bottom)) / max(low, 0.1)
            if share > most and high < 2.5 * low:
                best, most = number, share
        if best < 0:
            rows.append([word])
            bands.append((word.bottom, word.top))
        else:
            rows[best].append(word)
            if height > bands[best][1] - bands[best][0]:
                bands[best] = (word.bottom, word.top)
    for row in rows:
        row.sort(key=lambda word: word.left)
    return rows


def _flows(words: Sequence[Word], depth: int) -> Iterator[list[Row]]:
    """Rows that are read from the top down; where there are columns, one column after the other."""
    rows = _rows(words)
    if depth > 3:
        yield rows
        return
    spaces = [_spaces(row) for row in rows]
    pending = 0
    number = 0
    while number < len(rows):
        end, gutter = _columns(rows, spaces, number)
        if gutter is None:
            number += 1
            continue
        if number > pending:
            yield rows[pending:number]
        for side in _sides(rows[number:end], gutter):
            yield from _flows([word for row in side for word in row], depth + 1)
        number = pending = end
    if len(rows) > pending:
        yield rows[pending:]


_Gap = tuple[float, float]
_ENDLESS = 1e6


def _spaces(row: Row) -> list[_Gap]:
    """Stretches without words, wide enough for a gutter, those at both ends included."""
    found = [(-_ENDLESS, row[0].left)]
    reach = row[0].right
    for word in row[1:]:
        if word.left - reach >= _GUTTER_GAP * word.size:
            found.append((reach, word.left))
        reach = max(reach, word.right)
    return [*found, (reach, _ENDLESS)]


def _columns(rows: list[Row], spaces: list[list[_Gap]], start: int) -> tuple[int, _Gap | None]:
    """Where the rows that share a gutter with the row at `start` end, and the gutter, if it parts prose."""
    if not any(_is_promising(row, free) for row, free in zip(rows[start:], spaces[start : start + 3], strict=False)):
        return start, None
    shared, end = spaces[start], start + 1
    while end < len(rows):
        narrowed = _shared(shared, spaces[end])
        if not _inner(narrowed) and (_inner(shared) or end - start >= 3):
            break
        shared, end = narrowed, end + 1
    for gap in sorted(_inner(shared), key=lambda gap: gap[0] - gap[1]):
        end_of_both = _trimmed(rows, start, end, gap)
        if end_of_both is not None and all(_is_prose(side) for side in _sides(rows[start:end_of_both], gap)):
            return end_of_both, gap
    return end, None


def _is_promising(row: Row, free: list[_Gap]) -> bool:
    """Whether there may be columns beside each other: words on one side alone, or on two sides."""
    left, right = free[0][1], free[-1][0]
    if len(free) == 2:
        return True
    stretches = [(a[1], b[0]) for a, b in zip(free, free[1:], strict=False)]
    return sum(high - low > 0.2 * (right - left) for low, high in stretches) >= 2


def _shared(ones: list[_Gap], others: list[_Gap]) -> list[_Gap]:
    """What two rows have both free."""
    found = []
    for a, b in ones:
        for x, y in others:
            low, high = max(a, x), min(b, y)
            if high - low >= 4:
                found.append((low, high))
    return found


def _inner(gaps: list[_Gap]) -> list[_Gap]:
    """Those with words on both sides."""
    return [gap for gap in gaps if gap[0] > -_ENDLESS and gap[1] < _ENDLESS]


def _sides(rows: Sequence[Row], gap: _Gap) -> tuple[list[Row], list[Row]]:
    """The parts of rows left and right of a gutter."""
    middle = (gap[0] + gap[1]) / 2
    left = [[word for word in row if word.left + word.right < 2 * middle] for row in rows]
    right = [[word for word in row if word.left + word.right >= 2 * middle] for row in rows]
    return [row for row in left if row], [row for row in right if row]


def _trimmed(rows: list[Row], start: int, end: int, gap: _Gap) -> int | None:
    """The end of rows that begin with a gutter, without those after it that stand on one side and apart."""
    middle = sum(gap) / 2
    sides = [{word.left + word.right >= 2 * middle for word in row} for row in rows[start:end]]
    lead = 1.6 * _leading(rows[start:end])
    if not _goes_on(rows[start:end], sides, 0, lead, range(1, len(sides))):
        return None
    while end > start and not _goes_on(rows[start:end], sides, end - start - 1, lead, range(end - start - 2, -1, -1)):
        end -= 1
    return end


def _goes_on(rows: list[Row], sides: list[set[bool]], number: int, lead: float, others: Iterable[int]) -> bool:
    """Whether a row has words on both sides, or is near to the nearest that has words on its side."""
    if len(sides[number]) == 2:
        return True
    near = next((other for other in others if sides[number] <= sides[other]), None)
    return near is not None and abs(rows[number][0].bottom - rows[near][0].bottom) <= lead


def _leading(rows: Sequence[Row]) -> float:
    """The usual distance from one line to the next: that of its font, opened a little."""
    heights = sorted(word.top - word.bottom for row in rows for word in row[:1])
    return 1.15 * heights[len(heights) // 2]


def _is_prose(rows: Sequence[Row]) -> bool:
    """Whether lines run on from one to the next, as they do in a column and do not in a table."""
    if len(rows) < _GUTTER_ROWS:
        return False
    left, right = min(row[0].left for row in rows), max(max(word.right for word in row) for row in rows)
    fills = sorted((row[-1].right - row[0].left) / max(right - left, 1) for row in rows)
    texts = ["".join(word.text for word in row) for row in rows]
    text = "".join(texts)
    lengths = sorted(map(len, texts))
    return (
        fills[len(fills) // 2] >= _PROSE_FILL
        and lengths[len(lengths) // 2] >= _PROSE_CHARACTERS
        and sum(map(str.isalpha, text)) >= _PROSE_LETTERS * len(text)
    )


# Rows → lines


def _line(row: Row) -> Line:
    if sum(len(word.text) for word in row if _is_rtl(word.text[0])) * 2 > sum(len(word.text) for word in row):
        row = row[::-1]
    cells = [row[:1]]
    reach = row[0].right
    for before, word in zip(row, row[1:], strict=False):
        is_amount = word.text in _BEFORE_NUMBERS and (before.text[-1].isdigit() or before.text[-1] in ")%—")
        wide = (_WORD_GAP if is_amount else _CELL_GAP) * max(word.size, before.size)
        if abs(word.left - reach) > wide and word.left > reach:
            cells.append([])
        cells[-1].append(word)
        reach = max(reach, word.right)
    letters: dict[float, int] = {}
    for word in row:
        letters[round(word.size * 2) / 2] = letters.get(round(word.size * 2) / 2, 0) + len(word.text)
    return Line(
        cells=[Cell(words, words[0].left, max(word.right for word in words)) for words in _mended(cells)],
        left=min(word.left for word in row),
        bottom=min(word.bottom for word in row),
        right=max(word.right for word in row),
        top=max(word.top for word in row),
        size=max(letters, key=lambda size: (letters[size], size)),
        bold=all(word.bold for word in row if any(map(str.isalnum, word.text))) and any(word.bold for word in row),
    )


def _mended(cells: list[list[Word]]) -> list[list[Word]]:
    """A sign of currency goes with the number after it, a percent sign or a bracket with the one before."""
    found: list[list[Word]] = []
    for cell in cells:
        text = "".join(word.text for word in cell)
        before = "".join(word.text for word in found[-1]) if found else ""
        if found and (before in _BEFORE_NUMBERS or text in _AFTER_NUMBERS):
            found[-1].extend(cell)
        else:
            found.append(list(cell))
    return found


_BEFORE_NUMBERS = {"$", "€", "£", "¥", "(", "$(", "$ ("}
_AFTER_NUMBERS = {"%", ")", ")%", "%)", "pts", "bps"}


def flows(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """The lines of each flow."""
    for _, group in groupby(lines, key=lambda line: line.flow):
        yield list(group)
