"""Judging on the screen: what stands in the file after each grade, and what is known of it later."""

import json
import multiprocessing
import resource
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pincite.errors import JudgementError
from pincite.evaluation.judgements import JudgedPlace, Judgement, identity, load, measurable, project, update
from pincite.evaluation.judging import OwnJudgements, quoted, standings
from pincite.types import Passage, Place

HEAD = "# Tides\n\n"
FIRST = "The moon pulls the sea towards it. High water comes every twelve hours."
SECOND = "At new moon the range is largest."
TEXT = f"{HEAD}{FIRST}\n\n## Springs\n\n{SECOND}\n"
QUESTION = "why is there high water"


def passage(start: int, end: int, *sentences: str, text: str = TEXT) -> Passage:
    words = text[start:end]
    spans = [(words.index(sentence), words.index(sentence) + len(sentence)) for sentence in sentences]
    return Passage("tides.md", start, end, words, sentences=tuple(spans))


A = passage(0, TEXT.index("\n\n## "), "The moon pulls the sea towards it.", "High water comes every twelve hours.")
B = passage(TEXT.index("## Springs"), len(TEXT) - 1, SECOND)


def own(tmp_path: Path, **texts: str) -> OwnJudgements:
    shelf = {"tides.md": TEXT} | {f"{name}.md": text for name, text in texts.items()}
    return OwnJudgements(tmp_path / "judgments" / "own.jsonl", shelf.get)


def lines(judged: OwnJudgements) -> list[dict[str, Any]]:
    return [json.loads(line) for line in judged.file.read_text(encoding="utf-8").splitlines()]


def test_a_grade_is_a_line_by_place_and_quote(tmp_path: Path) -> None:
    judged = own(tmp_path)
    judged.grade(f"  {QUESTION}\n", A, 2)
    (line,) = lines(judged)
    assert line.pop("at")[:4].isdigit()
    assert line == {
        "id": identity(QUESTION),
        "question": QUESTION,
        "places": [
            {
                "source": "tides.md",
                "quote": FIRST,
                "prefix": HEAD,
                "suffix": "\n\n## Springs\n\nAt new moon the ra",
                "start": len(HEAD),
                "grade": 2,
            }
        ],
        "unanswerable": False,
        "by": "person",
    }


def test_another_passage_adds_a_place_and_another_grade_replaces_one(tmp_path: Path) -> None:
    judged = own(tmp_path)
    judged.grade(QUESTION, A, 1)
    judged.grade(QUESTION.upper(), B, 2)
    judged.grade(QUESTION, A, 0)
    assert [[(p["quote"], p["grade"]) for p in line["places"]] for line in lines(judged)] == [
        [(FIRST, 1)],
        [(SECOND, 2), (FIRST, 1)],
        [(SECOND, 2), (FIRST, 0)],
    ]
    assert (judged.grade_of(QUESTION, A), judged.grade_of(QUESTION, B)) == (0, 2)
    assert judged.grade_of("another question", A) is None


def test_the_same_grade_again_is_not_said_twice(tmp_path: Path) -> None:
    judged = own(tmp_path)
    judged.grade(QUESTION, A, 2)
    before = judged.file.read_bytes()
    judged.grade(QUESTION, A, 2)
    assert judged.file.read_bytes() == before


def test_a_grade_that_is_taken_back_leaves_nothing_to_measure_with(tmp_path: Path) -> None:
    judged = own(tmp_path)
    judged.grade(QUESTION, A, 2)
    judged.grade(QUESTION, A, None)
    assert [[p["grade"] for p in line["places"]] for line in lines(judged)] == [[2], []]
    assert judged.grade_of(QUESTION, A) is None
    assert measurable(load(judged.file)) == ([], [])


def test_passages_that_do_not_answer_are_no_measure_alone_and_are_named() -> None:
    nothing = Judgement(id="1", question="?", places=(JudgedPlace(source="a.md", quote="a", grade=0),))
    told = Judgement(id="2", question="?", places=nothing.places, unanswerable=True)
    assert measurable([nothing, told]) == (
        [told],
        ["1: no place judged answers, and it is not marked unanswerable: left out"],
    )


def test_nothing_answers_and_a_passage_that_does_exclude_each_other(tmp_path: Path) -> None:
    judged = own(tmp_path)
    judged.mark_unanswerable(QUESTION)
    judged.grade(QUESTION, B, 0)
    judged.grade(QUESTION, A, 2)
    with pytest.raises(JudgementError, match="A passage was judged to answer this: take that back first"):
        judged.mark_unanswerable(QUESTION)
    judged.grade(QUESTION, A, None)
    judged.mark_unanswerable(QUESTION)
    judged.mark_unanswerable(QUESTION, False)
    assert [(line["unanswerable"], [p["grade"] for p in line["places"]]) for line in lines(judged)] == [
        (True, []),
        (True, [0]),
        (False, [2, 0]),
        (False, [0]),
        (True, [0]),
        (False, [0]),
    ]


def test_a_passage_that_was_cut_otherwise_has_the_grade_of_what_it_shares(tmp_path: Path) -> None:
    judged = own(tmp_path)
    judged.grade(QUESTION, A, 2)
    end = TEXT.index(" High water")
    narrow = passage(0, end, "The moon pulls the sea towards it.")
    assert judged.grade_of(QUESTION, narrow) == 2
    assert judged.grade_of(QUESTION, passage(0, len(TEXT), FIRST)) == 2
    judged.grade(QUESTION, narrow, 0)
    assert [(p.quote, p.grade) for p in judged.all()[identity(QUESTION)].places] == [
        ("The moon pulls the sea towards it.", 0)
    ]


def test_a_passage_that_changed_since_it_was_shown_is_not_judged(tmp_path: Path) -> None:
    judged = own(tmp_path)
    for stale in (passage(0, 60, text="# Tides\n\nThe moon pulls the air towards it. High water comes."), None):
        with pytest.raises(JudgementError, match=r"\.md: has changed since it was shown: ask again, then judge"):
            judged.grade(QUESTION, stale or Passage("gone.md", 0, 1, "a"), 2)
    assert not judged.file.exists()


def test_what_changed_since_is_told_in_words(tmp_path: Path) -> None:
    judged = own(tmp_path)
    judged.grade(QUESTION, A, 2)
    judgement = judged.all()[identity(QUESTION)]
    start = len("Preface.\n\n" + HEAD)

    def change(text: str | None) -> str:
        return standings(judgement, lambda _source: text)[0].change

    assert change(TEXT) == ""
    assert change("Preface.\n\n" + TEXT) == f"has moved: now at characters {start}–{start + len(FIRST)}"
    assert change("Nothing of the kind.") == "is no longer in the document"
    assert change(f"x {TEXT} {TEXT}") == "stands in several places now"
    assert change(None) == "the document is no longer in the index"


def test_a_moved_passage_keeps_its_grade_and_can_be_judged_again(tmp_path: Path) -> None:
    own(tmp_path).grade(QUESTION, A, 2)
    moved = "Preface.\n\n" + TEXT
    judged = OwnJudgements(tmp_path / "judgments" / "own.jsonl", {"tides.md": moved}.get)
    found = passage(10, moved.index("\n\n## "), FIRST, text=moved)
    assert judged.grade_of(QUESTION, found) == 2
    judged.grade(QUESTION, found, 1)
    assert [(p.start, p.grade) for p in judged.all()[identity(QUESTION)].places] == [(10 + len(HEAD), 1)]


def test_of_two_passages_with_the_same_words_only_the_judged_one_is(tmp_path: Path) -> None:
    twice = f"{FIRST}\n\n{FIRST}\n"
    judged = own(tmp_path, twice=twice)
    first, second = (
        Passage("twice.md", start, start + len(FIRST), FIRST, sentences=((0, len(FIRST)),))
        for start in (0, len(FIRST) + 2)
    )
    judged.grade(QUESTION, first, 2)
    assert (judged.grade_of(QUESTION, first), judged.grade_of(QUESTION, second)) == (2, None)
    judged.grade(QUESTION, second, 0)
    assert (judged.grade_of(QUESTION, first), judged.grade_of(QUESTION, second)) == (2, 0)


def test_the_file_is_read_again_only_when_it_changed(tmp_path: Path) -> None:
    judged, other = own(tmp_path), own(tmp_path)
    assert judged.all() == {}
    judged.grade(QUESTION, A, 2)
    known = judged.all()
    assert judged.all() is known
    other.grade("another", B, 1)
    assert [j.question for j in judged.all().values()] == [QUESTION, "another"]


def test_a_damaged_file_is_named_and_not_written_to(tmp_path: Path) -> None:
    judged = own(tmp_path)
    judged.file.parent.mkdir()
    judged.file.write_text('{"id": 1}\n', encoding="utf-8")
    for act in (judged.all, lambda: judged.grade(QUESTION, A, 2)):
        with pytest.raises(JudgementError, match=r"own\.jsonl, line 1: id: Input should be a valid string"):
            act()
    assert judged.file.read_text(encoding="utf-8") == '{"id": 1}\n'


def test_half_a_line_on_a_full_disk_is_taken_back(tmp_path: Path) -> None:
    """Otherwise no judgement could be read until somebody mends the file by hand."""
    judged = own(tmp_path)
    judged.grade(QUESTION, A, 2)
    before = judged.file.read_bytes()

    def judge_on_a_full_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, len(before) + 100))
        with pytest.raises(JudgementError, match=r"own\.jsonl: cannot be written"):
            judged.grade("when is the range largest", B, 2)

    child = multiprocessing.get_context("fork").Process(target=judge_on_a_full_disk)
    child.start()
    child.join()
    assert (child.exitcode, judged.file.read_bytes()) == (0, before)
    judged.grade("when is the range largest", B, 2)
    assert [line["question"] for line in lines(judged)] == [QUESTION, "when is the range largest"]


def test_what_is_judged_here_is_found_by_the_evaluation(tmp_path: Path) -> None:
    judged = own(tmp_path)
    judged.grade(QUESTION, A, 2)
    judged.grade(QUESTION, B, 0)
    (query,), lost = project(load(judged.file), {"tides.md": TEXT})
    second = TEXT.index(SECOND)
    assert query.places == {
        Place("tides.md", len(HEAD), len(HEAD) + len(FIRST)): 2,
        Place("tides.md", second, second + len(SECOND)): 0,
    }
    assert lost == []


GRADED = 12
"""Questions that each of the sessions judges."""


def grade_many(folder: Path, which: Passage, name: str) -> None:
    judged = own(folder)
    for number in range(GRADED):
        judged.grade(f"question {number}", which, number % 3)
        other = Judgement(id=f"{name}-{number}", question=name)
        update(lambda _known, other=other: [other], judged.file)


def in_threads(jobs: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_two_sessions_at_once_lose_nothing(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A page that was tested before may have left a script of its own as what new processes begin with.
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    if kind == "threads":
        in_threads([lambda: grade_many(tmp_path, A, "a"), lambda: grade_many(tmp_path, B, "b")])
    else:
        context = multiprocessing.get_context("spawn")
        workers = [context.Process(target=grade_many, args=(tmp_path, p, name)) for p, name in ((A, "a"), (B, "b"))]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
            assert worker.exitcode == 0
    found = own(tmp_path).all()
    for number in range(GRADED):
        judgement = found[identity(f"question {number}")]
        assert {place.quote: place.grade for place in judgement.places} == {FIRST: number % 3, SECOND: number % 3}
        assert {f"a-{number}", f"b-{number}"} <= found.keys()


@given(st.text(min_size=1, max_size=80), st.text(max_size=40), st.text(max_size=40), st.sampled_from([0, 1, 2]))
def test_any_passage_of_any_text_is_found_again(
    tmp_path_factory: pytest.TempPathFactory, words: str, before: str, after: str, grade: int
) -> None:
    text = before + words + after
    found = Passage("a.md", len(before), len(before) + len(words), words)
    judged = OwnJudgements(tmp_path_factory.mktemp("judged") / "own.jsonl", {"a.md": text}.get)
    judged.grade(QUESTION, found, grade)
    (place,) = OwnJudgements(judged.file, judged.text_of).all()[identity(QUESTION)].places
    start, end = quoted(found)
    assert text[place.start : place.start + len(place.quote)] == place.quote == text[start:end]
    assert place.prefix + place.quote + place.suffix == text[max(0, start - 32) : end + 32]
    assert judged.grade_of(QUESTION, found) == grade
