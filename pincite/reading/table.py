"""Delimited text: `.csv`, `.tsv`. One row a line, cells apart by tabs. Also how rows of any kind are laid out."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from pincite.reading.content import Content, decode, sections
from pincite.types import Part, Table

Row = tuple[int, list[str]]
"""Its number as the program that made the file shows it, from 1, and its cells."""

_DELIMITERS = ",;\t|"
_FIRST_ROWS = 100
_NAMED_DELIMITER = re.compile(r"sep=([^\w\s\"]|\t)\r?\n")
"""A first line that spreadsheet programs write and obey, and do not show."""
_LONGEST_NAME = 100
_YEAR = re.compile(r"(?:19|20)\d\d")


def read(data: bytes) -> Content:
    """Decode, and tell the delimiter by which gives most rows the same number of cells."""
    text, remarks = decode(data)
    # As long as all the text: a cell may be.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    named = _NAMED_DELIMITER.match(text)
    body = text[named.end() :] if named else text
    delimiter = named[1] if named else _delimiter(body)
    try:
        rows = _rows(body, delimiter)
    except csv.Error:
        rows = _rows(body, delimiter, has_quotes=False)
        remarks += ("its quotes do not match, and are shown as they stand",)
    grid = lay_out(rows)
    return Content(grid.text, grid.title, sections([]), parts=grid.parts, tables=grid.tables, remarks=remarks)


def _rows(text: str, delimiter: str, *, has_quotes: bool = True) -> list[Row]:
    lines = _lines(text, delimiter, has_quotes)
    return [(number, [shown(cell) for cell in cells]) for number, cells in enumerate(lines, 1) if any(cells)]


def _lines(text: str, delimiter: str, has_quotes: bool) -> Iterator[list[str]]:
    return csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if has_quotes else csv.QUOTE_NONE,
        strict=True,
    )


def _delimiter(text: str) -> str:
    return max(
        _DELIMITERS,
        key=lambda delimiter: (_evenness(text, delimiter), _evenness(text, delimiter, has_quotes=False)),
    )


def _evenness(text: str, delimiter: str, *, has_quotes: bool = True) -> tuple[float, int]:
    """The share of the first rows with the most frequent number of cells, if that is more than one; and that number.

    Nothing where the quotes of those rows do not match.
    """
    try:
        widths = Counter(len(cells) for cells in islice(filter(None, _lines(text, delimiter, has_quotes)), _FIRST_ROWS))
    except csv.Error:
        return 0.0, 0
    width, rows = max(widths.items(), key=lambda item: (item[1], item[0]), default=(0, 0))
    return (rows / widths.total(), width) if width > 1 else (0.0, 0)


def shown(cell: str) -> str:
    """A cell as one stretch of a line."""
    return " ".join(cell.split())


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows laid out as text."""

    text: str
    title: str
    """What stands alone in the first row, above a table."""
    parts: tuple[Part, ...]
    tables: tuple[Table, ...]


def lay_out(rows: Sequence[Row], start: int = 0) -> Grid:
    """Rows as lines, without empty rows and columns, for a text that begins at `start` of its document.

    An empty row ends a block. If a row of the block names the columns, what stands above it is a paragraph,
    and what stands below it a table. A block without such a row goes on with the table above, if it has
    cells side by side.
    """
    columns = sorted({column for _, cells in rows for column, cell in enumerate(cells) if cell})
    writer = _Writer(start)
    header = ""
    first: list[str] = []
    for block in _blocks([(number, [_cell(cells, column) for column in columns]) for number, cells in rows]):
        first = first or _filled(block[0][1])
        top = _header_row(block, is_first=not header)
        if top is not None:
            header = " | ".join(_filled(block[top][1]))
            writer.write(block[:top])
            writer.write(block[top : top + 1])
            writer.write(block[top + 1 :], header, "\n")
        else:
            goes_on = header and any(len(_filled(cells)) > 1 for _, cells in block)
            writer.write(block, header if goes_on else "")
    title = first[0] if len(first) == 1 and writer.tables else ""
    return Grid("".join(writer.pieces), title, tuple(writer.parts), tuple(writer.tables))


def _cell(cells: Sequence[str], column: int) -> str:
    return cells[column] if column < len(cells) else ""


def _filled(cells: Sequence[str]) -> list[str]:
    return [cell for cell in cells if cell]


def _blocks(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Runs of rows that follow each other and are not empty."""
    block: list[Row] = []
    for number, cells in rows:
        if not any(cells):
            continue
        if block and block[-1][0] != number - 1:
            yield block
            block = []
        block.append((number, cells))
    if block:
        yield block


def _header_row(block: Sequence[Row], *, is_first: bool) -> int | None:
    """The place of the row that names the columns, if there is one.

    It is the first to fill more than half as many columns as the widest, and it holds words. The first in a
    sheet needs several columns and a row below; any other needs rows of another kind below.
    """
    widths = [len(_filled(cells)) for _, cells in block]
    widest = max(widths)
    top = next(row for row, width in enumerate(widths) if 2 * width > widest)
    names, below = block[top][1], [cells for _, cells in block[top + 1 :]]
    if not below or not _are_names(_filled(names)):
        return None
    if is_first and widths[top] > 1:
        return top
    return top if any(name and _holds_values(column, below) for column, name in enumerate(names)) else None


def _are_names(cells: Sequence[str]) -> bool:
    """Whether most are words or years, and none is a text of its own."""
    words = sum(any(character.isalpha() for character in cell) for cell in cells)
    years = sum(bool(_YEAR.fullmatch(cell)) for cell in cells)
    return words > 0 and (words + years) * 5 >= len(cells) * 4 and max(map(len, cells)) <= _LONGEST_NAME


def _holds_values(column: int, rows: Sequence[list[str]]) -> bool:
    """Whether most cells of a column are no words."""
    cells = _filled([row[column] for row in rows])
    return 2 * sum(not any(character.isalpha() for character in cell) for cell in cells) > len(cells)


class _Writer:
    """Collects lines: a blank one between stretches, unless a table goes on."""

    def __init__(self, start: int) -> None:
        self._at = start
        self.pieces: list[str] = []
        self.parts: list[Part] = []
        self.tables: list[Table] = []

    def write(self, rows: Sequence[Row], header: str = "", gap: str = "\n\n") -> None:
        """Add rows, as a table below `header` if there is one."""
        if not rows:
            return
        table = self.tables.pop() if header and self.tables and self.tables[-1].end == self._at else None
        start = None
        for number, cells in rows:
            self._put(("\n" if table or start is not None else gap) if self.pieces else "")
            start = self._at if start is None else start
            line = "\t".join(cells).rstrip("\t")
            self._put(line)
            self.parts.append(Part("row", number, self._at - len(line), self._at))
        if header and start is not None:
            self.tables.append(Table(table.start if table else start, self._at, header))

    def _put(self, text: str) -> None:
        self.pieces.append(text)
        self._at += len(text)
