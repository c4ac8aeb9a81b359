"""Spreadsheets and delimited text: every cell where a person sees it, with the row's number."""

import csv
import datetime
import io
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest
import xlwt
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from openpyxl.chart import BarChart
from openpyxl.comments import Comment

from pincite import reading
from pincite.errors import Unreadable
from pincite.reading import spreadsheet, table
from pincite.reading.content import Content
from pincite.reading.pool import Readers
from pincite.settings import Sync
from pincite.types import Document, Section

COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def saved(book: openpyxl.Workbook) -> bytes:
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def workbook(**sheets: list[list[object]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    return saved(book)


def old_workbook(rows: list[list[object]]) -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Prices")
    for number, row in enumerate(rows):
        for column, value in enumerate(row):
            sheet.write(number, column, value)
    hidden = book.add_sheet("Notes")
    hidden.write(0, 0, "secret")
    hidden.visibility = 1
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def open_document(rows: str, name: str = "Prices") -> bytes:
    """A file of OpenDocument as its specification has it."""
    space = "urn:oasis:names:tc:opendocument:xmlns"
    content = (
        f'<office:document-content xmlns:office="{space}:office:1.0" xmlns:table="{space}:table:1.0"'
        f' xmlns:text="{space}:text:1.0"><office:body><office:spreadsheet><table:table table:name="{name}">'
        f"{rows}</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet", zipfile.ZIP_STORED)
        archive.writestr("META-INF/manifest.xml", f'<m:manifest xmlns:m="{space}:manifest:1.0"/>')
        archive.writestr("content.xml", content)
    return file.getvalue()


def text_cell(words: str) -> str:
    return f'<table:table-cell office:value-type="string"><text:p>{words}</text:p></table:table-cell>'


def rows(content: Content) -> list[tuple[int, str]]:
    """Number and line of each row; all are called so, stand in order and are whole lines."""
    assert {part.name for part in content.parts} <= {"row"}
    for part in content.parts:
        assert part.start == 0 or content.text[part.start - 1] == "\n"
        assert content.text[part.end : part.end + 1] in ("", "\n")
    assert all(before.end < after.start for before, after in zip(content.parts, content.parts[1:], strict=False))
    return [(part.number, content.text[part.start : part.end]) for part in content.parts]


def tables(content: Content) -> list[tuple[str, str]]:
    return [(found.header, content.text[found.start : found.end]) for found in content.tables]


# Workbooks


def test_a_workbook_becomes_a_section_a_sheet_a_line_a_row(tmp_path: Path) -> None:
    data = workbook(
        **{
            "Prices": [["Ferry prices 2024"], [], ["Route", "Price", "From"],
                       ["North\nSea", 12.5, datetime.date(2024, 5, 1)], [None, None, None], ["South", 30, None]],
            "Nothing": [],
            "Crew & ships": [["Name", "Ship"], ["Ann", "Star"]],
        }
    )  # fmt: skip
    (tmp_path / "a.xlsx").write_bytes(data)
    document = reading.read(tmp_path / "a.xlsx", "a.xlsx")
    text = (
        "Prices\n\nFerry prices 2024\n\nRoute\tPrice\tFrom\nNorth Sea\t12.5\t2024-05-01\nSouth\t30\n\n"
        "Crew & ships\n\nName\tShip\nAnn\tStar"
    )
    assert document.text == text
    assert document.title == "Ferry prices 2024"
    assert document.sections == (
        Section(0, ("Prices",)),
        Section(text.index("Crew"), ("Crew & ships",)),
    )
    content = spreadsheet.read(data)
    assert rows(content) == [
        (1, "Ferry prices 2024"),
        (3, "Route\tPrice\tFrom"),
        (4, "North Sea\t12.5\t2024-05-01"),
        (6, "South\t30"),
        (1, "Name\tShip"),
        (2, "Ann\tStar"),
    ]
    assert tables(content) == [
        ("Route | Price | From", "North Sea\t12.5\t2024-05-01\nSouth\t30"),
        ("Name | Ship", "Ann\tStar"),
    ]
    assert document.coverage.searchable == 1
    assert document.coverage.left_out == ()
    assert document.reader == "spreadsheet/1"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12, "12"),
        (12.0, "12"),
        (-0.25, "-0.25"),
        (1234567.89, "1234567.89"),
        (0.30000000000000004, "0.3"),
        (1e20, "1e+20"),
        (True, "TRUE"),
        (datetime.date(2024, 5, 1), "2024-05-01"),
        (datetime.datetime(2024, 5, 1, 6, 40), "2024-05-01 06:40"),
        (datetime.datetime(2024, 5, 1, 6, 40, 5), "2024-05-01 06:40:05"),
        (datetime.time(6, 40), "06:40"),
        (datetime.timedelta(hours=27, minutes=30), "27:30:00"),
        ("two\nlines\tand  spaces ", "two lines and spaces"),
        ("007", "007"),
        ("é 😀 שלום", "é 😀 שלום"),
    ],
)
def test_a_value_is_shown_as_a_cell_without_a_format_shows_it(value: object, text: str) -> None:
    assert spreadsheet.read(workbook(Sheet=[["Value"], [value]])).text == f"Sheet\n\nValue\n{text}"


def test_what_is_not_shown_or_not_text_is_counted() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Prices"
    sheet.append(["Route", "Price"])
    sheet.append(["North", "=SUM(1, 2)"])  # never calculated: no value is stored
    sheet.append(["South", "#N/A"])
    sheet["A2"].comment = Comment("Ask the harbour.", "Ann")
    for name, state in (("Old", "hidden"), ("Older", "veryHidden")):
        book.create_sheet(name).append(["secret"])
        book[name].sheet_state = state
    book.create_chartsheet("Chart").add_chart(BarChart())
    content = spreadsheet.read(saved(book))
    assert content.text == "Prices\n\nRoute\tPrice\nNorth\nSouth"
    assert dict(content.coverage.left_out) == {
        "hidden sheets": 2,
        "sheets that are a chart": 1,
        "charts": 1,
        "comments": 1,
        "cells that show an error": 1,
        "formulas without a stored value": 1,
    }
    assert content.coverage.searchable == 0.25


def test_cells_far_from_the_corner_keep_their_rows_number() -> None:
    book = openpyxl.Workbook()
    book.active["E40"] = "here"
    book.active["G43"] = 3
    book.active.merge_cells("E40:F41")
    assert rows(spreadsheet.read(saved(book))) == [(40, "here"), (43, "\t3")]


def test_workbooks_of_old_programs_are_read_too() -> None:
    content = spreadsheet.read(old_workbook([["Route", "Price"], ["Fähre", 12], ["Süd", 7.5]]))
    assert content.text == "Prices\n\nRoute\tPrice\nFähre\t12\nSüd\t7.5"
    assert tables(content) == [("Route | Price", "Fähre\t12\nSüd\t7.5")]
    assert content.coverage.left_out == (("hidden sheets", 1),)
    assert content.coverage.searchable == 0.5


def test_open_document_repeats_rows_and_cells() -> None:
    value = '<table:table-cell office:value-type="float" office:value="12.5" table:number-columns-repeated="2"/>'
    empty = '<table:table-row table:number-rows-repeated="3"><table:table-cell/></table:table-row>'
    last = '<table:table-row table:number-rows-repeated="1048000"><table:table-cell/></table:table-row>'
    date = '<table:table-cell office:value-type="date" office:date-value="2024-05-01"/>'
    content = spreadsheet.read(
        open_document(
            f"<table:table-row>{text_cell('Route')}{text_cell('Price')}{text_cell('Car')}</table:table-row>{empty}"
            f"<table:table-row>{text_cell('North')}{value}</table:table-row>"
            f"<table:table-row>{text_cell('South')}{date}</table:table-row>{last}"
        )
    )
    assert rows(content) == [(1, "Route\tPrice\tCar"), (5, "North\t12.5\t12.5"), (6, "South\t2024-05-01")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<html><table>", "not of this format"),
        (workbook(A=[["x"]])[:-200], "damaged: incomplete or overwritten"),
        (COMPOUND + bytes(500) + "EncryptedPackage".encode("utf-16-le") + bytes(500),
         "protected by a password: save a copy without one"),
        (COMPOUND + bytes(2000), "damaged, or no spreadsheet"),
        (old_workbook([["x"]])[:1000], "damaged, or no spreadsheet"),
    ],
    ids=["empty", "html", "cut off", "password", "no workbook in it", "old and cut off"],
)  # fmt: skip
def test_what_cannot_be_read_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        spreadsheet.read(data)
    assert str(caught.value) == reason


def test_another_document_under_this_ending_is_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("word/document.xml", "<w/>")
    with pytest.raises(Unreadable, match="damaged, or no spreadsheet"):
        spreadsheet.read(file.getvalue())


def test_a_zip_that_unpacks_to_too_much_is_not_unpacked() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", bytes(200 * 2**20))
    with pytest.raises(Unreadable, match=r"unpacks to 200 MB, too much for its size"):
        spreadsheet.read(file.getvalue())


@pytest.fixture(scope="module")
def readers() -> Iterator[Readers]:
    """Rust ends its process where memory cannot be had, so what is broken is read in another one."""
    with Readers(Sync(reader_seconds=5, reader_megabytes=512), 1) as readers:
        yield readers


GOOD = {
    "a.xlsx": workbook(Prices=[["Route", "Price"], ["North", 12.5], ["South", datetime.date(2024, 5, 1)]]),
    "a.xls": old_workbook([["Route", "Price"], ["North", 12.5]]),
    "a.ods": open_document(f"<table:table-row>{text_cell('Route')}{text_cell('Price')}</table:table-row>"),
    "a.csv": b'Route;Price\r\n"North";12,5\r\n',
}


@hypothesis_settings(deadline=None, max_examples=300)
@given(
    source=st.sampled_from(sorted(GOOD)),
    places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
    end=st.floats(0.5, 1),
)
def test_broken_files_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    readers: Readers,
    source: str,
    places: list[tuple[float, int]],
    end: float,
) -> None:
    data = bytearray(GOOD[source])
    for place, byte in places:
        data[int(place * len(data))] = byte
    folder = tmp_path_factory.mktemp("broken")
    (folder / source).write_bytes(data[: int(end * len(data)) + 1])
    ((name, outcome),) = readers.read(folder, [source])
    assert name == source
    assert isinstance(outcome, Document | Unreadable)
    assert "the reader failed" not in str(outcome)


@hypothesis_settings(deadline=None, max_examples=300)
@given(
    source=st.sampled_from(["a.xlsx", "a.ods"]),
    member=st.integers(0, 20),
    place=st.floats(0, 1, exclude_max=True),
    words=st.sampled_from([b"", b"<", b'"', b"\xff", b"-1", b"99999999", b"18446744073709551616", b"</c>", b"&x;"]),
)
def test_broken_members_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, readers: Readers, source: str, member: int, place: float, words: bytes
) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(GOOD[source])) as good, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as broken:
        names = good.namelist()
        for name in names:
            data = good.read(name)
            if name == names[member % len(names)]:
                at = int(place * len(data))
                data = data[:at] + words + data[at + 1 :]
            broken.writestr(name, data)
    folder = tmp_path_factory.mktemp("broken")
    (folder / source).write_bytes(file.getvalue())
    ((_, outcome),) = readers.read(folder, [source])
    assert isinstance(outcome, Document | Unreadable)
    assert "the reader failed" not in str(outcome)


# Delimited text


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_told(delimiter: str) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerows(
        [
            ["Route", "Price", "Note"],
            ["North, by night", "12,5", "Say: 'aboard'"],
            ["South; by day", "7.5", 'the "Star"\r\nsails'],
            ["East\twest | and back", "", ""],
        ]
    )
    content = table.read(file.getvalue().encode("utf-8-sig"))
    assert content.text == (
        "Route\tPrice\tNote\nNorth, by night\t12,5\tSay: 'aboard'\nSouth; by day\t7.5\tthe \"Star\" sails\n"
        "East west | and back"
    )
    assert rows(content)[2] == (3, 'South; by day\t7.5\tthe "Star" sails')
    assert [header for header, _ in tables(content)] == ["Route | Price | Note"]


@pytest.mark.parametrize(
    ("text", "shown", "remarks"),
    [
        ("one\ntwo\n", "one\ntwo", ()),
        ("a,b\r\n\r\n1,2\r\n", "a\tb\n\n1\t2", ()),
        ("a;;b\n1;;2\n;;\n", "a\tb\n1\t2", ()),
        ("sep=|\na|b,c\n1|2,3\n", "a\tb,c\n1\t2,3", ()),
        ('5" pipe,12\nrod,3\n"open,4\n', '5" pipe\t12\nrod\t3\n"open\t4',
         ("its quotes do not match, and are shown as they stand",)),
        ("They sail daily, and the last leaves at ten.\nNobody knows.\n",
         "They sail daily\tand the last leaves at ten.\nNobody knows.", ()),
    ],
    ids=["one column", "an empty row", "an empty column", "a delimiter that is named", "open quote", "prose"],
)  # fmt: skip
def test_delimited_text_of_every_kind(text: str, shown: str, remarks: tuple[str, ...]) -> None:
    content = table.read(text.encode())
    assert content.text == shown
    assert content.remarks == remarks


def test_a_foreign_encoding_is_told_and_remarked_on() -> None:
    content = table.read("Straße;Größe\r\nFährweg;groß\r\nMühlgasse;größer\r\n".encode("cp1252"))
    assert content.text == "Straße\tGröße\nFährweg\tgroß\nMühlgasse\tgrößer"
    assert content.remarks == ("decoded from Windows-1252",)


def test_rows_are_numbered_as_a_program_counts_them() -> None:
    content = table.read(b'a,b\n\n"1\n1",2\n3,4\n')
    assert rows(content) == [(1, "a\tb"), (3, "1 1\t2"), (4, "3\t4")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Route,2023,2024\nNorth,1,2\n", [("Route | 2023 | 2024", "North\t1\t2")]),
        ("Anna,Berlin\nPeter,Kiel\n", [("Anna | Berlin", "Peter\tKiel")]),
        ("North,1,2\nSouth,3,4\n", []),
        ("2024-05-01,1\n2024-05-02,3\n", []),
        ("Route,Price\n", []),
        ("Route\nNorth\nSouth\n", []),
        ("Price\n1\n2\n", [("Price", "1\n2")]),
        ("Prices,,\nof May,,\nRoute,Car,Dog\nNorth,1,2\n", [("Route | Car | Dog", "North\t1\t2")]),
        ("Route,Car\nNorth,1\n\nSouth,2\n", [("Route | Car", "North\t1\nSouth\t2")]),
        ("Route,Car\nNorth,1\n\nAll in pounds\n\nSouth,2\n",
         [("Route | Car", "North\t1"), ("Route | Car", "South\t2")]),
        ("Route,Car\nNorth,1\n\nShip,Seats\nStar,200\n", [("Route | Car", "North\t1"), ("Ship | Seats", "Star\t200")]),
        ("Route,Car\nNorth,Yes\n\nSouth,No\nWest,No\n", [("Route | Car", "North\tYes\nSouth\tNo\nWest\tNo")]),
    ],
    ids=[
        "years", "words alone", "values in the first row", "dates", "nothing below", "one column of words",
        "one column of numbers", "titles above", "goes on", "a note between", "a second table",
        "a second block of words",
    ],
)  # fmt: skip
def test_the_row_that_names_the_columns_is_told(text: str, expected: list[tuple[str, str]]) -> None:
    assert tables(table.read(text.encode())) == expected


CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters='\n",;\t'), max_size=12)


@hypothesis_settings(deadline=None, max_examples=300)
@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=3, max_size=8))
@example([["", "", ";"]] * 3)  # by semicolons it is even too, though its quotes do not match
def test_every_cell_that_was_written_is_found_in_its_row(written: list[list[str]]) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows(written)
    content = table.read(file.getvalue().encode("utf-8-sig"))
    shown = dict(rows(content))
    for number, cells in enumerate(written, 1):
        assert "".join(" ".join(cells).split()) == "".join(shown.get(number, "").split())
    for found in content.tables:
        assert content.text[found.start - 1] == "\n"
        assert {part.start for part in content.parts} >= {found.start}
        assert {part.end for part in content.parts} >= {found.end}


def test_many_rows_of_one_cell_above_a_wide_one_take_little_time() -> None:
    rows: list[table.Row] = [(number, ["word"]) for number in range(1, 40_001)]
    began = time.process_time()
    table.lay_out([*rows, (40_001, ["last", "one"])])
    assert time.process_time() - began < 3


def test_a_line_of_many_megabytes_is_one_cell() -> None:
    content = table.read(b"a,b\n" + b"x" * 20_000_000 + b",1\n")
    assert content.parts[1].end - content.parts[1].start == 20_000_002


def test_cells_that_are_cut_short_are_refused_at_once() -> None:
    sound = open_document(f"<table:table-row>{text_cell('Town')}</table:table-row>")
    with zipfile.ZipFile(io.BytesIO(sound)) as archive:
        content = archive.read("content.xml")
    for end in range(200, len(content), 7):
        cut = io.BytesIO()
        with zipfile.ZipFile(cut, "w") as archive:
            archive.writestr("content.xml", content[:end])
        with pytest.raises(Unreadable, match=r"^damaged: content\.xml is not well-formed XML$"):
            spreadsheet.read(cut.getvalue())
