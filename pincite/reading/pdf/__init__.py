"""PDF: `.pdf`. Text in reading order with its pages, headings and tables, and where it stands on them.

pdfium.py       the file → characters with their boxes, page by page
layout.py       characters → lines, in the order they are read
tables.py       which lines are rows, and what their columns are called
running.py      which lines are headers, footers and page numbers
paragraphs.py   lines → paragraphs, and words joined across the ends of lines
headings.py     which paragraphs are headings
"""

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL.Image import Image
from pypdfium2 import PdfDocument

from pincite.errors import Unreadable
from pincite.reading.content import Content, Heading, sections
from pincite.reading.pdf import headings, pdfium, tables
from pincite.reading.pdf.layout import Line, flows, lay_out
from pincite.reading.pdf.paragraphs import Hyphens, Paragraph, goes_on, paragraphs
from pincite.reading.pdf.pdfium import Bookmark, Characters, Sheet
from pincite.reading.pdf.running import is_page_number, running
from pincite.types import Coverage, Document, Page, Table


@dataclass(frozen=True, slots=True)
class Box:
    """Where a stretch of one line stands: points of the page as it is shown, from its lower left corner."""

    page: int
    """Physical, from 1."""
    left: float
    bottom: float
    right: float
    top: float


@dataclass(slots=True)
class _Read:
    """One page, without its characters."""

    lines: list[Line]
    height: float = 0.0
    has_image: bool = False
    has_drawing: bool = False
    is_recognised: bool = False
    label: str = ""


def read(data: bytes) -> Content:
    """The text as a person reads it, without running headers, footers and page numbers."""
    return read_with(data, None)


def read_with(data: bytes, recognise: Callable[[Image, float], list[Characters]] | None) -> Content:
    """What `read` gives; pages that show something and have no text are given to `recognise`.

    It gets an image of the page and how many pixels a point has, and gives lines.
    """
    with pdfium.opened(data) as document:
        left_out = Counter({"attached files": pdfium.attachments(document)})
        unmapped = recognised = 0
        pages: list[_Read] = []
        for index in range(len(document)):
            sheet = pdfium.sheet(document, index)
            if sheet is None:
                left_out["damaged pages"] += 1
                pages.append(_Read([], has_drawing=True))
                continue
            left_out["characters outside the page"] += sheet.outside
            left_out["invisible characters"] += sheet.invisible
            left_out["comments"] += sheet.comments
            unmapped += sheet.unmapped
            characters = sheet.characters
            is_blank = not len(characters) and (sheet.has_image or sheet.has_drawing)
            if recognise and is_blank and (found := recognise(*_pictured(document, index, sheet))):
                characters = pdfium.together(found)
                recognised += 1
            lines = _lines(characters)
            for line in lines:
                line.cells.clear()  # they hold the characters, which take most of the memory
            is_recognised = sheet.is_recognised or (is_blank and bool(lines))
            label = pdfium.label(document, index)
            pages.append(_Read(lines, sheet.height, sheet.has_image, sheet.has_drawing, is_recognised, label))
        bookmarks, has_more = pdfium.outline(document)
        described = pdfium.title(document)
    remarks = []
    if has_more:
        remarks.append(f"its outline is longer than {len(bookmarks):,} entries; the rest is not used")
    if recognised:
        remarks.append(f"{_pages(recognised)} recognised from images")
    if before := sum(page.is_recognised for page in pages) - recognised:
        remarks.append(f"{_pages(before)} recognised from images by the program that made the file")
    if unmapped:
        remarks.append(f"{unmapped:,} characters of fonts that do not say which letters they are")
    _leave_out_running(pages, left_out)
    if nothing := _nothing(pages):
        shows = any(page.has_image or page.has_drawing for page in pages)
        raise Unreadable(nothing + (_REMEDY if shows and not recognise else ""))
    return _content(pages, bookmarks, described, left_out, remarks)


def _pictured(document: PdfDocument, index: int, sheet: Sheet) -> tuple[Image, float]:
    """An image of a page as large as text is recognised in, and the pixels a point."""
    image = pdfium.rendered(document, index, min(_DPI / 72, _LONGEST_SIDE / max(sheet.width, sheet.height, 1.0)))
    return image, image.height / max(sheet.height, 1.0)


_DPI = 200
_LONGEST_SIDE = 2000
_REMEDY = "; switch sync.ocr on"


def _lines(characters: Characters) -> list[Line]:
    """Of a page, with the rows of tables marked."""
    lines = lay_out(characters)
    number = 0
    for flow in flows(lines):
        number = tables.mark(flow, number)
    for line in lines:
        line.text = ("\t" if line.table >= 0 else " ").join(cell.text for cell in line.cells)
        line.is_item = tables.starts_item(line)
        line.first_word = line.cells[0].words[0].right - line.cells[0].words[0].left
    return lines


def _leave_out_running(pages: Sequence[_Read], left_out: Counter[str]) -> None:
    found = running([page.lines for page in pages], [page.height for page in pages])
    if all(len(chosen) == len(page.lines) for page, chosen in zip(pages, found, strict=True)):
        return  # a file that says nothing else
    for page, chosen in zip(pages, found, strict=True):
        for number in chosen:
            is_number = is_page_number(page.lines[number])
            left_out["page numbers" if is_number else "running headers and footers"] += 1
        page.lines = [line for number, line in enumerate(page.lines) if number not in chosen]


def _pages(count: int) -> str:
    return f"{count:,} page" if count == 1 else f"{count:,} pages"


def _nothing(pages: Sequence[_Read]) -> str:
    """Why there is no text, where there is none."""
    if any(page.lines for page in pages):
        return ""
    images = sum(page.has_image for page in pages)
    drawings = sum(page.has_drawing and not page.has_image for page in pages)
    start = f"no text on any of its {_pages(len(pages))}" if len(pages) > 1 else "no text on its only page"
    if not images and not drawings:
        return f"{start}: nothing is shown there"
    kind, count = ("image", images) if images >= drawings else ("drawing", drawings)
    one = f"{'an' if kind == 'image' else 'a'} {kind}"
    if len(pages) == 1:
        return f"{start}: it is {one}"
    are = f"1 is {one}" if count == 1 else f"{'they' if count == len(pages) else count} are {kind}s"
    return f"{start}: {are}"


def _content(
    pages: Sequence[_Read], bookmarks: Sequence[Bookmark], described: str, left_out: Counter[str], remarks: list[str]
) -> Content:
    levels = headings.named(bookmarks, [page.lines for page in pages])
    found = [paragraph for number, page in enumerate(pages) for paragraph in paragraphs(number, page.lines, levels)]
    if not levels:
        headings.mark_by_type(found)
    written = _Writer(Hyphens([line for page in pages for line in page.lines]))
    for paragraph in found:
        written.write(paragraph)
    shown = sum(bool(page.lines) or page.has_image or page.has_drawing for page in pages)
    with_text = sum(bool(page.lines) for page in pages)
    return Content(
        text=written.text(),
        title=headings.title(described, found),
        sections=sections(written.headings),
        pages=tuple(
            Page(
                number + 1,
                *span,
                "" if pages[number].label == str(number + 1) else pages[number].label,
                pages[number].is_recognised,
            )
            for number, span in written.pages.items()
        ),
        tables=tuple(written.tables),
        coverage=Coverage(
            searchable=with_text / shown if shown else 1.0,
            blank_pages=tuple(number for number, page in enumerate(pages, 1) if not page.lines),
            left_out=tuple((what, count) for what, count in left_out.items() if count),
        ),
        remarks=tuple(remarks),
    )


class _Writer:
    """Puts paragraphs after each other, and notes where pages, headings and tables come to lie."""

    def __init__(self, hyphens: Hyphens) -> None:
        self._hyphens = hyphens
        self._parts: list[str] = []
        self._length = 0
        self._before: Paragraph | None = None
        self._table = (-1, -1)
        """Page and number of the table that the last row belongs to."""
        self.pages: dict[int, tuple[int, int]] = {}
        """Page, from 0 → where its text lies."""
        self.headings: list[Heading] = []
        self.tables: list[Table] = []

    def text(self) -> str:
        """Of all that was written."""
        return "".join(self._parts)

    def write(self, paragraph: Paragraph) -> None:
        """After what was written before, or as its continuation."""
        before, self._before = self._before, paragraph
        if before is not None:
            self._part(before, paragraph)
        if paragraph.level:
            self.headings.append(Heading(self._length, paragraph.level, paragraph.words))
        start = self._length
        for number, line in enumerate(paragraph.lines):
            if number and number - 1 in paragraph.kept:
                self._put("\n")
            elif number:
                self._join(line.text)
            self._put(line.text)
        self._note_page(paragraph.page, start)
        self._note_table(paragraph, start)

    def _part(self, before: Paragraph, after: Paragraph) -> None:
        """What comes between two paragraphs."""
        is_new_flow = before.page != after.page or before.lines[-1].flow != after.lines[0].flow
        if is_new_flow and goes_on(before, after):
            self._join(after.lines[0].text)
            return
        is_same_table = before.page == after.page and before.lines[-1].table == after.lines[0].table
        are_rows = before.is_row and after.is_row and is_same_table
        self._put("\n" if are_rows or (before.is_item and after.is_item) else "\n\n")

    def _join(self, after: str) -> None:
        """Go on with the same paragraph."""
        last = self._parts.pop()
        kept, between = self._hyphens.join(last, after)
        self._length -= len(last)
        self._put(kept)
        self._shorten_page()
        self._put(between)

    def _put(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)

    def _shorten_page(self) -> None:
        """A hyphen that went was the last of its page."""
        if self.pages:
            number = next(reversed(self.pages))
            start, end = self.pages[number]
            self.pages[number] = (start, min(end, self._length))

    def _note_page(self, page: int, start: int) -> None:
        self.pages[page] = (self.pages[page][0] if page in self.pages else start, self._length)

    def _note_table(self, row: Paragraph, start: int) -> None:
        line = row.lines[0]
        if not row.is_row or line.is_header:
            return
        if line.columns:
            self.tables.append(Table(start, self._length, line.columns))
        elif self.tables and self._table == (row.page, line.table):
            self.tables[-1] = replace(self.tables[-1], end=self._length)
        else:
            return
        self._table = (row.page, line.table)


# Where a stretch of text stands


def render(data: bytes, number: int, scale: float = 2.0) -> bytes:
    """The page with this number, from 1, as PNG; `scale` is in pixels a point. Raises `Unreadable`."""
    with pdfium.opened(data) as document:
        file = io.BytesIO()
        pdfium.rendered(document, number - 1, scale).save(file, "PNG")
        return file.getvalue()


def boxes(data: bytes, document: Document, start: int, end: int) -> list[Box]:
    """Where `document.text[start:end]` stands on its pages: a box a line, in the order of the text.

    Lays out again the pages concerned, and finds their text in their lines. Raises `Unreadable` if
    `data` is not what the document was read from. Pages without characters, such as those recognised
    from images by Pincite itself, have no boxes.
    """
    if hashlib.sha256(data).hexdigest() != document.sha256:
        raise Unreadable("changed since it was indexed")
    found: list[Box] = []
    with pdfium.opened(data) as file:
        for page in document.pages:
            if page.start >= end or page.end <= start:
                continue
            sheet = pdfium.sheet(file, page.number - 1)
            if sheet is None:
                continue
            text = document.text[page.start : page.end]
            for places in _chosen(_lines(sheet.characters), text, max(0, start - page.start), end - page.start):
                found.append(_box(page.number, sheet.characters, places))
    return found


def _box(page: int, characters: Characters, places: np.ndarray) -> Box:
    return Box(
        page,
        float(characters.left[places].min()),
        float(characters.bottom[places].min()),
        float(characters.right[places].max()),
        float(characters.top[places].max()),
    )


def _chosen(lines: Sequence[Line], text: str, start: int, end: int) -> Iterator[np.ndarray]:
    """For each line with characters of `text[start:end]`, their places among the page's characters."""
    letters = "".join(text.split())
    first = len("".join(text[:start].split()))
    last = first + len("".join(text[start:end].split()))
    for line, reached, length in _aligned(lines, letters):
        places = np.concatenate([word.places for cell in line.cells for word in cell.words])[:length]
        chosen = places[max(0, first - reached) : max(0, last - reached)]
        if len(chosen):
            yield chosen


def _aligned(lines: Sequence[Line], letters: str) -> list[tuple[Line, int, int]]:
    """The lines that together say `letters`, in order, each with where it begins there and how much it says.

    The others are running headers, which the page alone cannot tell from text, so every way to leave
    lines out is kept open until one reaches the end. A hyphen at a line's end may be missing.
    """
    ways: dict[int, Any] = {0: ()}  # how much is said → the way there, as a linked list
    for line in lines:
        words = "".join(line.text.split())
        for reached, way in list(ways.items()):
            for said in (words, words[:-1]) if words.endswith("-") else (words,):
                if said and letters.startswith(said, reached) and reached + len(said) not in ways:
                    ways[reached + len(said)] = (way, (line, reached, len(said)))
    found: list[tuple[Line, int, int]] = []
    way = ways[max(ways)]
    while way:
        way, step = way
        found.append(step)
    return found[::-1]
