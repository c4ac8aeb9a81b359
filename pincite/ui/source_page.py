"""A document as it was indexed, opened at a passage: as text, or as the pages of a PDF."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from pincite.errors import PinciteError, Unreadable
from pincite.freshness import Freshness, freshness, original
from pincite.ledger import entry
from pincite.reading.picture import picture
from pincite.storage import Catalog
from pincite.types import Document, Hit, Section, Span
from pincite.ui import index_state, keys, markup, results, take, urlstate
from pincite.ui.asked import Asked, carried, place_params, source_params
from pincite.ui.resources import Resources

if TYPE_CHECKING:
    from pincite.ui.pages import Pages

PDF = "application/pdf"
_AROUND = 20_000
"""Characters shown before and after a passage, until the whole document is asked for."""
_OUTLINE = 60
"""Headings listed around the present one."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """What the URL names, as it was found in the index."""

    document: Document
    passage: Span
    mark: Span
    file: Freshness
    told: Sequence[str]
    """What a person should know of the document."""

    @property
    def page(self) -> int:
        """Physical page that the URL names, or else that the passage begins on; 0 where there are none."""
        pages = self.document.pages
        if not pages:
            return 0
        named = st.query_params.get("page", "")
        if named.isdecimal() and len(named) < 7:
            return min(max(int(named), 1), self.last_page)
        at = self.mark[0] if self.mark[0] < self.mark[1] else self.passage[0]
        return next((page.number for page in pages if at < page.end), pages[-1].number)

    @property
    def last_page(self) -> int:
        """Those without text count, too."""
        return max([page.number for page in self.document.pages[-1:]] + [*self.document.coverage.blank_pages])


def show(pages: "Pages", resources: Resources) -> None:
    """The document that the URL names: `source`, `start`, `end`, `mark`, `file` (its hash), `page`, the question."""
    asked = Asked.from_url()
    bar = st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="bar")
    with bar, st.container(key="go-back", width="content"):
        _back(pages, asked)
    try:
        opened = _open(resources)
    except PinciteError as error:
        index_state.trouble(pages, resources, error)
        keys.listen("source")
        return
    if isinstance(opened, str):
        markup.notice(opened)
        keys.listen("source")
        return
    with bar:
        hit = _among_hits(resources, asked, opened)
    _head(opened)
    _take(resources, asked, opened, hit)
    _outline(asked, opened.document, opened.passage[0])
    if opened.document.media_type == PDF and opened.file == "current" and _wants_pages():
        _sheet(resources, opened)
    else:
        _text(opened)
    url = st.query_params
    state = " ".join(url.get(name, "") for name in ("source", "start", "end", "page"))
    keys.listen(state, press=_PRESS, told=_TOLD, scroll=".pincite-passage")


def _back(pages: "Pages", asked: Asked) -> None:
    """To where the source was opened from, which is `from` in the URL."""
    origin = st.query_params.get("from", "")
    ways = {
        "documents": (pages.documents, "Back to the documents"),
        "reading": (pages.reading, "Back to the reading list"),
        "compare": (pages.compare, "Back to the comparison"),
    }
    if origin in ways:
        page, label = ways[origin]
        params: dict[str, Any] = {"q": asked.question, **carried()} if asked.question else dict(carried())
        del params["from"]
    else:
        page, label, params = pages.search, "Back to the results", dict(asked.params)
    st.page_link(page, label=label, icon=":material/arrow_back:", query_params=params)


_PRESS = {
    "n": "go-next",
    "p": "go-previous",
    "b": "go-back",
    "ArrowLeft": "turn-previous",
    "ArrowRight": "turn-next",
}
_TOLD = {
    "n": "the next passage",
    "p": "the passage before",
    "b": "back to where you came from",
    "← →": "turn the pages of a PDF",
    "y": "copy the quote",
}


def _open(resources: Resources) -> _Opened | str:
    """What the URL names, or why there is nothing to show."""
    url = st.query_params
    source = url.get("source", "")
    with Catalog(resources.settings.index) as catalog, catalog.reading():
        document = catalog.document(source)
        languages = catalog.meta("languages").split()
        if document is None:
            return f"{source or 'This link'}: not in the index. It may have been moved or removed since."
        file = freshness(resources.settings.corpus, catalog, [source])[source]
    passage = _span(url.get("start"), url.get("end"), len(document.text))
    mark = _span(*url.get("mark", "").partition("-")[::2], len(document.text))
    told = [*document.remarks, *entry(document.coverage, languages)]
    return _Opened(document, passage, mark if passage[0] <= mark[0] <= mark[1] <= passage[1] else (0, 0), file, told)


def _span(start: str | None, end: str | None, length: int) -> Span:
    """A span from a URL, which anybody may have written: always inside the text."""
    try:
        first, last = int(start or 0), int(end or 0)
    except ValueError:
        return 0, 0
    first = min(max(first, 0), length)
    return first, min(max(last, first), length)


def _among_hits(resources: Resources, asked: Asked, opened: _Opened) -> Hit | None:
    """The hit that is opened, if it is one, beside ways to those before and after it."""
    if not asked.question:
        return None
    try:
        hits = resources.searcher.search(asked.question, asked.count, asked.filters).hits
    except PinciteError:
        return None  # the document can be read all the same
    here = (opened.document.source, *opened.passage)
    at = next((n for n, hit in enumerate(hits) if here in _places(hit)), None)
    if at is None:
        return None
    st.caption(f"Passage {at + 1} of {len(hits)}", width="content")
    for step, name, icon in ((-1, "previous", "arrow_upward"), (1, "next", "arrow_downward")):
        if 0 <= at + step < len(hits):
            st.button(
                name.capitalize(),
                key=f"go-{name}",
                icon=f":material/{icon}:",
                type="tertiary",
                on_click=urlstate.go,
                args=({**source_params(asked, hits[at + step]), **carried()},),
            )
    return hits[at]


def _places(hit: Hit) -> list[tuple[str, int, int]]:
    own = (hit.passage.source, hit.passage.start, hit.passage.end)
    return [own, *((place.source, place.start, place.end) for place in hit.also)]


def _head(opened: _Opened) -> None:
    document, (start, end) = opened.document, opened.passage
    where = f"characters {start}–{end} of {len(document.text)}" if end else f"{len(document.text)} characters"
    st.html(
        markup.title(document.title or document.source)
        + markup.block("quiet", f"{document.source}, {where}", *opened.told)
    )
    if opened.file in results.STALE:
        st.html(markup.block("warning", results.STALE[opened.file]))
    if not document.sha256.startswith(st.query_params.get("file", "")):
        st.html(markup.block("warning", "The document was indexed anew since this link was made: look around it."))


def _take(resources: Resources, asked: Asked, opened: _Opened, hit: Hit | None) -> None:
    """The file itself, and the passage to take along."""
    document, (start, end) = opened.document, opened.passage
    with st.container(horizontal=True, vertical_alignment="center"):
        if opened.file == "current":
            st.download_button(
                "Original file",
                lambda: _bytes(resources, document),
                file_name=document.source.rpartition("/")[2],
                mime="application/octet-stream",
                icon=":material/download:",
                on_click="ignore",
            )
        if hit is not None:
            st.html(take.copy_button(hit), width="content")
            take.collect_button(hit, asked.question, "collect")
        elif start < end:
            place = f"{document.source}, characters {start}–{end}"
            st.html(markup.copy_button("Copy quote", f"“{document.text[start:end]}”\n{place}"), width="content")


def _bytes(resources: Resources, document: Document) -> bytes:
    """The file, when it is asked for; what cannot be given any more is said in its place."""
    try:
        data = original(resources.settings.corpus, document.source, document.sha256)
    except Unreadable as error:
        return f"{document.source} {error}.\n".encode()
    return f"{document.source} has changed since it was indexed: re-index.\n".encode() if data is None else data


def _outline(asked: Asked, document: Document, position: int) -> None:
    """The document's headings, in the sidebar, each a link to where it stands."""
    sections = [section for section in document.sections if section.heading]
    if not sections:
        return
    here = max((n for n, section in enumerate(sections) if section.start <= position), default=0)
    first = max(0, min(here - _OUTLINE // 2, len(sections) - _OUTLINE))
    with st.sidebar, st.container(key="outline", gap="xxsmall"):
        st.markdown("### Outline")
        for number, section in list(enumerate(sections))[first : first + _OUTLINE]:
            indent = "\u2003" * (len(section.heading) - 1)
            label = markup.plain(section.heading[-1])
            st.button(
                indent + (f"**{label}**" if number == here else label),
                key=f"heading-{number}",
                type="tertiary",
                wrap=True,
                on_click=urlstate.go,
                args=({**asked.params, **place_params(document.source, *_reach(section, document)), **carried()},),
            )
        if len(sections) > _OUTLINE:
            st.caption(f"{_OUTLINE} of {len(sections):,} headings, around this place")


def _reach(section: Section, document: Document) -> Span:
    """The heading's own line: what is highlighted when it is gone to."""
    end = document.text.find("\n", section.start + 1)
    return section.start, end if end > section.start else len(document.text)


def _text(opened: _Opened) -> None:
    document, (start, end) = opened.document, opened.passage
    whole = len(document.text) <= 2 * _AROUND or st.toggle("Show the whole document")
    first, last = (0, len(document.text)) if whole else (max(start - _AROUND, 0), end + _AROUND)
    mark = [(opened.mark[0] - start, opened.mark[1] - start)] if opened.mark[1] else []
    st.html(
        '<div class="pincite-text">'
        + markup.marked(document.text[first:start], [])
        + f'<span class="pincite-passage">{markup.marked(document.text[start:end], mark)}</span>'
        + markup.marked(document.text[end:last], [])
        + "</div>"
    )


def _wants_pages() -> bool:
    return urlstate.segments("Show", "as", {"pages": "Pages", "text": "Text"}) == "pages"


def _sheet(resources: Resources, opened: _Opened) -> None:
    """The page as it looks, with the passage on it, and ways to the pages before and after."""
    document, number = opened.document, opened.page
    label = next((page.label for page in document.pages if page.number == number), "")
    last = opened.last_page
    with st.container(horizontal=True, vertical_alignment="center"):
        for step, name, icon in ((-1, "previous", "chevron_left"), (1, "next", "chevron_right")):
            st.button(
                f"{name.capitalize()} page",
                key=f"turn-{name}",
                icon=f":material/{icon}:",
                disabled=not 1 <= number + step <= last,
                on_click=_turn,
                args=(number + step,),
            )
        printed = f", printed as {label}" if label else ""
        st.caption(markup.plain(f"Page {number} of {last}{printed}"), width="content")
    try:
        png = _picture(resources, document, number, opened.passage, opened.mark)
    except Unreadable as error:
        markup.notice(f"{document.source}, page {number}: {error}")
        _text(opened)
        return
    page = next((page for page in document.pages if page.number == number), None)
    told = "its text stands below" if page else "it has no text"
    st.html(markup.picture(png, f"Page {number} of {document.source}; {told}"))
    if page is None:
        st.caption("This page has no text.")
        return
    with st.expander("The text of this page"):
        st.html(f'<div class="pincite-text">{markup.marked(document.text[page.start : page.end], [])}</div>')


def _turn(number: int) -> None:
    urlstate.put("page", str(number))


@st.cache_data(max_entries=64, show_spinner="Drawing the page…", hash_funcs={Document: lambda d: (d.source, d.sha256)})
def _picture(_resources: Resources, document: Document, number: int, passage: Span, mark: Span) -> bytes:
    settings = _resources.settings
    return picture(settings.corpus / document.source, document, number, passage, mark, settings.sync)
