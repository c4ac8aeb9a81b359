"""Runs, qrels and topics in TREC format: written, read back, measured, and refused where they are wrong."""

import json
import math
import subprocess
import sys
from pathlib import Path

import ir_measures
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_measures import RR, R, Success, nDCG

from pincite.errors import JudgementError
from pincite.evaluation import JudgedQuery, evaluator, trec
from pincite.evaluation.judgements import JudgedPlace, Judgement, absent, documents, join
from pincite.settings import Settings

ROOT = Path(__file__).parents[1]


# Ids


@given(st.text())
def test_every_id_is_one_column_and_is_read_back(id_: str) -> None:
    column = trec.encode(id_)
    assert trec.decode(column) == id_
    assert column.split() == ([column] if id_ else [])


@given(st.text(alphabet="%0258ACE \t\u00a0\u2003"))
def test_ids_that_look_like_escapes_are_read_back_too(id_: str) -> None:
    assert trec.decode(trec.encode(id_)) == id_
    assert not any(char.isspace() for char in trec.encode(id_))


@pytest.mark.parametrize(
    ("id_", "column"),
    [
        ("notes/my first day.md", "notes/my%20first%20day.md"),
        ("a%20b", "a%2520b"),
        ("100%.md", "100%.md"),
        ("Caf%C3%A9", "Caf%C3%A9"),
        ("line\nbreak", "line%0Abreak"),
        ("no\u00a0break", "no%C2%A0break"),
        ("MED-10", "MED-10"),
    ],
)
def test_only_white_space_and_what_looks_like_it_is_escaped(id_: str, column: str) -> None:
    assert trec.encode(id_) == column


IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(st.dictionaries(IDS, st.lists(IDS, min_size=1, max_size=120, unique=True), min_size=1, max_size=4))
def test_a_run_is_read_back_as_it_was_ranked(tmp_path_factory: pytest.TempPathFactory, run: dict) -> None:
    file = tmp_path_factory.mktemp("run") / "a.run"
    file.write_text(trec.run_text(run, "rrf"), encoding="utf-8")
    assert trec.read_run(file) == trec.Run("rrf", {query: tuple(ranked[:100]) for query, ranked in run.items()})


@given(st.dictionaries(IDS, st.dictionaries(IDS, st.integers(-2, 4), min_size=1), min_size=1, max_size=4))
def test_qrels_are_read_back_as_they_were_judged(tmp_path_factory: pytest.TempPathFactory, grades: dict) -> None:
    file = tmp_path_factory.mktemp("qrels") / "a.qrels"
    file.write_text(trec.qrels_text(JudgedQuery(id_, "", judged) for id_, judged in grades.items()), encoding="utf-8")
    assert trec.read_qrels(file) == grades


# Files


def test_a_run_is_six_columns_with_scores_that_fall_by_one() -> None:
    assert trec.run_text({"q 1": ["b c.md", "a.md"], "q2": []}, "dense") == (
        "q%201 Q0 b%20c.md 1 100 dense\nq%201 Q0 a.md 2 99 dense\n"
    )


def test_a_run_is_ordered_by_score_and_ties_as_trec_eval_orders_them(tmp_path: Path) -> None:
    file = tmp_path / "a.run"
    file.write_text("q Q0 a 1 0.5 bm25\r\n\nq\tQ0\tb 2 7.25e-1 bm25\nq Q0 c 3 .5 bm25\n", encoding="utf-8-sig")
    run = trec.read_run(file)
    assert run == trec.Run("bm25", {"q": ("b", "c", "a")})
    # With c alone relevant, second of the order above: DCG = 1/log2(3), ideal = 1. pytrec_eval agrees.
    (theirs,) = ir_measures.iter_calc(
        [nDCG @ 10], [ir_measures.Qrel("q", "c", 1)], ir_measures.read_trec_run(str(file))
    )
    assert theirs.value == pytest.approx(1 / math.log2(3))
    found = evaluator.score(run, [JudgedQuery("q", "", {"c": 1})])
    assert found.rows[0]["measures"]["nDCG@10"] == pytest.approx(theirs.value)


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ("q Q0 d 1 0.5 t\nq Q0 d2 2 0.4\n", "a.run, line 2: 5 columns, where «query Q0 document rank score tag»"),
        ("q Q0 d 1 nan t\n", "a.run, line 1: the score 'nan' is not a number"),
        ("q Q0 d 1 -inf t\n", "a.run, line 1: the score '-inf' is not a number"),
        ("q Q0 d 1 high t\n", "a.run, line 1: the score 'high' is not a number"),
        ("q Q0 d 1 2 t\nq Q0 d 2 1 t\n", "a.run, line 2: d stands there already for q"),
        ("q Q0 d 1 2 t\nq Q0 e 2 1 u\n", "a.run, line 2: tag 'u' after 't': one run a file"),
        (" \n\n", "a.run: is empty"),
        ("q Q0 my file.md 1 2 t\n", "a.run, line 1: 7 columns"),
    ],
)
def test_a_run_that_is_wrong_is_named_by_file_and_line(tmp_path: Path, lines: str, complaint: str) -> None:
    (tmp_path / "a.run").write_text(lines)
    with pytest.raises(JudgementError) as error:
        trec.read_run(tmp_path / "a.run")
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ("q 0 d 1\nq 0 d 0\n", "a.qrels, line 2: d stands there already for q"),
        ("q 0 d 1.5\n", "a.qrels, line 1: the grade '1.5' is not a whole number"),
        ("query-id\tcorpus-id\tscore\n", "a.qrels, line 1: 3 columns, where «query 0 document grade»"),
        ("", "a.qrels: is empty"),
    ],
)
def test_qrels_that_are_wrong_are_named_by_file_and_line(tmp_path: Path, lines: str, complaint: str) -> None:
    (tmp_path / "a.qrels").write_text(lines)
    with pytest.raises(JudgementError) as error:
        trec.read_qrels(tmp_path / "a.qrels")
    assert complaint in str(error.value)


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ("q1 how high is it\n", "a.tsv, line 1: not an id, a TAB and a question"),
        ("q1\t \n", "a.tsv, line 1: not an id, a TAB and a question"),
        ("q1\ta\nq1\tb\n", "a.tsv, line 2: q1 has a question already"),
    ],
)
def test_topics_that_are_wrong_are_named_by_file_and_line(tmp_path: Path, lines: str, complaint: str) -> None:
    (tmp_path / "a.tsv").write_text(lines)
    with pytest.raises(JudgementError) as error:
        trec.read_topics(tmp_path / "a.tsv")
    assert complaint in str(error.value)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes("q\tcafé\n".encode("latin-1"))
    for path in (tmp_path / "none", tmp_path, tmp_path / "latin"):
        for read in (trec.read_run, trec.read_qrels, trec.read_topics):
            with pytest.raises(JudgementError, match="cannot be read"):
                read(path)


def test_topics_keep_what_stands_in_a_question(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("7\twhat is\u2028“high water”?\r\nmy%20q\t 50 % \n", encoding="utf-8")
    assert trec.read_topics(tmp_path / "a.tsv") == {"7": "what is\u2028“high water”?", "my q": "50 %"}


# Judgements by document


def test_judged_queries_without_a_question_or_a_relevant_document_are_named() -> None:
    queries, lost = join({"a": "?", "b": "?", "c": "?"}, {"b": {"d": 1}, "a": {"d": 0}, "z": {"d": 1}})
    assert queries == [JudgedQuery("b", "?", {"d": 1})]
    assert lost == [
        "a: is judged, but has no relevant document: left out",
        "z: is judged, but has no question: left out",
    ]
    assert absent([JudgedQuery("b", "?", {"d": 1, "e": 0})], {"d"}) == ["b: e: the document is not in the index"]


def test_judgements_by_document_take_the_best_grade_of_their_places() -> None:
    places = (
        JudgedPlace(source="a.md", quote="x", grade=1),
        JudgedPlace(source="a.md", quote="y", grade=2),
        JudgedPlace(source="b.md", quote="z", grade=0),
    )
    assert documents([Judgement(id="1", question="?", places=places)]) == [
        JudgedQuery("1", "?", {"a.md": 2, "b.md": 0})
    ]


def test_a_scored_run_by_hand() -> None:
    run = trec.Run("bm25", {"a": ("x", "y"), "nobody": ("x",)})
    queries = [JudgedQuery("a", "first?", {"y": 1, "z": 1}), JudgedQuery("b", "second?", {"x": 1})]
    found = evaluator.score(run, queries)
    table = found.as_json()
    # a: y at rank 2 of 2 relevant: DCG = 1/log2(3), ideal = 1 + 1/log2(3). b: nothing. Means over both.
    gain = 1 / math.log2(3)
    assert table["measures"] == pytest.approx(
        {"nDCG@10": gain / (1 + gain) / 2, "RR@10": 0.25, "R@5": 0.25, "R@20": 0.25, "R@100": 0.25, "Success@1": 0},
        abs=1e-6,
    )
    assert (table["method"], table["queries"], table["passages"], table["milliseconds"]) == ("bm25", 2, None, {})
    assert (table["rows"][0]["first"], table["rows"][1]["first"]) == ("x", None)
    assert table["remarks"] == [
        "b: the run has nothing for it: counts 0",
        "nobody: is in the run, but nothing judges it: left out",
    ]


# The command


def run(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "evaluate.py"), *arguments], cwd=folder, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def written(sample: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the first forty judgements, their run, qrels and measures."""
    folder = tmp_path_factory.mktemp("written")
    lines = (ROOT / "judgments" / "answerable.jsonl").read_text(encoding="utf-8").splitlines()[:40]
    lines += (ROOT / "judgments" / "unanswerable.jsonl").read_text(encoding="utf-8").splitlines()[:2]
    (folder / "few.jsonl").write_text("\n".join(lines), encoding="utf-8")
    done = run("--index", sample.index, "--judgments", "few.jsonl", "--json", "asked.json",
               "--write-run", "made/a.run", "--write-qrels", "made/a.qrels", folder=folder)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    topics = [f"{row['id']}\t{row['question']}" for row in json.loads((folder / "asked.json").read_text())["rows"]]
    (folder / "topics.tsv").write_text("\n".join(topics), encoding="utf-8")
    return folder


def test_the_written_files_measure_what_the_evaluation_measured(written: Path) -> None:
    theirs = ir_measures.calc_aggregate(
        [nDCG @ 10, RR @ 10, R @ 5, R @ 20, R @ 100, Success @ 1],
        list(ir_measures.read_trec_qrels(str(written / "made" / "a.qrels"))),
        list(ir_measures.read_trec_run(str(written / "made" / "a.run"))),
    )
    ours = json.loads((written / "asked.json").read_text())["measures"]
    assert ours == pytest.approx({str(measure): value for measure, value in theirs.items()}, abs=1e-6)
    assert 0.5 < ours["nDCG@10"] < 1


def test_a_written_run_scores_what_it_scored_without_an_index(written: Path) -> None:
    asked = json.loads((written / "asked.json").read_text())
    for judged in (("--judgments", "few.jsonl"), ("--qrels", "made/a.qrels")):
        done = run("--score-run", "made/a.run", *judged, "--json", "scored.json", folder=written)
        assert done.returncode == 0, done.stderr
        assert (
            f"{'42' if judged[0] == '--judgments' else '40'} queries, a run that was given, method pincite"
            in done.stdout
        )
        assert "ms (median)" not in done.stdout
        scored = json.loads((written / "scored.json").read_text())
        assert scored["measures"] == asked["measures"]
        assert scored["intervals"] == asked["intervals"]
        assert (scored["passages"], scored["passage_measures"], scored["abstention"]) == (None, {}, {})
    assert "u001: is in the run, but nothing judges it: left out" in done.stderr
    done = run("compare", "asked.json", "scored.json", folder=written)
    assert done.returncode == 0, done.stderr
    assert "nDCG@10" in done.stdout
    floor = run("--score-run", "made/a.run", "--qrels", "made/a.qrels", "--fail-under", "nDCG@10=.999", folder=written)
    assert floor.returncode == 1
    assert "below 0.999" in floor.stderr


def test_qrels_and_topics_judge_the_persons_own_index(written: Path, sample: Settings) -> None:
    (written / "more.qrels").write_text((written / "made" / "a.qrels").read_text() + "a001 0 gone%20away.md 0\n")
    done = run("--index", sample.index, "--qrels", "more.qrels", "--topics", "topics.tsv",
               "--json", "again.json", folder=written)  # fmt: skip
    assert done.returncode == 0, done.stderr
    again, asked = (json.loads((written / name).read_text()) for name in ("again.json", "asked.json"))
    assert again["measures"] == asked["measures"]
    assert again["lost"] == ["a001: gone away.md: the document is not in the index"]
    assert "a001: gone away.md: the document is not in the index" in done.stderr
    assert again["passage_measures"] == {}


def test_files_take_the_place_of_a_collections_own(tmp_path: Path) -> None:
    folder = tmp_path / "two words"
    folder.mkdir()
    texts = {"high tide": "High water comes twice a day.", "keel": "A keel keeps a boat from drifting."}
    lines = [json.dumps({"_id": id_, "title": "", "text": text}) for id_, text in texts.items()]
    (folder / "corpus.jsonl").write_text("\n".join(lines))
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q 1", "text": "how often is high water"}))
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq 1\tkeel\t1\n")
    (tmp_path / "a.qrels").write_text("q%201 0 high%20tide 1\n")
    (tmp_path / "topics.tsv").write_text("q 1\twhat keeps a boat from drifting\n")
    asked = ("--collection", folder, "--index", tmp_path / "index", "--json", "out.json", "--write-run", "out.run")

    def first(*more: str) -> tuple[float, str]:
        done = run(*asked, *more, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        table = json.loads((tmp_path / "out.json").read_text())
        return table["measures"]["Success@1"], (tmp_path / "out.run").read_text().splitlines()[0]

    assert first() == (0.0, "q%201 Q0 high%20tide 1 100 pincite")
    assert first("--qrels", "a.qrels") == (1.0, "q%201 Q0 high%20tide 1 100 pincite")
    assert first("--topics", "topics.tsv") == (1.0, "q%201 Q0 keel 1 100 pincite")
    scored = run("--collection", folder, "--score-run", "out.run", "--fail-under", "nDCG@10=1", folder=tmp_path)
    assert scored.returncode == 0, scored.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (("--qrels", "a.qrels"), 2, "name --topics too"),
        (("--topics", "a.tsv"), 2, "name --qrels too"),
        (("--score-run", "a.run", "--method", "dense"), 2, "asks no index"),
        (("--score-run", "a.run", "--index", "here"), 2, "asks no index"),
        (("--collection", ".", "--dataset", "x"), 2, "--collection another"),
        (("--score-run", "none.run", "--qrels", "a.qrels"), 1, "none.run: cannot be read"),
        (("--score-run", "a.run", "--qrels", "zero.qrels"), 1, "zero.qrels: no question has a relevant document"),
        (("--score-run", "a.run", "--qrels", "a.qrels", "--json", "."), 1, ".: is a folder: name a file"),
        (
            ("--score-run", "a.run", "--qrels", "a.qrels", "--write-run", "a.run/b"),
            1,
            "a.run: is a file: name a folder",
        ),
    ],
)
def test_wrong_usage_and_bad_files_are_told_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], status: int, complaint: str
) -> None:
    (tmp_path / "a.run").write_text("q Q0 d 1 1 t\n")
    (tmp_path / "a.qrels").write_text("q 0 d 1\n")
    (tmp_path / "zero.qrels").write_text("q 0 d 0\n")
    (tmp_path / "a.tsv").write_text("q\twhy\n")
    done = run(*arguments, folder=tmp_path)
    assert done.returncode == status, done.stderr
    assert complaint in " ".join(done.stderr.replace("│", " ").split())
    assert status == 2 or done.stderr.count("\n") == 1
