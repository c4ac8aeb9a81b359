"""Where an answer may stand. Typed as operators (`query`), chosen on the page, kept to by `storage`."""

from dataclasses import dataclass, fields
from datetime import date

from pincite.errors import QuestionError

MOST_WORDS = 32
"""Words, phrases or titles of one kind, at most: each is looked for in whatever may answer."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a passage and its document must be like. All of it holds; empty: anything.

    `str` gives the operators that say the same, and parse to equal filters. Order and
    repetition tell nothing, so they are not kept.
    """

    within: tuple[str, ...] = ()
    """Folders, with a slash at the end, or documents; below or equal to any of them."""
    outside: tuple[str, ...] = ()
    """The same, for none of them."""
    types: tuple[str, ...] = ()
    """File endings in small letters without their dot; any of them."""
    no_types: tuple[str, ...] = ()
    """None of them."""
    titles: tuple[str, ...] = ()
    """Words that stand in the document's title in any inflected form, or in its file's name where it has
    none; all of them."""
    no_titles: tuple[str, ...] = ()
    """Not all the words of any of them."""
    phrases: tuple[str, ...] = ()
    """Words that stand in the passage as they are, but for case, accents and white space; all of them."""
    no_phrases: tuple[str, ...] = ()
    """None of them, neither in the passage nor in the title and the headings above it."""
    no_words: tuple[str, ...] = ()
    """None of them in any inflected form, in the passage as well as in the title and the headings above it."""
    after: date | None = None
    """The file was changed on this day or later, in local time."""
    before: date | None = None
    """The file was changed earlier than this day."""

    def __post_init__(self) -> None:
        """Raises `QuestionError` for more than `MOST_WORDS` of one kind."""
        for field in fields(self):
            if not isinstance(value := getattr(self, field.name), date | None):
                object.__setattr__(self, field.name, tuple(sorted(set(value))))
        for name, what in _COUNTED.items():
            if (count := len(getattr(self, name))) > MOST_WORDS:
                raise QuestionError(f"{count:,} {what}: name at most {MOST_WORDS}")

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))

    def __str__(self) -> str:
        return " ".join(
            [
                *(f"in:{_value(place)}" for place in self.within),
                *(f"-in:{_value(place)}" for place in self.outside),
                *(f"type:{ending}" for ending in self.types),
                *(f"-type:{ending}" for ending in self.no_types),
                *(f"title:{_value(words)}" for words in self.titles),
                *(f"-title:{_value(words)}" for words in self.no_titles),
                *(_quoted(phrase) for phrase in self.phrases),
                *(f"-{_quoted(phrase)}" for phrase in self.no_phrases),
                *(f"-{word}" for word in self.no_words),
                *([f"after:{self.after}"] if self.after else []),
                *([f"before:{self.before}"] if self.before else []),
            ]
        )


_COUNTED = {
    "titles": "words of titles",
    "no_titles": "words of titles to leave out",
    "phrases": "phrases",
    "no_phrases": "phrases to leave out",
    "no_words": "words to leave out",
}


def _value(value: str) -> str:
    """In quotes where it needs them."""
    is_bare = value[:1] not in ('"', "“") and not any(map(str.isspace, value))
    return value if is_bare else _quoted(value)


def _quoted(value: str) -> str:
    """A quote within is written twice."""
    return '"' + value.replace('"', '""') + '"'


UNFILTERED = Filters()
