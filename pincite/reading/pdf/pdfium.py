"""What PDFium tells: pages, characters with their boxes, the outline. The only module that calls it.

PDFium is not thread-safe: one document at a time in a process. Millions of characters are asked for
one by one, so the functions that are called for each are bound to plain addresses, and write straight
into arrays.
"""

import ctypes
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as c
from PIL.Image import Image

from pincite.errors import Unreadable

_MOST_PAGES = 100_000
_MOST_CHARACTERS = 1_000_000
"""On one page: a page of small print has ten thousand."""
_MOST_BOOKMARKS = 10_000
_MOST_ANNOTATIONS = 5_000
_MOST_OBJECTS = 10_000
_MOST_PIXELS = 40_000_000
_FEW = 1_000
"""Characters: more are never running headers alone, and then nobody asks for images."""
_HYPHENS = (0x02, 0xAD, 0xFFFE)
"""What PDFium makes of a hyphen at the end of a line, and a soft hyphen that is shown."""
_LOCK = Lock()


@dataclass(frozen=True, slots=True)
class Characters:
    """The characters of a page that are not white space, in the order of the file. Arrays of one length.

    Boxes are in points of the page as it is shown, rotation applied, from its lower left corner. They
    reach from the descent to the ascent of the font, so all of a line are about as high.
    """

    code: np.ndarray
    left: np.ndarray
    bottom: np.ndarray
    right: np.ndarray
    top: np.ndarray
    size: np.ndarray
    """Of the font, in points, as shown."""
    bold: np.ndarray
    angle: np.ndarray
    """Direction of writing in whole degrees, counter-clockwise, 0 to 359."""
    spaced: np.ndarray
    """Whether white space stands before it."""

    def __len__(self) -> int:
        return len(self.code)

    def only(self, chosen: np.ndarray) -> "Characters":
        """Those at the places, or where the mask says so."""
        return Characters(*(getattr(self, name)[chosen] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page as it is shown."""

    width: float
    height: float
    characters: Characters
    has_image: bool
    has_drawing: bool
    """Whether it shows anything else but text. Both are told only where there is little text."""
    is_recognised: bool
    """Whether at least half of its text lies unseen over an image of it."""
    outside: int
    """Characters that lie beyond its edges."""
    invisible: int
    """Characters that nobody sees, and no image in their place."""
    comments: int
    unmapped: int
    """Characters of which the file does not say what letter they are."""


@dataclass(frozen=True, slots=True)
class Bookmark:
    """An entry of the outline. `level` is 1 for the outermost, `page` counts from 0."""

    title: str
    level: int
    page: int


@contextmanager
def opened(data: bytes) -> Iterator[pdfium.PdfDocument]:
    """The document, alone in this process until it is closed. Raises `Unreadable`."""
    with _LOCK:
        try:
            document = pdfium.PdfDocument(data)
        except pdfium.PdfiumError as error:
            raise Unreadable(_REASONS.get(error.err_code, "not a PDF file, or damaged")) from error
        try:
            if len(document) > _MOST_PAGES:
                raise Unreadable(f"says it has {len(document):,} pages: split it, or it is damaged")
            yield document
        finally:
            document.close()


_REASONS = {
    c.FPDF_ERR_SUCCESS: "has no pages",
    c.FPDF_ERR_PASSWORD: "protected by a password: save a copy without one",
    c.FPDF_ERR_SECURITY: "protected in a way that cannot be opened: save a copy without protection",
}


def sheet(document: pdfium.PdfDocument, index: int) -> Sheet | None:
    """The page at `index`, from 0; None where it is damaged."""
    try:
        with _closing(document[index]) as page, _closing(page.get_textpage()) as text:
            return _sheet(page, text)
    except pdfium.PdfiumError:
        return None


def rendered(document: pdfium.PdfDocument, index: int, scale: float) -> Image:
    """The page at `index`, from 0; `scale` is in pixels a point, less where that is beyond all measure.

    Raises `Unreadable` for a damaged page.
    """
    try:
        with _closing(document[index]) as page:
            width, height = page.get_size()
            scale = min(scale, (_MOST_PIXELS / max(width * height, 1)) ** 0.5)
            with _closing(page.render(scale=scale)) as bitmap:
                image: Image = bitmap.to_pil().convert("RGB")
                return image.copy()  # the bitmap goes
    except pdfium.PdfiumError as error:
        raise Unreadable(f"page {index + 1} is damaged") from error


def label(document: pdfium.PdfDocument, index: int) -> str:
    """As printed, where the file says so."""
    return _words(lambda buffer, size: c.FPDF_GetPageLabel(document, index, buffer, size))


def title(document: pdfium.PdfDocument) -> str:
    """What the file's own description calls it."""
    return _words(lambda buffer, size: c.FPDF_GetMetaText(document, b"Title", buffer, size))


def attachments(document: pdfium.PdfDocument) -> int:
    """How many files are embedded in it."""
    return max(0, int(document.count_attachments()))


def outline(document: pdfium.PdfDocument) -> tuple[list[Bookmark], bool]:
    """Its entries in order, and whether there are more than are read. Loops are cut."""
    found: list[Bookmark] = []
    seen: set[int] = set()
    pending = [(c.FPDFBookmark_GetFirstChild(document, None), 1)]
    while pending:
        entry, level = pending.pop()
        if not entry or (address := ctypes.addressof(entry.contents)) in seen:
            continue
        if len(seen) >= _MOST_BOOKMARKS:
            return found, True
        seen.add(address)
        target = c.FPDFBookmark_GetDest(document, entry)
        page = c.FPDFDest_GetDestPageIndex(document, target) if target else -1
        if page >= 0:
            words = _words(partial(c.FPDFBookmark_GetTitle, entry))
            found.append(Bookmark(words, level, page))
        pending.append((c.FPDFBookmark_GetNextSibling(document, entry), level))
        pending.append((c.FPDFBookmark_GetFirstChild(document, entry), level + 1))
    return found, False


def _words(ask: Callable[[Any, int], int], longest: int = 4096) -> str:
    """A string that PDFium hands over as UTF-16, its white space folded; nothing where it is longer."""
    size = ask(None, 0)
    if not 2 < size <= longest:
        return ""
    buffer = (ctypes.c_ushort * (size // 2))()
    ask(buffer, size)
    text = bytes(buffer)[:-2].decode("utf-16-le", "replace")
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


@contextmanager
def _closing(thing: Any) -> Iterator[Any]:
    """`contextlib.closing`, but typed for a library without types."""
    try:
        yield thing
    finally:
        thing.close()


@dataclass(frozen=True, slots=True)
class _Annotations:
    """What is laid upon a page."""

    typed: Sequence[tuple[str, tuple[float, ...]]]
    """Words typed into fields or onto the page, with the box (left, top, right, bottom) they were typed into."""
    comments: int


def _annotations(page: Any) -> _Annotations:
    """Read one by one: making them part of the page, as PDFium can, ends the process on some damaged files."""
    typed, comments = [], 0
    for number in range(min(c.FPDFPage_GetAnnotCount(page), _MOST_ANNOTATIONS)):
        annotation = c.FPDFPage_GetAnnot(page, number)
        if not annotation:
            continue
        kind = c.FPDFAnnot_GetSubtype(annotation)
        if kind in _TYPED:
            box = c.FS_RECTF()
            is_string = c.FPDFAnnot_GetValueType(annotation, _TYPED[kind]) == c.FPDF_OBJECT_STRING
            words = _words(partial(c.FPDFAnnot_GetStringValue, annotation, _TYPED[kind]), _LONGEST_FIELD)
            if is_string and words and c.FPDFAnnot_GetRect(annotation, box):
                typed.append((words, (box.left, box.top, box.right, box.bottom)))
        elif kind not in (c.FPDF_ANNOT_LINK, c.FPDF_ANNOT_POPUP):
            comments += c.FPDFAnnot_GetStringValue(annotation, b"Contents", None, 0) > 2
        c.FPDFPage_CloseAnnot(annotation)
    return _Annotations(typed, comments)


_TYPED = {c.FPDF_ANNOT_WIDGET: b"V", c.FPDF_ANNOT_FREETEXT: b"Contents"}
"""Annotations whose words stand on the page, fields of forms and text typed onto it, and where these are."""
_LONGEST_FIELD = 1_000_000


def spread(words: str, left: float, bottom: float, right: float, top: float) -> Characters:
    """Words as characters evenly over their box, on one line: where exactly each stands is not known."""
    code = np.array([ord(sign) for sign in words], np.uint32)
    x, step = np.linspace(left, right, len(words), endpoint=False), (right - left) / len(words)
    same = np.ones(len(words))
    size, angle = same * 0.85 * (top - bottom), np.zeros(len(words), np.int64)
    spaced = np.roll(code == 0x20, 1)
    return Characters(code, x, same * bottom, x + step, same * top, size, same < 0, angle, spaced).only(code != 0x20)


def together(parts: Sequence[Characters]) -> Characters:
    """One after the other."""
    if len(parts) == 1:
        return parts[0]
    return Characters(*(np.concatenate([getattr(part, name) for part in parts]) for name in Characters.__slots__))


def _line_of(left: float, bottom: float, right: float, top: float) -> tuple[float, float, float, float]:
    """Where the line stands in a field: in its middle, or on top of one that has room for more."""
    height = min(max(top - bottom, 1.0), 14.0)
    floor = (bottom + top - height) / 2 if top - bottom < 2.5 * height else top - height
    return left, floor, right, floor + height


def _bound(function: Any, result: Any, *arguments: Any) -> Any:
    """The same function taking plain addresses: several times as fast as with checked pointers."""
    return ctypes.CFUNCTYPE(result, *arguments)(ctypes.cast(function, ctypes.c_void_p).value or 0)


_POINTER, _INT = ctypes.c_void_p, ctypes.c_int
_unicode = _bound(c.FPDFText_GetUnicode, ctypes.c_uint, _POINTER, _INT)
_loose_box = _bound(c.FPDFText_GetLooseCharBox, _INT, _POINTER, _INT, _POINTER)
_text_object = _bound(c.FPDFText_GetTextObject, _POINTER, _POINTER, _INT)
_matrix = _bound(c.FPDFText_GetMatrix, _INT, _POINTER, _INT, _POINTER)
_font_size = _bound(c.FPDFTextObj_GetFontSize, _INT, _POINTER, _POINTER)
_render_mode = _bound(c.FPDFTextObj_GetTextRenderMode, _INT, _POINTER)
_font = _bound(c.FPDFTextObj_GetFont, _POINTER, _POINTER)
_font_name = _bound(c.FPDFFont_GetBaseFontName, ctypes.c_size_t, _POINTER, _POINTER, ctypes.c_size_t)
_font_weight = _bound(c.FPDFFont_GetWeight, _INT, _POINTER)


def _sheet(page: Any, text: Any) -> Sheet:
    count = text.count_chars()
    if count > _MOST_CHARACTERS:
        raise pdfium.PdfiumError(f"{count} characters on one page")
    handle = ctypes.cast(text.raw, _POINTER).value or 0
    code = np.fromiter(map(_unicode, itertools.repeat(handle), range(count)), np.uint32, count)
    found = map(_text_object, itertools.repeat(handle), range(count))
    objects = np.array([place or 0 for place in found], np.uint64)
    width, height = page.get_size()
    # White space that PDFium adds has no object; controls are no letters either.
    code[np.isin(code, _HYPHENS)] = ord("-")
    unmapped = (code == 0) & (objects != 0)
    code[unmapped | (code > 0x10FFFF) | ((code >= 0xD800) & (code < 0xE000))] = 0xFFFD
    is_text = (objects != 0) & (code > 0x20) & (code != 0x7F) & ~np.isin(code, _SPACES)
    kept = np.flatnonzero(is_text)
    boxes = np.zeros((len(kept), 4), np.float32)
    start = boxes.ctypes.data
    _exhaust(map(_loose_box, itertools.repeat(handle), kept.tolist(), range(start, start + 16 * len(kept), 16)))
    size, bold, angle, unseen = _styles(handle, kept, objects[kept])
    left, bottom, right, top, turned = _shown(page, boxes)
    spaced = np.diff(kept, prepend=-2) > 1
    characters = Characters(code[kept], left, bottom, right, top, size, bold, (angle - turned) % 360, spaced)
    x, y = (left + right) / 2, (bottom + top) / 2
    inside = (x >= 0) & (x <= width) & (y >= 0) & (y <= height) & np.isfinite(x) & np.isfinite(y)
    hidden = inside & unseen
    if hidden.any():
        hidden &= ~_over_an_image(page, boxes)
    seen = inside & ~hidden
    annotations = _annotations(page)
    places = _shown(page, np.array([box for _, box in annotations.typed], np.float32).reshape(-1, 4))
    typed = [
        spread(words, *_line_of(*map(float, box)))
        for (words, _), *box in zip(annotations.typed, *places[:4], strict=True)
    ]
    kinds = _kinds(page) if len(characters) <= _FEW else set()
    return Sheet(
        width=width,
        height=height,
        characters=together([characters.only(seen), *typed]),
        has_image=c.FPDF_PAGEOBJ_IMAGE in kinds,
        has_drawing=bool(kinds - {c.FPDF_PAGEOBJ_IMAGE, c.FPDF_PAGEOBJ_TEXT}),
        is_recognised=bool(seen.any() and (unseen & seen).sum() * 2 >= seen.sum()),
        outside=int((~inside).sum()),
        invisible=int(hidden.sum()),
        comments=annotations.comments,
        unmapped=int((code[kept][seen] == 0xFFFD).sum()),
    )


_SPACES = np.array([*range(0x80, 0xA1), 0x1680, *range(0x2000, 0x2010), *range(0x2028, 0x2030), 0x205F, 0x2060, 0x3000,
                    0xFEFF], np.uint32)  # fmt: skip
"""White space, controls, and marks that take no room."""


def _styles(handle: int, kept: np.ndarray, objects: np.ndarray) -> tuple[np.ndarray, ...]:
    """Size, boldness, angle and whether it is drawn at all, of each character: its text object's."""
    own, first, which = np.unique(objects, return_index=True, return_inverse=True)
    places, count = own.tolist(), len(own)
    sizes, matrices = np.zeros(count, np.float32), np.zeros((count, 6), np.float32)
    _exhaust(map(_font_size, places, range(start := sizes.ctypes.data, start + 4 * count, 4)))
    start = matrices.ctypes.data
    _exhaust(map(_matrix, itertools.repeat(handle), kept[first].tolist(), range(start, start + 24 * count, 24)))
    fonts = [font or 0 for font in map(_font, places)]
    weights = {font: _is_bold(font) for font in set(fonts)}
    unseen = np.fromiter(map(_render_mode, places), np.int32, count) == c.FPDF_TEXTRENDERMODE_INVISIBLE
    a, b, across, up = np.nan_to_num(matrices[:, :4].T.astype(np.float64), posinf=0.0, neginf=0.0)
    size = np.nan_to_num(np.abs(sizes), posinf=0.0) * np.hypot(across, up)
    bold = np.array([weights[font] for font in fonts], bool)
    angle = np.rint(np.degrees(np.arctan2(b, a))).astype(np.int64)
    return size[which], bold[which], angle[which], unseen[which]


_exhaust = deque[int](maxlen=0).extend
"""Calls for the sake of what they write into an array."""


def _is_bold(font: int) -> bool:
    if not font:
        return False
    buffer = ctypes.create_string_buffer(200)
    _font_name(font, ctypes.addressof(buffer), 200)
    name = buffer.value.lower()
    return any(word in name for word in (b"bold", b"black", b"heavy")) or _font_weight(font) >= 600


def _shown(page: Any, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """Boxes (left, top, right, bottom in the page's own space) on the page as it is shown, and its rotation."""
    left, bottom, right, top = page.get_bbox()
    x0, y1, x1, y0 = (column.astype(np.float64) for column in boxes.T)
    turned = page.get_rotation()
    if turned == 90:
        return y0 - bottom, right - x1, y1 - bottom, right - x0, turned
    if turned == 180:
        return right - x1, top - y1, right - x0, top - y0, turned
    if turned == 270:
        return top - y1, x0 - left, top - y0, x1 - left, turned
    return x0 - left, y0 - bottom, x1 - left, y1 - bottom, turned


def _over_an_image(page: Any, boxes: np.ndarray) -> np.ndarray:
    """Where an image is shown in a character's place: recognised text lies unseen over the scan."""
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    covered = np.zeros(len(boxes), bool)
    for image in page.get_objects(filter=[c.FPDF_PAGEOBJ_IMAGE], max_depth=5):
        if image.level:
            return np.ones(len(boxes), bool)  # where it is shown is up to the form it is in
        left, bottom, right, top = image.get_bounds()
        covered |= (x >= left) & (x <= right) & (y >= bottom) & (y <= top)
    return covered


def _kinds(page: Any) -> set[int]:
    """What is drawn on a page: text, paths, images, shadings."""
    count = min(max(0, c.FPDFPage_CountObjects(page)), _MOST_OBJECTS)
    found = {c.FPDFPageObj_GetType(c.FPDFPage_GetObject(page, number)) for number in range(count)}
    if c.FPDF_PAGEOBJ_FORM in found:
        found.remove(c.FPDF_PAGEOBJ_FORM)
        inner = page.get_objects(max_depth=5)
        found |= {one.type for one in itertools.islice(inner, _MOST_OBJECTS)} - {c.FPDF_PAGEOBJ_FORM}
    return found
