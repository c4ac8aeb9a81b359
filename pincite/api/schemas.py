"""What goes in and out, for reading requests and for the OpenAPI document.

What comes out is made elsewhere, by the functions of the command line, and tests hold it to what stands here.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pincite import operators
from pincite.filters import Filters
from pincite.types import Band

_SOURCE = "ketamine/dependence-and-long-term-use.md"
_LAST = 2**53 - 1
"""The largest whole number that every reader of JSON has."""

Source = Annotated[
    str, Field(description="Path of a document below the corpus folder.", examples=[_SOURCE], max_length=4096)
]
Place = Annotated[int, Field(ge=0, le=_LAST, description="Characters (Unicode code points) from the document's start.")]


def _unicode(text: str) -> str:
    """JSON can write halves of characters, which nothing else can."""
    if not text.isascii() and text != text.encode("utf-8", "replace").decode():
        raise ValueError("holds half a character")
    return text


Text = Annotated[str, AfterValidator(_unicode)]


class _Asked(BaseModel):
    """An unknown name is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Body(_Asked):
    """What is JSON has its types: `0` is not `false`."""

    model_config = ConfigDict(strict=True)


# What is asked


class Limits(_Body):
    """Where an answer may stand; all of it holds. The operators of a question say the same."""

    within: list[Text] = Field(default=[], description="Folders, with a slash at the end, or documents: any of them.")
    outside: list[Text] = Field(default=[], description="The same: none of them.")
    types: list[Text] = Field(default=[], description="File endings: any of them.")
    no_types: list[Text] = Field(default=[], description="File endings: none of them.")
    titles: list[Text] = Field(default=[], description="Words of the document's title: all of them.")
    no_titles: list[Text] = Field(default=[], description="Words of the document's title: none of them.")
    phrases: list[Text] = Field(default=[], description="Words that stand in the passage in this order: all of them.")
    no_phrases: list[Text] = Field(default=[], description="The same: none of them.")
    no_words: list[Text] = Field(default=[], description="Words that do not stand there, whatever their ending.")
    after: str | None = Field(default=None, description="A day, a month or a year: files changed then or later.")
    before: str | None = Field(default=None, description="A day, a month or a year: files changed before it began.")

    def filters(self) -> Filters:
        """Raises `QuestionError` for a value that limits nothing."""
        given: dict[str, Any] = {}
        for name, value in self.model_dump(exclude_defaults=True).items():
            several = isinstance(value, list)
            read = [operators.value(name, one) for one in (value if several else [value])]
            given[name] = tuple(read) if several else read[0]
        return Filters(**given)


class Asked(_Body):
    """A question."""

    question: str = Field(
        description="In plain language, with operators where wanted; at most 2,000 characters.",
        examples=["can ketamine damage your bladder"],
    )
    k: int | None = Field(default=None, ge=1, le=1000, description="How many passages; by default `search.results`.")
    filters: Limits = Field(default=Limits(), examples=[{"within": ["ketamine/"], "types": ["md"]}])


class AskedSource(_Asked):
    """A document, or its file."""

    source: Source


class AskedPlace(_Asked):
    """A stretch of a document."""

    source: Source
    start: Place = Field(examples=[1296])
    end: Place = Field(examples=[1693])
    around: int = Field(default=1000, ge=0, le=20_000, description="Characters before and after it.")


class Syncing(_Body):
    """As the options of `ingest.py` say."""

    rebuild: bool = Field(default=False, description="Read and cut every document again.")
    allow_removals: bool = Field(default=False, description="Go on although most documents are gone.")
    move_corpus: bool = Field(default=False, description="The corpus folder was moved: it is still the same.")


class Evaluating(_Body):
    """What is measured with."""

    judgements: Literal["sample", "own", "both"] | None = Field(
        default=None, description="Those that came with the documents, your own, or both; by default all there are."
    )


class Nothing(_Body):
    """An empty object."""


# What comes out


class Stretch(BaseModel):
    """Where the same words stand too."""

    source: str
    start: int
    end: int


class FoundPassage(BaseModel):
    """A hit, as `search --json` prints it."""

    rank: int
    score: float = Field(description="The probability that it answers, 0 to 1.")
    band: Band
    source: str
    title: str
    heading: list[str]
    page: int | list[int] | None = Field(description="A page, the first and the last, or null where there are none.")
    start: int
    end: int
    text: str
    marks: list[tuple[int, int]] = Field(description="Offsets into `text` of the sentences most likely to answer.")
    citation: str
    also: list[Stretch]
    features: dict[str, float]


class Found(BaseModel):
    """What `search --json` prints: the nearest passages, whether or not they answer."""

    question: str
    answer: Band = Field(description="The band of the first: `none` where nothing answers.")
    generation: int
    milliseconds: float
    hits: list[FoundPassage]


Standing = Annotated[
    Literal["current", "changed", "missing"], Field(description="How the file stands to what is indexed of it.")
]


class Around(BaseModel):
    """Text beside a passage."""

    start: int
    end: int
    text: str


class ShownPassage(BaseModel):
    """A stretch of a document, word for word, with its place."""

    source: str
    title: str
    heading: list[str]
    page: int | list[int] | None
    start: int
    end: int
    text: str
    citation: str
    before: Around
    after: Around
    sha256: str = Field(description="Of the file when it was indexed.")
    file: Standing


class Heading(BaseModel):
    """Where a heading's reach begins; it ends where the next begins."""

    start: int
    heading: list[str] = Field(description="From the outermost in; empty before the first.")


class PageOfDocument(BaseModel):
    """Where the text of a page lies."""

    number: int
    start: int
    end: int
    label: str = Field(description="As printed, where the file says so and it is not the number.")


class ShownDocument(BaseModel):
    """A document as it was indexed."""

    source: str
    title: str
    media_type: str
    sha256: str = Field(description="Of the file when it was indexed.")
    file: Standing
    length: int = Field(description="Characters.")
    headings: list[Heading]
    pages: list[PageOfDocument]
    remarks: list[str] = Field(description="What a person should know of how it was read.")
    text: str


class Counts(BaseModel):
    """How many files a sync would take in or forget."""

    added: int
    changed: int
    moved: int
    removed: int
    unchanged: int
    skipped: int


class IndexNow(BaseModel):
    """What the index is, and how the folder differs from it."""

    documents: int
    passages: int
    generation: int
    built: datetime | None
    bytes: int
    model: str
    differs: Counts | None = Field(description="Null where nobody has looked yet, or could not.")
    trouble: str | None = Field(description="Why the folder cannot be looked at.")


class Skipped(BaseModel):
    """A file that is not read."""

    source: str
    reason: str


class Differing(BaseModel):
    """What `ingest.py --dry-run --json` prints."""

    added: list[str]
    changed: list[str]
    moved: list[tuple[str, str]]
    removed: list[str]
    unchanged: int
    skipped: list[Skipped]


class SyncReport(Differing):
    """What `ingest.py --json` prints."""

    documents: int
    passages: int
    embedded: int
    generation: int
    seconds: float


class Work(BaseModel):
    """What runs in the background, or how the last of it ended."""

    running: bool
    stopping: bool
    stage: str | None
    done: int
    total: int = Field(description="0 where it is not known.")
    seconds_left: float | None = Field(description="Of this stage, where it can be told.")
    outcome: Literal["done", "cancelled", "failed"] | None = Field(description="Of the last that ended.")
    error: str | None = Field(description="Why it did not end well, and what to do.")
    ended: datetime | None


class Measured(BaseModel):
    """What `evaluate.py --json` writes."""

    queries: int
    passages: int | None
    method: str
    measures: dict[str, float]
    intervals: dict[str, list[float]]
    passage_measures: dict[str, float]
    passage_intervals: dict[str, list[float]]
    abstention: dict[str, float]
    abstention_intervals: dict[str, list[float]]
    milliseconds: dict[str, float]
    seconds: float
    lost: list[str]
    remarks: list[str]
    rows: list[dict[str, Any]]


class Health(BaseModel):
    """The index can be asked."""

    status: Literal["ok"] = "ok"


class Refusal(BaseModel):
    """Problem details (RFC 9457)."""

    title: str
    status: int
    detail: str = Field(description="One line: what, and what to do.")
