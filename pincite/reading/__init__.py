"""Hop 1: files → documents. One module a format; `FORMATS` is the registry.

A reader takes the bytes of a file and gives back its `Content`. To add one, write a module with a
`read(data: bytes) -> Content` and name it here.
"""

import hashlib
import os
import stat
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path, PurePosixPath

from pincite.errors import Inaccessible, Unreadable
from pincite.reading.content import Content
from pincite.reading.language import detect
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


FORMATS = (
    Reader("plain", 1, "text/plain", ".txt .text"),
    Reader("markdown", 1, "text/markdown", ".md .markdown"),
    Reader("html", 1, "text/html", ".html .htm"),
    Reader(
        "word",
        1,
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ".docx .docm .dotx .dotm",
    ),
    Reader(
        "slides",
        1,
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        ".pptx .pptm .ppsx .ppsm .potx .potm",
    ),
    Reader("opendocument", 1, "application/vnd.oasis.opendocument.text", ".odt .ott"),
    Reader("richtext", 1, "application/rtf", ".rtf"),
    Reader("spreadsheet", 1, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xlsx"),
    Reader("spreadsheet", 1, "application/vnd.ms-excel.sheet.macroenabled.12", ".xlsm"),
    Reader("spreadsheet", 1, "application/vnd.ms-excel", ".xls"),
    Reader("spreadsheet", 1, "application/vnd.oasis.opendocument.spreadsheet", ".ods"),
    Reader("table", 1, "text/csv", ".csv"),
    Reader("table", 1, "text/tab-separated-values", ".tsv"),
)
READERS = {ending: reader for reader in FORMATS for ending in reader.endings.split()}
"""File ending → reader."""
_LONGEST_HEADING = 200


def reader_of(source: str) -> Reader:
    """What reads a file of this name. Raises `Unreadable` where nothing does."""
    suffix = PurePosixPath(source).suffix.lower()
    if suffix not in READERS:
        raise Unreadable(f"no reader for {suffix or 'files without an ending'}")
    return READERS[suffix]


def read(path: Path, source: str) -> Document:
    """Read the file at `path` as the document `source`.

    Raises `Unreadable`, with the reason, for a file without a reader, one that is not a regular
    file, one that holds no text and one that the system will not give.
    """
    reader = reader_of(source)
    data = read_bytes(path)
    content = reader.read(data)
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
        coverage=replace(content.coverage, language=detect(content.text)),
        reader=reader.name,
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
