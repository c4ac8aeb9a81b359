"""A document as it was indexed, opened at a passage."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from pincite.errors import PinciteError
from pincite.ledger import entry
from pincite.storage import Catalog
from pincite.types import Document, Span
from pincite.ui import keys, markup
from pincite.ui.resources import Resources

if TYPE_CHECKING:
    from pincite.ui.pages import Pages

_AROUND = 20_000
"""Characters shown before and after a passage, until the whole document is asked for."""


def show(pages: "Pages", resources: Resources) -> None:
    """The document that the URL names: `source`, `start`, `end`, `mark`, `file` (its hash), `question`."""
    asked = st.query_params
    st.page_link(
        pages.search,
        label="Back to the results",
        icon=":material/arrow_back:",
        query_params={"q": asked.get("question", "")},
    )
    source = asked.get("source", "")
    try:
        with Catalog(resources.settings.index) as catalog, catalog.reading():
            document = catalog.document(source)
            languages = catalog.meta("languages").split()
    except PinciteError as error:
        markup.notice(str(error))
        return
    if document is None:
        markup.notice(f"{source or 'This link'}: not in the index. It may have been moved or removed since.")
        return
    if not document.sha256.startswith(asked.get("file", "")):
        markup.notice("The file has changed since this link was made: the passage may now stand elsewhere.")
    passage = _span(asked.get("start"), asked.get("end"), len(document.text))
    mark = _span(*asked.get("mark", "").partition("-")[::2], len(document.text))
    _document(document, passage, mark, [*document.remarks, *entry(document.coverage, languages)])


def _span(start: str | None, end: str | None, length: int) -> Span:
    """A span from a URL, which anybody may have written: always inside the text."""
    try:
        first, last = int(start or 0), int(end or 0)
    except ValueError:
        return 0, 0
    first = min(max(first, 0), length)
    return first, min(max(last, first), length)


def _document(document: Document, passage: Span, mark: Span, told: Sequence[str]) -> None:
    start, end = passage
    whole = len(document.text) <= 2 * _AROUND or st.toggle("Show the whole document")
    first, last = (0, len(document.text)) if whole else (max(start - _AROUND, 0), end + _AROUND)
    st.html(
        markup.block("title", document.title or document.source)
        + markup.block("quiet", f"{document.source}, characters {start}–{end} of {len(document.text)}")
    )
    for line in told:
        st.html(markup.block("quiet", line))
    marks = [(mark[0] - start, mark[1] - start)] if start <= mark[0] < mark[1] <= end else []
    st.html(
        '<div class="pincite-text">'
        + markup.marked(document.text[first:start], [])
        + f'<span class="pincite-passage">{markup.marked(document.text[start:end], marks)}</span>'
        + markup.marked(document.text[end:last], [])
        + "</div>"
    )
    keys.listen(f"{document.source} {start}", scroll=".pincite-passage")
