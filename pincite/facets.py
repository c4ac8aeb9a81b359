"""What the filters could be: folders, file endings and years, with how many documents each would leave."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pincite.filters import UNFILTERED, Filters
from pincite.storage import Catalog


@dataclass(frozen=True, slots=True)
class Facet:
    """A filter that could be chosen."""

    name: str
    """As `Filters` takes it: `folder/sub/`, `pdf`; of a year its four digits."""
    documents: int


@dataclass(frozen=True, slots=True)
class Facets:
    """In order of documents, most first, then of name."""

    folders: tuple[Facet, ...]
    """One level below the folders that are chosen, or below the root."""
    types: tuple[Facet, ...]
    years: tuple[Facet, ...]
    """Of the files' last change, in local time."""


def facets(catalog: Catalog, chosen: Filters, typed: Filters = UNFILTERED) -> Facets:
    """Each counts the documents that pass all that is typed, and all that is chosen but for its own kind.

    What leaves out is of no kind and always holds. Words and phrases tell passages apart and not
    documents, so they do not count here.
    """
    endings = catalog.count_documents("ending", replace(chosen, types=()), typed)
    return Facets(
        folders=_folders(catalog, chosen, typed),
        types=_ordered({ending: count for ending, count in endings.items() if ending}),
        years=_ordered(catalog.count_documents("year", replace(chosen, after=None, before=None), typed)),
    )


def _folders(catalog: Catalog, chosen: Filters, typed: Filters) -> tuple[Facet, ...]:
    found: dict[str, int] = {}
    others = replace(chosen, within=())
    for above in chosen.within or typed.within or ("",):
        depth = above.rstrip("/").count("/") + 1 if above else 0
        below: Counter[str] = Counter()
        within = Filters(within=(above,)) if above else UNFILTERED
        for folder, documents in catalog.count_documents("folder", others, typed, within).items():
            if folder.count("/") > depth:
                below["/".join(folder.split("/")[: depth + 1]) + "/"] += documents
        found |= below
    return _ordered(found)


def _ordered(counts: Mapping[str, int]) -> tuple[Facet, ...]:
    return tuple(Facet(*one) for one in sorted(counts.items(), key=lambda one: (-one[1], one[0])))
