"""The catalog: SQLite. What is indexed, where each vector lies, and which generation is current.

One transaction commits everything, so a reader in a transaction of its own sees one state whole.
"""

import hashlib
import json
import sqlite3
import struct
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from types import NoneType
from typing import Any, Literal, NamedTuple

import numpy as np

from pincite.durable import flush
from pincite.errors import CatalogDamaged, IndexBusy, IndexDamaged, IndexMismatch, IndexMissing, StorageError
from pincite.filters import Filters
from pincite.storage import lexical, terms
from pincite.storage.selection import condition, is_titled
from pincite.storage.vectors import Location
from pincite.types import Coverage, Document, Page, Part, Passage, Place, Section, Span, Table

FILE = "catalog.sqlite"
_ASIDE = f"{FILE}.before"
"""A catalog of another format, while one of this format takes its place."""
_PATIENCE = 10.0
"""Seconds to wait for those who have a catalog open that is to be set aside."""
_LOOK = 0.05
"""Seconds between two looks at whether they have."""
FORMAT = 5
"""Version of everything in an index folder. An index of another version is refused."""

_SCHEMA = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    modified INTEGER NOT NULL,        -- of the file, nanoseconds
    looked INTEGER NOT NULL,          -- when it was last read or found unchanged, nanoseconds
    sha256 TEXT NOT NULL,             -- of the file's bytes
    title TEXT NOT NULL,
    media_type TEXT NOT NULL,
    text TEXT NOT NULL,
    digest BLOB NOT NULL,             -- SHA-256 of all that is shown and cited of it
    sections TEXT NOT NULL,           -- JSON: [[start, [heading, ...]], ...]
    structure TEXT NOT NULL,          -- JSON: pages, parts, tables, each a list of its fields
    coverage TEXT NOT NULL,           -- JSON: its fields
    reader TEXT NOT NULL,             -- what read it, with its version
    remarks TEXT NOT NULL             -- JSON: [remark, ...]
) STRICT;
CREATE TABLE passages (
    id INTEGER PRIMARY KEY,           -- never used again: handed out by meta.next_passage
    document INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    start INTEGER NOT NULL,
    end INTEGER NOT NULL,
    text TEXT NOT NULL,
    sha256 BLOB NOT NULL,             -- of its words, its place, its terms and its document's name, title and hash
    heading TEXT NOT NULL,            -- JSON: [heading, ...]
    counted TEXT NOT NULL,            -- JSON: [pages, labels, is_recognised, parts]
    columns TEXT NOT NULL,
    sentences BLOB NOT NULL,          -- little-endian uint32 pairs
    terms BLOB NOT NULL,              -- of its indexed text, in order: terms.numbered
    key BLOB NOT NULL                 -- of its vector record
) STRICT;
CREATE INDEX passages_by_document ON passages(document);
CREATE INDEX passages_by_key ON passages(key);
CREATE TABLE vectors (
    key BLOB PRIMARY KEY,
    segment INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX vectors_by_place ON vectors(segment, offset);
CREATE TABLE skipped (
    source TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    size INTEGER NOT NULL,            -- of a file that was tried, as of a document's; else 0
    modified INTEGER NOT NULL,
    looked INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    reader TEXT NOT NULL              -- what tried it, and within which limits; else empty
) STRICT, WITHOUT ROWID;
"""


Undecodable = sqlite3.DatabaseError
"""What a stored passage raises that cannot be decoded."""
_LAST_ID = 2**63 - 1
_MAPPED, _MAPPED_TO_WRITE = 2**40, 2**28
"""Bytes that are read through a memory map: by who asks all, or as many as SQLite was built to allow; by who writes,
and may go through everything, no more than memory has room for."""
_PUT_VECTOR = "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)"
_NOT_GIVEN = frozenset(
    (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
)
"""SQLite's codes for what the system refuses; the file itself may be sound."""


class FileState(NamedTuple):
    """What the catalog knows of a file without its text."""

    source: str
    size: int
    modified: int
    looked: int
    sha256: str
    reader: str = ""
    """What read it, with its version."""


class _States(Mapping[str, FileState]):
    """Source → state, made of its row when it is asked for.

    Plain rows are no concern of Python's collector of garbage. Where as many objects stay as there are files, it looks
    through all that a large process holds, which takes half a second.
    """

    def __init__(self, rows: dict[str, tuple[Any, ...]]) -> None:
        self._rows = rows

    def __getitem__(self, source: str) -> FileState:
        return FileState._make(self._rows[source])

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


@dataclass(frozen=True, slots=True)
class Shelved:
    """What a list of documents says of one, without its text."""

    source: str
    title: str
    media_type: str
    size: int
    modified: int
    """Of the file, nanoseconds."""
    pages: int
    parts: int
    part: str
    """What `parts` counts, in the singular; empty where it counts nothing."""
    passages: int
    coverage: Coverage
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document to commit, with its passages and what is known of its file."""

    document: Document
    state: FileState
    passages: Sequence["NewPassage"]


@dataclass(frozen=True, slots=True)
class NewPassage:
    """A passage to commit."""

    id: int
    passage: Passage
    key: bytes


class _PassageRow(NamedTuple):
    """What `_SELECT_PASSAGE` gives."""

    id: int
    source: str
    start: int
    end: int
    text: str
    title: str
    heading: str
    counted: str
    columns: str
    sentences: bytes
    numbers: bytes
    key: bytes
    segment: int | None
    offset: int | None
    length: int | None
    sha256: bytes
    file_sha256: str


class StoredPassage(_PassageRow):
    """A passage as it lies in the catalog. Most candidates are never shown, so it is decoded when it is asked for,
    which raises `sqlite3.DatabaseError` where that cannot be.

    `sha256` is of its words, its place, its terms and its document's name, title and hash, as they were committed.
    """

    @cached_property
    def passage(self) -> Passage:
        """What is shown and cited."""
        try:
            pages, (first, last), is_recognised, parts = json.loads(self.counted)
            return Passage(
                self.source,
                self.start,
                self.end,
                self.text,
                self.title,
                tuple(map(str, json.loads(self.heading))),
                pages and tuple(pages),
                self._sentences(),
                (first, last),
                is_recognised,
                parts and tuple(parts),
                self.columns,
            )
        except (ValueError, TypeError, struct.error) as error:
            raise self.complaint() from error

    def _sentences(self) -> tuple[Span, ...]:
        flat = struct.unpack(f"<{len(self.sentences) // 4}I", self.sentences)
        return tuple(zip(flat[::2], flat[1::2], strict=True))

    @property
    def sentence_count(self) -> int:
        """How many sentences it has."""
        return len(self.sentences) // 8

    @property
    def location(self) -> Location | None:
        """Where the record of its vectors lies."""
        if self.segment is None or self.offset is None or self.length is None:
            return None
        return Location(self.segment, self.offset, self.length)

    @property
    def terms(self) -> np.ndarray:
        """Of its indexed text, as numbers, in order."""
        try:
            return terms.stored(self.numbers)
        except ValueError as error:
            raise self.complaint() from error

    @property
    def is_sound(self) -> bool:
        """Whether its words, its place and its terms are those that were committed."""
        return _digest(self.passage, self.terms, self.file_sha256) == self.sha256

    def complaint(self) -> sqlite3.DatabaseError:
        """That it cannot be decoded."""
        return _undecoded(self.source, self.start, self.end)


def create(
    folder: Path, corpus: Path, next_generation: int = 1, vectors: Iterable[tuple[bytes, Location]] = ()
) -> None:
    """Begin a catalog without documents in `folder` for the corpus folder `corpus`, whole or not at all.

    `next_generation` and `vectors` are what is left of an index whose catalog was lost.
    """
    making = folder / f"{FILE}.making"
    making.unlink(missing_ok=True)
    connection = sqlite3.connect(making, isolation_level=None)
    try:
        connection.executescript(_SCHEMA)
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)",
            [
                ("format", str(FORMAT)),
                ("corpus", str(corpus)),
                ("generation", "0"),
                ("next_generation", str(next_generation)),
                ("next_passage", "1"),
            ],
        )
        connection.executemany(_PUT_VECTOR, ((key, *location) for key, location in vectors))
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.DatabaseError as error:
        raise StorageError(f"{making}: {error}: see to the disk's room and the folder's permissions") from error
    finally:
        connection.close()
    _drop_logs(folder)
    making.rename(folder / FILE)
    flush(folder)


def exists(folder: Path) -> bool:
    """Whether there is a catalog in `folder`. Raises `StorageError` where that may not be seen."""
    try:
        return (folder / FILE).is_file()
    except OSError as error:
        raise StorageError(f"{folder}: cannot be opened ({error.strerror}): mend its permissions") from error


def set_aside(folder: Path, patience: float = _PATIENCE) -> None:
    """Make room for a catalog of this format, until `put_back` or `drop_aside`.

    Raises `IndexBusy` where anybody still has it open after `patience` seconds, for they would not see what becomes
    of it, and `StorageError`.
    """
    path = folder / FILE
    end = time.monotonic() + patience
    while True:
        try:
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                connection.execute("PRAGMA journal_mode = DELETE")  # if alone with it: nothing is in a log then
            break
        except sqlite3.DatabaseError as error:
            complaint = _complaint(path, error)
            # SQLite itself does not wait for this lock. A page that says of which format the index is has it briefly.
            if not isinstance(complaint, IndexBusy) or time.monotonic() > end:
                raise complaint from error
        time.sleep(_LOOK)
    path.replace(folder / _ASIDE)
    flush(folder)


def put_back(folder: Path) -> None:
    """Have the catalog that was set aside in its place again, if what was made since came to nothing."""
    if (folder / _ASIDE).exists() and (not exists(folder) or peek(folder, "generation") == "0"):
        _drop_logs(folder)
        (folder / _ASIDE).replace(folder / FILE)
        flush(folder)
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(folder / FILE)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")


def drop_aside(folder: Path) -> None:
    """Delete the catalog that was set aside, if one was."""
    (folder / _ASIDE).unlink(missing_ok=True)


def _drop_logs(folder: Path) -> None:
    """A log would be replayed into whatever has the name of its catalog next."""
    for suffix in ("-wal", "-shm"):
        (folder / f"{FILE}{suffix}").unlink(missing_ok=True)


def peek(folder: Path, key: str) -> str:
    """A value of the `meta` table of a catalog of whatever format; empty where it cannot be read."""
    with suppress(sqlite3.DatabaseError, UnicodeDecodeError), closing(_peeked(folder)) as connection:
        found = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(found[0]) if found else ""
    return ""


def count_documents(folder: Path) -> int:
    """How many a catalog of whatever format has; 0 where it cannot be read."""
    with suppress(sqlite3.DatabaseError), closing(_peeked(folder)) as connection:
        return int(connection.execute("SELECT count(*) FROM documents").fetchone()[0])
    return 0


def _peeked(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{(folder / FILE).resolve().as_uri()}?mode=ro", uri=True)


class Catalog:
    """An open connection. For one thread at a time."""

    def __init__(self, folder: Path, *, writable: bool = False, is_scratch: bool = False) -> None:
        """`is_scratch`: what is written need not outlive this process.

        Raises `IndexMissing`, `IndexMismatch` for another format, `IndexDamaged`.
        """
        self.path = folder / FILE
        if not exists(folder):
            raise IndexMissing(f"{folder}: no index here: run python ingest.py")
        self._identity = _identity(self.path)
        with self.named():
            mode = "rw" if writable else "ro"
            uri = f"{self.path.resolve().as_uri()}?mode={mode}"
            self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10, check_same_thread=False)
        try:
            with self.named():
                self._connection.execute("PRAGMA foreign_keys = ON")
                mapped = 0 if is_scratch else _MAPPED_TO_WRITE if writable else _MAPPED
                self._connection.execute(f"PRAGMA mmap_size = {mapped}")
                if is_scratch:
                    self._connection.execute("PRAGMA journal_mode = MEMORY")
                    self._connection.execute("PRAGMA synchronous = OFF")
                else:
                    self._connection.execute("PRAGMA synchronous = FULL")
                    self._connection.execute("PRAGMA fullfsync = ON")  # as `flush`; macOS alone knows the difference
                    self._connection.execute("PRAGMA checkpoint_fullfsync = ON")
                    self._connection.execute("PRAGMA secure_delete = ON")
                self._connection.create_function("is_titled", 3, is_titled, deterministic=True)
                found = self.number("format")
            if found != FORMAT:
                raise IndexMismatch(
                    f"{folder}: index of format {found}, this version reads {FORMAT}: run python ingest.py --rebuild"
                )
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def named(self) -> Iterator[None]:
        """SQLite's complaints, told so that a person can act on them."""
        try:
            yield
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise _complaint(self.path, error) from error

    def is_in_place(self) -> bool:
        """Whether the file is still the one that was opened: an index may be moved away and another made."""
        return self._identity is not None and self._identity == _identity(self.path)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> "Catalog":
        return self

    def __exit__(self, _type: object, error: object, _traceback: object) -> None:
        self.close()
        if isinstance(error, (sqlite3.DatabaseError, UnicodeDecodeError)):
            raise _complaint(self.path, error) from error

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One state of the catalog, whatever is committed meanwhile."""
        with self.named():
            self._connection.execute("BEGIN")
            try:
                self.meta("generation")  # the first read fixes the state
                yield
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Everything in here is committed, or nothing."""
        with self.named():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk may have ended it already
                    self._connection.execute("ROLLBACK")
                raise

    # What the index is

    def meta(self, key: str) -> str:
        """A value of the `meta` table; empty where there is none."""
        row = self._one("s", "SELECT value FROM meta WHERE key = ?", key)
        return row[0] if row else ""

    def set_meta(self, key: str, value: str) -> None:
        """Within `writing`."""
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @property
    def generation(self) -> int:
        """The current generation; 0 before the first."""
        return self.number("generation")

    def number(self, key: str) -> int:
        """A value of the `meta` table that is a number."""
        value = self.meta(key)
        if not value.isdecimal():
            raise sqlite3.DatabaseError(f"{key} is {value[:20]!r}")
        return int(value)

    def reserve(self, counter: str, count: int = 1) -> int:
        """The first of `count` numbers that nobody else will get, in this run or after a crash."""
        with self.writing():
            first = self.number(counter)
            self.set_meta(counter, str(first + count))
        return first

    def counts(self) -> dict[str, int]:
        """How many documents and passages there are."""
        ((documents, passages),) = self._rows("ii", "SELECT (SELECT count(*) FROM documents), count(*) FROM passages")
        return {"documents": documents, "passages": passages}

    # Documents

    def files(self) -> Mapping[str, FileState]:
        """Source → what is known of its file."""
        return self._states("documents")

    def states(self, sources: Iterable[str]) -> Mapping[str, FileState]:
        """Source → what is known of its file, for those that are indexed."""
        return self._states("documents WHERE source IN (SELECT value FROM json_each(?))", json.dumps(list(sources)))

    def _states(self, those: str, *values: object) -> Mapping[str, FileState]:
        statement = f"SELECT source, size, modified, looked, sha256, reader FROM {those}"  # noqa: S608 - constants
        return _States({row[0]: row for row in self._rows("siiiss", statement, *values)})

    def outlines(self, count: int) -> list[tuple[str, tuple[Section, ...]]]:
        """Title and sections of at most `count` documents, evenly over all of them."""
        step = max(self.counts()["documents"] // count, 1)
        rows = self._rows(
            "ss",
            "SELECT title, sections FROM (SELECT title, sections, row_number() OVER (ORDER BY id) - 1 AS number"
            " FROM documents) WHERE number % ? = 0 LIMIT ?",
            step,
            count,
        )
        try:
            return [
                (title, tuple(Section(start, tuple(heading)) for start, heading in json.loads(sections)))
                for title, sections in rows
            ]
        except (ValueError, TypeError) as error:
            raise sqlite3.DatabaseError("the headings of documents") from error

    def document(self, source: str) -> Document | None:
        """The document as it was indexed. Raises `IndexDamaged` if it is not as it was committed."""
        found = self._shown(source)
        if found is None:
            return None
        shown, reader, digest = found
        if _digest_of(shown) != digest:
            raise IndexDamaged(f"{self.path}: what is known of {source} is damaged: run python ingest.py --rebuild")
        _, title, media_type, sha256, text, sections, structure, coverage, remarks = shown
        try:
            pages, parts, tables = json.loads(structure)
            return Document(
                source,
                title,
                media_type,
                sha256,
                text,
                tuple(Section(start, tuple(heading)) for start, heading in json.loads(sections)),
                tuple(Page(*page) for page in pages),
                tuple(Part(*part) for part in parts),
                tuple(Table(*table) for table in tables),
                _coverage(coverage),
                reader,
                tuple(json.loads(remarks)),
            )
        except (ValueError, TypeError) as error:
            raise IndexDamaged(
                f"{self.path}: the structure of {source} is damaged: run python ingest.py --rebuild"
            ) from error

    def _shown(self, source: str) -> tuple[tuple[str, ...], str, bytes] | None:
        """What is shown and cited of a document, what read it, and the digest of the first."""
        row = self._one("ssssssssssb", f"SELECT {_SHOWN}, reader, digest FROM documents WHERE source = ?", source)  # noqa: S608 - constants
        return (row[:-2], *row[-2:]) if row else None

    def skipped(self) -> dict[str, str]:
        """Source → why it was not indexed."""
        return dict(self._rows("ss", "SELECT source, reason FROM skipped ORDER BY source"))

    def failed(self) -> dict[str, FileState]:
        """Those of them that were tried."""
        return dict(self._states("skipped WHERE reader <> ''"))

    def coverage(self, sources: Iterable[str] | None = None) -> dict[str, Coverage]:
        """Source → what of it can be searched, in order of source; of all documents or of these."""
        rows = self._rows(
            "ss",
            f"SELECT source, coverage FROM documents WHERE {_AMONG} ORDER BY source",  # noqa: S608 - a constant
            *_among(sources),
        )
        try:
            return {source: _coverage(coverage) for source, coverage in rows}
        except (ValueError, TypeError) as error:
            raise sqlite3.DatabaseError("what is known of the documents' coverage") from error

    def remarks(self, sources: Iterable[str] | None = None) -> dict[str, list[str]]:
        """Source → what a person should know of how it was read; of all documents or of these."""
        rows = self._rows(
            "ss",
            f"SELECT source, remarks FROM documents WHERE remarks <> '[]' AND {_AMONG} ORDER BY source",  # noqa: S608 - a constant
            *_among(sources),
        )
        try:
            return {source: json.loads(remarks) for source, remarks in rows}
        except ValueError as error:
            raise sqlite3.DatabaseError("the remarks on documents") from error

    def count_documents(self, by: Literal["folder", "ending", "year"], *filters: Filters) -> dict[str, int]:
        """Folder with a slash at its end, ending in small letters, or year of change in local time → documents that
        pass. The empty folder is the root, and the empty ending none."""
        passing, values = condition(*filters)
        statement = f"SELECT {_GROUPS[by]} AS name, count(*) FROM documents d WHERE {passing} GROUP BY name"  # noqa: S608 - constants
        return dict(self._rows("si", statement, *values))

    def shelf(self) -> list[Shelved]:
        """Every document in order of source, in one pass, without its text."""
        rows = self._rows(
            "sssiiiisiss",
            "SELECT d.source, d.title, d.media_type, d.size, d.modified,"
            " coalesce(json_array_length(d.structure, '$[0]'), 0), coalesce(json_array_length(d.structure, '$[1]'), 0),"
            " coalesce(json_extract(d.structure, '$[1][0][0]'), ''), coalesce(n.passages, 0), d.coverage, d.remarks"
            " FROM documents d LEFT JOIN (SELECT document, count(*) AS passages FROM passages GROUP BY document) n"
            " ON n.document = d.id ORDER BY d.source",
        )
        try:
            return [Shelved(*(*row[:-2], _coverage(row[-2]), tuple(json.loads(row[-1])))) for row in rows]
        except (ValueError, TypeError) as error:
            raise sqlite3.DatabaseError("what is known of the documents") from error

    def put_document(self, new: NewDocument) -> None:
        """Add or replace a document and its passages. Within `writing`."""
        document, state = new.document, new.state
        self.remove_document(document.source)
        cursor = self._connection.execute(
            f"INSERT INTO documents ({_DOCUMENT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
            (
                *(shown := _shown(document)),
                state.size,
                state.modified,
                state.looked,
                document.reader,
                _digest_of(shown),
            ),
        )
        self._connection.executemany(
            "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_passage_row(cursor.lastrowid or 0, passage, document.sha256) for passage in new.passages],
        )

    def attach(self, staged: "Catalog") -> None:
        """Have that catalog at hand for `put_staged`, until this one is closed."""
        self._connection.execute("ATTACH ? AS staged", (str(staged.path),))

    def put_staged(self) -> None:
        """Add or replace every document of the catalog at hand. Within `writing`."""
        self._connection.execute("DELETE FROM documents WHERE source IN (SELECT source FROM staged.documents)")
        self._connection.execute(
            f"INSERT INTO documents ({_DOCUMENT}) SELECT {_DOCUMENT} FROM staged.documents ORDER BY id"  # noqa: S608 - constants
        )
        self._connection.execute(
            "INSERT INTO passages SELECT p.id, d.id, p.start, p.end, p.text, p.sha256, p.heading, p.counted, p.columns,"
            " p.sentences, p.terms, p.key"
            " FROM staged.passages p JOIN staged.documents s ON s.id = p.document"
            " JOIN main.documents d ON d.source = s.source ORDER BY p.id"
        )

    def remove_document(self, source: str) -> None:
        """With its passages. Within `writing`."""
        self._connection.execute("DELETE FROM documents WHERE source = ?", (source,))

    def rename_document(self, old: str, new: FileState) -> None:
        """Within `writing`. Where the document or a passage is damaged already, its hash goes on saying so."""
        rows = self._rows(_PASSAGE_KINDS, _SELECT_PASSAGE + " WHERE d.source = ?", old)
        sound = [stored for row in rows if (stored := _sound(row))]
        digest = b""
        with suppress(sqlite3.DatabaseError):  # of what cannot even be read
            if (found := self._shown(old)) and _digest_of(found[0]) == found[-1]:
                digest = _digest_of((new.source, *found[0][1:]))
        self._connection.execute(
            "UPDATE documents SET source = ?, size = ?, modified = ?, looked = ?, digest = ? WHERE source = ?",
            (new.source, new.size, new.modified, new.looked, digest, old),
        )
        self._connection.executemany(
            "UPDATE passages SET sha256 = ? WHERE id = ?",
            [(_digest(replace(at.passage, source=new.source), at.terms, at.file_sha256), at.id) for at in sound],
        )

    def touch(self, states: Iterable[FileState]) -> None:
        """Note that files were looked at and have not changed. Within `writing`."""
        self._connection.executemany(
            "UPDATE documents SET size = ?, modified = ?, looked = ? WHERE source = ?",
            [(state.size, state.modified, state.looked, state.source) for state in states],
        )

    def put_skipped(self, skipped: Mapping[str, str], failed: Mapping[str, FileState]) -> None:
        """Replace the list of what was skipped; `failed`: those of them that were tried. Within `writing`."""
        untried = FileState("", 0, 0, 0, "")
        before = {row[0]: row for row in self._rows("ssiiiss", "SELECT * FROM skipped")}
        rows = [(source, reason, *failed.get(source, untried)[1:]) for source, reason in skipped.items()]
        gone = before.keys() - skipped.keys()
        self._connection.executemany("DELETE FROM skipped WHERE source = ?", [(source,) for source in sorted(gone)])
        self._connection.executemany(
            "INSERT OR REPLACE INTO skipped VALUES (?, ?, ?, ?, ?, ?, ?)",
            sorted(row for row in rows if before.get(row[0]) != row),
        )

    # Passages

    def passages(self, ids: Sequence[int]) -> list[StoredPassage]:
        """The passages with these ids, in order of source and start; those not there are left out."""
        rows = self._rows(
            _PASSAGE_KINDS,
            _SELECT_PASSAGE + " WHERE p.id IN (SELECT value FROM json_each(?))",  # noqa: S608 - a constant
            json.dumps(list(ids)),
        )
        # SQLite would copy every row to sort them.
        return sorted(map(_stored_passage, rows), key=attrgetter("source", "start"))

    def ids_between(self, source: str, first: int, last: int) -> list[int]:
        """Of the passages of a source that begin from one character to another, in order."""
        rows = self._rows(
            "i",
            "SELECT p.id FROM passages p JOIN documents d ON d.id = p.document"
            " WHERE d.source = ? AND p.start BETWEEN ? AND ? ORDER BY p.start",
            source,
            first,
            last,
        )
        return [row[0] for row in rows]

    def places(self, source: str) -> list[Place]:
        """Where the passages of a source stand, in order."""
        rows = self._rows(
            "ii",
            "SELECT p.start, p.end FROM passages p JOIN documents d ON d.id = p.document WHERE d.source = ?"
            " ORDER BY p.start",
            source,
        )
        return [Place(source, *row) for row in rows]

    def all_passages(self, first: int = 0, last: int = _LAST_ID) -> Iterator[StoredPassage]:
        """Every passage, in order of id, from the id `first` to the id `last`."""
        statement = _SELECT_PASSAGE + " WHERE p.id BETWEEN ? AND ? ORDER BY p.id"
        for row in self._rows(_PASSAGE_KINDS, statement, first, last):
            yield _stored_passage(row)

    def indexed_texts(self, first: int, last: int) -> Iterator[tuple[int, str]]:
        """Id and indexed text of every passage from the id `first` to the id `last`, in order of id."""
        rows = self._rows(
            "issiisss",
            "SELECT p.id, d.source, d.title, p.start, p.end, p.text, p.heading, p.columns FROM passages p"
            " JOIN documents d ON d.id = p.document WHERE p.id BETWEEN ? AND ? ORDER BY p.id",
            first,
            last,
        )
        for id_, source, title, start, end, text, heading, columns in rows:
            try:
                path = tuple(map(str, json.loads(heading)))
            except (ValueError, TypeError) as error:
                raise _undecoded(source, start, end) from error
            yield id_, Passage(source, start, end, text, title, path, columns=columns).indexed_text

    def keys(self) -> Iterator[tuple[int, bytes]]:
        """Every passage's id and the key of its vector record, in order of id."""
        return ((id_, key) for id_, key in self._rows("ib", "SELECT id, key FROM passages ORDER BY id"))

    def last_id(self) -> int:
        """The highest id of a passage; 0 where there is none."""
        row = self._one("i", "SELECT coalesce(max(id), 0) FROM passages")
        return row[0] if row else 0

    def ids_after(self, id_: int) -> np.ndarray:
        """Ids of the passages that came after this one, int64, rising."""
        rows = self._rows("i", "SELECT id FROM passages WHERE id > ? ORDER BY id", id_)
        return np.fromiter((id_ for (id_,) in rows), dtype=np.int64)

    def allowed(self, *filters: Filters) -> np.ndarray | None:
        """Ids of the passages whose documents pass all of these, int64, rising; None where every document does."""
        passing, values = condition(*filters)
        if not values:
            return None
        rows = self._rows(
            "i",
            # Each document is looked at once, not once for each of its passages.
            f"SELECT id FROM passages WHERE document IN (SELECT d.id FROM documents d WHERE {passing})",  # noqa: S608 - constants
            *values,
        )
        return np.sort(np.fromiter((id_ for (id_,) in rows), dtype=np.int64))

    def passage_ids(self, sources: Iterable[str]) -> np.ndarray:
        """Ids of all passages of these sources, int64, rising."""
        rows = self._rows(
            "i",
            "SELECT p.id FROM passages p JOIN documents d ON d.id = p.document"
            " WHERE d.source IN (SELECT value FROM json_each(?))",
            json.dumps(list(sources)),
        )
        return np.sort(np.fromiter((id_ for (id_,) in rows), dtype=np.int64))

    # Vectors

    def location(self, key: bytes) -> Location | None:
        """Where a record lies."""
        row = self._one("iii", "SELECT segment, offset, length FROM vectors WHERE key = ?", key)
        return Location(*row) if row else None

    def records(self, ids: np.ndarray) -> Iterator[tuple[bytes, Location]]:
        """Key and place of the records of passages, in order of id; those not there are left out."""
        rows = self._rows(
            "biii",
            "SELECT p.key, v.segment, v.offset, v.length FROM passages p JOIN vectors v ON v.key = p.key"
            " WHERE p.id IN (SELECT value FROM json_each(?)) ORDER BY p.id",
            json.dumps(ids.tolist()),
        )
        return ((row[0], Location(*row[1:])) for row in rows)

    def committed_ends(self) -> dict[int, int]:
        """Segment → end of its last committed record."""
        return dict(
            self._rows(
                "ii",
                # From segment to segment by the index, for a group would be formed of every record.
                "WITH RECURSIVE used(number) AS (SELECT min(segment) FROM vectors UNION ALL SELECT"
                " (SELECT min(segment) FROM vectors WHERE segment > number) FROM used WHERE number IS NOT NULL)"
                " SELECT number, (SELECT offset + length FROM vectors WHERE segment = number"
                " ORDER BY offset DESC LIMIT 1) FROM used WHERE number IS NOT NULL",
            )
        )

    def put_vectors(self, records: Iterable[tuple[bytes, Location]]) -> None:
        """Within `writing`, after the segment was flushed."""
        self._connection.executemany(_PUT_VECTOR, [(key, *location) for key, location in records])

    def remove_vectors(self, keys: Iterable[bytes]) -> None:
        """Within `writing`."""
        self._connection.executemany("DELETE FROM vectors WHERE key = ?", [(key,) for key in keys])

    def live_bytes(self) -> Counter[int]:
        """Segment → bytes of records that some passage uses."""
        return Counter(
            dict(
                self._rows(
                    "ii",
                    "SELECT segment, sum(length) FROM vectors WHERE key IN (SELECT key FROM passages) GROUP BY segment",
                )
            )
        )

    def used_bytes(self, keys: Iterable[bytes]) -> Counter[int]:
        """The same of these records alone."""
        found: Counter[int] = Counter()
        for key in keys:
            row = self._one(
                "ii",
                "SELECT segment, length FROM vectors WHERE key = ?1 AND EXISTS (SELECT 1 FROM passages WHERE key = ?1)",
                key,
            )
            if row:
                found[row[0]] += row[1]
        return found

    def keys_of(self, ids: np.ndarray) -> set[bytes]:
        """The keys of the records of passages."""
        rows = self._rows(
            "b", "SELECT key FROM passages WHERE id IN (SELECT value FROM json_each(?))", json.dumps(ids.tolist())
        )
        return {key for (key,) in rows}

    def live_keys(self, segment: int) -> list[tuple[bytes, Location]]:
        """Records of a segment that some passage uses."""
        rows = self._rows(
            "biii",
            "SELECT key, segment, offset, length FROM vectors WHERE segment = ?"
            " AND key IN (SELECT key FROM passages) ORDER BY offset",
            segment,
        )
        return [(row[0], Location(*row[1:])) for row in rows]

    def dead_keys(self, segment: int) -> list[bytes]:
        """Records of a segment that no passage uses."""
        rows = self._rows(
            "b", "SELECT key FROM vectors WHERE segment = ? AND key NOT IN (SELECT key FROM passages)", segment
        )
        return [row[0] for row in rows]

    # Health

    def complaints(self) -> list[str]:
        """What SQLite's own check finds wrong; empty when all is well."""
        with self.named():
            found = [row[0] for row in self._connection.execute("PRAGMA integrity_check")]
        return [] if found == ["ok"] else found

    def checkpoint(self) -> bool:
        """Fold the write-ahead log into the catalog, so that deleted text is gone from both. Whether it is.

        It waits for nobody: readers of older states are in the way for a while. SQLite itself would wait for their
        place in the log, which others who read the present state take one after the other.
        """
        (patience,) = self._connection.execute("PRAGMA busy_timeout").fetchone()
        self._connection.execute("PRAGMA busy_timeout = 0")
        try:
            is_busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {patience}")
        return not is_busy

    def _one(self, kinds: str, statement: str, *values: object) -> tuple[Any, ...] | None:
        return next(self._rows(kinds, statement, *values), None)

    def _rows(self, kinds: str, statement: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Rows of values of these kinds: `s` text, `i` integer, `b` bytes, capitals also none.

        The tables are strict, but a flipped bit may have made a value of another kind.
        """
        types = [_KINDS[kind] for kind in kinds]
        for row in self._connection.execute(statement, values):
            if not all(map(isinstance, row, types)):
                raise sqlite3.DatabaseError("a value is not of its column's kind")
            yield row


def _complaint(path: Path, error: Exception) -> StorageError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without what narrows it down
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return IndexBusy(f"{path}: in use by another process ({error}): wait until it is done")
    if code in _NOT_GIVEN:
        return StorageError(f"{path}: {error}: see to the disk's room and the file's permissions")
    return CatalogDamaged(
        f"{path}: damaged ({str(error).splitlines()[0]}): restore it from a copy, or move the index folder"
        " away and run python ingest.py"
    )


_AMONG = "(NOT ? OR source IN (SELECT value FROM json_each(?)))"


def _among(sources: Iterable[str] | None) -> tuple[bool, str]:
    """The values of `_AMONG`."""
    return sources is not None, json.dumps(list(sources or ()))


_GROUPS = {
    # What rtrim takes away is all that is no slash, or no dot. A collection's documents have no endings.
    "folder": "rtrim(d.source, replace(d.source, '/', ''))",
    "ending": "iif(instr(d.source, '.'),"
    " lower(substr(d.source, 1 + length(rtrim(d.source, replace(d.source, '.', ''))))), '')",
    "year": "strftime('%Y', d.modified / 1000000000, 'unixepoch', 'localtime')",
}
_KINDS: dict[str, type | tuple[type, ...]] = {"s": str, "i": int, "b": bytes, "I": (int, NoneType)}

_SHOWN = "source, title, media_type, sha256, text, sections, structure, coverage, remarks"
_DOCUMENT = f"{_SHOWN}, size, modified, looked, reader, digest"
_PASSAGE_KINDS = "isiisssssbbbIIIbs"
_SELECT_PASSAGE = (
    "SELECT p.id, d.source, p.start, p.end, p.text, d.title, p.heading, p.counted, p.columns, p.sentences,"
    " p.terms, p.key, v.segment, v.offset, v.length, p.sha256, d.sha256"
    " FROM passages p JOIN documents d ON d.id = p.document LEFT JOIN vectors v ON v.key = p.key"
)


def _shown(document: Document) -> tuple[str, ...]:
    """The values of `_SHOWN`."""
    structure = [[astuple(one) for one in kind] for kind in (document.pages, document.parts, document.tables)]
    return (
        document.source,
        document.title,
        document.media_type,
        document.sha256,
        document.text,
        json.dumps([[section.start, section.heading] for section in document.sections]),
        json.dumps(structure),
        json.dumps(astuple(document.coverage)),
        json.dumps(document.remarks),
    )


def _digest_of(shown: tuple[str, ...]) -> bytes:
    digest = hashlib.sha256()
    for value in map(_bytes, shown):
        digest.update(len(value).to_bytes(8, "little"))
        digest.update(value)
    return digest.digest()


def _passage_row(document: int, new: NewPassage, file_sha256: str) -> tuple:
    passage = new.passage
    flat = [offset for span in passage.sentences for offset in span]
    found = terms.numbered(lexical.terms(passage.indexed_text))
    return (
        new.id,
        document,
        passage.start,
        passage.end,
        passage.text,
        _digest(passage, found, file_sha256),
        json.dumps(passage.heading),
        json.dumps([passage.pages, passage.labels, passage.is_recognised, passage.parts]),
        passage.columns,
        struct.pack(f"<{len(flat)}I", *flat),
        found.tobytes(),
        new.key,
    )


def _undecoded(source: str, start: int, end: int) -> sqlite3.DatabaseError:
    return sqlite3.DatabaseError(f"{source}, characters {start}–{end}")


def _stored_passage(row: tuple) -> StoredPassage:
    stored = StoredPassage._make(row)
    if len(stored.numbers) % 4:
        raise stored.complaint()
    return stored


def _sound(row: tuple) -> StoredPassage | None:
    """None for one that is not, or cannot even be decoded."""
    try:
        stored = _stored_passage(row)
        return stored if stored.is_sound else None
    except sqlite3.DatabaseError:
        return None


def _coverage(stored: str) -> Coverage:
    searchable, blank_pages, left_out, language = json.loads(stored)
    return Coverage(searchable, tuple(blank_pages), tuple((what, count) for what, count in left_out), language)


def _digest(passage: Passage, numbers: np.ndarray, file_sha256: str) -> bytes:
    """Of all that is shown and cited of a passage, and of its terms."""
    p = passage
    cited = (p.source, p.title, file_sha256)
    own = (p.start, p.end, p.text, p.heading, p.pages, p.sentences, p.labels, p.is_recognised, p.parts, p.columns)
    return hashlib.sha256(_bytes(json.dumps([cited, own])) + numbers.tobytes()).digest()


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file this is; None where there is none."""
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_dev, info.st_ino


def _bytes(text: str) -> bytes:
    return text.encode("utf-8")
