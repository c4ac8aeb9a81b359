"""One question to two sets of sources, side by side, each with its own verdict."""

from typing import TYPE_CHECKING

import streamlit as st

from pincite.errors import PinciteError
from pincite.ui import filters, keys, markup, results, urlstate
from pincite.ui.asked import Asked
from pincite.ui.resources import Resources

if TYPE_CHECKING:
    from pincite.ui.pages import Pages

SIDES = {"a": "First set", "b": "Second set"}


def show(pages: "Pages", resources: Resources) -> None:
    """The question is `q` in the URL; the filters of each set have its letter behind their names."""
    st.set_page_config(layout="wide")
    st.title("Compare", anchor=False)
    st.caption("One question, two sets of sources, each with its own verdict.")
    urlstate.text(keys.BOX, "q", "Ask both sets a question")
    asked = {}
    for column, (side, name) in zip(st.columns(2, gap="medium"), SIDES.items(), strict=True):
        with column:
            st.html(markup.title(name))
            asked[side] = _side(pages, resources, side)
    keys.listen(
        " ".join(each.identity for each in asked.values()), has_results=True, focus=True, asked=asked["a"].question
    )


def _side(pages: "Pages", resources: Resources, side: str) -> Asked:
    asked = Asked.from_url(side)
    try:
        filters.show(resources, asked, side)
        asked = Asked.from_url(side)
        if asked.question:
            answer = resources.searcher.search(asked.question, asked.count, asked.filters)
            results.show(pages, resources, results.Shown.of(resources, asked, answer), side)
    except PinciteError as error:
        markup.notice(str(error))
    return asked
