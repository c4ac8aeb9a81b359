"""Which lines are rows of tables, and how their columns are called.

A table is a run of lines with clear gaps in them that stand above each other. A line with one cell
belongs to it where it keeps to the first column (a label, a label's first line) or to the others
(a name over several columns). Its header is what stands on top without a label in the first column,
or in bold, or without any number where numbers follow; a name over several columns names each.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile

from pincite.reading.pdf.layout import Cell, Line

_FARTHEST = 3.2
"""From one row to the next, in heights of a line."""
_ENUMERATOR = re.compile(
    r"[•●○▪■□◦‣∙·►➢✓*–—\-\uf0b7\uf0a7\uf0d8o]|\(?(?:\d{1,3}|[a-zA-Z]|[ivxlc]{1,6})[.)]|\[\d{1,3}\]"
)


def starts_item(line: Line) -> bool:
    """Whether a line begins with the sign or number of a list's item."""
    first = line.cells[0].words[0]
    rest = len(line.cells) > 1 or len(line.cells[0].words) > 1
    return rest and _ENUMERATOR.fullmatch(first.text) is not None


def mark(lines: Sequence[Line], number: int) -> int:
    """Mark the rows of tables among the lines of one flow, counted from `number`; the next number."""
    place = 0
    while place < len(lines):
        rows = _run(lines, place) if _is_row(lines[place]) else []
        if sum(map(_is_row, rows)) < 2:
            place += 1
            continue
        place = lines.index(rows[-1]) + 1
        rows = [*_names_above(lines, rows), *rows]
        for row in rows:
            row.table = number
        _name_columns(rows)
        number += 1
    return number


def _is_row(line: Line) -> bool:
    return len(line.cells) > 1 and not (len(line.cells) == 2 and _ENUMERATOR.fullmatch(line.cells[0].text))


def _run(lines: Sequence[Line], start: int) -> list[Line]:
    """Rows from `start` on, up to the last with more than one cell."""
    rows, end = [lines[start]], 1
    second = lines[start].cells[1].left
    recent = [lines[start]]
    for before, line in zip(lines[start:], lines[start + 1 :], strict=False):
        if before.bottom - line.bottom > _FARTHEST * max(line.height, before.height) or line.angle != before.angle:
            break
        if _is_row(line):
            if not any(_share_a_gap(line, row) for row in recent[-3:]):
                break
            second = min(second, line.cells[1].left)
            rows.append(line)
            recent.append(line)
            end = len(rows)
        elif line.bold and line.size > 1.08 * before.size:
            break
        elif line.right <= second + line.size or line.left >= second - line.size:
            rows.append(line)
        else:
            break
    return rows[:end]


def _share_a_gap(one: Line, other: Line) -> bool:
    least = 0.4 * one.size
    return any(min(a[1], b[1]) - max(a[0], b[0]) >= least for a in _gaps(one) for b in _gaps(other))


def _gaps(line: Line) -> Iterator[tuple[float, float]]:
    for before, cell in zip(line.cells, line.cells[1:], strict=False):
        yield before.right, cell.left


def _names_above(lines: Sequence[Line], rows: Sequence[Line]) -> list[Line]:
    """Lines right above a table that stand over its columns but not over its labels."""
    found: list[Line] = []
    below = rows[0]
    labels = min(row.left for row in rows)
    for line in reversed(lines[: lines.index(rows[0])]):
        is_over = line.left > labels + 0.2 * (max(row.right for row in rows) - labels)
        is_near = line.bottom - below.bottom <= 1.8 * line.height
        if line.table >= 0 or line.angle != below.angle or not is_near or not is_over or line.right > _right(rows):
            break
        found.insert(0, line)
        below = line
    return found


def _right(rows: Sequence[Line]) -> float:
    return max(row.right + row.size for row in rows)


def _name_columns(rows: Sequence[Line]) -> None:
    """Mark the header, and note what the columns are called on the first row below it."""
    header = _header(rows)
    body = rows[len(header) :]
    if not header or not body:
        return
    for row in header:
        row.is_header = True
    columns = _columns([cell for row in body if len(row.cells) > 1 for cell in row.cells])
    names: list[list[str]] = [[] for _ in columns]
    for row in header:
        for cell, below in zip(
            row.cells, _spanned(row, columns) or [_over(cell, columns) for cell in row.cells], strict=True
        ):
            for column in below:
                names[column].append(cell.text)
    body[0].columns = " | ".join(" ".join(words) for words in names if words)


def _spanned(row: Line, columns: Sequence[tuple[float, float]]) -> list[list[int]]:
    """The columns below each cell, where each stands over the middle of as many; else nothing."""
    each, rest = divmod(len(columns) - 1, len(row.cells))
    if each < 2 or rest:
        return []
    found = []
    for number, cell in enumerate(row.cells):
        first = 1 + number * each
        left, right = columns[first][0], columns[first + each - 1][1]
        if abs(cell.left + cell.right - left - right) > 0.5 * (right - left):
            return []
        found.append(list(range(first, first + each)))
    return found


def _header(rows: Sequence[Line]) -> list[Line]:
    """The rows on top that name columns; none of them holds an amount."""
    left, right = min(row.left for row in rows), max(row.right for row in rows)
    top = _leading(rows[:_MOST_HEADER_ROWS], lambda row: not (_has_amount(row) or _AMOUNT.fullmatch(row.cells[0].text)))
    unlabelled = _leading(top, lambda row: row.left > left + 0.15 * (right - left))
    bold = _leading(top, lambda row: row.bold) if not all(row.bold for row in rows) else []
    unit = _leading(top[len(unlabelled) : len(unlabelled) + 1], lambda row: row.cells[0].text.startswith("("))
    for found in (bold if len(bold) > len(unlabelled) else [*unlabelled, *unit], top):
        while found and len(found[-1].cells) == 1:
            found.pop()
        rest = rows[len(found) :]
        if found and rest and (found is not top or 2 * sum(map(_has_amount, rest)) >= len(rest)):
            return found
    return []


_MOST_HEADER_ROWS = 6
_AMOUNT = re.compile(r"(?!(?:19|20)\d\d$)[$€£¥(\s+\-–—]*\d[\d.,\s]*[)%\s]*|[-–—]+")
"""A number that is no year, or the dash in its place."""


def _leading(rows: Sequence[Line], holds: Callable[[Line], bool]) -> list[Line]:
    return list(takewhile(holds, rows))


def _has_amount(row: Line) -> bool:
    return any(_AMOUNT.fullmatch(cell.text) for cell in row.cells[1:])


def _columns(cells: Sequence[Cell]) -> list[tuple[float, float]]:
    """Where the cells of the body stand: those that overlap are of one column."""
    found: list[tuple[float, float]] = []
    for cell in sorted(cells, key=lambda cell: cell.left):
        if found and cell.left < found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], cell.right))
        else:
            found.append((cell.left, cell.right))
    return found


def _over(cell: Cell, columns: Sequence[tuple[float, float]]) -> list[int]:
    """The columns below a cell of the header, or the nearest."""
    below = [n for n, (left, right) in enumerate(columns) if min(cell.right, right) - max(cell.left, left) > 0]
    if below:
        return below
    return sorted(range(len(columns)), key=lambda n: abs(sum(columns[n]) - cell.left - cell.right))[:1]
