"""Hop 6: hit → citation and marked sentence."""

import numpy as np
import pytest

from pincite.citation import cite, display_title, mark
from pincite.relevance import TermStatistics
from pincite.types import Passage, Span


def passage(
    source: str = "ketamine/legality.md",
    title: str = "",
    heading: tuple[str, ...] = (),
    pages: Span | None = None,
) -> Passage:
    return Passage(source, 1204, 1571, "x" * 367, title, heading, pages)


@pytest.mark.parametrize(
    ("cited", "citation"),
    [
        (passage(), "ketamine/legality.md › characters 1204–1571"),
        (passage(heading=("Off-label use",)), "ketamine/legality.md › Off-label use › characters 1204–1571"),
        (
            passage(title="Is it legal?", heading=("Is it legal?", "Off-label use")),
            "ketamine/legality.md › Off-label use › characters 1204–1571",
        ),
        (passage(title="Is it legal?", heading=("Is it legal?",)), "ketamine/legality.md › characters 1204–1571"),
        (
            passage(title="Law", heading=("Use", "Law")),
            "ketamine/legality.md › Use › Law › characters 1204–1571",
        ),
        (passage("report.pdf", pages=(12, 12)), "report.pdf, p. 12"),
        (passage("report.pdf", pages=(12, 13)), "report.pdf, pp. 12–13"),
        (
            passage("a/report.pdf", "Report", ("Report", "Risk", "Rates"), (3, 3)),
            "a/report.pdf, p. 3 › Risk › Rates",
        ),
    ],
)
def test_a_citation_names_source_headings_and_exact_place(cited: Passage, citation: str) -> None:
    assert cite(cited) == citation


def test_without_a_title_the_files_name_is_shown() -> None:
    assert display_title(passage()) == "legality.md"
    assert display_title(passage(title="Is it legal?")) == "Is it legal?"


# Marks. The question has two terms, of which one is in 1 of 9 passages and one in 4.

QUESTION = np.array([1.0, 0.0], dtype=np.float32)
STATISTICS = TermStatistics(passages=9, mean_terms=10, frequencies={"dose": 1, "legal": 4})
TEXT = "The dose is low. It is legal. None of it."
SENTENCES = ((0, 16), (17, 29), (30, 41))


def marked(cosines: list[float]) -> tuple[str, ...]:
    vectors = np.array([[cosine, (1 - cosine**2) ** 0.5] for cosine in cosines], dtype=np.float32)
    found = Passage("a.md", 0, len(TEXT), TEXT, sentences=SENTENCES)
    return tuple(TEXT[start:end] for start, end in mark(found, vectors, QUESTION, STATISTICS))


def test_the_sentence_nearest_to_the_question_is_marked() -> None:
    assert marked([0.1, 0.2, 0.9]) == ("None of it.",)


def test_words_of_the_question_count_half_of_what_likeness_does() -> None:
    # idf: dose ln(1 + 8.5/1.5) = 1.897, legal ln(1 + 5.5/4.5) = .799; shares .704 and .296.
    # The first sentence gets .30 + .352 = .652, the second .45 + .148 = .598, the third .64.
    assert marked([0.30, 0.45, 0.64]) == ("The dose is low.",)
    # Now the third has .66, and .65 is more than .30 + .352 only by .66 − .652 = .008.
    assert marked([0.30, 0.45, 0.66]) == ("None of it.",)
    assert marked([0.30, 0.51, 0.64]) == ("It is legal.",)  # .51 + .148 = .658


def test_of_equals_the_first_is_marked() -> None:
    found = Passage("a.md", 0, 9, "One. Two.", sentences=((0, 4), (5, 9)))
    alike = np.array([[1.0, 0.0], [1.0, 0.0]], dtype=np.float32)
    assert mark(found, alike, QUESTION, STATISTICS) == ((0, 4),)


def test_a_passage_without_sentences_has_no_mark() -> None:
    found = Passage("a.md", 0, 9, "One. Two.")
    assert mark(found, np.empty((0, 2), dtype=np.float32), QUESTION, STATISTICS) == ()
