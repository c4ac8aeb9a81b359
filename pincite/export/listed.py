"""An entry of the reading list together with what has become of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pincite.reading_list import Entry, Standing


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry, and how it stands in what is indexed now; None where that is not known."""

    entry: Entry
    standing: Standing | None = None

    @classmethod
    def all(cls, entries: Mapping[str, Entry], standings: Mapping[str, Standing]) -> list["Listed"]:
        """Every entry with its standing."""
        return [cls(entry, standings.get(entry.id)) for entry in entries.values()]

    @property
    def state(self) -> str:
        """Empty where it is not known."""
        return self.standing.state if self.standing else ""

    @property
    def change(self) -> str:
        """What has changed since it was collected, in words; empty if nothing has."""
        if self.standing is None or self.standing.state == "current":
            return ""
        place = self.standing.place
        if place is None:
            return {
                "changed": "Changed: the document no longer has these words, or has them at several places.",
                "gone": "Gone: the document is no longer indexed.",
            }[self.standing.state]
        return f"Moved: these words now stand in {place.source}, characters {place.start}–{place.end}."

    def as_json(self) -> dict[str, Any]:
        """Every field, with where it ended and how it stands."""
        entry = self.entry.model_dump(mode="json")
        place = self.standing.place if self.standing else None
        now = {"source": place.source, "start": place.start, "end": place.end} if place else None
        return {**entry, "end": self.entry.end, "state": self.state, "now": now}


def by_question(listed: Sequence[Listed]) -> dict[str, list[Listed]]:
    """Question → what was collected under it, both in the order in which they were collected."""
    found: dict[str, list[Listed]] = {}
    for one in listed:
        found.setdefault(one.entry.question, []).append(one)
    return found


def by_source(listed: Sequence[Listed]) -> dict[str, list[Listed]]:
    """Source → what was collected of it, in the order of the text."""
    found: dict[str, list[Listed]] = {}
    for one in listed:
        found.setdefault(one.entry.source, []).append(one)
    return {source: sorted(ones, key=lambda one: (one.entry.start, one.entry.id)) for source, ones in found.items()}
