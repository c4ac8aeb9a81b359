"""Text from documents as HTML: always escaped, never trusted.

Every word that comes from a document, a file's name or a question goes through `escape`; the tags
around it are ours. Streamlit sanitises the result once more before it is shown.
"""

import base64
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import streamlit as st

from pincite.export.reference import one_line
from pincite.types import Passage, Span

_STYLE = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
_SIGNS = re.compile(r"(?<=[-<>=~:])(?=[-<>=~:])|(?<=:)(?=\w)")
"""Between the signs that Streamlit makes arrows, dashes, icons and colours of, escaped or not."""
_JOINER = "\u2060"
"""Shows nothing and keeps what it stands between together."""
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~:$&])")


def begin(layout: Literal["centered", "wide"] = "centered") -> None:
    """Once a run, before anything is shown: Streamlit drops the second of two layouts every other time."""
    st.set_page_config(page_title="Pincite", page_icon="❞", layout=layout)
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


def title(words: str) -> str:
    """A heading of the second level, for a hit or a document."""
    return f'<div class="pincite-title" role="heading" aria-level="2">{escape(words)}</div>'


def block(kind: str, *lines: str) -> str:
    """Escaped lines in an element of one of our classes."""
    return f'<div class="pincite-{kind}">{"<br>".join(escape(line) for line in lines)}</div>'


def element(kind: str, body: str, name: str) -> str:
    """Markup of ours in a group that the keys can go to; `name` is what a screen reader says of it."""
    spoken = escape(name.replace("</", f"<{_JOINER}/").replace("--", f"-{_JOINER}-"))
    return f'<div class="pincite-{kind}" role="group" tabindex="-1" aria-label="{spoken}">{body}</div>'


def heading(text: str) -> str:
    """A heading of a group of results."""
    return f'<h2 class="pincite-group">{escape(text)}</h2>'


def notice(message: str) -> None:
    """A message that may hold words of a question, a path or a document."""
    with st.container(border=True):
        st.html(block("notice", message))


def picture(png: bytes, name: str) -> str:
    """An image with what a screen reader says of it, which `st.image` cannot have."""
    data = base64.b64encode(png).decode("ascii")
    return f'<img class="pincite-page" alt="{escape(name)}" src="data:image/png;base64,{data}">'


def copy_button(label: str, text: str) -> str:
    """A button that puts `text` on the clipboard; `keys` listens to it.

    Encoded as in a URL: an attribute that holds the end of a tag is taken away where the page is made safe.
    """
    return f'<button type="button" class="pincite-copy" data-copy="{quote(text, safe="")}">{escape(label)}</button>'


def home(path: Path) -> str:
    """A path as a person says it: `~` for what lies in their home."""
    whole, own = path.resolve(), Path.home().resolve()
    return f"~/{whole.relative_to(own)}" if whole.is_relative_to(own) else str(whole)


def plain(text: str) -> str:
    """Text that a widget's label, which is Markdown, shows as it stands."""
    apart = _SIGNS.sub(_JOINER, one_line(text))
    return _MARKDOWN.sub(r"\\\1", apart)
