"""Plain text: `.txt`. The title is a short first line; a heading is a short line on its own."""

import re

from pincite.reading.content import Content, Heading, decode, sections

_LONGEST_HEADING = 100
# Tried only where a line begins: a long stretch of white space would take quadratic time.
_BLOCK = re.compile(r"(?<![^\r\n])[^\r\n]*\S[^\r\n]*(?:\r?\n[^\r\n]*\S[^\r\n]*)*")
_ENDS_A_SENTENCE = (".", "!", "?", ":", ";", ",", "…")


def read(data: bytes) -> Content:
    """Decode; nothing is changed."""
    text, remarks = decode(data)
    headings = _headings(text)
    title = next((heading.words for heading in headings if heading.level == 1), "")
    return Content(text, title, sections(headings), remarks=remarks)


def _headings(text: str) -> list[Heading]:
    """The first line, if it reads as one, and short lines on their own before a longer block."""
    headings = []
    first, _, rest = text.lstrip().partition("\n")
    goes_on = rest.lstrip(" \t")[:1].islower()  # a wrapped paragraph
    if rest.strip() and _is_heading(first) and not goes_on:
        headings.append(Heading(len(text) - len(text.lstrip()), 1, first.strip()))
    blocks = [match.span() for match in _BLOCK.finditer(text)]
    for (start, end), (next_start, next_end) in zip(blocks, blocks[1:], strict=False):
        line = text[start:end]
        is_title = bool(headings) and start <= headings[0].start < end
        if not is_title and _is_heading(line) and next_end - next_start > len(line):
            headings.append(Heading(start, 2, line.strip()))
    return headings


def _is_heading(line: str) -> bool:
    line = line.strip()
    return (
        0 < len(line) <= _LONGEST_HEADING
        and "\n" not in line
        and (line[0].isupper() or line[0].isdigit())
        and not line.endswith(_ENDS_A_SENTENCE)
        and any(character.isalpha() for character in line)
    )
