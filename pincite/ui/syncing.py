"""The sync as it is shown: its progress, what became of it, and what may be done about it."""

import streamlit as st

from pincite.errors import (
    CatalogDamaged,
    IndexDamaged,
    IndexMismatch,
    MostRemoved,
    OtherCorpus,
    PinciteError,
    SyncCancelled,
)
from pincite.sync import Difference, Report
from pincite.sync.job import Job, Step
from pincite.ui import markup

TICK = 0.5
"""Seconds between two looks at what is running."""
_STAGES = {
    "compare": "Looking at the files",
    "read": "Reading",
    "embed": "Embedding",
    "commit": "Writing the index",
}
_MINUTE, _HOUR = 60, 3600


def progress(job: Job, *, key: str = "cancel-sync", has_index: bool = True) -> None:
    """How far the running sync is, how long it will take, and a way to stop it."""
    step = job.step
    st.progress(step.share or 0.0, text=f"Stopping: {_told(step)}" if job.is_stopping else _told(step))
    if has_index:
        st.caption("Questions are answered from the present index meanwhile.")
    st.button("Cancel", icon=":material/stop_circle:", key=key, disabled=job.is_stopping, on_click=job.cancel)


def _told(step: Step) -> str:
    count = f"{step.done:,} of {step.total:,}" if step.total else f"{step.done:,}" if step.done else ""
    stage = f"{_STAGES[step.stage]}: {count}" if count else _STAGES[step.stage]
    seconds = step.seconds_left()
    if seconds is None:
        return stage
    # What is embedded after the last file is read, nobody knows before.
    return f"{stage}, {_about(seconds)} left" + (" to read" if step.stage == "read" else "")


def _about(seconds: float) -> str:
    """A length of time as exact as an estimate can be."""
    if seconds < _MINUTE:
        return "less than a minute"
    count, unit = (round(seconds / _MINUTE), "minute") if seconds < _HOUR else (round(seconds / _HOUR), "hour")
    return f"about {count} {unit}{'' if count == 1 else 's'}"


def outcome(job: Job, *, is_asked: bool = True) -> None:
    """What the last sync did, if it did it: what went wrong is for `troubles`.

    `is_asked`: whether a person began it.
    """
    if isinstance(job.outcome, SyncCancelled):
        st.info("Stopped. The index is as it was; what was embedded stays for the next time.", icon=":material/stop:")
    elif isinstance(job.outcome, Report):
        d = job.outcome.difference
        if d.is_empty() and not is_asked:
            return  # a watched folder is looked at again and again
        st.success(
            f"{len(d.added):,} added, {len(d.changed):,} changed, {len(d.moved):,} moved, {len(d.removed):,} removed",
            icon=":material/check:",
        )
        folders(d)


def folders(difference: Difference) -> None:
    """Folders that could not be listed."""
    for folder, reason in difference.unread.items():
        markup.notice(f"{folder}: {reason}: what is indexed of it stays; mend it and sync again")


def troubles(job: Job, *found: PinciteError | None) -> None:
    """What is wrong, each once, and for what a sync can mend a button that does."""
    last = job.outcome
    told: dict[str, PinciteError] = {str(error): error for error in found if error is not None}
    if isinstance(last, PinciteError) and not isinstance(last, SyncCancelled):
        told.setdefault(str(last), last)
    for message in told:
        markup.notice(message)
    if any(isinstance(error, MostRemoved) for error in told.values()):
        _offer(job, "Forget what is gone", "allow_removals", ":material/delete_sweep:")
    if any(isinstance(error, OtherCorpus) for error in told.values()):
        _offer(job, "It is the same folder: keep the index", "move_corpus", ":material/drive_file_move:")
    elif any(isinstance(e, IndexMismatch | IndexDamaged) and not isinstance(e, CatalogDamaged) for e in told.values()):
        _offer(job, "Rebuild the index", "rebuild", ":material/construction:")


def _offer(job: Job, label: str, option: str, icon: str) -> None:
    if st.button(label, icon=icon, key=option.replace("_", "-")):
        job.start(**{option: True})
        st.rerun()
