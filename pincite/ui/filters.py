"""The filters beside a question: folder, type and year, each with how many documents it leaves."""

from collections.abc import Mapping

import streamlit as st

from pincite.facets import Facets, facets
from pincite.filters import Filters
from pincite.storage import Catalog
from pincite.ui import urlstate
from pincite.ui.asked import Asked
from pincite.ui.resources import Resources


def show(resources: Resources, asked: Asked, side: str = "") -> None:
    """Three controls that write `in`, `type` and `year` to the URL, each with `side` behind its name."""
    with Catalog(resources.settings.index) as catalog, catalog.reading():
        found = _facets(resources, catalog.generation, asked.filters, str(asked.filters))
    urlstate.several("Folder", f"in{side}", found.folders, _with_counts(found.folders))
    urlstate.several("Type", f"type{side}", found.types, _with_counts(found.types))
    years = {str(year): count for year, count in found.years.items()}
    urlstate.one("Changed in", f"year{side}", years, _with_counts(years), "Any year")


@st.cache_data(max_entries=64, show_spinner=False)
def _facets(_resources: Resources, generation: int, _filters: Filters, identity: str) -> Facets:
    with Catalog(_resources.settings.index) as catalog, catalog.reading():
        return facets(catalog, _filters)


def _with_counts(counts: Mapping[str, int]) -> dict[str, str]:
    return {value: f"{value} ({count:,})" for value, count in counts.items()}


def summary(asked: Asked) -> str:
    """The filters that hold, for a label."""
    count = len(asked.folders) + len(asked.types) + bool(asked.year)
    return f"Filters ({count})" if count else "Filters"
