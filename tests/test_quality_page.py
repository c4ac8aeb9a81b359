"""The page of measures in each of its states: every figure on it is one that the evaluation gives."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pincite.embedding import Embedder
from pincite.errors import StorageError
from pincite.evaluation import evaluate, records, sets
from pincite.evaluation.comparison import Turn, compare, turns
from pincite.evaluation.judgements import JudgedPlace, Judgement, update
from pincite.evaluation.measures import interval
from pincite.evaluation.records import Record
from pincite.settings import Settings
from pincite.sync import sync
from pincite.types import Answer
from pincite.ui import charts
from pincite.ui.resources import shared
from pincite.ui.tables import table

WAIT = 60
PAGE = """
import streamlit as st
from pincite.ui import quality_page
from pincite.ui.pages import Pages
from pincite.ui.resources import shared

page = st.Page(
    lambda: quality_page.show(Pages(page, page, page, page, page, page, page), shared()), title="Quality", default=True
)
st.navigation([page], position="hidden").run()
"""
RUNS = Path("judgments") / "runs"
NASTY = "<img src=x onerror=alert(1)> :red[when] does it close $x$"
TEXTS = {
    "tides.md": "The moon pulls the sea towards it. That is why high water comes about every twelve hours.",
    "bread.md": "Sourdough rises slowly because wild yeast is slower than baker's yeast.",
    "harbour.md": "The harbour office closes at nine in the evening, at high water an hour later.",
}


@pytest.fixture(autouse=True)
def in_its_own_folder(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The page reads pincite.toml and the folders beside it."""
    monkeypatch.chdir(settings.corpus.parent)
    st.cache_resource.clear()
    st.cache_data.clear()
    yield
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def indexed(settings: Settings, embedder: Embedder) -> Settings:
    for name, text in TEXTS.items():
        (settings.corpus / name).write_text(f"# {name[:-3].title()}\n\n{text}\n", encoding="utf-8")
    sync(settings, embedder=embedder)
    return settings


@pytest.fixture
def judged(indexed: Settings) -> Settings:
    def place(source: str) -> tuple[JudgedPlace]:
        return (JudgedPlace(source=source, quote=TEXTS[source]),)

    made = [
        Judgement(id="q1", question="why is there high water every twelve hours", places=place("tides.md")),
        Judgement(id="q2", question="what makes sourdough slow", places=place("bread.md")),
        Judgement(id="q3", question=NASTY, places=place("tides.md")),  # another one comes first
        Judgement(id="q4", question="who won the football world cup", unanswerable=True),
    ]
    update(lambda _known: made, Path("judgments/own.jsonl"))
    return indexed


def open_page(**query: str) -> AppTest:
    page = AppTest.from_string(PAGE, default_timeout=WAIT)
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def press(page: AppTest, label: str) -> None:
    next(button for button in page.button if button.label == label).click()
    page.run()
    assert not page.exception


def measure(page: AppTest) -> Record:
    press(page, "Measure")
    shared().evaluations.wait(WAIT)
    page.run()
    assert not page.exception
    outcome = shared().evaluations.outcome
    assert isinstance(outcome, Record)
    return outcome


def bodies(page: AppTest) -> str:
    return "\n".join(element.proto.body for element in page.get("html"))


def captions(page: AppTest) -> str:
    return "\n".join(caption.value for caption in page.caption)


def cells(page: AppTest, caption: str) -> dict[str, list[str]]:
    """The rows of a table: name → cells."""
    found = re.search(rf"<caption>{re.escape(caption)}</caption>.*?</table>", bodies(page))
    assert found, caption
    rows = re.findall(r'<tr><th scope="row">([^<]*).*?</th>(.*?)</tr>', found[0])
    return {name: re.findall("<td>(.*?)</td>", rest) for name, rest in rows}


def test_without_an_index_it_says_what_to_do() -> None:
    page = open_page()
    assert "Nothing is indexed yet." in bodies(page)
    assert "Build the index" in [button.label for button in page.button]


def test_without_judgements_it_leads_to_judging(indexed: Settings) -> None:
    page = open_page()
    assert "No judgements yet" in page.info[0].value
    assert [link.proto.label for link in page.get("page_link")] == ["Judge some passages"]
    assert not page.button


def test_before_the_first_evaluation_it_offers_one(judged: Settings) -> None:
    page = open_page()
    assert "Not measured yet." in captions(page)
    assert page.selectbox[0].options == ["Yours (4 questions)"]
    (Path("judgments") / "some.jsonl").write_bytes((Path("judgments") / "own.jsonl").read_bytes())
    assert open_page().selectbox[0].options == [
        "Those that came with the documents (4 questions)",
        "Yours (4 questions)",
        "Both (4 questions)",
    ]


def test_what_is_measured_is_what_evaluate_gives(judged: Settings) -> None:
    page = open_page()
    measure(page)
    own = sets.named(Path("judgments"))["own"]
    expected = evaluate(shared().searcher, own.project(judged.index)[0], "pincite").as_json()
    for caption, means, ends in (
        ("Documents", "measures", "intervals"),
        ("Passages", "passage_measures", "passage_intervals"),
    ):
        assert cells(page, caption) == {
            name: [f"{mean:.3f}", "{:.3f} – {:.3f}".format(*expected[ends][name])]
            for name, mean in expected[means].items()
        }
    assert cells(page, "Documents")["Success@1"][0] == "0.667"  # 2 of 3
    assert cells(page, "Abstention")["area under the ROC curve"][0] == (
        f"{expected['abstention']['area under the ROC curve']:.3f}"
    )
    assert "For 2 of 3 questions the right document came first." in bodies(page)
    assert "generation 1" in captions(page)
    assert not page.warning
    assert "No earlier generation has been measured" in captions(page)
    counts = cells(page, "Questions by the score of the first passage")
    assert [sum(int(row[column]) for row in counts.values()) for column in (0, 1)] == [3, 1]
    assert len(page.get("vega_lite_chart")) == 4


def test_the_worst_question_shows_what_was_expected_and_what_came_as_characters(judged: Settings) -> None:
    page = open_page()
    measure(page)
    (worst,) = [e for e in page.expander if "close" in e.label]
    label = worst.label.replace("\u2060", "")
    assert label.startswith(r"\<img src=x onerror=alert\(1\)\> \:red\[when\] does it close \$x\$ — nDCG@10 0.")
    assert ":red" not in worst.label.replace("\\", "")
    html = "\n".join(element.proto.body for element in worst.get("html"))
    assert "Expected: tides.md:9-98" in html
    assert TEXTS["tides.md"] in html
    assert "Came first: harbour.md › characters" in html
    assert "<img" not in bodies(page)


def test_a_record_of_another_generation_says_so_and_the_next_is_compared_with_it(
    judged: Settings, embedder: Embedder
) -> None:
    page = open_page()
    before = measure(page)
    (judged.corpus / "tides.md").unlink()
    (judged.corpus / "office.md").write_text("# Office\n\nThe football world cup was won by France.\n")
    sync(judged, embedder=embedder)
    page.run()
    assert [warning.value for warning in page.warning] == [
        "Measured on generation 1, the index is at 2: measure again to see how good it is now."
    ]
    after = measure(page)
    assert not page.warning
    assert after.index.generation == 2
    (lead,) = [row for row in compare(before.evaluation, after.evaluation) if row.measure == "nDCG@10"]
    assert (lead.wins, lead.losses, lead.ties) == (0, 2, 1)
    low, high = (f"{end:+.3f}".replace("-", "−") for end in lead.interval)
    assert cells(page, "Difference")["nDCG@10"] == [
        f"{lead.a:.3f} → {lead.b:.3f}",
        f"−{lead.a - lead.b:.3f}",
        f"{low} to {high}",
        f"{lead.p:.4f}",
        "0, 2",
    ]
    assert "**Worse: 2 questions**" in [markdown.value for markdown in page.markdown]
    assert "nDCG@10 1.000 → 0.000<br>First: tides.md:0-98 → " in bodies(page)
    assert "Judged, but not there: 2" in [expander.label for expander in page.expander]
    # Any two: the same question, the other way round.
    first, second = page.selectbox(key="a").options
    page.selectbox(key="a").set_value(first)
    page.selectbox(key="b").set_value(second).run()
    assert "**Better: 2 questions**" in [markdown.value for markdown in page.markdown]
    page.selectbox(key="b").set_value(first).run()
    assert "Choose two that are not the same." in captions(page)


def test_one_that_runs_shows_how_far_it_is_and_can_be_cancelled(
    judged: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page()
    is_asked, may_answer = threading.Event(), threading.Event()
    search = shared().searcher.search

    def held(*asked: Any) -> Answer:
        is_asked.set()
        assert may_answer.wait(WAIT)
        return search(*asked)

    monkeypatch.setattr(shared().searcher, "search", held)
    press(page, "Measure")
    assert is_asked.wait(WAIT)
    page.run()
    assert [bar.proto.text for bar in page.get("progress")] == ["Asking question 1 of 4"]
    assert "Questions of people are answered meanwhile." in captions(page)
    press(page, "Cancel")
    may_answer.set()
    shared().evaluations.wait(WAIT)
    page.run()
    assert [info.value for info in page.info] == ["The evaluation was cancelled, and nothing of it kept."]
    assert not RUNS.exists()


def test_one_that_fails_says_why(judged: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    page = open_page()

    def broken(*_asked: Any) -> Answer:
        raise StorageError("index: broken: run python ingest.py --rebuild")

    monkeypatch.setattr(shared().searcher, "search", broken)
    press(page, "Measure")
    shared().evaluations.wait(WAIT)
    page.run()
    assert "index: broken: run python ingest.py --rebuild" in bodies(page)


def test_a_damaged_record_is_named_and_the_page_goes_on(judged: Settings) -> None:
    RUNS.mkdir(parents=True)
    (RUNS / "1.json").write_text("{", encoding="utf-8")
    page = open_page()
    assert "1.json: is no record of an evaluation, or is damaged: delete it" in bodies(page)
    assert "Not measured yet." in captions(page)


def test_the_record_that_the_url_names_is_shown(judged: Settings, embedder: Embedder) -> None:
    page = open_page()
    measure(page)
    (judged.corpus / "tides.md").unlink()
    sync(judged, embedder=embedder)
    measure(page)
    assert "generation 1" in page.selectbox(key="run").options[1]
    older = records.kept(RUNS)[0][1].name
    shown = open_page(run=older)
    assert "Measured on generation 1" in shown.warning[0].value
    assert records.kept(RUNS)[1] == []


# Beside the page


def test_a_question_without_an_answer_that_gets_one_is_a_turn() -> None:
    def rows(*answers: str) -> dict[str, Any]:
        return {
            "rows": [
                {"id": str(n), "question": f"q{n}", "unanswerable": n > 0, "answer": answer}
                for n, answer in enumerate(answers)
            ]
        }

    assert turns(rows("none", "none", "weak", "none"), rows("weak", "strong", "strong", "none")) == [
        Turn("q1", "none", "strong")
    ]


def test_the_interval_of_a_difference_is_that_of_the_questions_differences() -> None:
    a, b = [0.0, 0.5, 1.0, 0.25], [1.0, 0.5, 0.5, 1.0]

    def found(values: list[float]) -> dict[str, Any]:
        rows = [{"id": str(n), "measures": {"m": v}, "passage_measures": {}} for n, v in enumerate(values)]
        return {"rows": rows, "measures": {"m": 0}, "passage_measures": {}}

    (row,) = compare(found(a), found(b))
    assert row.interval == interval([1.0, 0.0, -0.5, 0.75])
    assert row.b - row.a == pytest.approx(1.25 / 4)


def test_every_score_is_counted_once() -> None:
    counted = charts.counts([0.0, 0.049, 0.05, 0.5, 1.0])
    assert [count for _, _, count in counted if count] == [2, 1, 1, 1]
    assert counted[-1][2] == 1  # 1 belongs to the last
    assert [round(low, 2) for low, _, _ in counted] == [round(n / 20, 2) for n in range(20)]


def test_a_table_escapes_what_it_is_given() -> None:
    html = table("<b>", ["<i>"], [("<u>\n<s>", "<q>")])
    assert not re.search("<(b|i|u|s|q)>", html)
    assert html.count("&lt;") == 6  # the caption is also the name of the group
