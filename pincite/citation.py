"""Hop 6: hit → place, quote, marked sentence. The one place that writes a citation."""

from pathlib import PurePosixPath

from pincite.types import Passage, Span


def cite(passage: Passage) -> str:
    """`ketamine/legality.md › Off-label use › characters 1204–1571`, or `report.pdf, p. 12`."""
    if passage.pages is not None:
        first, last = passage.pages
        pages = f"p. {first}" if first == last else f"pp. {first}–{last}"
        return " › ".join([f"{passage.source}, {pages}", *_headings(passage)])
    return " › ".join([passage.source, *_headings(passage), f"characters {passage.start}–{passage.end}"])


def _headings(passage: Passage) -> tuple[str, ...]:
    """The path of headings without the document's own title, which the source stands for."""
    return passage.heading[1:] if passage.heading[:1] == (passage.title,) else passage.heading


def display_title(passage: Passage) -> str:
    """The title, or the file's name where the content has none."""
    return passage.title or PurePosixPath(passage.source).name


def mark(passage: Passage, sentence: int) -> tuple[Span, ...]:
    """Where to mark the passage's text, given the sentence most likely to answer."""
    return passage.sentences[sentence : sentence + 1]
