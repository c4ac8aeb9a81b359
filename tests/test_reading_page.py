"""The reading list as a page, and what collects for it: in each state, and as a person uses it."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
import streamlit as st
from conftest import settled
from streamlit.testing.v1 import AppTest

from pincite.embedding import Embedder
from pincite.reading_list import Entry, ReadingList
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.sync import sync

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[1]
WAIT = 60
# Playwright's own event loop leaves a socket to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")

READING_PAGE = """
import streamlit as st
from pincite.ui import reading_page
from pincite.ui.pages import Pages
from pincite.ui.resources import shared

page = st.Page(lambda: reading_page.show(Pages(*[page] * 7), shared()), title="List", url_path="x", default=True)
st.navigation([page], position="hidden").run()
"""
COLLECTING = """
import streamlit as st
from pincite.ui import take
from pincite.ui.resources import shared

answer = shared().searcher.search(st.session_state["asked"])
for hit in answer.hits:
    st.html(take.copy_button(hit))
    take.collect_button(hit, answer.question, f"collect-{hit.rank}")
"""
TIDES = "# Tides\n\nThe moon pulls the sea towards it. That is why high water comes about every twelve hours.\n"
BREAD = (
    "Bread\n\nSourdough rises slowly because wild yeast is slower than baker's yeast. <img src=x> *Slow* :red[no] $x$\n"
)
WHY_TIDES, WHY_BREAD = "why is there high water every twelve hours", "why does <b>sourdough</b> rise *slowly*"


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
    (settings.corpus / "tides.md").write_text(TIDES, encoding="utf-8")
    (settings.corpus / "bread.txt").write_text(BREAD, encoding="utf-8")
    sync(settings, embedder=embedder)
    return settings


@pytest.fixture
def listed(indexed: Settings) -> ReadingList:
    return ReadingList(indexed.corpus.parent / "reading-list.jsonl")


@pytest.fixture
def tides(indexed: Settings, embedder: Embedder, listed: ReadingList) -> Entry:
    return collected(indexed, embedder, listed, WHY_TIDES, TIDES, "2026-01-01")


@pytest.fixture
def bread(indexed: Settings, embedder: Embedder, listed: ReadingList) -> Entry:
    return collected(indexed, embedder, listed, WHY_BREAD, BREAD, "2026-01-02")


def collected(settings: Settings, embedder: Embedder, listed: ReadingList, question: str, text: str, at: str) -> Entry:
    first = Searcher(settings, embedder).search(question).hits[0]
    entry = Entry.of(first, question, text).model_copy(update={"at": at})
    assert entry.start == text.index(entry.quote)
    listed.put(entry)
    return entry


def opened(**query: str) -> AppTest:
    page = AppTest.from_string(READING_PAGE, default_timeout=WAIT)
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def bodies(page: AppTest) -> str:
    return "\n".join(element.proto.body for element in page.get("html"))


def said(page: AppTest) -> list[str]:
    return [markdown.value for markdown in page.markdown]


# The page


def test_an_empty_list_says_how_to_fill_it(indexed: Settings) -> None:
    page = opened()
    assert any(words.startswith("Nothing is collected yet. Press *Collect*") for words in said(page))
    assert not page.get("download_button")


def test_entries_stand_under_their_questions_with_quote_mark_and_place(tides: Entry, bread: Entry) -> None:
    page = opened()
    html = bodies(page)
    assert html.index(f'<h2 class="pincite-group">{WHY_TIDES}</h2>') < html.index(
        '<h2 class="pincite-group">why does &lt;b&gt;sourdough&lt;/b&gt; rise *slowly*</h2>'
    )
    assert "<mark>That is why high water comes about every twelve hours.</mark>" in html
    assert f'<div class="pincite-quiet">{tides.citation}</div>' in html
    assert "2 passages. Nothing has changed since they were collected." in said(page)
    assert "&lt;img src=x&gt; *Slow* :red[no] $x$" in html
    assert "<img" not in html


def test_the_url_says_how_they_are_grouped(tides: Entry, bread: Entry) -> None:
    html = bodies(opened(by="Document"))
    assert html.index('<h2 class="pincite-group">tides.md</h2>') < html.index(">bread.txt</h2>")
    assert f'<div class="pincite-title">{WHY_TIDES}</div>' in html


def test_a_note_is_saved_at_once(tides: Entry, listed: ReadingList) -> None:
    page = opened()
    page.text_area(key=f"note-{tides.id}").set_value("ask *Ann*\nsoon").run()
    assert listed.entries() == {tides.id: tides.model_copy(update={"note": "ask *Ann*\nsoon"})}
    assert opened().text_area(key=f"note-{tides.id}").value == "ask *Ann*\nsoon"


def test_what_is_removed_can_be_brought_back(tides: Entry, bread: Entry, listed: ReadingList) -> None:
    page = opened()
    page.button(key=f"remove-{tides.id}").click().run()
    assert list(listed.entries()) == [bread.id]
    assert f'<div class="pincite-quiet">Removed: {tides.citation}</div>' in bodies(page)
    assert "1 passage. Nothing has changed since it was collected." in said(page)
    page.button(key="undo").click().run()
    assert listed.entries() == {tides.id: tides, bread.id: bread}
    assert "Removed" not in bodies(page)


def test_the_last_one_that_is_removed_can_be_brought_back(tides: Entry, listed: ReadingList) -> None:
    page = opened()
    page.button(key=f"remove-{tides.id}").click().run()
    assert "Nothing is collected now." in said(page)
    page.button(key="undo").click().run()
    assert listed.entries() == {tides.id: tides}


def test_what_changed_since_is_said_in_words(indexed: Settings, tides: Entry, bread: Entry, embedder: Embedder) -> None:
    (indexed.corpus / "tides.md").write_text("Preface\n\n" + TIDES, encoding="utf-8")
    (indexed.corpus / "bread.txt").write_text(BREAD.replace("wild", "tame"), encoding="utf-8")
    sync(indexed, embedder=embedder)
    page = opened()
    moved = f"Moved: these words now stand in tides.md, characters {tides.start + 9}–{tides.end + 9}."
    assert f'<div class="pincite-warning">{moved}</div>' in bodies(page)
    assert "Changed: the document no longer has these words, or has them at several places." in bodies(page)
    assert "2 passages. 2 changed since they were collected." in said(page)

    (indexed.corpus / "bread.txt").unlink()
    sync(indexed, embedder=embedder)
    page = opened()
    assert '<div class="pincite-warning">Gone: the document is no longer indexed.</div>' in bodies(page)
    assert "wild yeast is slower" in bodies(page), "what was collected is kept"


def test_without_an_index_the_list_is_still_shown(tides: Entry, indexed: Settings) -> None:
    (indexed.index / "catalog.sqlite").unlink()
    page = opened()
    assert "There is no index now" in bodies(page)
    assert "<mark>That is why high water comes about every twelve hours.</mark>" in bodies(page)
    assert "1 passage." in said(page)


def test_a_damaged_list_is_named_by_file_and_line(tides: Entry, listed: ReadingList) -> None:
    with listed.file.open("ab") as out:
        out.write(b"half a line\n")
    assert "reading-list.jsonl, line 2: " in bodies(opened())


def test_a_long_list_is_shown_in_part_first(listed: ReadingList, tides: Entry) -> None:
    for number in range(59):
        listed.put(tides.model_copy(update={"id": f"{number:02}", "at": f"2026-02-01T00:00:{number:02}"}))
    page = opened()
    assert len(page.text_area) == 50
    page.button[-1].click().run()
    assert len(page.text_area) == 60
    assert len(opened(all="1").text_area) == 60


# Beside a hit


def collecting(question: str) -> AppTest:
    page = AppTest.from_string(COLLECTING, default_timeout=WAIT)
    page.session_state["asked"] = question
    page.run()
    assert not page.exception
    return page


def test_a_hit_is_collected_and_taken_off_again(indexed: Settings, listed: ReadingList) -> None:
    page = collecting(WHY_TIDES)
    assert page.button(key="collect-1").label == "Collect"
    page.button(key="collect-1").click().run()
    assert page.button(key="collect-1").label == "Collected"
    assert page.button(key="collect-2").label == "Collect"
    (entry,) = listed.entries().values()
    assert (entry.source, entry.question, entry.prefix) == ("tides.md", WHY_TIDES, "")
    assert TIDES[entry.start : entry.end] == entry.quote
    assert entry.suffix == TIDES[entry.end : entry.end + 32]
    assert collecting(WHY_TIDES).button(key="collect-1").label == "Collected"
    page.button(key="collect-1").click().run()
    assert page.button(key="collect-1").label == "Collect"
    assert listed.entries() == {}


def test_the_copy_button_carries_the_quote_with_its_citation(indexed: Settings) -> None:
    html = bodies(collecting(WHY_TIDES))
    (copied,) = {unquote(one) for one in re.findall(r'data-copy="([^"]*)"', html) if "twelve" in one}
    assert copied.startswith("“That is why high water comes about every twelve hours.” (tides.md › characters 0–")


def test_a_list_that_cannot_be_read_or_written_is_said_beside_the_hit(indexed: Settings, listed: ReadingList) -> None:
    page = collecting(WHY_TIDES)
    listed.file.mkdir()
    page.button(key="collect-1").click().run()
    assert page.button(key="collect-1").disabled
    assert "cannot be read" in page.button(key="collect-1").help


# As a person does it


@pytest.mark.slow
def test_passages_of_two_questions_are_collected_one_noted_and_the_list_exported(
    indexed: Settings, serve: Callable[[Settings], str], browser_page: "Page"
) -> None:
    page, address = browser_page, serve(indexed)
    for question in (WHY_TIDES, WHY_BREAD):
        page.goto(f"{address}/?q={question}")
        page.get_by_role("button", name="Collect", exact=True).first.click()
        page.get_by_role("button", name="Collected").wait_for()
    page.get_by_role("button", name="Copy citation").first.click()
    page.wait_for_function("async () => (await navigator.clipboard.readText()).startsWith('“Sourdough rises slowly')")

    page.get_by_role("link", name="Reading list").click()
    page.get_by_role("textbox").first.wait_for()
    settled(page)
    note = page.get_by_role("textbox").first
    note.fill("The *moon*, not the sun.")
    note.blur()
    kept = indexed.corpus.parent / "reading-list.jsonl"
    for _ in range(600):
        if "not the sun" in kept.read_text(encoding="utf-8"):
            break
        page.wait_for_timeout(100)
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Markdown").click()
    assert download.value.suggested_filename == "reading-list.md"
    tides, bread = (json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()[:2])
    assert Path(download.value.path()).read_text(encoding="utf-8") == (
        "# Reading list\n\n"
        f"## {WHY_TIDES}\n\n"
        "> \\# Tides\n>\n"
        "> The moon pulls the sea towards it. **That is why high water comes about every twelve hours.**\n\n"
        f"tides.md › characters 0–{len(tides['quote'])}\n\n"
        "The \\*moon\\*, not the sun.\n\n"
        "## why does \\<b\\>sourdough\\</b\\> rise \\*slowly\\*\n\n"
        "> Bread\n>\n"
        "> **Sourdough rises slowly because wild yeast is slower than baker's yeast.** \\<img src=x\\> \\*Slow\\*"
        " :red\\[no\\] \\$x\\$\n\n"
        f"bread.txt › characters 0–{len(bread['quote'])}\n\n"
        "## Sources\n\n"
        "- Tides: tides.md\n"
        "- Bread: bread.txt\n"
    )
    page.keyboard.press("Escape")

    page.get_by_role("button", name="Remove").first.click()
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Undo").wait_for(state="detached")
    settled(page)
    page.get_by_text("Open in the source").first.click()
    page.locator(".pincite-passage mark").wait_for()
    assert page.locator(".pincite-passage mark").inner_text().startswith("That is why high water")
    page.wait_for_url(lambda url: "/source?source=tides.md&" in url)
