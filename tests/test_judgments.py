"""The judgements that ship: well-formed, and every quote found exactly once where its hint says."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pincite import reading

ROOT = Path(__file__).parents[1]
FILES = ("answerable", "unanswerable")
AROUND = 32
"""Most characters of `prefix` and `suffix`."""


def judgements(name: str) -> list[dict[str, Any]]:
    lines = (ROOT / "judgments" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@cache
def text_of(source: str) -> str:
    return reading.read(ROOT / "corpus" / source, source).text


def places() -> list[tuple[str, dict[str, Any]]]:
    return [(judgement["id"], place) for judgement in judgements("answerable") for place in judgement["places"]]


def test_there_are_enough_of_both_kinds() -> None:
    assert len(judgements("answerable")) >= 80
    assert len(judgements("unanswerable")) >= 100


@pytest.mark.parametrize("name", FILES)
def test_every_line_is_well_formed(name: str) -> None:
    for judgement in judgements(name):
        assert list(judgement) == ["id", "question", "places", "unanswerable", "by", "at"], judgement
        texts = [judgement[key] for key in ("id", "question", "by", "at")]
        assert all(isinstance(text, str) and text.strip() == text != "" for text in texts), judgement
        assert re.fullmatch(r"\d{4}-\d{2}-\d{2}([T ].*)?", judgement["at"]), judgement
        assert judgement["unanswerable"] is (name == "unanswerable"), judgement
        assert bool(judgement["places"]) is (name == "answerable"), judgement


def test_every_place_is_well_formed() -> None:
    for id_, place in places():
        assert list(place) == ["source", "quote", "prefix", "suffix", "start", "grade"], (id_, place)
        assert all(isinstance(place[key], str) for key in ("source", "quote", "prefix", "suffix")), (id_, place)
        assert place["quote"].strip(), (id_, place)
        assert max(len(place["prefix"]), len(place["suffix"])) <= AROUND, (id_, place)
        assert type(place["start"]) is int, (id_, place)
        assert place["grade"] in (1, 2), (id_, place)


def test_no_id_and_no_question_stands_twice() -> None:
    both = [judgement for name in FILES for judgement in judgements(name)]
    assert len({judgement["id"] for judgement in both}) == len(both)
    assert len({judgement["question"].casefold() for judgement in both}) == len(both)


def test_no_place_stands_twice_under_one_question() -> None:
    named = [(id_, place["source"], place["start"], place["quote"]) for id_, place in places()]
    assert len(set(named)) == len(named)


def test_every_answerable_question_has_a_place_that_answers_it_fully() -> None:
    graded = {
        judgement["id"]: {place["grade"] for place in judgement["places"]} for judgement in judgements("answerable")
    }
    assert [id_ for id_, grades in graded.items() if 2 not in grades] == []


def test_every_quote_is_found_exactly_once_with_its_surroundings() -> None:
    for id_, place in places():
        text, quote, start = text_of(place["source"]), place["quote"], place["start"]
        assert text[start : start + len(quote)] == quote, (id_, place)
        assert text.count(quote) == 1, (id_, place)
        end = start + len(quote)
        assert text[max(0, start - AROUND) : start] == place["prefix"], (id_, place)
        assert text[end : end + AROUND] == place["suffix"], (id_, place)


def test_questions_are_asked_about_every_document() -> None:
    asked = {place["source"] for _, place in places()}
    there = {path.relative_to(ROOT / "corpus").as_posix() for path in (ROOT / "corpus").rglob("*") if path.is_file()}
    assert asked == there
