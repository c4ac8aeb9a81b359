"""Judgements, runs and measures: every number has its arithmetic beside it."""

import json
import math
import subprocess
import sys
from pathlib import Path

import ir_measures
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pincite.embedding import Embedder
from pincite.errors import IndexMismatch, JudgementError
from pincite.evaluation import Collection, Evaluation, JudgedQuery, draw, evaluate, load, project
from pincite.evaluation.comparison import Move, compare, moves, randomisation_p
from pincite.evaluation.judgements import JudgedPlace, Judgement, locate
from pincite.evaluation.measures import (
    DOCUMENT_MEASURES,
    area_under_curve,
    character_measures,
    interval,
    kept_at_false_answers,
    ranking_measures,
)
from pincite.evaluation.runs import METHODS
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.sync import sync_collection
from pincite.types import Place

ROOT = Path(__file__).parents[1]


def judged(**place: object) -> JudgedPlace:
    return JudgedPlace.model_validate({"source": "a.md", "quote": "the tide turns", **place})


# Places


@pytest.mark.parametrize(
    ("text", "place", "found"),
    [
        ("at six the tide turns", judged(start=7), (7, 21)),
        ("at half past six the tide turns", judged(start=7), (17, 31)),
        ("the tide turns; then the tide turns", judged(start=3, prefix="then "), (21, 35)),
        ("the tide turns; then the tide turns", judged(start=3), None),
        ("the wind turns", judged(), None),
        ("now the tide turns. now the tide turns!", judged(start=9, prefix="now ", suffix="!"), (24, 38)),
    ],
    ids=["at its hint", "moved", "by its surroundings", "in several places", "gone", "by what follows"],
)
def test_a_place_is_found_by_its_hint_then_by_its_quote(text: str, place: JudgedPlace, found: object) -> None:
    assert locate(place, text) == found


def test_places_that_are_gone_are_named_and_the_question_stays() -> None:
    judgement = Judgement(id="q1", question="when?", places=(judged(grade=1), judged(source="gone.md")))
    queries, lost = project([judgement], {"a.md": "and the tide turns", "gone.md": None})
    assert queries == [
        JudgedQuery("q1", "when?", {"a.md": 1, "gone.md": 2}, {Place("a.md", 4, 18): 1}, unanswerable=False)
    ]
    assert lost == ['q1: gone.md: the document is not in the index: "the tide turns"']


def test_a_later_line_with_the_same_id_replaces_the_earlier(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "1", "question": "old"}\n\n{"id": "2", "question": "b"}\n')
    (tmp_path / "b.jsonl").write_text('{"id": "1", "question": "new", "unanswerable": true}\n')
    assert load(tmp_path) == [
        Judgement(id="1", question="new", unanswerable=True),
        Judgement(id="2", question="b"),
    ]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"id": "1"}', "own.jsonl, line 2: question: Field required"),
        ("{nonsense", "own.jsonl, line 2: Invalid JSON"),
        ('{"id": "1", "question": "x", "colour": "red"}', "own.jsonl, line 2: colour: Extra inputs"),
        (
            '{"id": "1", "question": "x", "places": [{"source": "a", "quote": ""}]}',
            "own.jsonl, line 2: places.0.quote: String should have at least 1 character",
        ),
        (
            '{"id": "1", "question": "x", "places": [{"source": "a", "quote": "b", "grade": 3}]}',
            "own.jsonl, line 2: places.0.grade: Input should be less than or equal to 2",
        ),
    ],
)
def test_a_malformed_line_is_named_by_file_and_line(tmp_path: Path, line: str, complaint: str) -> None:
    (tmp_path / "own.jsonl").write_text(f'{{"id": "0", "question": "fine"}}\n{line}\n')
    with pytest.raises(JudgementError) as error:
        load(tmp_path / "own.jsonl")
    assert complaint in str(error.value)


def test_a_path_without_judgements_is_named(tmp_path: Path) -> None:
    with pytest.raises(JudgementError, match="holds no judgements"):
        load(tmp_path)


# Measures


def test_ranking_measures_by_hand() -> None:
    qrels = {"q": {"a": 2, "b": 1, "c": 0}, "left out": {"a": 1}}
    found = ranking_measures(DOCUMENT_MEASURES, qrels, {"q": ["x", "b", "a"]})
    # DCG = 1/log2(3) + 2/log2(4); ideal = 2/log2(2) + 1/log2(3)
    dcg, ideal = 1 / math.log2(3) + 2 / 2, 2 / 1 + 1 / math.log2(3)
    assert found["q"] == pytest.approx(
        {"nDCG@10": dcg / ideal, "RR@10": 1 / 2, "R@5": 1, "R@20": 1, "R@100": 1, "Success@1": 0}
    )
    assert found["left out"] == dict.fromkeys(map(str, DOCUMENT_MEASURES), 0.0)


def test_character_measures_by_hand() -> None:
    # Shown: a 0-10 and a 20-30 (20 characters); wanted: a 5-25 (20). In both: 5-10 and 20-25 (10).
    shown, gold = [Place("a", 0, 10), Place("a", 20, 30)], [Place("a", 5, 25)]
    assert character_measures(shown, gold) == pytest.approx(
        {
            "character R@5": 10 / 20,
            "character P@5": 10 / 20,
            "character IoU@5": 10 / 30,
            "Success@1000 characters": 0,  # 10-20 of the place is nowhere
        }
    )


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        ([Place("b", 0, 600), Place("a", 100, 600)], 1),  # 600 of b, then 400 of a: 100 to 500
        ([Place("b", 0, 601), Place("a", 100, 600)], 0),  # a to 499 only
        ([Place("a", 450, 900), Place("b", 0, 200), Place("a", 400, 450)], 1),  # in two parts
        ([Place("a", 450, 900), Place("b", 0, 501), Place("a", 400, 450)], 0),  # the second from character 951
        ([Place("c", 400, 500)], 0),
        ([], 0),
    ],
)
def test_success_within_a_minutes_reading_by_hand(shown: list[Place], found: float) -> None:
    gold = [Place("a", 400, 500), Place("a", 0, 2000)]  # of which the first alone can be read in time
    assert character_measures(shown, gold)["Success@1000 characters"] == found


def test_characters_past_the_fifth_passage_do_not_count() -> None:
    shown = [Place("b", n, n + 1) for n in range(5)] + [Place("a", 0, 10)]
    assert character_measures(shown, [Place("a", 0, 10)])["character R@5"] == 0


def test_the_area_under_the_curve_is_scikit_learns() -> None:
    answerable, unanswerable = [0.9, 0.8, 0.3, 0.3], [0.3, 0.1, 0.85]
    # Of 12 pairs: .9 beats 3, .8 beats 2, each .3 beats 1 and ties 1: (3 + 2 + 1.5 + 1.5) / 12
    assert area_under_curve(answerable, unanswerable) == pytest.approx(8 / 12)
    assert area_under_curve(answerable, unanswerable) == pytest.approx(
        roc_auc_score([1] * 4 + [0] * 3, answerable + unanswerable)
    )


def test_kept_at_five_percent_false_answers_by_hand() -> None:
    unanswerable = [n / 40 for n in range(40)]  # two of forty may pass: those above .925
    assert kept_at_false_answers([0.92, 0.925, 0.93, 0.99], unanswerable) == 0.5
    assert sum(score > 0.925 for score in unanswerable) == 2


def test_the_interval_is_the_percentiles_of_resampled_means() -> None:
    values = [0.0, 1.0, 1.0, 0.5, 0.25]
    generator = np.random.default_rng(0)
    rows = generator.integers(0, 5, (1000, 5))
    means = sorted(sum(values[i] for i in row) / 5 for row in rows)
    assert interval(values) == pytest.approx((np.percentile(means, 2.5), np.percentile(means, 97.5)))


def test_queries_are_drawn_as_the_contract_says() -> None:
    queries = [JudgedQuery(str(n), "", {}) for n in range(50)]
    drawn = sorted(np.random.default_rng(0).choice(50, 7, replace=False))
    assert [query.id for query in draw(queries, 7)] == [str(n) for n in drawn]
    assert draw(queries, None) == queries


def test_the_randomisation_test_is_the_share_of_sign_flips_that_go_as_far() -> None:
    # Three differences of one sign: of 8 flips, +++ and −−− reach the observed mean: p = 1/4.
    assert randomisation_p([0.2, 0.1, 0.3]) == pytest.approx(0.25, abs=0.02)
    # 1 and −1 cancel: every flip goes at least as far as 0.
    assert randomisation_p([1.0, -1.0]) == 1.0
    assert randomisation_p([0.0, 0.0]) == 1.0


def test_a_comparison_pairs_the_questions_that_both_have() -> None:
    def run(**values: float) -> dict:
        rows = [
            {"id": i, "question": i, "first": f"{i}:0-1", "measures": {"nDCG@10": v}, "passage_measures": {}}
            for i, v in values.items()
        ]
        return {"rows": rows, "measures": {"nDCG@10": 0}, "passage_measures": {}}

    a, b = run(p=0.5, q=1.0, r=0.25, only_a=1.0), run(r=0.75, q=1.0, p=0.25, only_b=0.0)
    (found,) = compare(a, b)
    assert (found.measure, found.wins, found.losses, found.ties) == ("nDCG@10", 1, 1, 1)
    assert (found.a, found.b) == pytest.approx((1.75 / 3, 2.0 / 3))
    assert moves(a, b, "nDCG@10", 5) == [
        Move("r", 0.25, 0.75, "r:0-1", "r:0-1"),
        Move("p", 0.5, 0.25, "p:0-1", "p:0-1"),
    ]
    with pytest.raises(JudgementError, match="no question in common"):
        compare(a, run(z=1.0))


# Collections and methods

TEXTS = {
    "tides": ("Tides", "The moon pulls the sea. High water comes about every twelve hours."),
    "bread": ("Bread", "Sourdough rises slowly because wild yeast is slower than baker's yeast."),
    "keel": ("", "A keel keeps a sailing boat from drifting sideways."),
    "empty": ("Only a title", ""),
}
QUERIES = {"q1": "how often is high water", "q2": "why is sourdough slow", "q3": "nobody judged this"}


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    folder = tmp_path / "collection"
    folder.mkdir()
    lines = [json.dumps({"_id": i, "title": title, "text": text}) for i, (title, text) in TEXTS.items()]
    (folder / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    lines = [json.dumps({"_id": i, "text": text}) for i, text in QUERIES.items()]
    (folder / "queries.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\ttides\t1\nq2\tbread\t1\nq2\tkeel\t0\n")
    start = TEXTS["tides"][1].index("High water")
    answer = {"query-id": "q1", "corpus-id": "tides", "start": start, "end": len(TEXTS["tides"][1]), "text": ""}
    (folder / "answers.jsonl").write_text(json.dumps(answer) + "\n")
    return folder


@pytest.fixture
def searcher(collection: Path, tmp_path: Path, embedder: Embedder) -> Searcher:
    settings = Settings(corpus=collection, index=tmp_path / "index")
    read = Collection(collection)
    sync_collection(settings, read.documents(), read.sha256(), embedder=embedder)
    return Searcher(settings, embedder)


def test_a_collection_gives_its_documents_and_its_judged_queries(collection: Path) -> None:
    documents = {document.source: (document.title, document.text) for document in Collection(collection).documents()}
    assert documents == {**TEXTS, "empty": ("", "Only a title")}
    start, end = TEXTS["tides"][1].index("High water"), len(TEXTS["tides"][1])
    assert Collection(collection).queries() == [
        JudgedQuery("q1", QUERIES["q1"], {"tides": 1}, {Place("tides", start, end): 1}),
        JudgedQuery("q2", QUERIES["q2"], {"bread": 1, "keel": 0}, {}),
    ]


def test_an_evaluation_measures_what_was_ranked(searcher: Searcher, collection: Path) -> None:
    found = evaluate(searcher, Collection(collection).queries(), "pincite").as_json()
    assert found["queries"] == 2
    assert found["passages"] == 4
    assert found["measures"] == {str(m): 1.0 for m in DOCUMENT_MEASURES}
    assert found["passage_measures"]["Success@1"] == 1.0
    assert found["passage_measures"]["marked sentence"] == 1.0
    title, text = TEXTS["tides"]
    start = text.index("High water")
    first, second = found["rows"]
    assert first["first"] == f"tides:0-{len(text)}"
    assert first["expected"] == [{"place": f"tides:{start}-{len(text)}", "title": title, "text": text[start:]}]
    citation = f"tides › characters 0–{len(text)}"
    assert first["found"] == {"citation": citation, "title": title, "text": text, "mark": [start, len(text)]}
    # Of q2 only documents were judged, and the one of grade 0 does not answer.
    assert second["expected"] == [{"place": "bread", "title": "Bread", "text": ""}]


@pytest.mark.parametrize("method", METHODS)
def test_the_measures_of_a_run_are_those_that_ir_measures_gives_for_it(
    method: str, searcher: Searcher, collection: Path
) -> None:
    queries = Collection(collection).queries()
    found = evaluate(searcher, queries, method).as_json()["measures"]
    qrels = {query.id: dict(query.grades) for query in queries}
    run = {
        query.id: {source: 1 / rank for rank, source in enumerate(METHODS[method](searcher, query.question).sources, 1)}
        for query in queries
    }
    theirs = {str(m): value for m, value in ir_measures.calc_aggregate(DOCUMENT_MEASURES, qrels, run).items()}
    assert found == pytest.approx(theirs)


def test_reciprocal_rank_fusion_by_hand(searcher: Searcher) -> None:
    question = "why is the sea pulled by yeast"
    scores: dict[str, float] = {}
    for method in ("dense", "lexical"):
        for rank, source in enumerate(METHODS[method](searcher, question).sources, start=1):
            scores[source] = scores.get(source, 0) + 1 / (60 + rank)
    fused = METHODS["rrf"](searcher, question).sources
    assert [scores[source] for source in fused] == sorted(scores.values(), reverse=True)


def test_a_collection_that_is_indexed_is_not_indexed_again(
    searcher: Searcher, collection: Path, embedder: Embedder
) -> None:
    manifest = next((searcher.settings.index / "generations").iterdir()) / "manifest.json"
    before = manifest.stat().st_mtime_ns
    sync_collection(searcher.settings, iter(()), Collection(collection).sha256(), embedder=embedder)
    assert manifest.stat().st_mtime_ns == before
    with pytest.raises(IndexMismatch, match=r"holds documents that .* has no longer: delete it, or name another with"):
        sync_collection(searcher.settings, iter(()), "another", embedder=embedder)


@pytest.mark.parametrize("method", METHODS)
def test_derived_files_that_are_damaged_are_built_again(searcher: Searcher, collection: Path, method: str) -> None:
    queries = Collection(collection).queries()
    whole = evaluate(searcher, queries, method)
    (file,) = searcher.settings.index.glob("generations/*/dense/*.faiss")
    whole_file = file.read_bytes()
    file.unlink()  # the searcher before has it mapped
    file.write_bytes(whole_file[:10])
    assert evaluate(Searcher(searcher.settings, searcher.embedder), queries, method).run == whole.run


def test_a_refused_question_counts_as_nothing_found_and_takes_no_time(searcher: Searcher) -> None:
    judged = [JudgedQuery("q", "what is it", {"tides": 1})]
    found = evaluate(searcher, judged, "pincite").as_json()
    assert found["measures"]["nDCG@10"] == 0.0
    assert (found["rows"][0]["milliseconds"], found["milliseconds"]) == (None, {})


def test_runs_are_a_hundred_deep(sample: Settings, embedder: Embedder) -> None:
    searcher = Searcher(sample, embedder)
    for method in METHODS:
        assert len(METHODS[method](searcher, "how long does ketamine stay in the blood").places) == 100, method


def test_passages_are_measured_where_one_that_answers_is_known(searcher: Searcher) -> None:
    wrong = JudgedQuery("q", QUERIES["q1"], {"tides": 2}, {Place("bread", 0, 9): 0})  # the quote that answered is lost
    right = JudgedQuery("r", QUERIES["q1"], {"tides": 2}, {Place("tides", 20, 30): 2, Place("bread", 0, 9): 0})
    found = evaluate(searcher, [wrong, right], "pincite").as_json()
    assert [bool(row["passage_measures"]) for row in found["rows"]] == [False, True]
    assert found["passage_measures"]["nDCG@10"] == 1.0


def test_the_slowest_of_few_is_between_the_last_two(searcher: Searcher) -> None:
    rows = [{"milliseconds": m, "measures": {}, "passage_measures": {}, "unanswerable": False} for m in (100.0, 10.0)]
    # numpy's, as R's default: 10 + .95 × 90
    assert Evaluation("pincite", 1, rows, {}, 0.0).as_json()["milliseconds"] == {
        "median": 55.0,
        "95th percentile": pytest.approx(95.5),
    }


@pytest.mark.parametrize(
    ("name", "line", "complaint"),
    [
        ("corpus.jsonl", b'{"_id": "a", "title": "A"}', "line 5: not an object with _id (text), text (text)"),
        ("corpus.jsonl", b'["a", "b"]', "line 5: not an object with _id (text), text (text)"),
        ("corpus.jsonl", b'{"_id": "a", "text": "\xff"}', "not in UTF-8"),
        ("queries.jsonl", b'{"_id": 7, "text": "seven"}', "line 4: not an object with _id (text), text (text)"),
        ("answers.jsonl", b'{"query-id": "q1", "corpus-id": "tides", "start": "0", "end": 3}', "line 2: not an object"),
        ("qrels.tsv", b"q1\ttides", "line 5: not query, document and grade"),
        ("qrels.tsv", b"q1\t\xff\t1", "not in UTF-8"),
    ],
)
def test_a_line_of_a_collection_that_says_nothing_is_named(
    collection: Path, name: str, line: bytes, complaint: str
) -> None:
    with (collection / name).open("ab") as file:
        file.write(line + b"\n")
    read = Collection(collection)
    with pytest.raises(JudgementError) as error:
        list(read.documents() if name == "corpus.jsonl" else read.queries())
    assert str(error.value).startswith(f"{collection / name}")
    assert complaint in str(error.value)


def test_places_in_documents_that_nobody_judged_are_measured(searcher: Searcher, collection: Path) -> None:
    with (collection / "answers.jsonl").open("a") as file:
        file.write(json.dumps({"query-id": "q2", "corpus-id": "keel", "start": 0, "end": 6}) + "\n")
    found = evaluate(searcher, Collection(collection).queries(), "pincite").as_json()
    assert found["rows"][1]["passage_measures"]["R@20"] == 1.0


def test_a_collection_without_qrels_is_refused_with_what_is_missing(collection: Path) -> None:
    (collection / "qrels.tsv").unlink()
    with pytest.raises(JudgementError, match=r"not a collection in BEIR layout: qrels\.tsv missing"):
        Collection(collection)


# The command


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "evaluate.py"), *arguments], cwd=folder, capture_output=True, text=True
    )


def test_the_command_writes_its_object_and_names_what_is_lost(sample: Settings, tmp_path: Path) -> None:
    line = {
        "id": "x",
        "question": "can ketamine damage your bladder",
        "places": [
            {"source": "ketamine/dependence-and-long-term-use.md", "quote": "Ketamine cystitis is an inflammation"},
            {"source": "ketamine/dependence-and-long-term-use.md", "quote": "no such words"},
        ],
    }
    (tmp_path / "own.jsonl").write_text(json.dumps(line) + "\n")
    done = run("--index", str(sample.index), "--judgments", "own.jsonl", "--json", "out.json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'its quote is not there once: "no such words"' in done.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["queries"] == 1
    assert found["method"] == "pincite"
    assert found["measures"]["Success@1"] == 1.0
    assert len(found["lost"]) == 1
    assert {"queries", "passages", "method", "measures", "intervals", "seconds", "rows"} <= found.keys()


def test_a_floor_that_is_not_reached_fails_the_command(searcher: Searcher, collection: Path, tmp_path: Path) -> None:
    asked = ("--collection", str(collection), "--index", str(searcher.settings.index), "--fail-under")
    assert run(*asked, "nDCG@10=.99", "--fail-under", "passage Success@1=1", folder=tmp_path).returncode == 0
    done = run(*asked, "character P@5=.9", folder=tmp_path)
    assert done.returncode == 1
    assert "'character P@5' was not measured: one of nDCG@10" in done.stderr
    done = run(*asked, "passage character P@5=.99", folder=tmp_path)
    assert done.returncode == 1
    assert "passage character P@5 is 0." in done.stderr
    assert run(*asked, "nDCG@10", folder=tmp_path).returncode == 2


def test_two_runs_are_compared(sample: Settings, tmp_path: Path) -> None:
    few = (ROOT / "judgments" / "answerable.jsonl").read_text(encoding="utf-8").splitlines()[:40]
    (tmp_path / "few.jsonl").write_text("\n".join(few), encoding="utf-8")
    for method in ("lexical", "pincite"):
        done = run("--index", str(sample.index), "--judgments", "few.jsonl", "--method", method,
                   "--json", f"{method}.json", folder=tmp_path)  # fmt: skip
        assert done.returncode == 0, done.stderr
    done = run("compare", "lexical.json", "pincite.json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    a, b = (json.loads((tmp_path / f"{m}.json").read_text())["measures"]["nDCG@10"] for m in ("lexical", "pincite"))
    assert f"nDCG@10                  {a:.3f}  {b:.3f}  {b - a:+.3f}  0.0" in done.stdout
    assert run("compare", "lexical.json", "own.jsonl", folder=tmp_path).returncode == 1


def test_wrong_usage_and_bad_input_of_the_command(sample: Settings, tmp_path: Path) -> None:
    assert run("--method", "magic", folder=tmp_path).returncode == 2
    done = run("--collection", str(tmp_path), folder=tmp_path)
    assert done.returncode == 1
    assert "not a collection in BEIR layout: corpus.jsonl, queries.jsonl, qrels.tsv missing" in done.stderr
    done = run("--index", str(sample.index), "--judgments", "none.jsonl", folder=tmp_path)
    assert done.returncode == 1
    assert "none.jsonl: cannot be read" in done.stderr
