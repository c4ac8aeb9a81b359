"""Files that a person puts into the corpus folder from the page: checked, written whole, never over another one.

put(settings, "reports", "may.pdf", data)                    # "added", "same" or "taken"
put(settings, "reports", "may.pdf", data, replace=True)      # "replaced"
"""

import os
import secrets
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

from pincite.durable import flush, flush_open
from pincite.errors import OutputError, Unreadable, UploadRefused
from pincite.reading import read_bytes, reader_of
from pincite.reading.ignore import FILE, IgnoreRules
from pincite.settings import Settings

Outcome = Literal["added", "replaced", "same", "taken"]
"""`same`: the very file is there already. `taken`: another one has the name, and stays."""

_LONGEST = 200
"""Bytes of a name: file systems take 255, and copies need room for a suffix."""
_MEGABYTE = 2**20
_DEVICES = frozenset(("CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in "123456789¹²³")))
"""What a file cannot be called where the folder is shared with Windows."""
_UNSEEN = frozenset(("Cc", "Cs", "Co", "Cn", "Zl", "Zp"))
"""Categories of characters that are no part of a name that people read."""
_DIRECTIONS = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Turn what stands around them about: `‮fdp.exe` reads as if it ended in pdf."""


def folders(settings: Settings) -> list[str]:
    """Folders that can take a file, the corpus folder itself (`""`) first, in order.

    The index and those that are hidden, ignored or reached by a symbolic link are left out. Raises `CorpusError`.
    """
    return ["", *sorted(_below(settings.corpus, "", IgnoreRules(settings.corpus, settings.index)))]


def _below(corpus: Path, folder: str, rules: IgnoreRules) -> Iterator[str]:
    with suppress(OSError), os.scandir(corpus / folder) as listing:  # what cannot be listed takes no file
        for entry in listing:
            source = f"{folder}/{entry.name}".removeprefix("/")
            if entry.is_dir(follow_symlinks=False) and _is_text(source) and not rules.is_ignored(source, True):
                yield source
                yield from _below(corpus, source, rules)


def _takes_files(corpus: Path, folder: str, rules: IgnoreRules) -> bool:
    """Whether it is one of `folders`."""
    names = folder.split("/") if folder else []
    chain = ["/".join(names[:count]) for count in range(1, len(names) + 1)]
    return all(names) and all(
        (corpus / one).is_dir() and not (corpus / one).is_symlink() and not rules.is_ignored(one, is_folder=True)
        for one in chain
    )


def checked_name(name: str) -> str:
    """The name that a file gets, in NFC. Raises `UploadRefused` for one that no file should have."""
    if not _is_text(name):
        raise _refused(name, "its name is not valid Unicode: rename it")
    name = unicodedata.normalize("NFC", name)
    if not name or any(sign in name for sign in "/\\\0") or name in (".", ".."):
        raise _refused(name, "not the name of a file: give it one without a folder")
    if name.startswith("."):
        raise _refused(name, "hidden files are not indexed: rename it")
    if any(unicodedata.category(sign) in _UNSEEN or sign in _DIRECTIONS for sign in name):
        raise _refused(name, "its name holds characters that cannot be seen: rename it")
    if name != name.strip() or name.endswith("."):
        raise _refused(name, "its name begins or ends with a space, or ends with a dot: rename it")
    if name.partition(".")[0].rstrip().upper() in _DEVICES:
        raise _refused(name, "a name that Windows keeps for itself: rename it")
    if len(name.encode()) > _LONGEST:
        raise _refused(name, f"its name is longer than {_LONGEST} bytes: shorten it")
    try:
        reader_of(name)
    except Unreadable as error:
        raise _refused(name, f"{error}: save it in a format that can be read") from error
    return name


def put(settings: Settings, folder: str, name: str, data: bytes, *, replace: bool = False) -> Outcome:
    """Write a file into `folder`, one of `folders`. It is there whole or not at all.

    A file that has the name stays unless `replace` is said.
    Raises `UploadRefused`, `CorpusError`, or `OutputError` where it cannot be written.
    """
    name = checked_name(name)
    _check_size(name, data, settings.sync.max_megabytes)
    corpus = settings.corpus
    rules = IgnoreRules(corpus, settings.index)
    if not _takes_files(corpus, folder, rules):
        raise _refused(name, "the folder that it should go to is not there any more: choose another one")
    source = f"{folder}/{name}".removeprefix("/")
    if rules.is_ignored(source, is_folder=False):
        raise _refused(name, f"named in {FILE}, so it would not be indexed: rename it or change that file")
    try:
        return _put(corpus / folder, name, data, replace=replace)
    except Unreadable as error:  # of the file that has the name
        raise _refused(name, f"the file of this name {error}: see to its permissions") from error
    except OSError as error:
        raise OutputError(
            f"{source}: cannot be written ({error.strerror}): see to the disk's room and the folder's permissions"
        ) from error


def _check_size(name: str, data: bytes, megabytes: int) -> None:
    if not data:
        raise _refused(name, "empty: there is nothing to index")
    if len(data) > megabytes * _MEGABYTE:
        raise _refused(name, f"larger than {megabytes} MB (sync.max_megabytes): split it or raise the limit")


def _put(folder: Path, name: str, data: bytes, *, replace: bool) -> Outcome:
    target = folder / _present(folder, name)
    if target.is_symlink() or (target.exists() and not target.is_file()):
        raise _refused(name, "a folder or a link has this name: rename it")
    if target.exists():
        if read_bytes(target) == data:
            return "same"
        if not replace:
            return "taken"
    writing = folder / f".pincite-{secrets.token_hex(8)}"
    try:
        _write(writing, data)
        if target.exists() and replace:
            writing.chmod(target.stat().st_mode & 0o777)
            writing.replace(target)
            flush(folder)
            return "replaced"
        _name(writing, target)
        flush(folder)
        return "added"
    except FileExistsError:
        return "taken"
    finally:
        writing.unlink(missing_ok=True)


def _name(writing: Path, target: Path) -> None:
    """Give a whole file its name. Raises `FileExistsError` where another has it by now."""
    try:
        os.link(writing, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: the name is taken first, and is empty for a moment
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        writing.replace(target)


def _present(folder: Path, name: str) -> str:
    """The name as the folder has it: macOS may have written the same one decomposed."""
    if (folder / name).exists():
        return name
    with os.scandir(folder) as listing:
        return next((entry.name for entry in listing if unicodedata.normalize("NFC", entry.name) == name), name)


def _write(path: Path, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), "wb") as file:
        file.write(data)
        file.flush()
        flush_open(file.fileno())


def _refused(name: str, why: str) -> UploadRefused:
    shown = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in name)
    return UploadRefused(f"{shown or 'a file without a name'}: {why}")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
