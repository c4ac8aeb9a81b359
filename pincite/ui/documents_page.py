"""The page of whoever keeps the folder: what is indexed of it, what is not and why, and a way to mend that."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import streamlit as st

from pincite.errors import IndexMissing, PinciteError
from pincite.holdings import Holding, IndexState, Inventory, holdings, index_state
from pincite.storage import Catalog
from pincite.sync import Difference
from pincite.ui import checking, keys, markup, syncing, uploading, urlstate
from pincite.ui.asked import carried
from pincite.ui.resources import Resources

if TYPE_CHECKING:
    from pincite.ui.pages import Pages

_YOUNG = 15.0
"""Seconds for which a look at the folder is good enough."""
_PATIENCE = 0.2
"""Seconds that the page waits for a look: of a small folder it is done by then."""
_NANOSECONDS = 1e9
_SHOWN: dict[str, tuple[str, Callable[[Holding], bool]]] = {
    "all": ("All", lambda _: True),
    "remarks": ("With a remark", lambda holding: bool(holding.told)),
    "partly": ("Not all searchable", lambda holding: holding.searchable is not None and holding.searchable < 1),
    "unindexed": ("Not indexed", lambda holding: holding.status == "not indexed"),
    "new": ("New", lambda holding: holding.status == "new"),
    "changed": ("Changed or moved", lambda holding: holding.status in ("changed", "moved")),
    "missing": ("Missing", lambda holding: holding.status == "missing"),
}
"""What the URL says in `show`: its name, and which rows it leaves."""


def show(pages: "Pages", resources: Resources) -> None:
    """What is shown of the list is in the URL: `show`, and in `words` what a path must hold."""
    st.set_page_config(layout="wide")  # for the table
    st.title("Documents")
    st.html(markup.block("quiet", markup.home(resources.settings.corpus)))
    ended = resources.job.ended  # looked at first: what a sync wrote that ends from here on is not shown yet
    generation, manifest = _current(resources)
    state = _state(resources)
    if isinstance(state, IndexState):
        _facts(state)
    resources.look_again(generation, _YOUNG)
    resources.look.wait(_PATIENCE)
    doing = (*_doing(resources)[:2], ended)
    busy = resources.job.is_running or resources.look.is_running
    pace = syncing.TICK if busy else 4 * syncing.TICK if resources.watcher else None
    st.fragment(lambda: _sync(resources, state, generation, doing), run_every=pace)()
    if resources.settings.page.upload:
        uploading.show(resources, generation)
    _list(pages, resources, generation, manifest)
    if isinstance(state, IndexState):
        checking.show(resources)
    keys.listen("documents")


def _current(resources: Resources) -> tuple[int, str]:
    """The generation, 0 where there is none or none that can be read, and the hash of its manifest."""
    try:
        with Catalog(resources.settings.index) as catalog, catalog.reading():
            return catalog.generation, catalog.meta("manifest")
    except PinciteError:
        return 0, ""


def _state(resources: Resources) -> IndexState | PinciteError:
    try:
        return index_state(resources.settings, resources.recipe)
    except PinciteError as error:
        return error


def _facts(state: IndexState) -> None:
    built = f"Built {state.built.astimezone():%d %B %Y, %H:%M}" if state.built else "Its files are being looked after"
    st.markdown(f"**{state.documents:,}** documents, **{state.passages:,}** passages")
    size = f"{_megabytes(state.bytes)} on the disk"
    st.html(markup.block("quiet", f"{built}, generation {state.generation}, {size}, model {state.model}"))


def _megabytes(count: int) -> str:
    return f"{count / 2**30:,.1f} GB" if count >= 2**30 else f"{max(count / 2**20, 0.1):,.1f} MB"


def _doing(resources: Resources) -> tuple[bool, bool, datetime | None]:
    """Whether a sync is running, whether somebody is looking at the folder, and when the last sync ended."""
    return resources.job.is_running, resources.look.is_running, resources.job.ended


def _sync(
    resources: Resources,
    state: IndexState | PinciteError,
    generation: int,
    was_doing: tuple[bool, bool, datetime | None],
) -> None:
    """What has changed in the folder, and the way to take it in."""
    job, look = resources.job, resources.look
    if _doing(resources) != was_doing:
        st.rerun()
    if job.is_running:
        syncing.progress(job)
        return
    syncing.outcome(job, is_asked=resources.watcher is None)
    found = look.found(generation)
    syncing.troubles(
        job,
        state if isinstance(state, PinciteError) and not isinstance(state, IndexMissing) else None,
        found if isinstance(found, PinciteError) else None,
    )
    if resources.watcher and resources.watcher.trouble:
        markup.notice(resources.watcher.trouble)
    is_new = isinstance(state, IndexMissing)
    if is_new:
        st.markdown("Nothing is indexed yet.")
    if isinstance(found, Difference):
        _changes(found, is_new)
        if not job.outcome:
            syncing.folders(found)
    elif look.is_running:
        st.caption("Looking at the folder…")
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Build the index" if is_new else "Re-index", icon=":material/sync:", key="sync"):
            job.start()
            st.rerun()
        if st.button("Look again", icon=":material/refresh:", key="look", disabled=look.is_running):
            resources.look_again(generation)
            st.rerun()
        if look.ended:
            st.caption(f"Looked at {look.ended.astimezone():%H:%M:%S}", width="content")
    if resources.watcher and not resources.watcher.trouble:
        st.caption("The folder is watched: what changes is taken in by itself.")


def _changes(found: Difference, is_new: bool) -> None:
    if is_new:
        count = len(found.added)
        st.caption(f"{count:,} {'file' if count == 1 else 'files'} can be indexed.")
        return
    if found.is_empty():
        st.caption("Nothing has changed since.")
        return
    counts = {
        "new": len(found.added),
        "changed": len(found.changed),
        "moved": len(found.moved),
        "missing": len(found.removed),
    }
    st.markdown("Since the last sync: " + ", ".join(f"**{n:,}** {what}" for what, n in counts.items() if n) + ".")


def _list(pages: "Pages", resources: Resources, generation: int, manifest: str) -> None:
    try:
        inventory = _inventory(resources, manifest)
    except PinciteError:  # told above
        return
    found = resources.look.found(generation)
    every = holdings(inventory, found if isinstance(found, Difference) else None)
    if not every:
        return
    st.header("What is in the folder")
    words = urlstate.text("Words in the path", "words", "reports 2024", is_named=True)
    folded = words.casefold().split()
    named = [holding for holding in every if all(word in holding.source.casefold() for word in folded)]
    counts = {name: sum(map(fits, named)) for name, (_, fits) in _SHOWN.items()}
    asked = st.query_params.get("show", "all")
    offered = [name for name in _SHOWN if counts[name] or name in ("all", asked)]
    labels = {name: f"{_SHOWN[name][0]} ({counts[name]:,})" for name in offered}
    shown = urlstate.segments("Show", "show", labels, are_many=True)
    rows = list(filter(_SHOWN[shown][1], named))
    if not rows:
        st.caption("None of them.")
        return
    _table(pages, rows, f"{generation} {resources.look.ended} {shown} {words}")


def _table(pages: "Pages", rows: Sequence[Holding], state: str) -> None:
    """`state` changes with the rows: a selection is of a row by its number."""
    selected = st.dataframe(
        {
            "Source": [row.source for row in rows],
            "Status": [row.status for row in rows],
            "What to know": ["; ".join(row.told) for row in rows],
            "Title": [row.title for row in rows],
            "Kind": [row.kind for row in rows],
            "Length": [row.length for row in rows],
            "Passages": [row.passages if row.is_indexed else None for row in rows],
            "Searchable": [row.searchable for row in rows],
            "Language": [row.language for row in rows],
            "Size": [row.size for row in rows],
            "Last changed": [_time(row) for row in rows],
        },
        hide_index=True,
        column_config={
            "Source": st.column_config.TextColumn(width="large"),
            "Status": st.column_config.TextColumn(width="small"),
            "What to know": st.column_config.TextColumn(width="medium"),
            "Passages": st.column_config.NumberColumn(format="localized"),
            "Searchable": st.column_config.NumberColumn(format="percent"),
            "Size": st.column_config.NumberColumn(format="bytes"),
            "Last changed": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
        },
        on_select="rerun",
        selection_mode="single-row",
        alt="Files of the folder, and what is indexed of them",
        key=f"holdings {state}",
    )
    st.caption(f"{len(rows):,} {'row' if len(rows) == 1 else 'rows'}. Select one to see all of it, and to open it.")
    for number in selected["selection"]["rows"]:
        _chosen(pages, rows[number])


def _chosen(pages: "Pages", row: Holding) -> None:
    """One row with all that is to be known of it, and the way to the document."""
    lines = row.told or (("It can be searched whole.",) if row.status == "indexed" else ())
    with st.container(border=True):
        st.html(
            markup.block("title", row.title or row.source)
            + markup.block("quiet", f"{row.source} ({row.status})")
            + markup.block("notice", *lines)
        )
        if row.is_indexed:
            st.page_link(
                pages.source,
                label="Open it as it was indexed",
                icon=":material/description:",
                query_params={**carried(), "source": row.source, "from": "documents"},
            )


def _time(row: Holding) -> datetime | None:
    return datetime.fromtimestamp(row.modified / _NANOSECONDS) if row.modified is not None else None


@st.cache_resource(max_entries=2, show_spinner=False)
def _inventory(_resources: Resources, manifest: str) -> Inventory:
    """It looks at every document, so not at every rerun. `manifest`: of which state, told by its hash."""
    if not manifest:
        return Inventory()
    with Catalog(_resources.settings.index) as catalog, catalog.reading():
        return Inventory.of(catalog)
