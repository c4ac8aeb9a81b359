"""Evaluations that are kept, what they are compared with, and the one that runs beside the page."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pincite.embedding import Embedder
from pincite.errors import EvaluationCancelled, IndexMissing, JudgementError, OutputError
from pincite.evaluation import evaluate, records, sets
from pincite.evaluation.background import Evaluations
from pincite.evaluation.judgements import JudgedPlace, Judgement, update
from pincite.evaluation.records import Measured, Record
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.sync import sync

ROOT = Path(__file__).parents[1]
WAIT = 60
MADE = datetime(2026, 3, 1, 12, tzinfo=UTC)


def record(
    *ids: str, made: int = 0, generation: int = 1, built: int = 0, judged: str = "a", method: str = "pincite"
) -> Record:
    rows = [{"id": id_, "question": id_, "measures": {}, "passage_measures": {}} for id_ in ids]
    return Record(
        made_at=MADE + timedelta(minutes=made),
        judgements="own",
        judgements_sha256=judged,
        index=Measured(
            generation=generation, built_at=MADE + timedelta(minutes=built), documents=1, passages=2, recipe={}
        ),
        settings={},
        evaluation={"rows": rows, "measures": {}, "method": method},
    )


# Files


def test_what_is_kept_comes_back_the_last_first(tmp_path: Path) -> None:
    older, newer = record("q", made=1), record("q", "ü›", made=2)
    files = [records.keep(one, tmp_path / "runs") for one in (newer, older)]
    assert [file.name for file in files] == ["20260301T120200.000000Z.json", "20260301T120100.000000Z.json"]
    assert records.kept(tmp_path / "runs") == ([newer, older], [])
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {file.name for file in files}


def test_a_folder_that_is_not_there_holds_none(tmp_path: Path) -> None:
    assert records.kept(tmp_path / "runs") == ([], [])


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"format": 2}'])
def test_a_file_that_is_no_record_is_named_and_the_others_stay(tmp_path: Path, text: str) -> None:
    records.keep(record("q"), tmp_path)
    (tmp_path / "odd.json").write_text(text, encoding="utf-8")
    found, complaints = records.kept(tmp_path)
    assert found == [record("q")]
    assert complaints == [f"{tmp_path / 'odd.json'}: is no record of an evaluation, or is damaged: delete it"]


def test_a_record_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(OutputError, match=r"runs/20260301T120000\.000000Z\.json: cannot be written"):
        records.keep(record("q"), tmp_path / "runs")


# What a record is compared with


def test_before_is_the_last_one_of_an_earlier_state_of_the_index() -> None:
    now = record("q", "r", made=9, generation=3)
    first, second = record("q", made=1, generation=1), record("q", made=2, generation=2)
    same, later = record("q", made=3, generation=3), record("q", made=10, generation=4)
    assert records.before(now, [later, now, same, second, first]) == second
    assert records.before(now, [same, later]) is None
    assert records.before(now, [record("other", made=2, generation=2)]) is None
    assert records.before(now, [record("q", made=2, generation=2, method="dense")]) is None


def test_before_prefers_the_same_judgements_and_knows_an_index_that_was_made_anew() -> None:
    now = record("q", made=9, generation=1, built=5)
    anew, others = record("q", made=2, generation=1, built=1), record("q", made=4, generation=2, judged="b")
    assert records.before(now, [others, anew]) == anew
    assert records.before(now, [others]) == others


# Sets


def judgement(id_: str, grade: int = 2, **more: Any) -> Judgement:
    return Judgement(id=id_, question=id_, places=(JudgedPlace(source="a.md", quote="a", grade=grade),), **more)


def test_the_sets_of_a_folder(tmp_path: Path) -> None:
    assert sets.named(tmp_path) == {}
    update(lambda _known: [judgement("q1"), judgement("q2", grade=0)], tmp_path / "own.jsonl")
    assert {name: [j.id for j in one.judgements] for name, one in sets.named(tmp_path).items()} == {"own": ["q1"]}
    update(lambda _known: [judgement("s1")], tmp_path / "some.jsonl")
    found = sets.named(tmp_path)
    assert {name: [j.id for j in one.judgements] for name, one in found.items()} == {
        "sample": ["s1"],
        "own": ["q1"],
        "both": ["q1", "s1"],
    }
    assert found["own"].left_out == ("q2: no place judged answers, and it is not marked unanswerable: left out",)
    assert [sets.at(path, tmp_path).name for path in (tmp_path, tmp_path / "own.jsonl", tmp_path / "some.jsonl")] == [
        "both",
        "own",
        "file",
    ]


def test_judgements_are_the_same_whoever_made_them_when_and_in_whatever_order() -> None:
    def of(*judged: Judgement) -> str:
        return sets.JudgementSet("own", judged).sha256

    a, b = judgement("a"), judgement("b")
    assert of(a, b) == of(b, judgement("a", by="x", at="2026"))
    assert of(a, b) != of(a, judgement("b", grade=1))


# Beside the page

TIDES = "# Tides\n\nThe moon pulls the sea towards it. That is why high water comes about every twelve hours.\n"


@pytest.fixture
def judged(settings: Settings, embedder: Embedder, tmp_path: Path) -> Settings:
    """One document, with two questions judged."""
    (settings.corpus / "tides.md").write_text(TIDES, encoding="utf-8")
    sync(settings, embedder=embedder)
    settings = settings.model_copy(update={"judgments": tmp_path / "judgments"})
    place = JudgedPlace(source="tides.md", quote="high water comes about every twelve hours")
    update(
        lambda _known: [
            Judgement(id="q1", question="how often is high water", places=(place,)),
            Judgement(id="q2", question="who won the world cup", unanswerable=True),
        ],
        settings.judgments / "own.jsonl",
    )
    return settings


def test_an_evaluation_beside_the_page_is_kept_and_is_what_evaluate_gives(judged: Settings, embedder: Embedder) -> None:
    searcher = Searcher(judged, embedder)
    own = sets.named(judged.judgments)["own"]
    running = Evaluations(searcher)
    running.start(own)
    running.wait(WAIT)
    assert isinstance(running.outcome, Record)
    assert running.progress == (2, 2)
    assert records.kept(judged.judgments / "runs") == ([running.outcome], [])
    expected = evaluate(searcher, own.project(judged.index)[0], "pincite").as_json()
    timed = ("seconds", "milliseconds", "rows")
    found = running.outcome.evaluation
    assert {k: v for k, v in found.items() if k not in timed} == {k: v for k, v in expected.items() if k not in timed}
    assert found["measures"]["nDCG@10"] == 1.0
    assert [row["answer"] for row in found["rows"]] == [row["answer"] for row in expected["rows"]]
    assert (running.outcome.index.generation, running.outcome.index.documents) == (1, 1)
    assert running.outcome.judgements_sha256 == own.sha256


class Held(Searcher):
    """Answers when it is told to."""

    def __init__(self, settings: Settings, embedder: Embedder) -> None:
        super().__init__(settings, embedder)
        self.is_asked, self.may_answer = threading.Event(), threading.Event()

    def search(self, *asked: Any, **more: Any) -> Any:
        self.is_asked.set()
        assert self.may_answer.wait(WAIT)
        return super().search(*asked, **more)


def held(settings: Settings, embedder: Embedder) -> tuple[Held, Evaluations]:
    searcher = Held(settings, embedder)
    running = Evaluations(searcher)
    running.start(sets.named(settings.judgments)["own"])
    assert searcher.is_asked.wait(WAIT)
    return searcher, running


def test_one_that_is_cancelled_keeps_nothing(judged: Settings, embedder: Embedder) -> None:
    searcher, running = held(judged, embedder)
    assert (running.is_running, running.progress) == (True, (0, 2))
    running.cancel()
    searcher.may_answer.set()
    running.wait(WAIT)
    assert not running.is_running
    assert isinstance(running.outcome, EvaluationCancelled)
    assert records.kept(judged.judgments / "runs") == ([], [])


def test_an_index_that_changes_meanwhile_is_told(judged: Settings, embedder: Embedder) -> None:
    searcher, running = held(judged, embedder)
    (judged.corpus / "bread.txt").write_text("Sourdough rises slowly.", encoding="utf-8")
    sync(judged, embedder=embedder)
    searcher.may_answer.set()
    running.wait(WAIT)
    assert isinstance(running.outcome, Record)
    assert running.outcome.index.generation == 1
    assert running.outcome.evaluation["remarks"] == [
        "The index was brought up to date while it was measured: measure again"
    ]


def test_without_an_index_the_error_is_kept(judged: Settings, embedder: Embedder, tmp_path: Path) -> None:
    running = Evaluations(Searcher(judged.model_copy(update={"index": tmp_path / "none"}), embedder))
    running.start(sets.named(judged.judgments)["own"])
    running.wait(WAIT)
    assert isinstance(running.outcome, IndexMissing)


# The command


@pytest.fixture
def project(judged: Settings) -> Callable[..., Any]:
    """Runs `evaluate.py` in the folder of the settings; gives what it wrote."""

    def run(*arguments: str) -> dict[str, Any]:
        folder = judged.corpus.parent
        command = [sys.executable, str(ROOT / "evaluate.py"), "--json", "out.json", *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return {"stderr": done.stderr, **json.loads((folder / "out.json").read_text(encoding="utf-8"))}

    return run


def test_the_command_keeps_what_it_measured_of_the_project_alone(judged: Settings, project: Callable[..., Any]) -> None:
    runs = judged.judgments / "runs"
    written = project()
    ((found,), complaints) = records.kept(runs)
    assert complaints == []
    assert found.judgements == "own"
    assert found.evaluation["rows"] == written["rows"]
    assert found.evaluation["measures"] == written["measures"] != {}
    assert found.index.generation == 1

    (judged.corpus.parent / "other.jsonl").write_bytes((judged.judgments / "own.jsonl").read_bytes())
    project("--judgments", "other.jsonl")
    project("--queries", "1")
    assert records.kept(runs) == ([found], [])


def test_a_record_that_cannot_be_kept_does_not_stop_the_command(judged: Settings, project: Callable[..., Any]) -> None:
    (judged.judgments / "runs").write_text("a file")
    written = project()
    assert written["measures"]["nDCG@10"] == 1.0
    assert "runs/" in written["stderr"]
    assert "cannot be written" in written["stderr"]


def test_only_judgements_that_cannot_measure_are_refused(tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text("")
    with pytest.raises(JudgementError, match="holds no judgements"):
        sets.at(tmp_path, tmp_path)
