"""The page in each of its states, as Streamlit's own test harness sees it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from pincite.embedding import Embedder
from pincite.errors import IndexMissing
from pincite.search import as_json
from pincite.settings import Settings
from pincite.sync import sync
from pincite.ui import search_page
from pincite.ui.resources import shared
from pincite.ui.results import by_document
from pincite.ui.serve import serve

ROOT = Path(__file__).parents[1]
WAIT = 300
STAGES = ("Looking at the files", "Reading", "Embedding")

SOURCE_PAGE = """
import streamlit as st
from pincite.ui import source_page
from pincite.ui.pages import Pages
from pincite.ui.resources import shared

page = st.Page(lambda: source_page.show(Pages(*[page] * 7), shared()), title="Source", url_path="x", default=True)
st.navigation([page], position="hidden").run()
"""


@pytest.fixture(autouse=True)
def in_its_own_folder(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The page reads pincite.toml and the folders beside it."""
    monkeypatch.chdir(settings.corpus.parent)
    monkeypatch.setattr("pincite.ui.index_state._PATIENCE", WAIT)  # nobody runs these pages again when it is done
    st.cache_resource.clear()
    st.cache_data.clear()
    yield
    st.cache_resource.clear()
    st.cache_data.clear()


def ask(question: str = "") -> AppTest:
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT).run()
    if question:
        page.text_input(key="q").set_value(question).run()
    assert not page.exception
    return page


def ask_with(**url: str) -> AppTest:
    """The page as a link opens it."""
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT)
    for name, value in url.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def bodies(page: AppTest) -> str:
    """All that stands in our own markup, in order."""
    return "\n".join(element.proto.body for element in page.get("html"))


def captions(page: AppTest) -> list[str]:
    return [caption.value for caption in page.caption]


def button(page: AppTest, label: str) -> Button:
    return next(found for found in page.button if found.label == label)


def write(settings: Settings, name: str, text: str) -> None:
    (settings.corpus / name).write_text(text, encoding="utf-8")


TIDES = (
    "# Tides\n\nThe moon pulls the sea towards it. That is why high water comes about every twelve hours.\n\n"
    "## Spring tides\n\nAt new moon and full moon the sun and the moon pull along one line, and the range is largest.\n"
)
OPENING = TIDES.index("\n\n## Spring tides")
"""Where the passage before the second heading ends."""


@pytest.fixture
def indexed(settings: Settings, embedder: Embedder) -> Settings:
    write(settings, "tides.md", TIDES)
    write(settings, "bread.txt", "Bread\n\nSourdough rises slowly because wild yeast is slower than baker's yeast.\n")
    sync(settings, embedder=embedder)
    return settings


def test_an_empty_box_says_what_to_expect(indexed: Settings) -> None:
    page = ask()
    assert "Answers are shown word for word, with the place where each of them stands." in captions(page)
    assert "Nothing has changed since." in captions(page)
    assert "**2** documents, **3** passages" in [m.value for m in page.markdown]


def test_an_answer_shows_the_passage_its_marked_sentence_its_place_and_band(indexed: Settings) -> None:
    page = ask("why is there high water every twelve hours")
    html = bodies(page)
    assert "<mark>That is why high water comes about every twelve hours.</mark>" in html
    assert '<div class="pincite-title" role="heading" aria-level="2">1. Tides</div>' in html
    assert f'<div class="pincite-quiet">tides.md › characters 0–{OPENING}</div>' in html
    assert "Nothing here answers that." not in html


def test_an_index_on_the_command_line_is_served_with_the_folder_that_it_is_of(
    indexed: Settings, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setenv("PINCITE_PAGE_INDEX", "")  # so that it is as it was afterwards
    monkeypatch.setattr("os.execv", lambda _program, command: commands.append(command))
    serve(8000, Path("index"))
    assert commands[0][1:4] == ["-m", "streamlit", "run"]
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))  # neither settings nor documents are there
    page = ask("why is there high water every twelve hours")
    assert "tides.md › characters" in bodies(page)
    assert (shared().settings.index, shared().settings.corpus) == (indexed.index, indexed.corpus)


def test_the_question_comes_from_the_url(indexed: Settings) -> None:
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT)
    page.query_params["q"] = "why is the range of the tide largest at full moon"
    page.run()
    assert page.text_input(key="q").value == "why is the range of the tide largest at full moon"
    assert "tides.md › Spring tides › characters" in bodies(page)


def test_an_empty_box_offers_headings_of_the_documents_to_ask_for(indexed: Settings) -> None:
    page = ask()
    button(page, "Spring tides").click().run()
    assert page.query_params["q"] == "Spring tides"
    assert "tides.md › Spring tides › characters" in bodies(page)


def test_by_document_each_document_stands_once_with_its_passages(indexed: Settings) -> None:
    html = bodies(ask_with(q="why is there high water every twelve hours", by="document"))
    assert '<div class="pincite-title" role="heading" aria-level="2">Tides</div>' in html
    assert "tides.md · 1 passage<" in html
    hits = shared().searcher.search("why is there high water every twelve hours").hits
    assert [hit.passage.source for hit in hits] == ["tides.md", "bread.txt", "tides.md"]
    assert by_document(hits) == {"tides.md": [hits[0], hits[2]], "bread.txt": [hits[1]]}


def test_filters_in_the_url_hold_and_those_that_leave_nothing_say_so(indexed: Settings) -> None:
    html = bodies(ask_with(q="why is there high water every twelve hours", type="txt"))
    assert "bread.txt" in html
    assert "tides.md" not in html
    html = bodies(ask_with(q="why is there high water every twelve hours", year="1999"))
    assert '<div class="pincite-verdict">No passage is left by these filters.</div>' in html


def test_an_operator_that_says_nothing_is_told(indexed: Settings) -> None:
    assert "names no day: write after:2024" in bodies(ask("tides after:soon"))


@pytest.mark.parametrize("url", [{"n": "x"}, {"n": "9" * 30}, {"year": "0000"}, {"year": "9999"}, {"by": "colour"}])
def test_a_senseless_url_still_answers(indexed: Settings, url: dict[str, str]) -> None:
    assert "tides.md" in bodies(ask_with(q="why is there high water every twelve hours", **url))


def test_what_changed_or_went_since_it_was_indexed_is_not_shown_as_current(indexed: Settings) -> None:
    write(indexed, "tides.md", TIDES + "More.\n")
    html = bodies(ask("why is there high water every twelve hours"))
    assert "The file has changed since: this is what it said when it was indexed." in html
    (indexed.corpus / "tides.md").unlink()
    page = ask("why is there high water every twelve hours")
    assert '<div class="pincite-verdict">Nothing here answers that.</div>' in bodies(page)
    gone = next(fold for fold in page.expander if fold.label == "Passages of files that are gone")
    assert "The file is gone, or cannot be opened" in "".join(element.proto.body for element in gone.get("html"))


def test_what_is_gone_at_one_place_is_shown_at_another_where_it_still_stands(
    settings: Settings, embedder: Embedder
) -> None:
    for name in ("a.md", "b.md", "c.md"):
        write(settings, name, TIDES)
    sync(settings, embedder=embedder)
    for name in ("a.md", "b.md"):
        (settings.corpus / name).unlink()
    page = ask("why is there high water every twelve hours")
    assert f'<div class="pincite-quiet">c.md › characters 0–{OPENING}</div>' in bodies(page)
    assert "<mark>That is why high water comes about every twelve hours.</mark>" in bodies(page)
    labels = [fold.label for fold in page.expander]
    assert "Passages of files that are gone" not in labels
    assert not any(label.startswith("Also in") for label in labels)


def test_the_same_words_elsewhere_are_folded_and_can_be_opened(settings: Settings, embedder: Embedder) -> None:
    for name in ("a.md", "b.md", "c.md"):
        write(settings, name, TIDES)
    sync(settings, embedder=embedder)
    page = ask("why is there high water every twelve hours")
    assert "Also in 2 places, word for word" in [fold.label for fold in page.expander]


def test_more_passages_come_on_demand(indexed: Settings, embedder: Embedder) -> None:
    for number in range(30):
        write(
            indexed, f"boat-{number}.txt", f"Boat {number}\n\nThe crew of boat {number} painted its hull in spring.\n"
        )
    sync(indexed, embedder=embedder)
    page = ask("who painted the hull")
    assert "10 passages in" in "".join(captions(page))
    button(page, "More passages").click().run()
    assert page.query_params["n"] == "20"
    assert "20 passages in" in "".join(captions(page))


def test_when_nothing_answers_it_says_so_and_keeps_the_nearest_behind(indexed: Settings) -> None:
    page = ask("who won the football world cup in 1998")
    assert '<div class="pincite-verdict">Nothing here answers that.</div>' in bodies(page)
    assert [e.label for e in page.expander] == ["The nearest passages, which may not answer"]
    assert "pincite-text" in "".join(element.proto.body for element in page.expander[0].get("html"))


def test_a_question_of_stop_words_gets_a_clear_line(indexed: Settings) -> None:
    assert "holds only words that stand in every text: name what it is about" in bodies(ask("what is it"))


def test_text_of_documents_and_questions_is_never_html(settings: Settings, embedder: Embedder) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)> harbour **bold** $x$ :red[no]"
    write(settings, "<b>evil.txt", f"<i>Harbour rules</i>\n\nThe harbour closes at nine. {evil}\n")
    sync(settings, embedder=embedder)
    html = bodies(ask(f"when does the harbour close {evil}"))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=alert(2)&gt; harbour **bold** $x$" in html
    assert "&lt;b&gt;evil.txt" in html
    assert "<img" not in html
    assert "alert(1)</script>" not in html


def test_without_an_index_it_says_so_and_offers_to_make_one(settings: Settings) -> None:
    write(settings, "tides.md", TIDES)
    page = ask("why is there high water")
    assert "Nothing is indexed yet." in [m.value for m in page.markdown]
    assert '<div class="pincite-verdict">Nothing is indexed yet.</div>' in bodies(page)
    button(page, "Build the index").click().run()
    shared().job.wait(WAIT)
    page.run()
    assert "<mark>That is why high water comes about every twelve hours.</mark>" in bodies(page)


def test_an_index_that_is_made_while_the_page_looks_is_seen(
    settings: Settings, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(settings, "tides.md", TIDES)
    controls = search_page._controls

    def late(*arguments: Any) -> None:
        monkeypatch.setattr(search_page, "_controls", controls)
        try:
            controls(*arguments)
        except IndexMissing:
            sync(settings, embedder=embedder)  # the end of one that another page began
            raise

    monkeypatch.setattr(search_page, "_controls", late)
    html = bodies(ask("why is there high water"))
    assert "<mark>That is why high water comes about every twelve hours.</mark>" in html


def test_re_indexing_takes_in_what_is_new(indexed: Settings) -> None:
    write(indexed, "boats.md", "# Boats\n\nA keel keeps a sailing boat from drifting sideways.\n")
    page = ask()
    assert "1 file has changed since: re-index." in captions(page)
    button(page, "Re-index").click().run()
    shared().job.wait(WAIT)
    page.run()
    assert [s.value for s in page.success] == ["1 added, 0 changed, 0 moved, 0 removed"]
    assert "Nothing has changed since." in captions(page)
    page.text_input(key="q").set_value("what stops a sailing boat drifting sideways").run()
    assert "<mark>A keel keeps a sailing boat from drifting sideways.</mark>" in bodies(page)


def test_a_question_is_answered_while_a_sync_runs(indexed: Settings) -> None:
    for number in range(300):
        write(indexed, f"log-{number}.txt", f"Entry {number}. " + f"The crew of boat {number} painted the hull. " * 12)
    page = ask()
    button(page, "Re-index").click().run()
    page.text_input(key="q").set_value("why is there high water every twelve hours").run()
    assert shared().job.is_running
    assert "<mark>That is why high water comes about every twelve hours.</mark>" in bodies(page)
    assert next(bar.proto.text.partition(":")[0] for bar in page.get("progress")) in STAGES
    assert "Questions are answered from the present index meanwhile." in captions(page)
    shared().job.wait(WAIT)
    page.run()
    assert [s.value for s in page.success] == ["300 added, 0 changed, 0 moved, 0 removed"]


def test_a_sync_that_fails_says_why_and_questions_go_on(indexed: Settings) -> None:
    page = ask("why is there high water every twelve hours")
    for file in indexed.corpus.iterdir():
        file.unlink()
    button(page, "Re-index").click().run()
    shared().job.wait(WAIT)
    page.run()
    assert "holds no document that can be read" in bodies(page)
    assert "<mark>That is why high water comes about every twelve hours.</mark>" in bodies(page)


def test_a_damaged_catalog_is_named(indexed: Settings) -> None:
    (indexed.index / "catalog.sqlite").write_bytes(b"not a database at all" * 500)
    for side in ("catalog.sqlite-wal", "catalog.sqlite-shm"):
        (indexed.index / side).unlink(missing_ok=True)
    assert "catalog.sqlite: damaged" in bodies(ask("why is there high water"))


def test_bad_settings_are_named(indexed: Settings) -> None:
    Path("pincite.toml").write_text("colour = 'red'\n", encoding="utf-8")
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT).run()
    assert not page.exception
    assert "pincite.toml: colour: unknown key" in bodies(page)


def test_reruns_load_neither_model_nor_index_again(indexed: Settings) -> None:
    page = ask("why is there high water every twelve hours")
    resources = shared()
    opened = resources.searcher.index._opened
    page.text_input(key="q").set_value("what makes sourdough slow").run()
    assert shared() is resources
    assert resources.searcher.index._opened is opened


def open_source(**query: str) -> AppTest:
    page = AppTest.from_string(SOURCE_PAGE, default_timeout=WAIT)
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def test_the_source_opens_at_the_passage(indexed: Settings) -> None:
    start = TIDES.index("That is why")
    html = bodies(open_source(source="tides.md", start="0", end=str(OPENING), mark=f"{start}-{OPENING}"))
    assert (
        '<span class="pincite-passage"># Tides\n\nThe moon pulls the sea towards it. '
        "<mark>That is why high water comes about every twelve hours.</mark></span>" in html
    )
    assert f"tides.md, characters 0–{OPENING} of {len(TIDES)}" in html


def test_every_page_of_a_pdf_can_be_turned_to_with_text_or_without(settings: Settings, embedder: Embedder) -> None:
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(settings.corpus / "ship.pdf"))
    for number in range(1, 6):  # a cover, and drawings between and after two pages of text
        if number in (2, 4):
            canvas.drawString(100, 700, f"Page {number} tells of the ship and its keel.")
        else:
            canvas.rect(100, 100, 200, 200)
        canvas.showPage()
    canvas.save()
    sync(settings, embedder=embedder)
    seen = []
    for number in range(1, 6):
        page = open_source(source="ship.pdf", page=str(number))
        texts = [element.proto.body for element in page.get("html") if "pincite-text" in element.proto.body]
        seen.append((captions(page)[0], len(texts), "This page has no text." in captions(page)))
    assert seen == [(f"Page {n} of 5", int(n in (2, 4)), n not in (2, 4)) for n in range(1, 6)]
    page = open_source(source="ship.pdf", page="2")
    button(page, "Next page").click().run()
    assert captions(page)[0] == "Page 3 of 5"
    assert button(open_source(source="ship.pdf", page="5"), "Next page").disabled


def test_what_is_offered_follows_an_index_that_was_made_anew(indexed: Settings, embedder: Embedder) -> None:
    assert button(ask(), "Spring tides")
    shutil.rmtree(indexed.index)
    write(indexed, "tides.md", TIDES.replace("Spring tides", "Neap tides"))
    assert sync(indexed, embedder=embedder).generation == 1
    labels = [found.label for found in ask().button]
    assert "Neap tides" in labels
    assert "Spring tides" not in labels


def test_a_link_to_an_earlier_version_says_so(indexed: Settings) -> None:
    html = bodies(open_source(source="tides.md", start="0", end="7", file="0000000000000000"))
    assert "The document was indexed anew since this link was made" in html


@pytest.mark.parametrize("start", ["-5", "999999", "x", ""])
def test_a_link_with_a_senseless_place_still_shows_the_document(indexed: Settings, start: str) -> None:
    assert "The moon pulls the sea" in bodies(open_source(source="tides.md", start=start, end="7"))


def test_a_link_to_a_document_that_is_gone_says_so(indexed: Settings) -> None:
    assert "gone.md: not in the index" in bodies(open_source(source="gone.md"))


def test_the_json_of_the_command_line_and_the_page_agree(indexed: Settings) -> None:
    answer = as_json(shared().searcher.search("why is there high water every twelve hours"))
    shown = bodies(ask("why is there high water every twelve hours"))
    assert json.dumps(answer["hits"][0]["citation"], ensure_ascii=False).strip('"') in shown
