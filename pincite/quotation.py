"""Places told by their words, so that they are found again however the text around them has changed."""

from collections.abc import Iterator
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from pincite.types import Place, Span

AROUND = 32
"""Characters kept before and after a quote."""


class Quotation(BaseModel):
    """A stretch of a source, as it was quoted."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    source: str
    quote: str = Field(min_length=1)
    prefix: str = ""
    suffix: str = ""
    start: int = Field(0, ge=0)
    """Where the quote stood, in code points: a hint."""

    @classmethod
    def from_text(cls, source: str, text: str, start: int, end: int, **more: Any) -> Self:
        """The quotation of a stretch of a source's text."""
        prefix, suffix = text[max(0, start - AROUND) : start], text[end : end + AROUND]
        return cls(source=source, quote=text[start:end], prefix=prefix, suffix=suffix, start=start, **more)

    @property
    def end(self) -> int:
        """Where the quote ended."""
        return self.start + len(self.quote)

    def overlaps(self, place: Place) -> bool:
        """Whether the quote stood where it shares a character with a place."""
        return self.source == place.source and self.start < place.end and place.start < self.end

    def among(self, text: str) -> Self:
        """The same, with what stands around it in the text that it is quoted from."""
        span = locate(self, text)
        if span is None:
            return self
        return self.model_copy(update=dict(Quotation.from_text(self.source, text, *span)))


def locate(place: Quotation, text: str) -> Span | None:
    """Where the quote stands in a text: at its hint, else where it stands once, with its surroundings.

    None where it stands nowhere, or in several places that its surroundings cannot tell apart.
    """
    if text.startswith(place.quote, place.start):
        return place.start, place.start + len(place.quote)
    everywhere = list(_occurrences(place.quote, text))
    if len(everywhere) > 1:
        everywhere = [span for span in everywhere if _surrounded(place, text, span)]
    return everywhere[0] if len(everywhere) == 1 else None


def _occurrences(quote: str, text: str) -> Iterator[Span]:
    start = text.find(quote) if quote else -1
    while start >= 0:
        yield start, start + len(quote)
        start = text.find(quote, start + 1)


def _surrounded(place: Quotation, text: str, span: Span) -> bool:
    return text.endswith(place.prefix, 0, span[0]) and text.startswith(place.suffix, span[1])
