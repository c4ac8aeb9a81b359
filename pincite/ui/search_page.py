"""The page that answers: a question box, the verdict, the ranked passages."""

from typing import TYPE_CHECKING

import streamlit as st

from pincite.errors import PinciteError
from pincite.storage import Catalog
from pincite.suggestions import suggest
from pincite.ui import filters, index_state, keys, markup, results, take, urlstate
from pincite.ui.asked import MOST, Asked
from pincite.ui.resources import Resources

if TYPE_CHECKING:
    from pincite.ui.pages import Pages

SYNTAX = """
| you type | what is searched |
|---|---|
| `"spring tide"` | passages that hold these words in this order |
| `-word` `-"two words"` | not those that hold it |
| `in:reports/` | only what lies in this folder, or this file |
| `type:pdf` | only files of this kind |
| `title:word` | only documents with this word in the title |
| `after:2024` `before:2025-06` | only files changed from, or before, this date |

`-` also goes before `in:`, `type:` and `title:`. Names with spaces go in quotes: `in:"my notes/"`.
"""
_SUGGESTED = 6


def show(pages: "Pages", resources: Resources) -> None:
    """Ask, search, show. All of it lives in the URL."""
    st.title("Pincite", anchor=False)
    urlstate.text(keys.BOX, "q", "Ask your documents a question")
    index_state.show(pages, resources)
    asked = Asked.from_url()
    if asked.question:
        _answered(pages, resources, asked)
    else:
        _waiting(pages, resources)


def _waiting(pages: "Pages", resources: Resources) -> None:
    """The page before a question: what to expect, what was asked, what could be."""
    st.caption("Answers are shown word for word, with the place where each of them stands.")
    _chips("Asked before, in this browser", keys.recent(), "recent", ":material/history:")
    try:
        with Catalog(resources.settings.index) as catalog, catalog.reading():
            headings = _headings(resources, catalog.meta("manifest"))
    except PinciteError as error:
        headings = []
        index_state.trouble(pages, resources, error)
    _chips("Your documents speak of", headings, "suggested", None)
    _syntax()
    keys.listen("", has_box=True, focus=True, wants_recent=True)


def _chips(caption: str, questions: list[str], key: str, icon: str | None) -> None:
    if not questions:
        return
    st.caption(caption)
    with st.container(horizontal=True, gap="xsmall"):
        for number, question in enumerate(questions):
            st.button(
                markup.plain(question), key=f"{key}-{number}", icon=icon, wrap=True, on_click=_ask, args=(question,)
            )
        if key == "recent":
            st.button("Forget them", key="forget", icon=":material/delete:", type="tertiary", on_click=keys.forget)


def _ask(question: str) -> None:
    urlstate.put("q", question)


@st.cache_data(max_entries=4, show_spinner=False)
def _headings(_resources: Resources, manifest: str) -> list[str]:
    with Catalog(_resources.settings.index) as catalog, catalog.reading():
        return suggest(catalog, _SUGGESTED)


def _syntax() -> None:
    with st.popover("Search by more than words", icon=":material/help:", type="tertiary"):
        st.markdown(SYNTAX)


def _answered(pages: "Pages", resources: Resources, asked: Asked) -> None:
    try:
        _controls(resources, asked)
        answer = resources.searcher.search(asked.question, asked.count, asked.filters)
        shown = results.Shown.of(resources, asked, answer)
    except PinciteError as error:
        index_state.trouble(pages, resources, error)
        keys.listen(asked.question, has_box=True)
        return
    results.show(pages, resources, shown)
    _foot(shown)
    keys.listen(f"{asked.identity} {answer.generation}", has_results=True, has_box=True, asked=asked.question)


def _controls(resources: Resources, asked: Asked) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.popover(filters.summary(asked), icon=":material/filter_alt:"):
            filters.show(resources, asked)
        urlstate.segments("Results", "by", {"passage": "By passage", "document": "By document"})
        _syntax()


def _foot(shown: results.Shown) -> None:
    answer, asked = shown.answer, shown.asked
    with st.container(horizontal=True, vertical_alignment="center"):
        if asked.count < MOST and len(answer.hits) == asked.count:
            st.button("More passages", key="more", icon=":material/expand_more:", on_click=_more, args=(asked,))
        take.export_menu(answer)
        st.caption(f"{len(answer.hits)} passages in {answer.milliseconds:.0f} ms", width="content")


def _more(asked: Asked) -> None:
    urlstate.put("n", str(asked.more().count))
