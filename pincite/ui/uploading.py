"""Files from the browser into the corpus folder."""

from collections.abc import Sequence

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from pincite import upload
from pincite.errors import PinciteError
from pincite.export.reference import one_line
from pincite.reading import READERS
from pincite.ui import markup
from pincite.ui.resources import Resources

_SAID: dict[upload.Outcome, str] = {
    "added": "added to the folder",
    "replaced": "replaced",
    "same": "there already, byte for byte",
    "taken": "another file has this name, and was left as it is",
}


def show(resources: Resources, generation: int) -> None:
    """Choose files and a folder, put them there; what is new is taken in by the next sync."""
    settings = resources.settings
    try:
        folders = upload.folders(settings)
    except PinciteError as error:
        markup.notice(str(error))
        return
    with st.expander("Add files", icon=":material/upload_file:"):
        turn = st.session_state.setdefault("upload-turn", 0)
        files = st.file_uploader(
            "Files",
            list(READERS),
            accept_multiple_files=True,
            max_upload_size=settings.sync.max_megabytes,
            key=f"upload-{turn}",
        )
        folder = st.selectbox(
            "Into the folder", folders, format_func=lambda name: one_line(name) if name else "(the top)"
        )
        if st.button("Add", icon=":material/add:", key="upload", disabled=not files) and files and folder is not None:
            _put(resources, generation, folder, files, replace=False)
        _told(resources, generation)


def _put(resources: Resources, generation: int, folder: str, files: Sequence[UploadedFile], *, replace: bool) -> None:
    """What became of each is kept for the next run, in which the chooser is empty again."""
    told: list[str] = []
    taken: list[UploadedFile] = []
    is_fresh = False
    for file in files:
        try:
            outcome = upload.put(resources.settings, folder, file.name, file.getvalue(), replace=replace)
        except PinciteError as error:
            told.append(str(error))
            continue
        told.append(f"{file.name}: {_SAID[outcome]}")
        is_fresh = is_fresh or outcome in ("added", "replaced")
        if outcome == "taken":
            taken.append(file)
    st.session_state["upload-told"] = told
    st.session_state["upload-taken"] = (folder, taken)
    st.session_state["upload-fresh"] = is_fresh
    st.session_state["upload-turn"] += 1
    resources.look_again(generation)
    st.rerun()


def _told(resources: Resources, generation: int) -> None:
    if lines := st.session_state.get("upload-told"):
        st.html(markup.block("notice", *lines))
    folder, taken = st.session_state.get("upload-taken", ("", []))
    if taken:
        what = "the file that is" if len(taken) == 1 else f"the {len(taken):,} files that are"
        if st.button(f"Replace {what} there", icon=":material/swap_horiz:", key="replace"):
            _put(resources, generation, folder, taken, replace=True)
    if (
        st.session_state.get("upload-fresh")
        and not resources.watcher  # which does it by itself
        and st.button("Take them in now", icon=":material/sync:", key="sync-uploaded")
    ):
        st.session_state["upload-fresh"] = False
        resources.job.start()
        st.rerun()
