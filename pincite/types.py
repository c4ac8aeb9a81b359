"""The nouns. All are frozen; offsets count Unicode code points and ends are exclusive."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Span = tuple[int, int]
"""Start and end, end exclusive."""

Progress = Callable[[str, int, int], None]
"""Told the stage, how many are done, and of how many, 0 where that is not known.

A `SyncCancelled` that it raises stops the sync there."""

Band = Literal["strong", "weak", "none"]
"""How likely a hit answers: probably, perhaps, probably not."""


@dataclass(frozen=True, slots=True)
class Section:
    """Where a heading's reach begins. It ends where the next section begins."""

    start: int
    heading: tuple[str, ...]
    """The path of headings from the outermost in; empty before the first heading."""


@dataclass(frozen=True, slots=True)
class Page:
    """Where the text of one page lies. `number` is the physical page, from 1."""

    number: int
    start: int
    end: int
    label: str = ""
    """As printed, where the file says so and it is not the number."""
    is_recognised: bool = False
    """Whether its text was recognised in an image of the page."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch that a format without pages counts by: a slide, a row, a paragraph, a message."""

    name: str
    """As it is cited, in the singular: `slide`."""
    number: int
    """From 1, as a person counts in the program that made the file."""
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a table below its header, one row a line, from `start` to `end`."""

    start: int
    end: int
    header: str
    """The names of the columns in one line, for the context of passages that begin below them."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What of a file can be searched, and what cannot."""

    searchable: float = 1.0
    """Share of the pages, slides, sheets, … that hold anything whose text is in the document, 0 to 1;
    where a format counts nothing, of its characters."""
    blank_pages: tuple[int, ...] = ()
    """Physical pages without text."""
    left_out: tuple[tuple[str, int], ...] = ()
    """What was left out on purpose, and how many: `("running headers and footers", 37)`."""
    language: str = ""
    """ISO 639-1; empty where it cannot be told."""


@dataclass(frozen=True, slots=True)
class Document:
    """A file that has been read.

    For `.txt` and `.md`, `text` is the decoded file without its byte-order mark and otherwise
    unchanged. For other formats it is the extracted text, changed only in white space.
    """

    source: str
    """Path under the corpus root, with forward slashes."""
    title: str
    """From the content only; empty where the content has none."""
    media_type: str
    sha256: str
    """Of the file's bytes, in hexadecimal."""
    text: str
    sections: tuple[Section, ...] = ()
    """In order of `start`; the first begins at 0."""
    pages: tuple[Page, ...] = ()
    """In order; empty where the format has no pages."""
    parts: tuple[Part, ...] = ()
    """In order, of one name; empty where the format counts nothing but characters or pages."""
    tables: tuple[Table, ...] = ()
    """In order, not overlapping."""
    coverage: Coverage = Coverage()
    reader: str = ""
    """What read it, with its version: `pdf/1`."""
    remarks: tuple[str, ...] = ()
    """What a person should know of how it was read, such as a foreign encoding."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document: `document.text[start:end] == text`, always."""

    source: str
    start: int
    end: int
    text: str
    title: str = ""
    heading: tuple[str, ...] = ()
    pages: Span | None = None
    """First and last physical page, both inclusive; None where the format has no pages."""
    sentences: tuple[Span, ...] = ()
    """Offsets into `text`, in order, not overlapping; lines that are headings are left out, and each
    row of a table is one."""
    labels: tuple[str, str] = ("", "")
    """What is printed on the first and the last page, where it is not their number."""
    is_recognised: bool = False
    """Whether any of it was recognised in an image of a page."""
    parts: tuple[str, int, int] | None = None
    """What the format counts by, and the first and last of it, both inclusive: `("slide", 3, 3)`."""
    columns: str = ""
    """The header of the table that it begins in, below the header."""

    @property
    def context(self) -> str:
        """The line that is embedded and indexed in front of the text, and never shown as quote."""
        path = (self.title, *self.heading) if self.heading[:1] != (self.title,) else self.heading
        return " › ".join(part for part in (*path, self.columns) if part)

    @property
    def indexed_text(self) -> str:
        """What words are looked for in: the context line and the text."""
        return f"{self.context}\n{self.text}"


@dataclass(frozen=True, slots=True)
class Place:
    """An exact stretch of a source."""

    source: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found, with the reasons."""

    passage: Passage
    rank: int
    """From 1."""
    score: float
    """The probability that the passage answers, 0 to 1; never rises with rank."""
    band: Band
    marks: tuple[Span, ...]
    """Offsets into `passage.text` of the sentences most likely to answer."""
    citation: str
    sha256: str
    """Of the file at the time it was indexed."""
    also: tuple[Place, ...] = ()
    """Other places that say the same, word for word."""
    features: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question gets: always the nearest passages, and the band of the first."""

    question: str
    answer: Band
    generation: int
    milliseconds: float
    hits: tuple[Hit, ...]
