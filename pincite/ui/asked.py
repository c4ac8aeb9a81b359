"""What a person asked, as the URL holds it: the question, the filters, how the results are shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import MAXYEAR, MINYEAR, date

import streamlit as st

from pincite.filters import Filters
from pincite.types import Hit

STEP = 10
"""Passages that “more” brings."""
MOST = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """One state of the search page; a link with it shows the same."""

    question: str = ""
    """As typed, with operators."""
    folders: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    year: str = ""
    """That the file was changed in."""
    by_document: bool = False
    count: int = STEP

    @classmethod
    def from_url(cls, side: str = "") -> "Asked":
        """As the page was opened; what makes no sense is left out. Filters have `side` behind their names."""
        url = st.query_params
        count = url.get("n", "")
        return cls(
            url.get("q", "").strip(),
            tuple(url.get_all(f"in{side}")),
            tuple(url.get_all(f"type{side}")),
            _year(url.get(f"year{side}", "")),
            url.get("by") == "document",
            min(max(int(count), STEP), MOST) if count.isdecimal() and len(count) < 5 else STEP,
        )

    @property
    def filters(self) -> Filters:
        """What the controls beside the box hold; operators in the box hold in addition."""
        year = int(self.year) if self.year else 0
        return Filters(
            within=self.folders,
            types=self.types,
            after=date(year, 1, 1) if year else None,
            before=date(year + 1, 1, 1) if year else None,
        )

    @property
    def identity(self) -> str:
        """Of what is searched for, however it is shown."""
        return f"{self.filters} {self.question}"

    @property
    def params(self) -> dict[str, str | Sequence[str]]:
        """The query parameters of a link that reproduces this."""
        known: dict[str, str | Sequence[str]] = {
            "q": self.question,
            "in": self.folders,
            "type": self.types,
            "year": self.year,
            "by": "document" if self.by_document else "",
            "n": str(self.count) if self.count != STEP else "",
        }
        return {name: value for name, value in known.items() if value}

    def more(self) -> "Asked":
        """With the next passages too."""
        return replace(self, count=min(self.count + STEP, MOST))


def _year(text: str) -> str:
    """A year that has a first day, and a next one."""
    return text if text.isdecimal() and len(text) == 4 and MINYEAR <= int(text) < MAXYEAR else ""


_CARRIED = ("from", "words", "show", *(f"{name}{side}" for name in ("in", "type", "year") for side in "ab"))
"""What a source's URL knows of the page that it was opened from, besides the question."""


def carried() -> dict[str, list[str]]:
    """Those of the present URL, for a link to or within a source."""
    return {name: found for name in _CARRIED if (found := st.query_params.get_all(name))}


def source_params(asked: Asked, hit: Hit) -> Mapping[str, str | Sequence[str]]:
    """The query parameters that open a hit in its source, from where one can go on to the next."""
    passage = hit.passage
    mark = "-".join(str(passage.start + offset) for offset in hit.marks[0]) if hit.marks else ""
    return {
        **asked.params,
        **place_params(passage.source, passage.start, passage.end, hit.sha256),
        **({"mark": mark} if mark else {}),
    }


def place_params(source: str, start: int = 0, end: int = 0, sha256: str = "") -> dict[str, str]:
    """The query parameters of a place in a source."""
    known = {"source": source, "start": str(start) if end else "", "end": str(end) if end else "", "file": sha256[:16]}
    return {name: value for name, value in known.items() if value}
