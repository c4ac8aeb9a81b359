"""The page for judging, and thumbs, in each of their states."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pincite.embedding import Embedder
from pincite.evaluation.judgements import identity
from pincite.evaluation.runs import METHODS, ask
from pincite.settings import Settings
from pincite.sync import sync
from pincite.ui.resources import shared

WAIT = 60
PAGE = """
import streamlit as st
from pincite.ui import judge_page
from pincite.ui.pages import Pages
from pincite.ui.resources import shared

page = st.Page(
    lambda: judge_page.show(Pages(page, page, page, page, page, page, page), shared()), title="Judge", default=True
)
st.navigation([page], position="hidden").run()
"""
THUMBS = """
import streamlit as st
from pincite.ui.resources import shared
from pincite.ui.thumbs import thumbs

for hit in shared().searcher.search(st.session_state["asked"]).hits:
    thumbs(hit, st.session_state["asked"], f"hit-{hit.rank}")
"""
NASTY = "<script>alert(1)</script> :red[x] $x^2$ [a](javascript:alert(1))"
TIDES = "The moon pulls the sea towards it. That is why high water comes about every twelve hours."
BREAD = f"Sourdough rises slowly because wild yeast is slower than baker's yeast. {NASTY}"
HARBOUR = "The harbour office closes at nine in the evening, at high water an hour later."
QUESTION = "why is there high water every twelve hours"


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
    for name, text in (("tides.md", TIDES), ("bread.md", BREAD), ("harbour.md", HARBOUR)):
        (settings.corpus / name).write_text(f"# {name[:-3].title()}\n\n{text}\n", encoding="utf-8")
    sync(settings, embedder=embedder)
    return settings


def open_page(question: str = "", script: str = PAGE, **query: str) -> AppTest:
    page = AppTest.from_string(script, default_timeout=WAIT)
    page.session_state["asked"] = question
    for name, value in {"q": question, **query}.items():
        if value:
            page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def press(page: AppTest, label: str) -> None:
    next(button for button in page.button if button.label == label).click()
    page.run()
    assert not page.exception


def bodies(page: AppTest) -> str:
    return "\n".join(element.proto.body for element in page.get("html"))


def labels(page: AppTest) -> list[str]:
    return [button.label for button in page.button]


def progress(page: AppTest) -> str:
    return str(page.get("progress")[0].proto.text)


def last(settings: Settings) -> dict[str, Any]:
    file = settings.corpus.parent / "judgments" / "own.jsonl"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8").splitlines()[-1])
    return found


def graded(settings: Settings) -> dict[str, int]:
    return {place["source"]: place["grade"] for place in last(settings)["places"]}


def shown(page: AppTest) -> str:
    """The source of the passage that is to be judged."""
    return next(name for name in ("tides.md", "bread.md", "harbour.md") if f'quiet">{name}' in bodies(page))


def test_without_an_index_it_says_what_to_do() -> None:
    page = open_page(QUESTION)
    assert "Nothing is indexed yet." in bodies(page)
    assert "Build the index" in [button.label for button in page.button]


def test_without_a_question_it_says_what_it_is_for_and_proposes_some(indexed: Settings) -> None:
    page = open_page()
    assert "it is saved at once" in page.caption[0].value
    assert [c.value for c in page.caption][-1] == r"None yet. They will lie in judgments/own\.jsonl."
    press(page, "Propose questions")
    proposed = "What links tides to the moon pulls?"
    assert proposed in labels(page)
    press(page, proposed)
    assert page.text_input(key="q").value == proposed
    assert progress(page) == "0 of 3 judged"


@pytest.mark.parametrize("question", ["???", "what is it", "boat " * 500])
def test_a_question_that_cannot_be_asked_is_told(indexed: Settings, question: str) -> None:
    page = open_page(question)
    shown = bodies(page)
    assert any(told in shown for told in ("no word to search for", "stand in every text", "2,000 is the most"))


def test_the_pool_is_what_every_method_finds_in_an_order_that_stays(indexed: Settings) -> None:
    orders = []
    for _ in range(2):
        st.cache_resource.clear()
        page = open_page(QUESTION, n="1")
        order = [shown(page)]
        for _ in range(2):
            press(page, "Next")
            order.append(shown(page))
        orders.append(order)
    found = {place.source for m in METHODS for place in ask(shared().searcher, m, QUESTION).places[:10]}
    assert orders[0] == orders[1]
    assert {*orders[0]} == found
    assert not [m for m in METHODS if f">{m}<" in bodies(page)]


def test_each_grade_is_saved_at_once_and_the_next_passage_comes(indexed: Settings) -> None:
    page = open_page(QUESTION)
    given: dict[str, int] = {}
    for number, (grade, label) in enumerate(
        [(2, "Answers (2)"), (0, "Does not answer (0)"), (1, "Answers in part (1)")]
    ):
        assert progress(page) == f"{number} of 3 judged"
        assert f"Passage {number + 1} of 3" in bodies(page)
        given[shown(page)] = grade
        press(page, label)
        assert graded(indexed) == given
    assert "All passages are judged." in bodies(page)
    assert "1: answers, 1: answers in part, 1: does not answer" in bodies(page)

    again = open_page(QUESTION, n="1")
    assert progress(again) == "3 of 3 judged"
    said = {2: "You said: answers<", 1: "You said: answers in part<", 0: "You said: does not answer<"}
    assert said[given[shown(again)]] in bodies(again)
    press(again, "Withdraw")
    assert len(graded(indexed)) == 2
    assert "Not judged yet" in bodies(again)


def test_back_goes_back_and_another_grade_replaces(indexed: Settings) -> None:
    page = open_page(QUESTION)
    first = shown(page)
    press(page, "Answers (2)")
    press(page, "Back")
    assert shown(page) == first
    press(page, "Does not answer (0)")
    assert graded(indexed) == {first: 0}


def test_nothing_answers_is_saved_and_taken_back_and_goes_with_no_answer(indexed: Settings) -> None:
    page = open_page("who won the world cup")
    press(page, "Nothing here answers")
    assert last(indexed)["unanswerable"] is True
    assert [info.value for info in page.info] == ["You said that nothing in the documents answers this."]
    press(page, "Something does answer")
    assert last(indexed)["unanswerable"] is False
    press(page, "Answers (2)")
    assert next(button for button in page.button if button.label == "Nothing here answers").disabled


def test_a_question_of_wrong_passages_alone_is_told_to_be_left_out(indexed: Settings) -> None:
    page = open_page("who won the world cup")
    for _ in range(3):
        press(page, "Does not answer (0)")
    assert "None of them answers: say that nothing does, or the question is left out of the measures." in [
        caption.value for caption in page.caption
    ]


@pytest.mark.parametrize("n", ["-3", "x", "999999999999999999999", "²", "0"])
def test_a_senseless_number_in_the_url_still_shows_the_question(indexed: Settings, n: str) -> None:
    assert progress(open_page(QUESTION, n=n)) == "0 of 3 judged"


def test_what_was_judged_is_listed_with_what_changed_since(indexed: Settings, embedder: Embedder) -> None:
    page = open_page(QUESTION)
    for _ in range(3):
        press(page, "Answers (2)")
    assert "3: answers · 20" in bodies(page)
    assert "Changed since" not in bodies(page)
    (indexed.corpus / "tides.md").write_text("# Tides\n\nNew words. " + TIDES, encoding="utf-8")
    (indexed.corpus / "harbour.md").write_text("# Harbour\n\nClosed for good.\n", encoding="utf-8")
    (indexed.corpus / "bread.md").unlink()
    sync(indexed, embedder=embedder)
    page = open_page()
    start = len("# Tides\n\nNew words. ")
    assert f"Changed since: tides.md: has moved: now at characters {start}–{start + len(TIDES)}" in bodies(page)
    assert "Changed since: harbour.md: is no longer in the document" in bodies(page)
    assert "Changed since: bread.md: the document is no longer in the index" in bodies(page)
    assert "**1** judged, **1** changed since" in [markdown.value for markdown in page.markdown]


def test_text_of_documents_and_questions_stands_as_its_characters(indexed: Settings) -> None:
    page = open_page(NASTY)
    while shown(page) != "bread.md":
        press(page, "Next")
    escaped = "&lt;script&gt;alert(1)&lt;/script&gt; :red[x] $x^2$ [a](javascript:alert(1))"
    assert escaped in bodies(page)
    assert "<script>alert" not in bodies(page)
    press(page, "Answers (2)")
    (again,) = [element.label for element in page.button if "script" in element.label]
    assert r"\<script\>alert\(1\)\</script\>" in again
    assert ":red[" not in again.replace("\\", "")
    assert last(indexed)["question"] == NASTY


def test_a_damaged_file_of_judgements_is_named(indexed: Settings) -> None:
    file = indexed.corpus.parent / "judgments" / "own.jsonl"
    file.parent.mkdir()
    file.write_text('{"id": 1}\n', encoding="utf-8")
    assert "own.jsonl, line 1: id: Input should be a valid string: mend the line" in bodies(open_page(QUESTION))


# Thumbs


def test_a_thumb_judges_the_hit_and_a_second_press_takes_it_back(indexed: Settings) -> None:
    page = open_page(QUESTION, THUMBS)
    hits = shared().searcher.search(QUESTION).hits
    assert labels(page) == ["Answers", "Does not answer"] * 3
    page.button(key="hit-1-2").click().run()
    page.button(key="hit-2-0").click().run()
    assert graded(indexed) == {hits[0].passage.source: 2, hits[1].passage.source: 0}
    assert labels(page) == ["You said: answers", "Does not answer", "Answers", "You said: does not answer", "Answers",
                            "Does not answer"]  # fmt: skip
    page.button(key="hit-1-2").click().run()
    assert graded(indexed) == {hits[1].passage.source: 0}
    page.button(key="hit-2-2").click().run()
    assert graded(indexed) == {hits[1].passage.source: 2}
    assert last(indexed)["id"] == identity(QUESTION)


def test_a_grade_between_is_said_beside_the_thumbs(indexed: Settings) -> None:
    hit = shared().searcher.search(QUESTION).hits[0]
    shared().judgements.grade(QUESTION, hit.passage, 1)
    page = open_page(QUESTION, THUMBS)
    assert [caption.value for caption in page.caption] == ["You said: answers in part"]


def test_a_thumb_that_cannot_be_saved_says_why(indexed: Settings) -> None:
    page = open_page(QUESTION, THUMBS)
    Path("judgments").write_text("a file", encoding="utf-8")
    page.button(key="hit-1-2").click().run()
    assert not page.exception
    assert "own.jsonl: cannot be written" in bodies(page)
