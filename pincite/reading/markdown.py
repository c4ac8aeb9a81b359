"""Markdown: `.md`. The text stays as it is; headings and tables come from a CommonMark parser."""

import re
import tomllib
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from pincite.reading.content import Content, Heading, decode, sections
from pincite.types import Table

_NEWLINE = re.compile(r"\r\n?|\n")
_FRONT_MATTER = re.compile(
    r"(?P<fence>---|\+\+\+)[^\S\n]*\r?\n(?!\s*?\n)(?P<block>.*?\n)??(?P=fence)[^\S\n]*(?:\r?\n|\Z)", re.DOTALL
)
_YAML_KEY = re.compile(r"(?:[^\S\n]*(?:#[^\n]*)?\r?\n)*[^\s#:][^\n:]*:(?:\s|\Z)")
_YAML_TITLE = re.compile(
    r"^title:[^\S\n]*(?:[>|][+\-0-9]*[^\S\n]*\r?\n((?:[^\S\n]+\S[^\n]*\n)+)|(\S.*?)[^\S\n]*\r?$)", re.MULTILINE
)
_YAML_COMMENT = re.compile(r"\s+#.*")
_PARSER = MarkdownIt("commonmark").enable("table")


def read(data: bytes) -> Content:
    """Decode and find headings and tables; nothing is changed."""
    text, remarks = decode(data)
    body, title = _front_matter(text)
    starts = [body, *(match.end() for match in _NEWLINE.finditer(text, body)), len(text)]
    tokens = _PARSER.parse(text[body:])
    headings = _headings(tokens, starts)
    if not title:
        title = next((heading.words for heading in headings if heading.level == 1), "")
    return Content(text, title, sections(headings), tables=tuple(_tables(text, tokens, starts)), remarks=remarks)


def _front_matter(text: str) -> tuple[int, str]:
    """Where it ends, and the title it gives. Between two rules may also stand prose: that is none."""
    front = _FRONT_MATTER.match(text)
    block = front["block"] or "" if front else ""
    if not front:
        return 0, ""
    if front["fence"] == "+++":
        try:
            title = tomllib.loads(block.replace("\r\n", "\n")).get("title")
        except tomllib.TOMLDecodeError:
            return 0, ""
        return front.end(), " ".join(title.split()) if isinstance(title, str) else ""
    if block and not _YAML_KEY.match(block):
        return 0, ""
    return front.end(), _yaml_title(block)


def _yaml_title(block: str) -> str:
    found = _YAML_TITLE.search(block)
    if not found:
        return ""
    if found[1]:
        return " ".join(found[1].split())
    value = found[2]
    if (quote := value[0]) in "\"'":
        return value[1:].partition(quote)[0] if value.count(quote) == 2 else value.strip(quote)
    return _YAML_COMMENT.sub("", value)


def _headings(tokens: Sequence[Token], starts: Sequence[int]) -> list[Heading]:
    """Every heading that stands in no quote and no list, in order."""
    return [
        Heading(starts[token.map[0]], int(token.tag[1]), _words(inline.children or []))
        for token, inline in zip(tokens, tokens[1:], strict=False)
        if token.type == "heading_open" and token.map and token.level == 0
    ]


def _tables(text: str, tokens: Sequence[Token], starts: Sequence[int]) -> list[Table]:
    """Every table that has rows, in order. The line of dashes is no row."""
    tables: list[Table] = []
    header: list[str] = []
    for token, inline in zip(tokens, tokens[1:], strict=False):
        if token.type == "table_open":
            header = []
        elif token.type == "th_open":
            header.append(_words(inline.children or []))
        elif token.type == "tbody_open" and token.map:
            start, end = starts[token.map[0]], starts[token.map[1]]
            rows = text[start:end].rstrip("\r\n")
            tables.append(Table(start, start + len(rows), " | ".join(filter(None, header))))
    return tables


def _words(children: list[Token]) -> str:
    """The words of a heading or a cell, without their markup."""
    return " ".join("".join(_word(child) for child in children).split())


def _word(child: Token) -> str:
    """What one part of a heading says: HTML tags and the ends of emphasis and links say nothing."""
    if child.type in ("softbreak", "hardbreak"):
        return " "
    return "" if child.type == "html_inline" else child.content
