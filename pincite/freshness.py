"""Whether what is indexed of a file is what the file holds now."""

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pincite import citation, reading
from pincite.errors import Unreadable
from pincite.storage import Catalog
from pincite.types import Hit, Place

Freshness = Literal["current", "changed", "missing"]


def freshness(
    corpus: Path, catalog: Catalog, sources: Iterable[str], answered: Mapping[str, str] | None = None
) -> dict[str, Freshness]:
    """Each indexed source → how its file stands to what is indexed. A file that cannot be opened is missing.

    `answered`: source → SHA-256 of the file as an answer has it, which may be of a generation before: then it is
    the answer that is compared, and what is no longer indexed is missing.
    """
    answered = answered or {}
    found: dict[str, Freshness] = dict.fromkeys(answered, "missing")
    for source, state in catalog.states({*sources, *answered}).items():
        wanted = answered.get(source, state.sha256)
        try:
            info = (corpus / source).stat(follow_symlinks=False)
            if not stat.S_ISREG(info.st_mode):  # what stands there now may never end
                found[source] = "missing"
            else:
                is_as_indexed = (info.st_size, info.st_mtime_ns) == (state.size, state.modified)
                sha256 = state.sha256 if is_as_indexed else _sha256(corpus / source, info.st_size, info.st_mtime_ns)
                found[source] = "current" if sha256 == wanted else "changed"
        except OSError:
            found[source] = "missing"
    return found


def standing(catalog: Catalog, files: Mapping[str, Freshness], hit: Hit) -> Hit | None:
    """The hit at the first of its places whose file is there, with the others of that kind; None where all are gone."""
    places = [Place(hit.passage.source, hit.passage.start, hit.passage.end), *hit.also]
    there = [place for place in places if files.get(place.source) != "missing"]
    if not there:
        return None
    first, *also = there
    if first == places[0]:
        return replace(hit, also=tuple(also))
    found = next(iter(catalog.passages(catalog.ids_between(first.source, first.start, first.start))), None)
    if found is None or not found.is_sound or found.passage.end != first.end:
        return None
    numbers = [number for number, span in enumerate(hit.passage.sentences) if span in hit.marks]
    marks = tuple(found.passage.sentences[number] for number in numbers if number < len(found.passage.sentences))
    return replace(
        hit,
        passage=found.passage,
        citation=citation.cite(found.passage),
        sha256=found.file_sha256,
        marks=marks,
        also=tuple(also),
    )


def original(corpus: Path, source: str, sha256: str) -> bytes | None:
    """The bytes that were indexed; None where the file holds others now.

    Raises `Unreadable` where what stands there now is no regular file below the corpus folder, or is not given.
    """
    path = Path(os.path.realpath(corpus / source))
    if not path.is_relative_to(os.path.realpath(corpus)):
        raise Unreadable("is a link out of the corpus folder now")
    data = reading.read_bytes(path)
    return data if hashlib.sha256(data).hexdigest() == sha256 else None


@lru_cache(maxsize=256)
def _sha256(path: Path, _size: int, _modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
