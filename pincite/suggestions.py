"""What a person could ask an index that they do not know yet: its documents' own headings."""

from collections.abc import Iterator

from pincite.errors import QuestionError
from pincite.query import parse
from pincite.storage import Catalog
from pincite.types import Section

_SHORTEST, _LONGEST = 8, 70
"""Characters; what is shorter says too little, what is longer is a sentence that was set as a heading."""
_EVERY_TEXT = frozenset(
    """
    abstract acknowledgements appendix background bibliography conclusion conclusions contents discussion
    introduction methods notes overview preface references related results sources summary
    """.split()  # noqa: SIM905 - a list of words is read as words
)


def suggest(catalog: Catalog, count: int) -> list[str]:
    """`count` headings, each of another document, evenly over the index; headings that ask come first."""
    found: dict[str, None] = {}
    for title, sections in catalog.outlines(4 * count):
        best = max(_telling(title, sections), key=lambda heading: heading.endswith("?"), default=None)
        if best:
            found.setdefault(best)
    ordered = sorted(found, key=lambda heading: not heading.endswith("?"))
    return ordered[:count]


def _telling(title: str, sections: tuple[Section, ...]) -> Iterator[str]:
    """Headings that say what stands below them, without the document's own title."""
    for section in sections:
        heading = " ".join(section.heading[-1].split()) if section.heading else ""
        words = heading.casefold().strip(" .:").split()
        tells = heading not in (title, heading.upper()) and not set(words) <= _EVERY_TEXT
        if tells and _SHORTEST <= len(heading) <= _LONGEST and _is_plain(heading):
            yield heading


def _is_plain(heading: str) -> bool:
    """Whether it can be asked as it stands: with no operator in it, and with a word to search for."""
    try:
        return not parse(heading).filters
    except QuestionError:
        return False
