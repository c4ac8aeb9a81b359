"""Text put together from blocks, for formats that are made of paragraphs and tables."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pincite.reading.content import Content, Heading, sections
from pincite.types import Coverage, Part, Table

_LONGEST_COLUMN_NAME = 80


class Composition:
    """Blocks apart by a blank line, and where headings, parts and tables stand among them."""

    def __init__(self, counted: str) -> None:
        """`counted` names the parts, in the singular."""
        self._counted = counted
        self._pieces: list[str] = []
        self._starts: list[int] = []
        """Of the blocks."""
        self._end = 0
        self._is_in_part = False
        self.headings: list[Heading] = []
        self.parts: list[Part] = []
        self.tables: list[Table] = []

    @property
    def text(self) -> str:
        """What was put together so far."""
        return "".join(self._pieces)

    def add(self, block: str, *, level: int | None = None, as_line: bool = False) -> None:
        """Add a block that is not blank; `level` makes it a heading, `as_line` a line right below the one before."""
        if not block.strip():
            return
        gap = ("\n" if as_line else "\n\n") if self._pieces else ""
        start = self._end + len(gap)
        self._pieces += (gap, block)
        self._starts.append(start)
        self._end = start + len(block)
        if level is not None:
            self.headings.append(Heading(start, level, fold(block)))

    def no_heading(self, level: int) -> None:
        """What is added next stands under no heading of this level."""
        self.headings.append(Heading(self._end + 2 if self._pieces else 0, level, ""))

    @contextmanager
    def part(self, number: int | None = None) -> Iterator[None]:
        """What is added within is one part, the next unless `number` says which; a part within a part is none."""
        if self._is_in_part:
            yield
            return
        first = len(self._starts)
        self._is_in_part = True
        yield
        self._is_in_part = False
        if len(self._starts) > first:
            number = len(self.parts) + 1 if number is None else number
            self.parts.append(Part(self._counted, number, self._starts[first], self._end))

    def table(self, rows: Sequence[Sequence[str]], marked: int = 0, is_bold: bool = False) -> None:
        """Add a table, row by row, each a part; rows without words are left out.

        The first `marked` rows are its header; else the first is, if it stands out by `is_bold` or reads like one.
        """
        cells = [[fold(cell) for cell in row] for row in rows]
        headers = sum(map(any, cells[:marked]))
        cells = [row for row in cells if any(row)]
        if not headers and len(cells) > 1 and (is_bold or _names_columns(cells[0])):
            headers = 1
        for number, row in enumerate(cells):
            with self.part():
                self.add("\t".join(row).rstrip("\t"), as_line=number > 0)
        if 0 < headers < len(cells):
            self.tables.append(Table(self._starts[headers - len(cells)], self._end, _column_names(cells[:headers])))

    def content(self, title: str, coverage: Coverage, remarks: Sequence[str] = ()) -> Content:
        """What was put together, as a reader gives it."""
        return Content(
            self.text,
            title,
            sections(self.headings),
            parts=tuple(self.parts),
            tables=tuple(self.tables),
            coverage=coverage,
            remarks=tuple(remarks),
        )


def fold(words: str) -> str:
    """Words in one line, one space between them."""
    return " ".join(words.split())


def _names_columns(row: Sequence[str]) -> bool:
    """Whether a first row reads like a header: a short name in each of several cells, all different, none a number."""
    return 1 < len(row) == len(set(row)) and all(
        0 < len(cell) <= _LONGEST_COLUMN_NAME and not cell[0].isdigit() for cell in row
    )


def _column_names(rows: Sequence[Sequence[str]]) -> str:
    """The names in one line; where the header has several rows, from top to bottom in each column."""
    columns = range(max(map(len, rows)))
    names = [fold(" ".join(row[column] for row in rows if column < len(row))) for column in columns]
    return " | ".join(name for name in names if name)
