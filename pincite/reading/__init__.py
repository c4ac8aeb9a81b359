"""Hop 1: files → documents. One module a format; `FORMATS` is the registry.

A reader takes the bytes of a file and gives back its `Content`. To add one, write a module with a
`read(data: bytes) -> Content` and name it here.
"""

import hashlib
import os
import posixpath
import stat
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path

from pincite.errors import Inaccessible, Unreadable
from pincite.reading.content import Content
from pincite.types import Document, Section


@dataclass(frozen=True, slots=True)
class Reader:
    """What reads a format. Its module is imported with the first file."""

    module: str
    """In this folder, with a `read(data: bytes) -> Content`."""
    version: int
    """Raised with every change of what it gives: what an older one read is read again."""
    media_type: str
    endings: str
    """Of files, apart by spaces."""

    @property
    def name(self) -> str:
        """With its version: `pdf/1`."""
        return f"{self.module}/{self.version}"

    def read(self, data: bytes) -> Content:
        """Raises `Unreadable` with the reason."""
        content: Content = import_module(f"pincite.reading.{self.module}").read(data)
        return content


_OFFICE = "application/vnd.openxmlformats-officedocument"
_OPEN = "application/vnd.oasis.opendocument"
FORMATS = (
    Reader("plain", 3, "text/plain", ".txt .text"),
    Reader("markdown", 3, "text/markdown", ".md .markdown"),
    Reader("html", 3, "text/html", ".html .htm .xhtml"),
    Reader("pdf", 1, "application/pdf", ".pdf"),
    Reader("word", 2, f"{_OFFICE}.wordprocessingml.document", ".docx .docm .dotx .dotm"),
    Reader("slides", 1, f"{_OFFICE}.presentationml.presentation", ".pptx .pptm .ppsx .ppsm .potx .potm"),
    Reader("opendocument", 2, f"{_OPEN}.text", ".odt .ott"),
    Reader("richtext", 1, "application/rtf", ".rtf"),
    Reader("spreadsheet", 1, f"{_OFFICE}.spreadsheetml.sheet", ".xlsx .xlsm"),
    Reader("spreadsheet", 1, "application/vnd.ms-excel", ".xls"),
    Reader("spreadsheet", 1, f"{_OPEN}.spreadsheet", ".ods"),
    Reader("table", 2, "text/csv", ".csv"),
    Reader("table", 2, "text/tab-separated-values", ".tsv"),
    Reader("epub", 2, "application/epub+zip", ".epub"),
    Reader("mail", 2, "message/rfc822", ".eml"),
    Reader("mbox", 2, "application/mbox", ".mbox"),
)
READERS = {ending: reader for reader in FORMATS for ending in reader.endings.split()}
"""File ending → reader."""
RECOGNISING = frozenset(("pdf",))
"""Readers whose pages may be images with text."""
_LONGEST_HEADING = 200


@lru_cache(maxsize=1)  # a look at a folder asks twice of each file
def reader_of(source: str) -> Reader:
    """What reads a file of this name. Raises `Unreadable` where nothing does."""
    suffix = posixpath.splitext(source)[1].removesuffix(".").lower()  # a path's own parsing takes ten times as long
    if suffix not in READERS:
        raise Unreadable(f"no reader for {suffix or 'files without an ending'}")
    return READERS[suffix]


def reader_name(source: str, *, ocr: bool = False) -> str:
    """What `Document.reader` says of a file of this name. Raises `Unreadable` where nothing reads it."""
    reader = reader_of(source)
    return f"{reader.name}+ocr" if ocr and reader.module in RECOGNISING else reader.name


def read(path: Path, source: str, *, ocr: bool = False) -> Document:
    """Read the file at `path` as the document `source`; with `ocr`, recognise text in images of pages.

    Raises `Unreadable`, with the reason, for a file without a reader, one that is not a regular
    file, one that holds no text and one that the system will not give.
    """
    reader = reader_of(source)
    data = read_bytes(path)
    content = _recognised(data) if ocr and reader.module in RECOGNISING else reader.read(data)
    if not content.text.strip():
        raise Unreadable("holds no text")
    if not _is_unicode(content):
        raise Unreadable("damaged: holds halves of characters (lone surrogates)")
    return Document(
        source=source,
        title=_shown(content.title),
        media_type=reader.media_type,
        sha256=hashlib.sha256(data).hexdigest(),
        text=content.text,
        sections=tuple(
            Section(section.start, tuple(_shown(words) for words in section.heading)) for section in content.sections
        ),
        pages=content.pages,
        parts=content.parts,
        tables=content.tables,
        coverage=content.coverage,
        reader=reader_name(source, ocr=ocr),
        remarks=content.remarks,
    )


def _is_unicode(content: Content) -> bool:
    """Whether all of it can be written as UTF-8, as the catalog and the frames of a reading process are."""
    words = [
        content.text,
        content.title,
        *(part for section in content.sections for part in section.heading),
        *(page.label for page in content.pages),
        *(table.header for table in content.tables),
        *content.remarks,
    ]
    try:
        "".join(words).encode()
    except UnicodeEncodeError:
        return False
    return True


def _recognised(data: bytes) -> Content:
    content: Content = import_module("pincite.reading.recognition").read(data)
    return content


def _shown(words: str) -> str:
    """A title or heading as it is cited and put before each passage; the text keeps all of it."""
    return words if len(words) <= _LONGEST_HEADING else words[: _LONGEST_HEADING - 1].rstrip() + "…"


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file.

    Opened without blocking and checked after opening, so that a FIFO put in a file's place
    between the look and the read cannot hold up a sync.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Inaccessible(f"cannot be opened ({error.strerror})") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Unreadable("not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    except OSError as error:
        raise Inaccessible(f"cannot be read ({error.strerror})") from error
    finally:
        os.close(descriptor)
