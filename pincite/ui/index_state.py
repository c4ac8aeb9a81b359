"""The state of the index, and the button that brings it up to date."""

from datetime import datetime

import streamlit as st

from pincite.errors import IndexMissing, PinciteError
from pincite.ledger import ledger
from pincite.storage import Catalog, DerivedDamaged, IndexFolder
from pincite.storage.generation import read_manifest
from pincite.sync import Report, preview
from pincite.ui import markup
from pincite.ui.resources import Resources

_STAGES = {"read": "Reading", "embed": "Embedding", "commit": "Writing the index"}
_TICK = 0.5
"""Seconds between two looks at a running sync."""


def show(resources: Resources) -> None:
    """In the sidebar: what is indexed, since when, what has changed, and a way to take it in."""
    with st.sidebar:
        st.markdown("### Documents")
        st.html(markup.block("quiet", str(resources.settings.corpus.resolve())))
        running = resources.reindexer.is_running
        st.fragment(lambda: _state(resources, running), run_every=_TICK if running else None)()


def _state(resources: Resources, was_running: bool) -> None:
    reindexer = resources.reindexer
    if reindexer.is_running:
        progress = reindexer.progress
        label = f"{_STAGES[progress.stage]}: {progress.done} of {progress.total}"
        st.progress(min(progress.share, 1.0), text=label)
        st.caption("Questions are answered from the present index meanwhile.")
        return
    if was_running:
        _changes.clear()
        st.rerun()
    _outcome(reindexer.outcome)
    _summary(resources)
    if st.button("Re-index", icon=":material/sync:", width="stretch"):
        reindexer.start()
        st.rerun()


def _outcome(outcome: Report | PinciteError | None) -> None:
    """What the last sync did."""
    if isinstance(outcome, PinciteError):
        markup.notice(str(outcome))
    elif outcome is not None:
        d = outcome.difference
        st.success(
            f"{len(d.added)} added, {len(d.changed)} changed, {len(d.moved)} moved, {len(d.removed)} removed",
            icon=":material/check:",
        )


def _summary(resources: Resources) -> None:
    try:
        documents, passages, built, generation, skipped = _facts(resources)
    except IndexMissing:
        st.markdown("Nothing is indexed yet.")
        return
    except PinciteError as error:
        markup.notice(str(error))
        return
    st.markdown(f"**{documents:,}** documents, **{passages:,}** passages")
    if built is not None:
        st.caption(f"Built {built.astimezone():%d %B %Y, %H:%M}")
    try:
        changes = _changes(resources, generation)
    except PinciteError as error:
        markup.notice(str(error))
        return
    st.caption(f"{_files(changes)} changed since: re-index." if changes else "Nothing has changed since.")
    if skipped:
        with st.expander(f"{_files(len(skipped))} not been indexed"):
            st.html(markup.block("quiet", *(f"{source}: {reason}" for source, reason in skipped.items())))
    if told := _told(resources, generation):
        with st.expander(f"{len(told):,} read with a remark"):
            st.html(markup.block("quiet", *(f"{source}: {'; '.join(entry)}" for source, entry in told.items())))


def _facts(resources: Resources) -> tuple[int, int, datetime | None, int, dict[str, str]]:
    """Documents, passages, when the generation was built, its number, what was skipped."""
    with Catalog(resources.settings.index) as catalog, catalog.reading():
        counts, number, skipped = catalog.counts(), catalog.generation, catalog.skipped()
    if number == 0:
        raise IndexMissing(f"{resources.settings.index}: nothing is indexed yet")
    try:
        built = read_manifest(IndexFolder(resources.settings.index).generation(number)).built_at
    except DerivedDamaged:  # swept or damaged: the next question mends it
        built = None
    return counts["documents"], counts["passages"], built, number, skipped


def _files(count: int) -> str:
    return "1 file has" if count == 1 else f"{count:,} files have"


@st.cache_data(ttl=15, max_entries=4, show_spinner=False)
def _told(_resources: Resources, generation: int) -> dict[str, list[str]]:
    """The ledger of `generation`: it looks at every document, so not at every rerun."""
    with Catalog(_resources.settings.index) as catalog, catalog.reading():
        return ledger(catalog)


@st.cache_data(ttl=15, max_entries=4, show_spinner=False)
def _changes(_resources: Resources, generation: int) -> int:
    """How many files differ from what `generation` holds."""
    difference = preview(_resources.settings)
    return len(difference.added) + len(difference.changed) + len(difference.moved) + len(difference.removed)
