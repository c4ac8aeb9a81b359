"""Hop 5: what a person typed → the text to search for, and the filters. `docs/questions.md` has the grammar."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from pincite.errors import QuestionError
from pincite.filters import Filters
from pincite.storage import lexical

_TOKEN = re.compile(
    r"""
    (?P<sign>-?)
    (?:(?P<name>(?ai:in|type|title|after|before)):)?
    (?:"(?P<straight>(?:[^"]|"")*)"|“(?P<curly>[^”]*)”|(?P<bare>\S*))
    (?P<rest>\S*)
    """,
    re.VERBOSE,
)
_FROM_THE_ROOT = re.compile(r"^(?:\.?/)+")
_ENDING = re.compile(r"\.?([a-z0-9][a-z0-9._+-]*)")
_DAY = re.compile(r"([0-9]{4})(?:-([0-9]{1,2})(?:-([0-9]{1,2}))?)?")
_AFTER_A_WORD = ".,;:!?)]}'’\"”"


@dataclass(frozen=True, slots=True)
class _Token:
    """What stands between white space; quotes hold together what they enclose."""

    written: str
    sign: str
    """A minus or nothing."""
    name: str
    """Of the operator; empty for text."""
    value: str
    rest: str
    """What follows a closing quote without white space."""

    @property
    def text(self) -> str:
        """What of it is searched for."""
        if not self.name:
            return self.written
        if self.name == "phrase" and not self.sign:
            return self.value + self.rest
        return self.rest if lexical.terms(self.rest) else ""


def split(typed: str) -> tuple[str, Filters, str]:
    """The text with white space folded, the filters, and both as they were typed, folded but for what is quoted.

    An operator begins a word. A quote that nothing closes is text, as in 5" pipe, and so is a number with its
    sign. Raises `QuestionError` for an operator that says nothing.
    """
    tokens = list(_tokens(typed))
    values: dict[str, list[Any]] = defaultdict(list)
    for token in tokens:
        if token.name:
            values[_field(token)].append(_value(token))
    days = {name: choose(values.pop(name)) for name, choose in (("after", max), ("before", min)) if name in values}
    collected: dict[str, Any] = {name: tuple(found) for name, found in values.items()}
    text = " ".join(" ".join(token.text for token in tokens).split())
    return text, Filters(**collected, **days), " ".join(token.written for token in tokens)


def _tokens(typed: str) -> Iterator[_Token]:
    position = 0
    while position < len(typed):
        if typed[position].isspace():
            position += 1
            continue
        found = _TOKEN.match(typed, position)
        assert found  # it matches anything
        yield _token(found)
        position = found.end()


def _token(found: re.Match[str]) -> _Token:
    name = (found["name"] or "").lower()
    if (value := found["bare"]) is not None:
        # A number with its sign is a number.
        name = name or ("word" if found["sign"] and value[:1].isalpha() else "")
        if name and value.startswith(('"', "“")):
            raise QuestionError(f'{shown(found[0])} has a quote that is not closed: write {name}:"…"')
    else:
        name = name or "phrase"
        value = found["curly"] if found["straight"] is None else found["straight"].replace('""', '"')
    return _Token(found[0], found["sign"], name, value, found["rest"])


_FIELDS = {
    "in": "within",
    "type": "types",
    "title": "titles",
    "phrase": "phrases",
    "after": "after",
    "before": "before",
}
_OPPOSITES = {"in": "outside", "type": "no_types", "title": "no_titles", "phrase": "no_phrases", "word": "no_words"}


def _field(token: _Token) -> str:
    """The filter that takes its value."""
    if not token.sign:
        return _FIELDS[token.name]
    if token.name not in _OPPOSITES:
        other = "before" if token.name == "after" else "after"
        raise QuestionError(f"{shown(token.written)} has no opposite: write {other}:{token.value}")
    return _OPPOSITES[token.name]


def _value(token: _Token) -> Any:
    """As a filter has it."""
    read, complaint = _VALUES[token.name]
    found = read(token.value)
    if not found:
        raise QuestionError(f"{shown(token.written)} {complaint}")
    return found


def _place(value: str) -> str:
    return _FROM_THE_ROOT.sub("", value) if value.strip() else ""


def _ending(value: str) -> str:
    found = _ENDING.fullmatch(value.lower())
    return found[1] if found else ""


def _words(value: str) -> str:
    return " ".join(value.split()) if lexical.terms(value) else ""


def _word(value: str) -> str:
    """One, as it can be typed after a minus."""
    word = _words(value.rstrip(_AFTER_A_WORD))
    return word if word[:1].isalpha() and " " not in word else ""


def _day(value: str) -> date | None:
    """The first day of a year, a month or a day."""
    found = _DAY.fullmatch(value)
    try:
        return date(*(int(part or 1) for part in found.groups())) if found else None
    except ValueError:
        return None


_VALUES: dict[str, tuple[Callable[[str], str | date | None], str]] = {
    "in": (_place, 'names no folder: write in:folder/ or in:"a folder/file.pdf", without a space before it'),
    "type": (_ending, "names no file ending: write type:pdf, and type:md beside it for another"),
    "title": (_words, 'names no word: write title:word or title:"two words", without a space before it'),
    "after": (_day, "names no day: write after:2024, after:2024-05 or after:2024-05-17"),
    "before": (_day, "names no day: write before:2024, before:2024-05 or before:2024-05-17"),
    "phrase": (_words, "quotes no word: put the words between the quotes"),
    "word": (_word, "leaves out no word: write -word"),
}
"""Operator → what reads its value, and what is said where there is none."""


_OPERATORS = {field: name for names in (_FIELDS, _OPPOSITES) for name, field in names.items()}
"""Field of `Filters` → the operator that it stands for."""


def value(field: str, written: str) -> str | date:
    """What a field of `Filters` takes of a value, as its operator would. Raises `QuestionError`."""
    read, complaint = _VALUES[_OPERATORS[field]]
    found = read(written)
    if not found:
        raise QuestionError(f"{field} {shown(written)} {complaint}")
    return found


def shown(text: str) -> str:
    """In quotes, in one line and not too long, for a message."""
    text = " ".join(text.split())
    return f"“{text}”" if len(text) <= 60 else f"“{text[:57]}…”"
