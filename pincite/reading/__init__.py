"""Hop 1: files → documents. One module a format; `READERS` is the registry.

A reader takes the bytes of a file and gives back its `Content`. To add one, write a module with a
`read(data: bytes) -> Content` and name it here.
"""

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from pincite.errors import Inaccessible, Unreadable
from pincite.reading import html, markdown, plain
from pincite.reading.content import Content
from pincite.types import Document, Section

READERS: dict[str, tuple[str, Callable[[bytes], Content]]] = {
    ".txt": ("text/plain", plain.read),
    ".text": ("text/plain", plain.read),
    ".md": ("text/markdown", markdown.read),
    ".markdown": ("text/markdown", markdown.read),
    ".html": ("text/html", html.read),
    ".htm": ("text/html", html.read),
}
"""File ending → media type and reader."""
_LONGEST_HEADING = 200


def read(path: Path, source: str) -> Document:
    """Read the file at `path` as the document `source`.

    Raises `Unreadable`, with the reason, for a file without a reader, one that is not a regular
    file, one that holds no text and one that the system will not give.
    """
    suffix = PurePosixPath(source).suffix.lower()
    if suffix not in READERS:
        raise Unreadable(f"no reader for {suffix or 'files without an ending'}")
    media_type, reader = READERS[suffix]
    data = read_bytes(path)
    content = reader(data)
    if not content.text.strip():
        raise Unreadable("holds no text")
    return Document(
        source=source,
        title=_shown(content.title),
        media_type=media_type,
        sha256=hashlib.sha256(data).hexdigest(),
        text=content.text,
        sections=tuple(
            Section(section.start, tuple(_shown(words) for words in section.heading)) for section in content.sections
        ),
        pages=content.pages,
        remarks=content.remarks,
    )


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
