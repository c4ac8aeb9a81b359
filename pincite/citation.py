"""Hop 6: hit → place, quote, marked sentence. The one place that writes a citation."""

from collections import Counter
from pathlib import PurePosixPath

import numpy as np

from pincite.relevance import TermStatistics, idf_share
from pincite.storage import lexical
from pincite.types import Passage, Span

_WORDS_WEIGH = 0.5
"""What the overlap in words counts for beside the cosine when a sentence is chosen."""


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


def mark(passage: Passage, sentences: np.ndarray, question: np.ndarray, statistics: TermStatistics) -> tuple[Span, ...]:
    """The sentence of a passage that answers best, by its vector and by the words it shares.

    `sentences`: unit vectors, shape (sentences, dim), in the order of `passage.sentences`.
    """
    if len(passage.sentences) < 1:
        return ()
    overlaps = [
        idf_share(Counter(lexical.terms(passage.text[start:end])), statistics) for start, end in passage.sentences
    ]
    scores = sentences @ question + _WORDS_WEIGH * np.array(overlaps)
    return (passage.sentences[int(np.argmax(scores))],)
