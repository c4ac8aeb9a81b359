"""The state of the index in a few lines, and the button that brings it up to date."""

from typing import TYPE_CHECKING

import streamlit as st

from pincite.errors import IndexMissing, PinciteError, StorageError
from pincite.holdings import IndexState, index_state
from pincite.storage.catalog import exists, peek
from pincite.sync import Difference
from pincite.ui import markup, syncing
from pincite.ui.resources import Resources

if TYPE_CHECKING:
    from pincite.ui.pages import Pages

_YOUNG = 60.0
"""Seconds for which a look at the folder is good enough here."""
_PATIENCE = 0.1
"""Seconds that a page waits for a look at the folder: of most it is done by then, and nothing is drawn twice."""


def show(pages: "Pages", resources: Resources) -> None:
    """In the sidebar: what is indexed, what has changed since, and a way to take it in."""
    with st.sidebar:
        st.markdown("### Documents")
        st.html(markup.block("quiet", markup.home(resources.settings.corpus)))
        _look(resources)
        look = resources.look
        running, looking = resources.job.is_running, look.is_running or look.ended is None
        pace = _pace(resources, is_busy=running or looking)
        st.fragment(lambda: _state(resources, running, looking), run_every=pace)()
        st.page_link(pages.documents, label="All documents", icon=":material/folder_open:")


def trouble(pages: "Pages", resources: Resources, error: PinciteError) -> None:
    """In place of what a page would show of the index: what is wrong, and the way out of it."""
    running = resources.job.is_running
    if isinstance(error, IndexMissing) and not running and _is_made(resources):
        st.rerun()  # it was not there when the page looked
    st.fragment(lambda: _trouble(pages, resources, error, running), run_every=syncing.TICK if running else None)()


def _trouble(pages: "Pages", resources: Resources, error: PinciteError, was_running: bool) -> None:
    job = resources.job
    if job.is_running != was_running:
        st.rerun()
    if job.is_running:
        st.html(markup.block("verdict", "The index is being built."))
        syncing.progress(job, key="cancel-sync-here", has_index=not isinstance(error, IndexMissing))
        return
    if isinstance(error, IndexMissing):
        st.html(markup.block("verdict", "Nothing is indexed yet."))
        st.html(markup.block("quiet", f"{markup.home(resources.settings.corpus)} is the folder that will be indexed."))
        if isinstance(job.outcome, PinciteError):
            markup.notice(str(job.outcome))
        if st.button("Build the index", key="build", icon=":material/construction:"):
            job.start()
            st.rerun()
        return
    markup.notice(str(error))
    if isinstance(error, StorageError):
        st.page_link(pages.documents, label="See to it on Documents", icon=":material/folder_open:")


def _is_made(resources: Resources) -> bool:
    return peek(resources.settings.index, "generation") not in ("", "0")


def _look(resources: Resources) -> None:
    """Begin a look at the folder where one is due. What takes longer than a moment is drawn when it is over."""
    generation = peek(resources.settings.index, "generation")
    if generation in ("", "0"):
        return
    resources.look_again(int(generation), _YOUNG)
    resources.look.wait(_PATIENCE)


def _pace(resources: Resources, *, is_busy: bool) -> float | None:
    if is_busy:
        return syncing.TICK
    return 4 * syncing.TICK if resources.watcher else None  # a sync may begin by itself


def _state(resources: Resources, was_running: bool, was_looking: bool) -> None:
    job, look = resources.job, resources.look
    # The whole page, for only that sets the pace of what is drawn here.
    if job.is_running != was_running or (was_looking and look.ended is not None and not look.is_running):
        st.rerun()
    if job.is_running:
        syncing.progress(job, has_index=exists(resources.settings.index))
        return
    syncing.outcome(job, is_asked=resources.watcher is None)
    try:
        state = index_state(resources.settings, resources.recipe)
    except IndexMissing:
        st.markdown("Nothing is indexed yet.")
        syncing.troubles(job)
    except PinciteError as error:
        syncing.troubles(job, error)
    else:
        _summary(resources, state)
    if st.button("Re-index", icon=":material/sync:", width="stretch"):
        job.start()
        st.rerun()


def _summary(resources: Resources, state: IndexState) -> None:
    st.markdown(f"**{state.documents:,}** documents, **{state.passages:,}** passages")
    if state.built is not None:
        st.caption(f"Built {state.built.astimezone():%d %B %Y, %H:%M}")
    resources.look_again(state.generation, _YOUNG)
    found = resources.look.found(state.generation)
    if isinstance(found, Difference):
        count = found.count
        st.caption(f"{_files(count)} changed since: re-index." if count else "Nothing has changed since.")
        syncing.troubles(resources.job)
    elif found is None:
        st.caption("Looking for changes…")
        syncing.troubles(resources.job)
    else:
        syncing.troubles(resources.job, found)
    if resources.watcher and resources.watcher.trouble:
        markup.notice(resources.watcher.trouble)


def _files(count: int) -> str:
    return "1 file has" if count == 1 else f"{count:,} files have"
