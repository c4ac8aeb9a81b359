"""Text from documents as HTML: always escaped, never trusted.

Every word that comes from a document, a file's name or a question goes through `escape`; the tags
around it are ours. Streamlit sanitises the result once more before it is shown.
"""

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

import streamlit as st

from pincite.types import Passage, Span

_STYLE = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~:$&])")


def style() -> None:
    """Put our style sheet on the page."""
    st.html(f"<style>{_STYLE}</style>")


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


def heading(text: str) -> str:
    """A heading of a group of results."""
    return f'<h2 class="pincite-group">{escape(text)}</h2>'


def notice(message: str) -> None:
    """A message that may hold words of a question, a path or a document."""
    with st.container(border=True):
        st.html(block("notice", message))


def copy_button(label: str, text: str) -> str:
    """A button that puts `text` on the clipboard; `keys` listens to it."""
    return f'<button type="button" class="pincite-copy" data-copy="{escape(text)}">{escape(label)}</button>'


def plain(text: str) -> str:
    """Text that a widget's label, which is Markdown, shows as it stands."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))
