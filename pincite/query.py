"""Hop 5: what a person typed → a `Query`."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from pincite import operators
from pincite.errors import QuestionError
from pincite.filters import UNFILTERED, Filters
from pincite.operators import shown
from pincite.storage import lexical
from pincite.types import Span

MAX_CHARACTERS = 2000
"""A longer question is a document: it is refused rather than cut off."""

_WORD = re.compile(r"(?<![^\W_])[A-Za-z]+(?:['’][A-Za-z]+)*(?![^\W_])")
_STOP_WORDS = frozenset(
    """
    a about am an and any are as at be been being but by can could did do does doing for from had has have having
    he her here him his how i if in into is it its just like me my no nor not of on or our out over please she
    should so some such tell than that the their them then there these they this those to too under until up
    very was we were what when where which while who whom whose why will with would you your
    """.split()  # noqa: SIM905 - a list of words is read as words
)
_NAMES = frozenset(("CAN", "IT", "WHO"))
"""Abbreviations that would be stop words in small letters."""
_ASKING = frozenset("who whom whose what which when where why how many much long old year".split())  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a question."""

    span: Span
    """Offsets into the question's text."""
    terms: tuple[str, ...]
    """As they are indexed; one for most words."""
    is_asking: bool
    """Whether it says what kind of answer is wanted: “when”, “how many”."""


@dataclass(frozen=True, slots=True)
class Query:
    """A question that can be searched for."""

    text: str
    """What is embedded: as typed, without its operators and with white space folded."""
    terms: tuple[str, ...]
    """Its terms as they are indexed, each once, in the order of the question, without stop words:
    in a small corpus even those are rare somewhere, and would decide."""
    filters: Filters = UNFILTERED
    """What its operators ask for."""
    typed: str = field(default="", compare=False)
    """With its operators."""

    def words(self) -> list[Word]:
        """Every word, stop words too, in order."""
        return [
            Word((start, end), tuple(lexical.terms(self.text[start:end])), self.text[start:end].lower() in _ASKING)
            for start, end in _word_spans(self.text)
        ]


def parse(typed: str) -> Query:
    """A question that may have operators.

    Raises `QuestionError` for an operator that says nothing, and for a question that is empty, too
    long or has nothing to search for.
    """
    _check(" ".join(typed.split()))
    text, filters, typed = operators.split(typed)
    if not text:
        raise QuestionError(f"{shown(typed)} says where to look and not for what: name what it is about")
    return Query(text, _terms(text, with_phrase=bool(filters.phrases)), filters, typed)


def plain(question: str) -> Query:
    """A question all of which is text, as in a test collection. Raises `QuestionError` as `parse` does."""
    text = " ".join(question.split())
    _check(text)
    return Query(text, _terms(text), typed=text)


def _check(text: str) -> None:
    if not text:
        raise QuestionError("the question is empty: type what you want to know")
    if len(text) > MAX_CHARACTERS:
        raise QuestionError(
            f"the question has {len(text):,} characters, {MAX_CHARACTERS:,} is the most: ask for one thing at a time"
        )
    if not text.isascii() and text != text.encode("utf-8", "replace").decode("utf-8"):
        raise QuestionError("the question is not valid UTF-8: type it again")


def _terms(text: str, *, with_phrase: bool = False) -> tuple[str, ...]:
    """Without stop words, unless there are no others and they are to stand as a phrase: “The Who”."""
    if not lexical.terms(text):
        raise QuestionError(f"{shown(text)} holds no word to search for: ask in words")
    is_shouted = text.isupper() and " " in text
    terms = lexical.terms(_WORD.sub(_unless_stop_word if is_shouted else _unless_stop_word_or_name, text))
    if not terms and with_phrase:
        terms = lexical.terms(text)
    if not terms:
        raise QuestionError(f"{shown(text)} holds only words that stand in every text: name what it is about")
    return tuple(dict.fromkeys(terms))


def _word_spans(text: str) -> Iterator[Span]:
    """Runs of letters, digits and the marks that belong to them, as in “हिन्दी”."""
    position = 0
    for is_word, signs in groupby(text, _is_of_word):
        length = len(list(signs))
        if is_word:
            yield position, position + length
        position += length


def _is_of_word(sign: str) -> bool:
    return sign.isalnum() or sign == "_" or unicodedata.category(sign).startswith("M")


def _unless_stop_word(word: re.Match[str]) -> str:
    return " " if _before_apostrophe(word[0].lower().replace("’", "'")) in _STOP_WORDS else word[0]


def _unless_stop_word_or_name(word: re.Match[str]) -> str:
    return word[0] if word[0] in _NAMES else _unless_stop_word(word)


def _before_apostrophe(part: str) -> str:
    """`what` of “what's”, `do` of “don't”."""
    word, _, tail = part.partition("'")
    return word.removesuffix("n") if tail == "t" and word != "can" else word
