"""Spreadsheets: `.xlsx`, `.xlsm`, `.xls`, `.ods`. Each sheet is a section, headed by its name; one row a line."""

import datetime
import io
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from xml.parsers import expat

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from pincite.errors import Unreadable
from pincite.reading.archive import Archive
from pincite.reading.content import Content, Heading, sections
from pincite.reading.table import Row, lay_out, shown
from pincite.types import Coverage, Part, Table

Value = int | float | str | bool | datetime.time | datetime.date | datetime.timedelta

_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How `.xls` begins, and the wrapper of a newer file with a password."""
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_PROTECTED = "protected by a password: save a copy without one"
_WITHIN = (
    ("comments", re.compile(r"xl/(?:comments/)?comments?\d*\.xml"), re.compile(rb"<(?:\w+:)?comment\s")),
    ("text boxes", re.compile(r"xl/drawings/drawing\d+\.xml"), re.compile(rb"<xdr:txBody>")),
    ("charts", re.compile(r"xl/charts/chart\d+\.xml"), None),
    ("pictures", re.compile(r"xl/media/.+"), None),
    ("cells that show an error", re.compile(r"xl/worksheets/[^/]+\.xml"), re.compile(rb'<c\s[^>]*\bt="e"')),
    (
        "formulas without a stored value",
        re.compile(r"xl/worksheets/[^/]+\.xml"),
        re.compile(rb"(?:</f>|<f\b[^>]*/>)\s*(?:<v>\s*</v>|<v\s*/>)?\s*</c>"),
    ),
    ("comments", re.compile(r"content\.xml"), re.compile(rb"<office:annotation[\s>]")),
    ("charts", re.compile(r"Object \d+/content\.xml"), re.compile(rb"<chart:chart\s")),
    ("pictures", re.compile(r"Pictures/.+"), None),
)
"""What a file of the newer formats holds besides cells: in which members, and how often there; None: each is one."""


def read(data: bytes) -> Content:
    """What the cells show, of every sheet that is shown."""
    left_out: Counter[str] = Counter()
    if not data.startswith(_COMPOUND):
        archive = Archive(data)
        _check(archive)
        left_out += _besides(archive)
    elif _ENCRYPTED in data:
        raise Unreadable(_PROTECTED)
    writer = _Writer()
    with _refusals(), CalamineWorkbook.from_filelike(io.BytesIO(data)) as workbook:
        for sheet in workbook.sheets_metadata:
            if sheet.typ == SheetTypeEnum.ChartSheet:
                left_out["sheets that are a chart"] += 1
            elif sheet.typ != SheetTypeEnum.WorkSheet:
                left_out["sheets of macros or dialogs"] += 1
            elif sheet.visible != SheetVisibleEnum.Visible:
                left_out["hidden sheets"] += 1
            else:
                writer.write(sheet.name, _rows(workbook.get_sheet_by_name(sheet.name)))
    unread = sum(count for what, count in left_out.items() if "sheets" in what)
    return Content(
        "".join(writer.pieces),
        writer.title,
        sections(writer.headings),
        parts=tuple(writer.parts),
        tables=tuple(writer.tables),
        coverage=Coverage(
            searchable=len(writer.headings) / max(1, len(writer.headings) + unread),
            left_out=tuple(left_out.items()),
        ),
    )


def _besides(archive: Archive) -> Counter[str]:
    found: Counter[str] = Counter()
    for what, members, mark in _WITHIN:
        for name in filter(members.fullmatch, archive.names):
            found[what] += 1 if mark is None else len(mark.findall(archive.read(name)))
    return +found


@contextmanager
def _refusals() -> Iterator[None]:
    """What the library says of a broken file, in the words of a reader."""
    try:
        yield
    except PasswordError as error:
        raise Unreadable(_PROTECTED) from error
    except CalamineError as error:
        if "Cannot detect file format" in str(error):
            raise Unreadable("damaged, or no spreadsheet") from error
        raise Unreadable(f"damaged: {shown(str(error))[:100]}") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of Rust: no Exception, and nowhere to be imported from
            raise
        raise Unreadable("damaged: its parts do not fit together") from error


def _rows(sheet: CalamineSheet) -> list[Row]:
    """From the corner of the sheet, so that they are numbered as the program numbers them."""
    return [
        (number, [_text(value) for value in values])
        for number, values in enumerate(sheet.iter_rows(), 1)
        if any(value != "" for value in values)
    ]


def _text(value: Value) -> str:
    """The value as a cell shows it that has no format: dates in ISO 8601, numbers with their 15 digits."""
    match value:
        case bool():
            return str(value).upper()
        case int():
            return str(value)
        case float():
            return f"{value:.15g}"
        case str():
            return shown(value)
        case datetime.datetime():
            return value.isoformat(" ").removesuffix(":00")
        case datetime.time():
            return value.isoformat().removesuffix(":00")
        case datetime.date():
            return value.isoformat()
        case datetime.timedelta():
            seconds = round(value.total_seconds())
            minutes = abs(seconds) // 60
            return f"{'-' * (seconds < 0)}{minutes // 60}:{minutes % 60:02}:{abs(seconds) % 60:02}"


def _check(archive: Archive) -> None:
    """Refuse cells of `.ods` that are cut short: calamine would wait for their end for ever."""
    if "content.xml" in archive:
        try:
            expat.ParserCreate().Parse(archive.read("content.xml"), True)
        except expat.ExpatError as error:
            raise Unreadable("damaged: content.xml is not well-formed XML") from error


class _Writer:
    """Collects sheets: each its name, a blank line, its rows."""

    def __init__(self) -> None:
        self._at = 0
        self.pieces: list[str] = []
        self.headings: list[Heading] = []
        self.parts: list[Part] = []
        self.tables: list[Table] = []
        self.title = ""
        """What stands alone above the first table, on the first sheet with cells."""

    def write(self, sheet: str, rows: list[Row]) -> None:
        """Add a sheet, if any of its cells shows anything."""
        name = shown(sheet)
        gap = "\n\n" if self.headings else ""
        start = self._at + len(gap)
        grid = lay_out(rows, start + len(name) + 2)
        if not grid.text:
            return
        if not self.headings:
            self.title = grid.title
        self.headings.append(Heading(start, 1, name))
        self.parts += grid.parts
        self.tables += grid.tables
        for piece in (gap, name, "\n\n", grid.text):
            self.pieces.append(piece)
            self._at += len(piece)
