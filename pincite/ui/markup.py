"""Text from documents as HTML: always escaped, never trusted.

Every word that comes from a document, a file's name or a question goes through `escape`; the tags
around it are ours. Streamlit sanitises the result once more before it is shown.
"""

from collections.abc import Sequence
from html import escape

import streamlit as st

from pincite.types import Passage, Span

_STYLE = """
<style>
.pincite-text { margin-top: 0.6rem; white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.55; }
.pincite-text mark { background: #ffe9a8; color: inherit; padding: 0.05em 0.1em; border-radius: 0.15em; }
.pincite-passage { background: rgba(31, 111, 92, 0.12); }
.pincite-heading { opacity: 0.62; }
.pincite-quiet { opacity: 0.62; font-size: 0.86rem; overflow-wrap: anywhere; }
.pincite-title { font-weight: 600; font-size: 1.12rem; overflow-wrap: anywhere; }
.pincite-verdict { font-size: 1.05rem; font-weight: 600; }
@media (prefers-color-scheme: dark) { .pincite-text mark { background: #6b5710; } }
</style>
"""


def style() -> None:
    """Put our style sheet on the page."""
    st.html(_STYLE)


def marked(text: str, marks: Sequence[Span]) -> str:
    """Escaped text with `<mark>` around the given spans, which are in order and do not overlap."""
    parts = []
    position = 0
    for start, end in marks:
        parts += [escape(text[position:start]), "<mark>", escape(text[start:end]), "</mark>"]
        position = end
    return "".join([*parts, escape(text[position:])])


def passage(found: Passage, marks: Sequence[Span]) -> str:
    """The words of a passage as they stand, its heading lines toned down, its marks in `<mark>`."""
    first = found.sentences[0][0] if found.sentences else 0
    inside = [(start - first, end - first) for start, end in marks]
    heading = f'<span class="pincite-heading">{escape(found.text[:first])}</span>' if first else ""
    return f'<div class="pincite-text">{heading}{marked(found.text[first:], inside)}</div>'


def block(kind: str, *lines: str) -> str:
    """Escaped lines in an element of one of our classes."""
    return f'<div class="pincite-{kind}">{"<br>".join(escape(line) for line in lines)}</div>'


def notice(message: str) -> None:
    """A message that may hold words of a question, a path or a document."""
    with st.container(border=True):
        st.html(block("notice", message))
