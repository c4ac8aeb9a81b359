"""Hop 6: hit → citation and marked sentence."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from one_by_one import Candidate, token_evidence

from pincite.citation import cite, display_title, mark
from pincite.embedding import Embedder, codes
from pincite.query import parse
from pincite.relevance import Question, TermStatistics
from pincite.storage.terms import numbered
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


@pytest.mark.parametrize(
    ("changes", "citation"),
    [
        ({"pages": (6, 6), "labels": ("iv", "iv")}, "a/r.pdf, p. iv (page 6) › Risk"),
        ({"pages": (6, 7), "labels": ("iv", "v")}, "a/r.pdf, pp. iv–v (pages 6–7) › Risk"),
        ({"pages": (6, 7), "labels": ("iv", "")}, "a/r.pdf, pp. iv–7 (pages 6–7) › Risk"),
        ({"pages": (3, 3), "is_recognised": True}, "a/r.pdf, p. 3 (recognised in an image) › Risk"),
        ({"parts": ("slide", 3, 3)}, "a/r.pdf › Risk › slide 3"),
        ({"parts": ("row", 2, 14)}, "a/r.pdf › Risk › rows 2–14"),
        ({"columns": "Year | Sales"}, "a/r.pdf › Risk › characters 1204–1571"),
    ],
)
def test_pages_and_parts_are_cited_as_a_person_counts_them(changes: dict[str, Any], citation: str) -> None:
    assert cite(replace(passage("a/r.pdf", "Report", ("Report", "Risk")), **changes)) == citation


def test_without_a_title_the_files_name_is_shown() -> None:
    assert display_title(passage()) == "legality.md"
    assert display_title(passage(title="Is it legal?")) == "Is it legal?"


# Marks, with vectors whose cosines can be told by hand: ±1 / √80 in each of 80 components, minus in
# the first n. The cosine of two is 1 − |m − n| / 40, and a code holds each exactly.


def line(*minuses: int) -> np.ndarray:
    return np.array([[-1.0] * n + [1.0] * (80 - n) for n in minuses], np.float32).reshape(-1, 80) / np.float32(80**0.5)


def asked(tokens: Sequence[int], weights: Sequence[float], asking: Sequence[float]) -> Question:
    vector = np.array([1, 0], np.float32)
    return Question(vector, line(*tokens), np.array(weights), np.array(asking), {"dose": 1.0}, 9)


TEXT = "The dose is low. It is legal. None of it."
SENTENCES = ((0, 16), (17, 29), (30, 41))


def marked(question: Question, *sentences: Sequence[int]) -> tuple[str, ...]:
    """What is marked where the tokens of each sentence point to these places, after two of the context line."""
    tokens = [0, 0, *(place for sentence in sentences for place in sentence)]  # as near as can be, and no sentence's
    ends = np.cumsum([2, *map(len, sentences)])
    ranges = np.stack([ends[:-1], ends[1:]], axis=1).astype(np.uint16)
    candidate = Candidate(np.array([1, 0], np.float32), codes.encode(line(*tokens)), ranges, numbered([]))
    found = Passage("a.md", 0, len(TEXT), TEXT, sentences=SENTENCES[: len(sentences)])
    (evidence,) = token_evidence(question, [candidate])
    return tuple(TEXT[start:end] for start, end in mark(found, evidence.sentence))


def test_the_sentence_whose_tokens_come_nearest_is_marked() -> None:
    question = asked((0, 40), (0.75, 0.25), (0, 0))
    # Cosines, 1 − distance / 40. The best of each of the question's tokens, weighed:
    #   tokens at 20, 60:  .75 · .5 + .25 · .5   = .5
    #   at 10, 70:         .75 · .75 + .25 · .25 = .625   (40 is 30 from either)
    #   at 30:             .75 · .25 + .25 · .75 = .375
    assert marked(question, (20, 60), (10, 70), (30,)) == ("It is legal.",)
    # More tokens that are far away take nothing from the near ones: no mean here.
    assert marked(question, (20, 60), (10, 70, 80, 80, 80), (30, 30)) == ("It is legal.",)
    # At 0: .75 · 1 + .25 · 0 = .75
    assert marked(question, (20, 60), (10, 70), (0,)) == ("None of it.",)


def test_words_that_ask_weigh_three_tenths_and_tip_the_balance() -> None:
    # “When” at 80, “ferry” at 0. The first sentence names the ferry; its other token, at 40, is no nearer to
    # “when” than chance. The second has a date, at 80, and something like a ferry. The third has neither.
    sentences = (0, 40), (11, 80), (40,)
    when = asked((80, 0), (0, 1), (1, 0))
    # The first: 1 + .3 · 0 = 1. The second: 1 − 11/40 + .3 · 1 = 1.025.
    assert marked(when, *sentences) == ("It is legal.",)
    # Without “when”, 1 against .725.
    assert marked(asked((80, 0), (0, 1), (0, 0)), *sentences) == ("The dose is low.",)
    # At 13 it is too far: 1 − 13/40 + .3 = .975.
    assert marked(when, (0, 40), (13, 80), (40,)) == ("The dose is low.",)


def test_of_equals_the_first_is_marked() -> None:
    question = asked((0,), (1,), (0,))
    assert marked(question, (10,), (10,), (70,)) == ("The dose is low.",)
    assert marked(question, (70,), (10,), (10,)) == ("It is legal.",)


def test_a_sentence_of_which_the_tokenizer_left_nothing_is_marked_only_where_there_is_no_other() -> None:
    question = asked((0,), (1,), (0,))
    assert marked(question, (), (79,), ()) == ("It is legal.",)  # cosine −.975, and that of nothing counts −1
    assert marked(question, (), (), ()) == ("The dose is low.",)


def test_a_question_without_tokens_marks_the_first_sentence() -> None:
    assert marked(asked((), (), ()), (10,), (20,), (30,)) == ("The dose is low.",)


def test_a_passage_without_sentences_has_no_mark() -> None:
    found = Passage("a.md", 0, 9, "One. Two.")
    ranges = np.empty((0, 2), np.uint16)
    candidate = Candidate(np.array([1, 0], np.float32), codes.encode(line(3, 4)), ranges, numbered([]))
    (evidence,) = token_evidence(asked((0,), (1,), (0,)), [candidate])
    assert mark(found, evidence.sentence) == ()


# Marks with the real model


FERRY = (
    "The Harwich ferry was built in a Danish yard. It entered service on 14 March 1998. Its captain is Anna Holm."
    " It carries four hundred passengers. Tickets cost twelve pounds. Dogs must stay on the car deck."
)


@pytest.fixture(scope="module")
def ferry(embedder: Embedder) -> tuple[Passage, Candidate]:
    sentences = tuple(match.span() for match in re.finditer(r"\S[^.]*\.", FERRY))
    passage = Passage("ferry.txt", 0, len(FERRY), FERRY, sentences=sentences)
    ((_, made),) = embedder.embed_passages([passage])
    assert len(made.sentences) == 6
    return passage, Candidate(made.vector, made.tokens, made.sentences, numbered([]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("When was it put into service?", "It entered service on 14 March 1998."),
        ("Who commands the ship?", "Its captain is Anna Holm."),
        ("How many people fit on board?", "It carries four hundred passengers."),
        ("What is the price of a ticket?", "Tickets cost twelve pounds."),
        ("May I take my dog along?", "Dogs must stay on the car deck."),
        ("Where was the ferry built?", "The Harwich ferry was built in a Danish yard."),
    ],
)
def test_the_sentence_that_answers_is_marked(
    embedder: Embedder, ferry: tuple[Passage, Candidate], text: str, expected: str
) -> None:
    passage, candidate = ferry
    query = parse(text)
    statistics = TermStatistics(100, dict.fromkeys(query.terms, 3))
    question = Question.of(query, embedder.embed_query(query.text), statistics)
    (evidence,) = token_evidence(question, [candidate])
    assert [FERRY[start:end] for start, end in mark(passage, evidence.sentence)] == [expected]
