"""The sheet that a person fills in: questions, each with passages to judge. Written and read here.

    Question 1: can ketamine damage your bladder

    [2] ketamine/dependence-and-long-term-use.md:1315-1693  Dependence and Long-Term Use › Bladder damage
    > | Ketamine cystitis is an inflammation of the bladder that can scar and shrink it.
      | It was first described in 2007 in people who took street ketamine every day.

    [ ] unanswerable

A line of text stands behind a bar, so whatever a document holds cannot be taken for anything else.
Its white space is folded: an editor that strips or turns it changes nothing.
"""

import hashlib
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pincite.errors import JudgementError
from pincite.types import Passage, Place

HEAD = """\
# Questions to judge, each with passages that may answer it.
#
# 1. Read the question. Rewrite it as you would have asked it, or put another in its place: questions
#    made from the documents' own words are easier to find answers to than those that people type.
# 2. In the brackets before each passage put 2 if it answers by itself, 1 if it answers in part, 0 if
#    it does not. What stays empty is not judged; a question without any mark is left out.
# 3. If only some lines of a passage answer, put > before their bars:   > | like this
#    A line may be broken in two, each part behind its own bar. Change nothing else in the text.
# 4. If nothing in all your documents answers, put x into the brackets before "unanswerable".
#
# Lines that begin with # are remarks. When you are done: python evaluate.py adopt {file}
{drafted}
"""

_DRAFTED = re.compile(r"^# As drafted: ([0-9a-f]{12})$", re.MULTILINE)
_QUESTION = re.compile(r"question\b\s*+\d*+\s*+:(.*)", re.IGNORECASE)
_UNANSWERABLE = re.compile(r"\[([^\]]*)\]\s*+unanswerable", re.IGNORECASE)
_BLOCK = re.compile(r'\[([^\]]*)\]\s*+("(?:[^"\\]|\\.)*"|.+?):(\d{1,12})[-–](\d{1,12})(?:\s.*)?')
_TEXT = re.compile(r"(?:(>)\s*\|?|\|)(.*)")
_LINE_END = re.compile(r"\r\n?|\n")
_LIST_NUMBER = re.compile(r"\(?\w{1,3}[.)]")
_IS_TABLE = re.compile(r"\t|^[^\S\r\n]*\|", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with a line. `number` counts the lines of the sheet from 1, here and below."""

    number: int
    what: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a passage's text."""

    number: int
    text: str
    answers: bool
    """Whether the person marked it."""


@dataclass(slots=True)
class Block:
    """A passage to judge."""

    number: int
    mark: str
    """What stands in the brackets; empty where it was not judged."""
    place: Place
    """As it was drafted: a hint, for the document may have changed."""
    lines: list[Line] = field(default_factory=list)

    @property
    def is_marked(self) -> bool:
        """Whether the person put anything here."""
        return bool(self.mark) or any(line.answers for line in self.lines)


@dataclass(slots=True)
class Asked:
    """A question of a sheet."""

    number: int
    question: str
    unanswerable: str | None = None
    """What stands in the brackets before `unanswerable`; None without such a line."""
    blocks: list[Block] = field(default_factory=list)
    complaints: list[Complaint] = field(default_factory=list)

    @property
    def is_marked(self) -> bool:
        """Whether the person put anything here."""
        return bool(self.unanswerable) or any(block.is_marked for block in self.blocks)


def write(pools: Sequence[tuple[str, Sequence[Passage]]], file: str) -> str:
    """The sheet of these questions, each with the passages to judge, without any mark."""
    parts = [HEAD.format(file=shlex.quote(file), drafted="# As drafted: ")]
    for number, (question, passages) in enumerate(pools, start=1):
        parts += [f"\nQuestion {number}: {_folded(question)}\n", *map(_block, passages), "[ ] unanswerable\n"]
    text = "\n".join(parts)
    return text.replace("# As drafted: ", f"# As drafted: {_digest(text)}", 1)


def is_untouched(text: str) -> bool:
    """Whether a text is a sheet in which nothing was changed since it was written."""
    drafted = _DRAFTED.search(text)
    return bool(drafted and _digest(text[: drafted.start(1)] + text[drafted.end(1) :]) == drafted[1])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _block(passage: Passage) -> str:
    """A passage from its first sentence to its last: what stands before them is a heading."""
    start, end = passage.sentences[0][0], passage.sentences[-1][1]
    head = f"[ ] {_name(passage.source)}:{passage.start + start}-{passage.start + end}  {_folded(passage.context)}"
    return "\n".join([head.rstrip(), *(f"  | {line}" for line in _lines(passage)), ""])


def _name(source: str) -> str:
    """A source as it is, or in JSON's quotes where it could be misread."""
    read = _BLOCK.fullmatch(f"[ ] {source}:0-0  ")
    is_plain = read and read[2] == source and source.isprintable() and not source.startswith('"')
    return source if is_plain else json.dumps(source)


def _lines(passage: Passage) -> Iterator[str]:
    """A sentence a line, and a row of a table a line; further headings stand on lines of their own."""
    position, number = passage.sentences[0][0], ""
    for start, end in passage.sentences:
        between, sentence = passage.text[position:start], passage.text[start:end]
        rows = _LINE_END.split(sentence) if _IS_TABLE.search(sentence) else [sentence]
        for line in filter(None, map(_folded, [*_LINE_END.split(between), *rows])):
            if _LIST_NUMBER.fullmatch(line):  # it goes with what it numbers
                number += f"{line} "
            else:
                yield number + line
                number = ""
        position = end
    if number:
        yield number.rstrip()


def _folded(text: str) -> str:
    return " ".join(text.split())


def read(text: str) -> tuple[list[Asked], list[Complaint]]:
    """The questions of a sheet, and complaints about lines that belong to none.

    A complaint never ends the reading: everything that is wrong is told at once.
    """
    found: list[Asked] = []
    stray: list[Complaint] = []
    block: Block | None = None
    for number, line in numbered_lines(text):
        if not line or line.startswith("#"):
            continue
        if question := _QUESTION.fullmatch(line):
            found.append(Asked(number, _folded(question[1])))
            block = None
        elif not found:
            stray.append(Complaint(number, "stands before the first question: begin a remark with #"))
        elif unanswerable := _UNANSWERABLE.fullmatch(line):
            if found[-1].unanswerable is not None:
                found[-1].complaints.append(
                    Complaint(number, "a second one for the same question: is a question gone?")
                )
            found[-1].unanswerable = unanswerable[1].strip()
        elif block and (words := _TEXT.fullmatch(line)):
            block.lines.append(Line(number, words[2].strip(), bool(words[1])))
        elif line.startswith("["):
            block = _read_head(line, number)
            if block.place.source:
                found[-1].blocks.append(block)
            else:
                found[-1].complaints.append(Complaint(number, "names no passage: keep [ ] SOURCE:START-END as drafted"))
        else:
            found[-1].complaints.append(
                Complaint(number, "is no question, passage or remark: begin words of a passage with |, a remark with #")
            )
    return found, stray


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a text as editors count them, from 1, without white space at their ends."""
    return enumerate((line.strip() for line in _LINE_END.split(text)), start=1)


def read_text(file: Path) -> str:
    """What a person wrote, without its byte-order mark. Raises `JudgementError`."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise JudgementError(f"{file}: not UTF-8: save it as UTF-8 in your editor") from error
    except OSError as error:
        raise JudgementError(f"{file}: cannot be read ({error.strerror})") from error


def _read_head(line: str, number: int) -> Block:
    """Without a source where the line names no place; the text below it then belongs to nothing."""
    head = _BLOCK.fullmatch(line)
    source = head[2] if head else ""
    if source.startswith('"'):
        try:
            source = str(json.loads(source))
            source.encode()
        except ValueError:  # no JSON, or no characters
            source = ""
    if not head or int(head[3]) >= int(head[4]):
        return Block(number, "", Place("", 0, 0))
    return Block(number, head[1].strip(), Place(source, int(head[3]), int(head[4])))
