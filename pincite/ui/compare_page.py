"""One question to two sets of sources, side by side, each with its own verdict."""

from typing import TYPE_CHECKING

import streamlit as st

from pincite.errors import IndexMissing, PinciteError
from pincite.storage import Catalog
from pincite.ui import filters, index_state, keys, markup, results, urlstate
from pincite.ui.asked import Asked
from pincite.ui.resources import Resources

if TYPE_CHECKING:
    from pincite.ui.pages import Pages

SIDES = {"a": "First set", "b": "Second set"}


def show(pages: "Pages", resources: Resources) -> None:
    """The question is `q` in the URL; the filters of each set have its letter behind their names."""
    st.title("Compare", anchor=False)
    st.caption("One question, two sets of sources, each with its own verdict.")
    urlstate.text(keys.BOX, "q", "Ask both sets a question")
    try:
        with Catalog(resources.settings.index) as catalog, catalog.reading():
            if not catalog.generation:
                raise IndexMissing(f"{resources.settings.index}: nothing is indexed yet")
    except PinciteError as error:
        index_state.trouble(pages, resources, error)
        keys.listen("compare", has_box=True)
        return
    asked = {}
    for column, (side, name) in zip(st.columns(2, gap="medium"), SIDES.items(), strict=True):
        with column:
            st.html(markup.title(name))
            asked[side] = _side(pages, resources, side)
    state = " ".join(each.identity for each in asked.values())
    keys.listen(state, has_results=True, has_box=True, focus=True, asked=asked["a"].question)


def _side(pages: "Pages", resources: Resources, side: str) -> Asked:
    asked = Asked.from_url(side)
    try:
        filters.show(resources, asked, side)
        if asked.question:
            answer = resources.searcher.search(asked.question, asked.count, asked.filters)
            results.show(pages, resources, results.Shown.of(resources, asked, answer), side)
    except PinciteError as error:
        markup.notice(str(error))
    return asked
