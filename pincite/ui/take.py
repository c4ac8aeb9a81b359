"""What a person takes along: an export, a citation with its quote, a passage on the reading list."""

import re
import unicodedata
from collections.abc import Callable
from functools import partial

import streamlit as st

from pincite import export
from pincite.errors import PinciteError
from pincite.export import Format
from pincite.reading_list import Entry, identity
from pincite.storage import Catalog
from pincite.types import Answer, Hit
from pincite.ui import markup
from pincite.ui.resources import shared

_FAILED = "take-failed"
"""In the session: what could not be put on the list or taken off it, and why."""
_LONGEST_NAME = 60
"""Characters, of a file."""


def export_menu(answer: Answer) -> None:
    """A menu that downloads the results in each format."""
    download_menu(_file_name(answer.question), lambda form: export.of_answer(answer, form))


def download_menu(name: str, write: Callable[[str], str]) -> None:
    """A button for each format. `name`: of the file, without its ending; `write`: format → text, when asked for."""
    with st.popover("Export", icon=":material/download:"):
        for form, told in export.FORMATS.items():
            st.download_button(
                told.name,
                partial(_encoded, write, form, told),
                file_name=f"{name}{told.ending}",
                mime=told.media_type,
                key=f"export-{form}",
                on_click="ignore",
                width="stretch",
            )


def _encoded(write: Callable[[str], str], form: str, told: Format) -> bytes:
    return write(form).encode(told.encoding)


def _file_name(question: str) -> str:
    """Letters and numbers of the question; safe in every file system."""
    plain = unicodedata.normalize("NFKD", question).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_LONGEST_NAME].rstrip("-") or "results"


def copy_button(hit: Hit) -> str:
    """Markup of a button that copies the quote with its citation."""
    return markup.copy_button("Copy citation", export.cited(hit))


def collect_button(hit: Hit, question: str, key: str) -> None:
    """A button that says whether the hit is on the reading list, and puts it there or takes it off.

    Only a click reads the document.
    """
    try:
        is_there = identity(hit, question) in shared().reading_list.entries()
    except PinciteError as error:
        told = markup.plain(str(error))
        st.button("Collect", key=key, icon=":material/bookmark_add:", type="tertiary", disabled=True, help=told)
        return
    # Without help: with it, Streamlit draws every button twice and hides one.
    st.button(
        "Collected" if is_there else "Collect",
        key=key,
        icon=":material/bookmark_added:" if is_there else ":material/bookmark_add:",
        type="tertiary",
        on_click=_toggle,
        args=(hit, question, is_there),
    )
    failed, reason = st.session_state.get(_FAILED, ("", ""))
    if failed == identity(hit, question):
        markup.notice(reason)


def _toggle(hit: Hit, question: str, is_there: bool) -> None:
    st.session_state.pop(_FAILED, None)
    resources = shared()
    try:
        if is_there:
            resources.reading_list.remove(identity(hit, question))
            return
        with Catalog(resources.settings.index) as catalog, catalog.reading():
            document = catalog.document(hit.passage.source)
        resources.reading_list.put(Entry.of(hit, question, document.text if document else None))
    except PinciteError as error:
        st.session_state[_FAILED] = identity(hit, question), str(error)
