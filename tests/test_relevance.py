"""Hop 5: features → order and probability, against arithmetic by hand and other implementations."""

import json
import math
from collections import Counter
from dataclasses import fields
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pincite import relevance
from pincite.relevance import (
    Candidate,
    Features,
    Relevance,
    TermStatistics,
    Weights,
    bm25,
    bm25_bound,
    features,
    idf_share,
)
from pincite.storage import lexical

STATISTICS = TermStatistics(passages=10, mean_terms=20, frequencies={"dose": 2, "legal": 9, "nowhere": 0})
# idf by hand, ln(1 + (N − n + ½) / (n + ½)):
#   dose     ln(1 + 8.5 / 2.5)   = ln 4.4       = 1.48160
#   legal    ln(1 + 1.5 / 9.5)   = ln 1.157895  = 0.14660
#   nowhere  ln(1 + 10.5 / 0.5)  = ln 22        = 3.09104


def near(value: float) -> object:
    return pytest.approx(value, abs=5e-5)


def test_idf_falls_with_the_passages_that_hold_a_term() -> None:
    assert [STATISTICS.idf(term) for term in ("dose", "legal", "nowhere")] == [
        near(1.4816),
        near(0.1466),
        near(3.09104),
    ]


def test_bm25_by_hand() -> None:
    # A passage of mean length, k1 = 1.2 and b = .75: norm = 1.2 · (.25 + .75 · 20/20) = 1.2.
    #   dose twice:  1.48160 · 2 · 2.2 / 3.2 = 2.03720
    #   legal once:   .14660 · 1 · 2.2 / 2.2 =  .14660
    assert bm25(Counter({"dose": 2, "legal": 1, "other": 17}), 20, STATISTICS) == near(2.0372 + 0.1466)
    # Twice as long: norm = 1.2 · (.25 + .75 · 2) = 2.1, and dose once is 1.48160 · 2.2 / 3.1.
    assert bm25(Counter({"dose": 1}), 40, STATISTICS) == near(1.05146)
    assert bm25(Counter({"other": 5}), 20, STATISTICS) == 0


def test_the_bound_of_bm25_by_hand() -> None:
    # Every term endlessly often: 2.2 · (1.48160 + .14660 + 3.09104) = 10.38235
    assert bm25_bound(STATISTICS) == near(10.38235)


def test_the_share_of_idf_by_hand() -> None:
    # All of it: 4.71925.
    assert idf_share(Counter({"dose": 3}), STATISTICS) == near(1.4816 / 4.71925)
    assert idf_share(Counter({"dose": 1, "legal": 1}), STATISTICS) == near(1.6282 / 4.71925)
    assert idf_share(Counter({"dose": 1, "legal": 2, "nowhere": 1}), STATISTICS) == 1
    assert idf_share(Counter(), STATISTICS) == 0


WORDS = ["a", "b", "c", "d", "e", "f"]
PASSAGES = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=30), min_size=1, max_size=12)
QUESTIONS = st.lists(st.sampled_from([*WORDS, "unseen"]), min_size=1, max_size=5, unique=True)


def statistics_of(passages: list[list[str]], question: list[str]) -> TermStatistics:
    frequencies = {term: sum(term in passage for passage in passages) for term in question}
    return TermStatistics(len(passages), sum(map(len, passages)) / len(passages), frequencies)


def okapi(passages: list[list[str]], question: list[str], passage: list[str]) -> float:
    """The formula as it is printed, straight from the texts."""
    mean = sum(len(other) for other in passages) / len(passages)
    score = 0.0
    for term in question:
        n = len([other for other in passages if term in other])
        tf = passage.count(term)
        weight = math.log((len(passages) + 1) / (n + 0.5))
        score += weight * (tf * 2.2) / (tf + 1.2 * (1 - 0.75 + 0.75 * len(passage) / mean))
    return score


@hypothesis_settings(deadline=None, max_examples=200)
@given(passages=PASSAGES, question=QUESTIONS)
def test_bm25_is_the_printed_formula_and_stays_under_its_bound(passages: list[list[str]], question: list[str]) -> None:
    statistics = statistics_of(passages, question)
    for passage in passages:
        score = bm25(Counter(passage), len(passage), statistics)
        assert score == pytest.approx(okapi(passages, question, passage), rel=1e-9, abs=1e-12)
        assert 0 <= score < bm25_bound(statistics)
        share = idf_share(Counter(passage), statistics)
        assert 0 <= share <= 1 + 1e-12
        assert (share == 0) == (score == 0)


def test_bm25_ranks_as_tantivy_does(tmp_path: Path) -> None:
    # Passages under 40 terms, whose lengths tantivy keeps exactly.
    random = np.random.default_rng(0)
    passages = [
        list(random.choice(WORDS, random.integers(1, 39), p=[0.4, 0.3, 0.2, 0.06, 0.03, 0.01])) for _ in range(300)
    ]
    lexical.build(tmp_path / "lexical", ((number, " ".join(passage)) for number, passage in enumerate(passages)))
    index = lexical.LexicalIndex(tmp_path / "lexical")
    for question in (["d"], ["e", "b"], ["a", "c", "f"], ["f", "d", "unseen"]):
        statistics = statistics_of(passages, question)
        assert {term: index.frequency(term) for term in question} == statistics.frequencies
        scores = [bm25(Counter(passage), len(passage), statistics) for passage in passages]
        found = index.search(question, 300)
        assert sorted(found) == [number for number, score in enumerate(scores) if score > 0]
        theirs = [scores[number] for number in found]
        assert theirs == pytest.approx(sorted(theirs, reverse=True), rel=1e-5)


def unit(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32) / np.float32(np.linalg.norm(values))


def test_features_by_hand() -> None:
    question = unit(1, 0)
    first = Candidate(unit(3, 4), np.stack([unit(0, 1), unit(4, 3)]), Counter({"dose": 2, "legal": 1}), 20)
    second = Candidate(unit(1, 0), np.stack([unit(-1, 0)]), Counter({"other": 3}), 20)
    third = Candidate(unit(-3, 4), np.stack([unit(3, 4)]), Counter({"legal": 1}), 20)
    found = features(question, [first, second, third], STATISTICS)
    expected = [  # cosine, best sentence, BM25 over 10.38235, share of 4.71925
        (0.6, 0.8, 2.1838 / 10.38235, 1.6282 / 4.71925),
        (1.0, -1.0, 0.0, 0.0),
        (-0.6, 0.6, 0.1466 / 10.38235, 0.1466 / 4.71925),
    ]
    assert [list(row.as_dict().values()) for row in found] == [pytest.approx(row, abs=5e-5) for row in expected]
    assert list(found[0].as_dict()) == ["cosine", "sentence_cosine", "bm25_bound", "idf_share"]


def test_where_no_candidate_holds_a_word_bm25_is_nothing_not_an_error() -> None:
    alone = Candidate(unit(1, 0), np.stack([unit(1, 0)]), Counter({"other": 3}), 20)
    assert features(unit(1, 0), [alone], STATISTICS) == [Features(1.0, 1.0, 0.0, 0.0)]
    assert features(unit(1, 0), [], STATISTICS) == []


def test_order_and_probability_are_weighted_sums() -> None:
    model = Relevance(
        order=Weights(0.0, {"cosine": 2.0, "idf_share": 3.0}),
        probability=Weights(-1.0, {"cosine": 4.0, "idf_share": 1.0}),
        strong=0.75,
        weak=0.5,
    )
    judged = Features(cosine=0.5, sentence_cosine=0.9, bm25_bound=0.3, idf_share=0.25)
    # Among 300 passages words weigh 300 / 400 = .75 of their weight: 2 · .5 + .75 · 3 · .25
    assert Weights(0.0, model.order_weights(300))(judged) == pytest.approx(1.5625)
    assert model.order_weights(0) == {"cosine": 2.0, "idf_share": 0.0}
    # −1 + 4 · .5 + .25 = 1.25, and 1 / (1 + e^−1.25) = .77730
    assert model.probability_of(judged) == near(0.7773)
    assert [model.band(p) for p in (1.0, 0.75, 0.7499, 0.5, 0.4999, 0.0)] == [
        "strong",
        "strong",
        "weak",
        "weak",
        "none",
        "none",
    ]


def test_the_weights_that_ship_say_where_they_come_from() -> None:
    table = json.loads(files("pincite").joinpath("relevance.json").read_text(encoding="utf-8"))
    for key in ("command", "trained_on", "questions", "model", "date"):
        assert table[key], key
    assert set(table["questions"]) == set(table["trained_on"])
    assert table["model"] == "all-MiniLM-L6-v2"


def test_the_weights_that_ship_are_of_features_that_there_are() -> None:
    model = relevance.load()
    names = {field.name for field in fields(Features)}
    assert set(model.order.weights) <= names
    assert set(model.probability.weights) <= names
    assert 0 < model.weak < model.strong < 1
    nothing, everything = Features(0, 0, 0, 0), Features(1, 1, 1, 1)
    assert model.band(model.probability_of(nothing)) == "none"
    assert model.band(model.probability_of(everything)) == "strong"
    assert model.order(everything) > model.order(nothing)
