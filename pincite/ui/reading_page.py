"""The reading list: what was collected, with notes, and what has become of it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from pincite import export
from pincite.errors import IndexMissing, PinciteError
from pincite.export import Listed
from pincite.export.listed import by_question, by_source
from pincite.export.reference import one_line
from pincite.reading_list import Entry, Standing, standings
from pincite.storage import Catalog
from pincite.ui import keys, markup, take, urlstate
from pincite.ui.resources import Resources

if TYPE_CHECKING:
    from pincite.ui.pages import Pages

_GROUPS = {"Question": by_question, "Document": by_source}
_SHOWN = 50
"""Entries at first; each has widgets of its own, which a browser feels."""
_LONGEST_NOTE = 10_000
_REMOVED, _FAILED = "reading-removed", "reading-failed"
"""In the session: the entry that was removed last, and why the last change could not be written."""


def show(pages: "Pages", resources: Resources) -> None:
    """The entries by question or by document. `by` and `all` live in the URL."""
    st.title("Reading list")
    try:
        entries = dict(resources.reading_list.entries())
    except PinciteError as error:
        markup.notice(str(error))
        keys.listen("reading damaged")
        return
    removed: Entry | None = st.session_state.get(_REMOVED)
    if not entries and removed is None:
        _nothing_yet(pages)
        return
    told = _told(resources, entries)
    listed = Listed.all(entries, told)
    by = _head(resources, listed, told)
    if removed is not None and removed.id not in entries:
        listed = sorted([*listed, Listed(removed)], key=lambda one: (one.entry.at, one.entry.id))
    numbers = {one.entry.id: number for number, one in enumerate(listed, start=1)}
    shown = listed if st.query_params.get("all") else listed[:_SHOWN]
    for name, ones in _GROUPS[by](shown).items():
        st.html(markup.heading(one_line(name) or "Without a question"))
        for one in ones:
            if one.entry.id in entries:
                _entry(pages, resources, one, by, numbers[one.entry.id])
            else:
                _stub(resources, one.entry)
    if len(shown) < len(listed) and st.button(f"Show all {len(listed)}"):
        urlstate.put("all", "1")
        st.rerun()
    keys.listen(f"reading {by}", has_results=True)


def _nothing_yet(pages: "Pages") -> None:
    st.markdown("Nothing is collected yet. Press *Collect* beside a passage, and it is kept here with its place.")
    st.page_link(pages.search, label="Ask a question", icon=":material/search:")
    keys.listen("reading nothing")


def _told(resources: Resources, entries: Mapping[str, Entry]) -> dict[str, Standing]:
    """What has become of the entries; where that cannot be told, a line says why."""
    try:
        with Catalog(resources.settings.index) as catalog, catalog.reading():
            manifest = catalog.meta("manifest")
        return _standings(resources, manifest, tuple((one.id, one.sha256) for one in entries.values()))
    except IndexMissing:
        markup.notice("There is no index now, so nobody can tell whether these passages still stand where they stood.")
    except PinciteError as error:
        markup.notice(str(error))
    return {}


@st.cache_data(max_entries=8, show_spinner="Looking for what has changed…")
def _standings(_resources: Resources, manifest: str, known: tuple[tuple[str, str], ...]) -> dict[str, Standing]:
    """Of the entries whose ids and files are `known`, in the state of the index with this manifest: every document
    concerned is read."""
    entries = _resources.reading_list.entries()
    with Catalog(_resources.settings.index) as catalog, catalog.reading():
        return standings([entries[name] for name, _ in known if name in entries], catalog)


def _head(resources: Resources, listed: list[Listed], told: Mapping[str, Standing]) -> str:
    """How many, how they are grouped, and the export of all of them. Returns the grouping."""
    if failed := st.session_state.pop(_FAILED, ""):
        markup.notice(failed)
    st.markdown(_summary(listed))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.html(markup.block("quiet", "Group by"), width="content")
        by = urlstate.segments("Group by", "by", {name: name for name in _GROUPS})
        # A note may have been written since this script ran: the list is read when the file is asked for.
        take.download_menu(
            "reading-list", lambda form: export.of_list(Listed.all(resources.reading_list.entries(), told), form)
        )
    return by


def _summary(listed: list[Listed]) -> str:
    if not listed:
        return "Nothing is collected now."
    count, since = ("1 passage", "it was") if len(listed) == 1 else (f"{len(listed):,} passages", "they were")
    if any(one.standing is None for one in listed):
        return f"{count}."
    changed = sum(bool(one.change) for one in listed)
    return f"{count}. {f'{changed:,} changed' if changed else 'Nothing has changed'} since {since} collected."


def _entry(pages: "Pages", resources: Resources, one: Listed, by: str, number: int) -> None:
    entry = one.entry
    with st.container(border=True, key=f"hit-{entry.id}"):
        above = entry.title if by == "Question" else one_line(entry.question) or "Without a question"
        st.html(
            '<div class="pincite-hit" tabindex="-1">'
            + markup.block("title", above)
            + markup.block("quiet", entry.citation)
            + f'<div class="pincite-text">{markup.marked(entry.quote, entry.marks)}</div></div>'
        )
        if one.change:
            st.html(markup.block("warning", one.change))
        st.text_area(
            f"Note on passage {number}",  # of ours alone: a label is Markdown, and may fetch an image
            value=entry.note,
            key=f"note-{entry.id}",
            placeholder="A note of your own",
            label_visibility="collapsed",
            height="content",
            max_chars=_LONGEST_NOTE,
            on_change=_save,
            args=(resources, entry),
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            if one.state != "gone":
                st.page_link(
                    pages.source,
                    label="Open in the source",
                    icon=":material/description:",
                    query_params=_source_query(one),
                )
            st.html(markup.copy_button("Copy citation", export.cited(entry)), width="content")
            st.button(
                "Remove", key=f"remove-{entry.id}", icon=":material/delete:", on_click=_remove, args=(resources, entry)
            )


def _stub(resources: Resources, entry: Entry) -> None:
    """Where an entry stood, until another is removed."""
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.html(markup.block("quiet", f"Removed: {entry.citation}"), width="content")
        st.button("Undo", key="undo", icon=":material/undo:", on_click=_undo, args=(resources, entry))


def _source_query(one: Listed) -> dict[str, str]:
    """Where the source page opens: where the words stand now; the document alone where they do not."""
    entry, standing = one.entry, one.standing
    query = {"source": entry.source, "file": entry.sha256[:16], "from": "reading"}
    if standing is None or standing.place is None:
        return query
    place = standing.place
    marks = [f"{place.start + start}-{place.start + end}" for start, end in entry.marks[:1]]
    return {
        "source": place.source,
        "start": str(place.start),
        "end": str(place.end),
        "mark": "".join(marks),
        "file": standing.sha256[:16],
        "from": "reading",
    }


def _save(resources: Resources, entry: Entry) -> None:
    try:
        resources.reading_list.note(entry, st.session_state[f"note-{entry.id}"] or "")
    except PinciteError as error:
        st.session_state[_FAILED] = str(error)


def _remove(resources: Resources, entry: Entry) -> None:
    try:
        # As it is by now: the same click may have ended a note.
        st.session_state[_REMOVED] = resources.reading_list.entries().get(entry.id, entry)
        resources.reading_list.remove(entry.id)
    except PinciteError as error:
        st.session_state[_FAILED] = str(error)


def _undo(resources: Resources, entry: Entry) -> None:
    try:
        resources.reading_list.put(entry)
        st.session_state.pop(_REMOVED, None)
    except PinciteError as error:
        st.session_state[_FAILED] = str(error)
