"""Whether what is indexed of a file is what the file holds now."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pincite.storage import Catalog

Freshness = Literal["current", "changed", "missing"]


def freshness(corpus: Path, catalog: Catalog, sources: Iterable[str]) -> dict[str, Freshness]:
    """Each indexed source → how its file stands to what is indexed. A file that cannot be opened is missing."""
    found: dict[str, Freshness] = {}
    for source, state in catalog.states(sources).items():
        try:
            info = (corpus / source).stat(follow_symlinks=False)
            if (info.st_size, info.st_mtime_ns) == (state.size, state.modified):
                found[source] = "current"
            else:
                digest = _sha256(corpus / source, info.st_size, info.st_mtime_ns)
                found[source] = "current" if digest == state.sha256 else "changed"
        except OSError:
            found[source] = "missing"
    return found


def original(corpus: Path, source: str, sha256: str) -> bytes | None:
    """The bytes that were indexed; None where the file holds others now. Raises `OSError`."""
    data = (corpus / source).read_bytes()
    return data if hashlib.sha256(data).hexdigest() == sha256 else None


@lru_cache(maxsize=256)
def _sha256(path: Path, _size: int, _modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
