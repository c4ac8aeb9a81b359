"""The reading list: passages that a person collects over several questions, with notes.

One file of JSON lines, appended to and never rewritten: a later line with the same id replaces the
earlier, and `{"id": …, "removed": true}` takes an entry off the list. Entries are kept by place and
quote, so that what changed since they were collected can be told.
"""

import datetime
import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json

from pincite import citation
from pincite.durable import flush, flush_open
from pincite.errors import ReadingListError
from pincite.quotation import Quotation, locate
from pincite.storage import Catalog
from pincite.types import Hit, Place, Span

State = Literal["current", "moved", "changed", "gone"]
"""Whether what was collected stands where it stood, stands once elsewhere, has other words now, or
belongs to a document that is no longer indexed."""


class Entry(Quotation):
    """A passage as it was collected."""

    id: str = Field(min_length=1)
    quote: str = Field(min_length=1)
    start: int = Field(default=0, ge=0)
    marks: tuple[Span, ...] = ()
    """Offsets into `quote` of the sentences most likely to answer, in order, not overlapping."""
    sha256: str = ""
    """Of the file as it was indexed then."""
    citation: str = ""
    title: str = ""
    question: str = ""
    note: str = ""
    at: str = ""
    """When it was collected, in ISO 8601 with the offset from UTC."""

    @model_validator(mode="after")
    def _marks_lie_in_the_quote(self) -> Self:
        edges = [0, *(edge for mark in self.marks for edge in mark), len(self.quote)]
        if any(first > second for first, second in pairwise(edges)):
            raise ValueError("marks do not lie one after the other in the quote")
        return self

    @classmethod
    def of(cls, hit: Hit, question: str, text: str | None = None) -> Self:
        """What is collected of a hit. `text`: the document as it is indexed, for what stands around the quote."""
        passage = hit.passage
        entry = cls(
            id=identity(hit, question),
            source=passage.source,
            quote=passage.text,
            start=passage.start,
            marks=hit.marks,
            sha256=hit.sha256,
            citation=hit.citation,
            title=citation.display_title(passage),
            question=question,
            at=datetime.datetime.now(datetime.UTC).isoformat(),
        )
        return entry if text is None else entry.among(text)


class _Removal(BaseModel):
    """A line that takes an entry off the list."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    removed: Literal[True]


@dataclass(frozen=True, slots=True)
class Standing:
    """What has become of an entry since it was collected."""

    state: State
    place: Place | None = None
    """Where its words stand now, if they do."""
    sha256: str = ""
    """Of the file as it is indexed now."""


def identity(hit: Hit, question: str) -> str:
    """An id for a passage under a question, whatever the question's white space and case."""
    passage = hit.passage
    parts = [" ".join(question.casefold().split()), passage.source, passage.start, passage.text]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


class ReadingList:
    """The file of a reading list. Safe to share between threads, and with other processes."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = threading.Lock()
        self._read: tuple[tuple[int, int, int], dict[str, Entry]] = ((0, 0, 0), {})
        """The state of the file that was read last, and what it held."""

    def entries(self) -> Mapping[str, Entry]:
        """Id → entry, in the order in which they were collected. The file is read again only after a change.

        Raises `ReadingListError`, naming file and line, for one that cannot be read.
        """
        with self._lock:
            try:
                found = self.file.stat()
                state = (found.st_ino, found.st_size, found.st_mtime_ns)
                if state != self._read[0]:
                    self._read = state, _parse(self.file, self.file.read_bytes())
            except FileNotFoundError:
                self._read = (0, 0, 0), {}
            except OSError as error:
                raise ReadingListError(f"{self.file}: cannot be read ({error.strerror})") from error
            return self._read[1]

    def put(self, entry: Entry) -> None:
        """Add an entry, or replace the one with its id. Raises `ReadingListError`, also below."""
        self._append(entry)

    def note(self, entry: Entry, note: str) -> None:
        """Write down a note on an entry."""
        self._append(entry.model_copy(update={"note": note}))

    def remove(self, entry_id: str) -> None:
        """Take an entry off the list; `put` brings it back to its place."""
        self._append(_Removal(id=entry_id, removed=True))

    def _append(self, said: Entry | _Removal) -> None:
        """One line more, on the disk whole or not at all, whoever else is writing."""
        fields = {"id": said.id, **said.model_dump(mode="json")}  # in front, for whoever reads the file
        line = (json.dumps(fields, ensure_ascii=False) + "\n").encode()
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)  # given back when the descriptor is closed
                before = os.fstat(descriptor).st_size
                if before and os.pread(descriptor, 1, before - 1) != b"\n":
                    line = b"\n" + line  # the end of a line that somebody else left open
                if os.write(descriptor, line) < len(line):
                    os.ftruncate(descriptor, before)
                    raise ReadingListError(f"{self.file}: cannot be written (no room for a line): see to the disk")
                flush_open(descriptor)
                if not before:
                    flush(self.file.parent)  # the name of a new file must last as long as what is in it
            finally:
                os.close(descriptor)
        except OSError as error:
            raise ReadingListError(f"{self.file}: cannot be written ({error.strerror})") from error


def _parse(file: Path, data: bytes) -> dict[str, Entry]:
    """What the lines of a file come to."""
    found: dict[str, Entry] = {}
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            said = _line(line)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            raise _damaged(file, number, f"{f'{key}: ' if key else ''}{first['msg']}") from error
        except ValueError as error:
            raise _damaged(file, number, str(error)) from error
        if isinstance(said, Entry):
            found[said.id] = said
        else:
            found.pop(said.id, None)
    return dict(sorted(found.items(), key=lambda item: (item[1].at, item[0])))


def _line(line: bytes) -> Entry | _Removal:
    said = from_json(line)
    if isinstance(said, dict) and "removed" in said:
        return _Removal.model_validate(said)
    return Entry.model_validate(said)


def _damaged(file: Path, number: int, reason: str) -> ReadingListError:
    return ReadingListError(f"{file}, line {number}: {reason}: mend the line, or delete it")


def standings(entries: Iterable[Entry], catalog: Catalog) -> dict[str, Standing]:
    """Id → what has become of the entry in what is indexed now. Each document is read once.

    Within `catalog.reading()`. Raises `IndexDamaged`.
    """
    found: dict[str, Standing] = {}
    by_source: dict[str, list[Entry]] = {}
    for entry in entries:
        by_source.setdefault(entry.source, []).append(entry)
    renamed: dict[str, str] | None = None
    for source, collected in by_source.items():
        document = catalog.document(source)
        if document is not None:
            found |= {entry.id: _standing(entry, source, document.text, document.sha256) for entry in collected}
            continue
        if renamed is None:
            renamed = {file.sha256: file.source for file in catalog.files().values()}
        for entry in collected:  # of one source, but perhaps of several versions of it
            now = catalog.document(renamed[entry.sha256]) if entry.sha256 in renamed else None
            found[entry.id] = _standing(entry, now.source, now.text, now.sha256) if now else Standing("gone")
    return found


def _standing(entry: Entry, source: str, text: str, sha256: str) -> Standing:
    span = locate(entry, text)
    if span is None:
        return Standing("changed", sha256=sha256)
    is_there = source == entry.source and span[0] == entry.start
    return Standing("current" if is_there else "moved", Place(source, *span), sha256)
