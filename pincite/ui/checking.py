"""Every record, file and place of the index, checked from the page."""

import streamlit as st

from pincite.doctor import Findings, examine
from pincite.errors import PinciteError
from pincite.ui import markup, syncing
from pincite.ui.resources import Resources

_NAMED = 50
"""Problems named before the rest are counted."""


def show(resources: Resources) -> None:
    """The button, that it is at work, and what it found."""
    st.header("Is it all as it should be?")
    running = resources.check.is_running
    st.fragment(lambda: _check(resources, running), run_every=syncing.TICK if running else None)()


def _check(resources: Resources, was_running: bool) -> None:
    check = resources.check
    if check.is_running != was_running:
        st.rerun()
    if check.is_running:
        st.caption("Checking every record, every file and every place. With many documents this takes minutes.")
        return
    if isinstance(check.outcome, PinciteError):
        markup.notice(str(check.outcome))
    elif check.outcome is not None:
        _findings(resources, check.outcome)
        if check.ended:
            st.caption(f"Checked {check.ended.astimezone():%d %B %Y, %H:%M}")
    if st.button("Check the index", icon=":material/fact_check:", key="check"):
        check.start(lambda: examine(resources.settings))
        st.rerun()


def _findings(resources: Resources, found: Findings) -> None:
    counted = f"{found.documents:,} documents, {found.passages:,} passages, generation {found.generation}"
    if not found.problems:
        st.success(f"{counted}: everything is as it should be", icon=":material/check:")
        return
    rest = len(found.problems) - _NAMED
    lines = [*found.problems[:_NAMED], *([f"and {rest:,} more: python -m pincite doctor names them"] * (rest > 0))]
    count = f"{len(found.problems):,} problem{'' if len(found.problems) == 1 else 's'}"
    with st.container(border=True):
        st.html(markup.block("notice", f"{counted}: {count}") + markup.block("quiet", *lines))
    rebuild = any(problem.endswith("--rebuild") for problem in found.problems)  # each ends with what mends it
    label, icon = ("Rebuild the index", "construction") if rebuild else ("Re-index what has changed", "sync")
    if st.button(label, icon=f":material/{icon}:", key="mend", disabled=resources.job.is_running):
        resources.job.start(rebuild=rebuild)
        st.rerun()
