"""Markdown (CommonMark): a document for people. What comes from elsewhere is shown as its characters."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from pincite.citation import display_title
from pincite.export.listed import Listed, by_question
from pincite.export.reference import band, one_line
from pincite.types import Answer, Band, Span

_VERDICTS: dict[Band, str] = {
    "strong": "These passages likely answer:",
    "weak": "These passages may answer:",
    "none": "Nothing here answers that. The nearest passages, which may not answer:",
}
_SPECIAL = re.compile(r"([\\`*_\[\]<>&~|$#])")
_AT_START = re.compile(r"^([-+=:]|[0-9]+(?=[.)]))")
"""What begins a list, a rule or a table."""
_LINE_ENDS = re.compile(r"\r\n|\r|\n")


def of_answer(answer: Answer) -> str:
    """Question, verdict, and each passage as a quote with its marked sentence in bold, its citation and its band."""
    parts = [f"# {escape(one_line(answer.question))}"]
    parts.append(_VERDICTS[answer.answer] if answer.hits else "Nothing here answers that.")
    for hit in answer.hits:
        parts.append(f"## {hit.rank}. {escape(one_line(display_title(hit.passage)))}")
        parts.append(quoted(hit.passage.text, hit.marks))
        parts.append(_paragraph(f"{hit.citation} ({band(hit)})"))
        if hit.also:
            parts.append("The same words also stand in:")
            parts.append(
                "\n".join(
                    f"- {_line(one_line(place.source))}, characters {place.start}–{place.end}" for place in hit.also
                )
            )
    return "\n\n".join(parts) + "\n"


def of_list(listed: Sequence[Listed]) -> str:
    """The passages under their questions, with notes and what has changed; the documents at the end."""
    parts = ["# Reading list"]
    for question, ones in by_question(listed).items():
        parts.append(f"## {escape(one_line(question)) or 'Without a question'}")
        for one in ones:
            parts += [quoted(one.entry.quote, one.entry.marks), _paragraph(one.entry.citation)]
            parts += [_paragraph(text) for text in (one.change, one.entry.note) if text.strip()]
    parts.append("## Sources")
    titles = {one.entry.source: one.entry.title or one.entry.source for one in listed}
    parts.append("\n".join(f"- {_line(one_line(title))}: {escape(one_line(at))}" for at, title in titles.items()))
    return "\n\n".join(part for part in parts if part) + "\n"


def quoted(text: str, marks: Sequence[Span] = ()) -> str:
    """A block quote with the lines of a text, its marks in bold."""
    return "\n".join(f"> {line}".rstrip() for line in _lines(text, marks))


def _paragraph(text: str) -> str:
    return "\n".join(_lines(text, ()))


def _lines(text: str, marks: Sequence[Span]) -> Iterator[str]:
    """The lines of a text in Markdown; one that another follows ends with a backslash, which keeps the break."""
    lines: list[str] = []
    start = 0
    for found in [*_LINE_ENDS.finditer(text), None]:
        end = found.start() if found else len(text)
        inside = [(max(first, start) - start, min(last, end) - start) for first, last in _joined(marks)]
        lines.append(_line(text[start:end], [span for span in inside if span[0] < span[1]]))
        start = found.end() if found else end
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        lines.pop(0)
    for line, below in zip_longest(lines, lines[1:], fillvalue=""):
        yield f"{line}\\" if line and below else line


def _joined(marks: Sequence[Span]) -> list[Span]:
    """Marks that touch as one: asterisks between them would be taken for something else."""
    joined: list[Span] = []
    for start, end in marks:
        if joined and joined[-1][1] == start:
            start = joined.pop()[0]
        joined.append((start, end))
    return joined


def _line(line: str, marks: Sequence[Span] = ()) -> str:
    """One line, without the white space around it, which would be taken for code."""
    parts = []
    position = 0
    for start, end in filter(None, (_flanked(line, mark) for mark in marks)):
        parts += [escape(line[position:start]), f"**{escape(line[start:end])}**"]
        position = end
    written = "".join([*parts, escape(line[position:])]).strip()
    return _AT_START.sub(lambda found: f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}", written)


def _flanked(line: str, mark: Span) -> Span | None:
    """The mark, cut back to where asterisks are taken for emphasis: beside a letter or a number they always are,
    beside anything else only if white space or the line's edge is on the other side."""
    start, end = mark
    while start < end and not (line[start].isalnum() or (not line[start].isspace() and _is_edge(line[:start][-1:]))):
        start += 1
    while start < end and not (
        line[end - 1].isalnum() or (not line[end - 1].isspace() and _is_edge(line[end : end + 1]))
    ):
        end -= 1
    return (start, end) if start < end else None


def _is_edge(beside: str) -> bool:
    return not beside or beside in "\t\f" or unicodedata.category(beside) == "Zs"


def escape(text: str) -> str:
    """Text within a line, shown as its characters."""
    return _SPECIAL.sub(r"\\\1", text)
