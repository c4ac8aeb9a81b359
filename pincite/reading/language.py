"""Which language a text is written in."""

import unicodedata
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pincite.types import Document

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

_SAMPLE = 1000
"""Characters looked at where a text begins, in its middle and where it ends."""
_FEWEST_LETTERS = 40
_LEAST_SHARE = 0.75
"""Of letters among the characters; below it there are numbers or code rather than sentences."""
_LEAST_PROBABILITY = 0.8
_NO_LANGUAGE = "zxx"


def learn() -> None:
    """Load what tells languages, and have it take its memory: a second, and some 200 MB of addresses."""
    _identifier().classify(Path(__file__).read_text(encoding="utf-8"))  # of many words: with few it takes less


def with_language(document: Document) -> Document:
    """A document that says which language it is in."""
    return replace(document, coverage=replace(document.coverage, language=detect(document.text)))


def detect(text: str) -> str:
    """ISO 639-1 of the language of most of the text, or nothing where that cannot be told.

    It cannot for a line or less, for numbers and code, and where two languages are about as likely.
    """
    sample = _sample(text)
    marks = [character for character in sample if not character.isspace()]
    letters = sum(unicodedata.category(character)[0] in "LM" for character in marks)
    if letters < _FEWEST_LETTERS or letters < _LEAST_SHARE * len(marks):
        return ""
    language, probability = _identifier().classify(sample)
    return str(language) if probability >= _LEAST_PROBABILITY and language != _NO_LANGUAGE else ""


def _sample(text: str) -> str:
    if len(text) <= 3 * _SAMPLE:
        return text
    middle = (len(text) - _SAMPLE) // 2
    return " ".join((text[:_SAMPLE], text[middle : middle + _SAMPLE], text[-_SAMPLE:]))


@cache
def _identifier() -> "LanguageIdentifier":
    """Loaded with the first text, for that takes longer than any text."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    # Without the languages that have no code of two letters, texts fall to the larger ones they belong to.
    identifier.set_languages([label for label in identifier.labels if len(label) == 2] + [_NO_LANGUAGE])
    return identifier
