"""What an index holds and what its corpus folder holds, side by side, as whoever keeps the folder sees it."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Literal

from pincite.errors import IndexMissing
from pincite.ledger import entry
from pincite.settings import Settings
from pincite.storage import Catalog, IndexFolder, Recipe, Shelved
from pincite.storage.generation import built_at
from pincite.sync import Difference

Status = Literal["indexed", "new", "changed", "moved", "missing", "not indexed"]
"""`new`, `changed`, `moved`, `missing`: what the next sync will take in or forget. `missing`: the file is gone, or
can no longer be taken in."""


@dataclass(frozen=True, slots=True)
class Holding:
    """One file of the folder, or one document of the index, or both."""

    source: str
    status: Status
    title: str = ""
    length: str = ""
    """As it is counted: `12 pages`; empty where nothing is."""
    passages: int = 0
    size: int | None = None
    """Bytes; None where nobody looked."""
    modified: int | None = None
    """When the file was changed, in nanoseconds since 1970."""
    language: str = ""
    searchable: float | None = None
    """Share of what it holds, 0 to 1; None where it is not in the index."""
    told: tuple[str, ...] = ()
    """What a person should know of it."""

    @property
    def kind(self) -> str:
        """The ending of its name, in lower case and without the dot."""
        return PurePosixPath(self.source).suffix.lower().removeprefix(".")

    @property
    def is_indexed(self) -> bool:
        """Whether questions are answered from it."""
        return self.status not in ("new", "not indexed")


@dataclass(frozen=True, slots=True)
class IndexState:
    """What an index is."""

    documents: int
    passages: int
    generation: int
    built: datetime | None
    """When the generation was; None where its files are lost, which the next question mends."""
    bytes: int
    """On the disk."""
    model: str


def index_state(settings: Settings, recipe: Recipe) -> IndexState:
    """Raises `IndexMissing`, `IndexMismatch` where it was made with another recipe or format, `IndexDamaged`."""
    folder = IndexFolder(settings.index)
    with Catalog(settings.index) as catalog, catalog.reading():
        generation, counts = catalog.generation, catalog.counts()
        if generation == 0:
            raise IndexMissing(f"{settings.index}: nothing is indexed yet: run python ingest.py")
        recipe.check(catalog, settings.index)
        built = built_at(folder, catalog)
    return IndexState(counts["documents"], counts["passages"], generation, built, folder.bytes(), recipe.model)


@dataclass(frozen=True, slots=True)
class Inventory:
    """What an index holds, and what its last sync left out."""

    documents: tuple[Holding, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict)
    """Source → why."""

    @classmethod
    def of(cls, catalog: Catalog) -> "Inventory":
        """In one pass over the catalog."""
        languages = catalog.meta("languages").split()
        return cls(tuple(_indexed(shelved, languages) for shelved in catalog.shelf()), catalog.skipped())


def holdings(inventory: Inventory, difference: Difference | None = None) -> list[Holding]:
    """In order of source. `difference`: how the folder differs from that index, where somebody looked."""
    found = {holding.source: holding for holding in inventory.documents}
    if difference:
        for source in difference.added:
            state = difference.states[source]
            found[source] = Holding(source, "new", size=state.size, modified=state.modified)
        _note(found, difference.changed, "changed")
        _note(found, difference.removed, "missing")
        for old, new in difference.moved:
            if old in found:
                found[old] = replace(found[old], status="moved", told=(f"now {new}", *found[old].told))
    for source, reason in (difference.skipped if difference else inventory.skipped).items():
        known = found.get(source, Holding(source, "not indexed"))
        found[source] = replace(known, told=(reason, *known.told))
    return [found[source] for source in sorted(found)]


def _indexed(shelved: Shelved, languages: Collection[str]) -> Holding:
    return Holding(
        shelved.source,
        "indexed",
        shelved.title,
        _length(shelved),
        shelved.passages,
        shelved.size,
        shelved.modified,
        shelved.coverage.language,
        shelved.coverage.searchable,
        (*shelved.remarks, *entry(shelved.coverage, languages)),
    )


def _length(shelved: Shelved) -> str:
    count, unit = (shelved.pages, "page") if shelved.pages else (shelved.parts, shelved.part)
    return f"{count:,} {unit}{'' if count == 1 else 's'}" if count else ""


def _note(found: dict[str, Holding], sources: Collection[str], status: Status) -> None:
    for source in sources:
        if source in found:  # else a sync was quicker than the look
            found[source] = replace(found[source], status=status)
