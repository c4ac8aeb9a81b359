"""Hop 6: hit → place, quote, marked sentence. The one place that writes a citation."""

from pathlib import PurePosixPath

import numpy as np

from pincite.embedding import codes
from pincite.relevance import Candidate, Question
from pincite.types import Passage, Span

_ASKING_WEIGHS = 0.3
"""What the words that ask count for beside the others when a sentence is chosen."""


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


def mark(passage: Passage, candidate: Candidate, question: Question) -> tuple[Span, ...]:
    """The sentence whose tokens come nearest to the question's.

    Here the words that say what kind of answer is wanted count too: “when” is near to a date.
    """
    if not passage.sentences:
        return ()
    weights = question.weights + _ASKING_WEIGHS * question.asking
    cosines = codes.cosines(question.tokens, candidate.tokens)
    scores = [weights @ cosines[:, start:end].max(axis=1, initial=-1) for start, end in candidate.sentences]
    return (passage.sentences[int(np.argmax(scores))],)
