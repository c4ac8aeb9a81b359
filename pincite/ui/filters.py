"""The filters beside a question: folder, type and year, each with how many documents it leaves."""

from collections.abc import Iterable

import streamlit as st

from pincite.export.reference import one_line
from pincite.facets import Facet, Facets, facets
from pincite.filters import UNFILTERED, Filters
from pincite.query import parse
from pincite.storage import Catalog
from pincite.ui import urlstate
from pincite.ui.asked import Asked
from pincite.ui.resources import Resources


def show(resources: Resources, asked: Asked, side: str = "") -> None:
    """Three controls that write `in`, `type` and `year` to the URL, each with `side` behind its name."""
    with Catalog(resources.settings.index) as catalog, catalog.reading():
        manifest = catalog.meta("manifest")
    typed = parse(asked.question).filters if asked.question else UNFILTERED
    found = _facets(resources, manifest, f"{asked.filters} / {typed}", asked.filters, typed)
    for label, name, offered in (("Folder", "in", found.folders), ("Type", "type", found.types)):
        urlstate.several(label, f"{name}{side}", *_options(offered))
    urlstate.one("Changed in", f"year{side}", *_options(found.years), "Any year")


def _options(facets: Iterable[Facet]) -> tuple[list[str], dict[str, str]]:
    """What can be chosen, and how it is shown."""
    shown = {facet.name: f"{one_line(facet.name)} ({facet.documents:,})" for facet in facets}
    return list(shown), shown


@st.cache_data(max_entries=64, show_spinner=False)
def _facets(_resources: Resources, manifest: str, filters: str, _chosen: Filters, _typed: Filters) -> Facets:
    """Kept for a state of the index, told by its manifest's hash, and what `filters` says."""
    with Catalog(_resources.settings.index) as catalog, catalog.reading():
        return facets(catalog, _chosen, _typed)


def summary(asked: Asked) -> str:
    """The filters that hold, for a label."""
    count = len(asked.folders) + len(asked.types) + bool(asked.year)
    return f"Filters ({count})" if count else "Filters"
