"""The coverage ledger: what of each document can be searched, and what cannot, in words."""

from collections.abc import Collection

from pincite.storage import Catalog
from pincite.types import Coverage

_SHOWN = 10
"""Pages named before the rest are counted."""


def ledger(catalog: Catalog, sources: Collection[str] | None = None) -> dict[str, list[str]]:
    """Source → what a person should know of it, for each document of which there is something to tell; of all or
    of `sources`."""
    languages = catalog.meta("languages").split()
    remarks = catalog.remarks(sources)
    entries = {
        source: [*remarks.get(source, ()), *entry(coverage, languages)]
        for source, coverage in catalog.coverage(sources).items()
    }
    return {source: lines for source, lines in entries.items() if lines}


def entry(coverage: Coverage, languages: Collection[str]) -> list[str]:
    """What is to be told of one document. `languages`: those the model was made for; none if it does not say."""
    lines = []
    if coverage.searchable < 1:
        lines.append(f"{_percent(coverage.searchable)} searchable")
    if coverage.blank_pages:
        lines.append(f"without text: {_pages(coverage.blank_pages)}")
    if coverage.left_out:
        lines.append("left out: " + ", ".join(f"{count:,} {what}" for what, count in coverage.left_out))
    if languages and coverage.language and coverage.language not in languages:
        lines.append(f"in a language that the model does not know ({coverage.language})")
    return lines


def _percent(share: float) -> str:
    """Never 100 % of what is not whole, nor 0 % of what is something."""
    percent = min(max(round(share * 100), 1), 99) if share else 0
    return f"{percent} %"


def _pages(pages: tuple[int, ...]) -> str:
    named = ", ".join(map(str, pages[:_SHOWN]))
    rest = len(pages) - _SHOWN
    name = "page" if len(pages) == 1 else "pages"
    return f"{name} {named}" + (f" and {rest:,} more" if rest > 0 else "")
