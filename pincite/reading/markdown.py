"""Markdown: `.md`. The text stays as it is; headings come from a CommonMark parser."""

import re

from markdown_it import MarkdownIt
from markdown_it.token import Token

from pincite.reading.content import Content, Heading, decode, sections

_NEWLINE = re.compile(r"\r\n?|\n")
_FRONT_MATTER = re.compile(r"---[^\S\n]*\r?\n(?!\s*?\n)(.*?\n)?---[^\S\n]*(?:\r?\n|\Z)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[^\S\n]*(.+?)[^\S\n]*\r?$", re.MULTILINE)
_PARSER = MarkdownIt("commonmark")


def read(data: bytes) -> Content:
    """Decode and find the headings; nothing is changed."""
    text, remarks = decode(data)
    front = _FRONT_MATTER.match(text)
    body = front.end() if front else 0
    headings = _headings(text, body)
    title = _front_title(front[1] or "") if front else ""
    if not title:
        title = next((heading.words for heading in headings if heading.level == 1), "")
    return Content(text, title, sections(headings), remarks=remarks)


def _front_title(block: str) -> str:
    found = _FRONT_TITLE.search(block)
    return found[1].strip("\"'") if found else ""


def _headings(text: str, body: int) -> list[Heading]:
    """Every heading after `body`, in order."""
    starts = [body, *(match.end() for match in _NEWLINE.finditer(text, body))]
    tokens = _PARSER.parse(text[body:])
    return [
        Heading(starts[token.map[0]], int(token.tag[1]), _words(inline.children or []))
        for token, inline in zip(tokens, tokens[1:], strict=False)
        if token.type == "heading_open" and token.map and token.level == 0
    ]


def _words(children: list[Token]) -> str:
    """The words of a heading, without its markup."""
    return " ".join("".join(_word(child) for child in children).split())


def _word(child: Token) -> str:
    """What one part of a heading says: HTML tags and the ends of emphasis and links say nothing."""
    if child.type in ("softbreak", "hardbreak"):
        return " "
    return "" if child.type == "html_inline" else child.content
