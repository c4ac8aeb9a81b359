"""How a corpus folder differs from what is indexed: by size, time and SHA-256."""

import hashlib
import os
import stat
import time
from collections.abc import Container, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from pincite import reading
from pincite.errors import CorpusError, Inaccessible, Unreadable
from pincite.reading.ignore import FILE as IGNORE_FILE
from pincite.reading.ignore import IgnoreRules
from pincite.settings import Sync
from pincite.storage import Catalog, FileState
from pincite.types import Progress

_UNSURE = 2_000_000_000
"""A file changed within 2 s before it was looked at may have changed again unnoticed."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What a sync would do. All lists are in order of source."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    moved: list[tuple[str, str]] = field(default_factory=list)
    """(old source, new source) of files with the same content and kind."""
    removed: list[str] = field(default_factory=list)
    unchanged: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    """Source → reason."""
    unread: dict[str, str] = field(default_factory=dict)
    """Folder that could not be listed → reason. What is indexed of it stays."""
    failed: dict[str, FileState] = field(default_factory=dict)
    """Those of the skipped that a reader was tried on: not tried again while file, reader and limits are the same."""
    states: dict[str, FileState] = field(default_factory=dict)
    """Source → state of every file that had to be hashed."""

    @property
    def count(self) -> int:
        """Files that a sync would take in or forget."""
        return len(self.added) + len(self.changed) + len(self.moved) + len(self.removed)

    def is_empty(self) -> bool:
        """Whether the index already holds what the corpus holds."""
        return self.count == 0

    def as_json(self) -> dict[str, Any]:
        """What `ingest.py --dry-run --json` prints."""
        skipped = {**self.unread, **self.skipped}
        return {
            "added": self.added,
            "changed": self.changed,
            "moved": [list(pair) for pair in self.moved],
            "removed": self.removed,
            "unchanged": self.unchanged,
            "skipped": [{"source": source, "reason": reason} for source, reason in skipped.items()],
        }


def compare(
    corpus: Path,
    index: Path,
    limits: Sync,
    catalog: Catalog | None,
    *,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> Difference:
    """How the corpus folder differs from the catalog of `index`; with `rebuild`, every known file has changed.

    A file that another version of its reader read has changed too.
    """
    known = catalog.files() if catalog else {}
    failures = catalog.failed() if catalog and not rebuild else {}
    reasons = catalog.skipped() if catalog else {}
    found = Difference()
    candidates: list[FileState] = []
    unchanged = 0
    present: set[str] = set()
    for looked_at, (source, info) in enumerate(_walk(corpus, index, found.skipped, found.unread)):
        if progress:
            progress("compare", looked_at, 0)
        reason = _reason_to_skip(source, info, limits.max_megabytes)
        if reason:
            found.skipped[source] = reason
            continue
        reader = reading.reader_name(source, ocr=limits.ocr)
        before, failure = known.get(source), failures.get(source)
        if before and not rebuild and _is_surely_unchanged(before, info, reader):
            present.add(source)
            unchanged += 1
            continue
        if failure and _is_surely_unchanged(failure, info, attempt(reader, limits)):
            found.skipped[source], found.failed[source] = reasons[source], failure
            continue
        try:
            state = _state(corpus, source, info, reader)
        except Inaccessible as error:
            stays = "; the indexed version stays" if before else ""
            found.skipped[source] = f"{error}{stays}"
            if before:
                present.add(source)
                unchanged += 1
            continue
        except Unreadable as error:
            found.skipped[source] = str(error)
            continue
        if failure and _is_same(failure, state, attempt(reader, limits)):
            found.skipped[source], found.failed[source] = reasons[source], state._replace(reader=failure.reader)
            continue
        present.add(source)
        found.states[source] = state
        if before and not rebuild and _is_same(before, state, reader):
            unchanged += 1
        elif before:
            found.changed.append(source)
        else:
            candidates.append(state)
    missing = [source for source in known if source not in present]
    gone = [source for source in missing if not _is_below(source, found.unread)]
    kept = len(missing) - len(gone)
    _pair_moves(found, candidates, [known[source] for source in sorted(gone)])
    return replace(
        found,
        added=sorted(found.added),
        moved=sorted(found.moved),
        unchanged=unchanged + kept,
        skipped=dict(sorted(found.skipped.items())),
    )


def readable(corpus: Path, index: Path) -> tuple[int, list[str]]:
    """How many files of the corpus folder a reader could be tried on, and the folders that could not be listed."""
    unread: dict[str, str] = {}
    count = sum(_reason_to_skip(source, info) is None for source, info in _walk(corpus, index, {}, unread))
    return count, sorted(unread)


def _walk(
    corpus: Path, index: Path, skipped: dict[str, str], unread: dict[str, str]
) -> Iterator[tuple[str, os.stat_result]]:
    """(source, stat) of every file to be read, in order; what is left alone is noted in `skipped`."""
    rules = IgnoreRules(corpus, index)
    pending = [""]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(corpus / folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            if not folder:
                raise _unlisted(corpus, error) from error
            unread[folder] = f"cannot be listed ({error.strerror})"
            continue
        below = []
        for entry in entries:
            source = f"{folder}/{entry.name}" if folder else entry.name
            if not _is_text(source):
                skipped[source.encode("utf-8", "replace").decode()] = "its name is not valid UTF-8"
            elif entry.name.startswith("."):
                skipped[source] = "hidden"
            elif rules.is_ignored(source, is_folder := entry.is_dir(follow_symlinks=False)):
                skipped[source] = "the index" if source == rules.index else f"named in {IGNORE_FILE}"
            elif entry.is_symlink():
                skipped[source] = "symbolic link"
            elif is_folder:
                below.append(source)
            else:
                try:
                    yield source, entry.stat(follow_symlinks=False)
                except OSError as error:  # a folder that may be listed but not entered, or that is gone since
                    if isinstance(error, FileNotFoundError) and (corpus / folder).is_dir():
                        continue  # the file alone is gone
                    if not folder:
                        raise _unlisted(corpus, error) from error
                    unread[folder] = f"cannot be entered ({error.strerror})"
                    break
        pending.extend(reversed(below))


def _unlisted(corpus: Path, error: OSError) -> CorpusError:
    return CorpusError(f"{corpus}: cannot be listed ({error.strerror}): mend its permissions")


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _reason_to_skip(source: str, info: os.stat_result, max_megabytes: int = 2**40) -> str | None:
    """Why a file is not read, or None. Decided without opening it."""
    if not stat.S_ISREG(info.st_mode):
        return "not a regular file"
    try:
        reading.reader_of(source)
    except Unreadable as error:
        return str(error)
    if info.st_size > max_megabytes * 2**20:
        return f"larger than {max_megabytes} MB (sync.max_megabytes)"
    return "empty" if info.st_size == 0 else None


def attempt(reader: str, limits: Sync) -> str:
    """What a failure depends on beside the file: the reader, and what it was given."""
    return f"{reader} in {limits.reader_seconds} s and {limits.reader_megabytes} MB"


def _is_surely_unchanged(before: FileState, info: os.stat_result, reader: str) -> bool:
    same = before.modified == info.st_mtime_ns and before.size == info.st_size and before.reader == reader
    return same and before.looked - before.modified > _UNSURE


def _is_same(before: FileState, now: FileState, reader: str) -> bool:
    return (before.sha256, before.reader) == (now.sha256, reader)


def _state(corpus: Path, source: str, info: os.stat_result, reader: str) -> FileState:
    looked = time.time_ns()
    digest = hashlib.sha256(reading.read_bytes(corpus / source)).hexdigest()
    return FileState(source, info.st_size, info.st_mtime_ns, looked, digest, reader)


def _is_below(source: str, folders: Container[str]) -> bool:
    return any(str(folder) in folders for folder in PurePosixPath(source).parents)


def _pair_moves(found: Difference, candidates: list[FileState], gone: list[FileState]) -> None:
    """A new file with the content and ending of one that is gone is that one, moved."""
    by_content: dict[tuple[str, str], list[FileState]] = {}
    for old in reversed(gone):
        by_content.setdefault((old.sha256, Path(old.source).suffix.lower()), []).append(old)
    moved: set[str] = set()
    for new in candidates:
        olds = by_content.get((new.sha256, Path(new.source).suffix.lower()))
        if olds:
            old = olds.pop()
            moved.add(old.source)
            found.moved.append((old.source, new.source))
        else:
            found.added.append(new.source)
    found.removed.extend(old.source for old in gone if old.source not in moved)
