"""The page in a real browser, over a real server, as people use it."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import serving, settled
from reportlab.pdfgen.canvas import Canvas

from pincite.embedding import Embedder
from pincite.settings import Settings
from pincite.sync import sync

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Playwright's own event loop leaves a socket to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")

HARBOUR = (
    "# Harbour rules\n\nThe harbour office closes at nine in the evening. <script>document.title = 'taken'</script>"
    "<img src=x onerror=\"document.title = 'taken'\">\n\n" + "Boats are moored by length. " * 400 + "\n\n"
    "## Fees\n\nA night at the visitors' pontoon costs eleven pounds for a boat of ten metres.\n"
)
TIDES = "# Tides\n\nThe moon pulls the sea towards it. That is why high water comes about every twelve hours.\n"
FEES = "# Fees of last year\n\nA night at the visitors' pontoon cost nine pounds for a boat of ten metres.\n"
FEE = "A night at the visitors' pontoon costs eleven pounds for a boat of ten metres."
ASKED = "how much is one night for a visiting boat"


def write(corpus: Path) -> None:
    """Three texts, two of them in a folder, and a PDF of two pages."""
    (corpus / "old notes").mkdir()
    (corpus / "harbour.md").write_text(HARBOUR, encoding="utf-8")
    (corpus / "old notes" / "tides.md").write_text(TIDES, encoding="utf-8")
    (corpus / "old notes" / "fees.txt").write_text(FEES, encoding="utf-8")
    canvas = Canvas(str(corpus / "keels.pdf"), pagesize=(400, 300))
    canvas.drawString(50, 250, "The first page is about wood.")
    canvas.showPage()
    canvas.drawString(50, 200, "A keel keeps a sailing boat from drifting sideways.")
    canvas.save()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder) -> Iterator[str]:
    """The address of a page over `write`'s documents, not to be changed."""
    folder = tmp_path_factory.mktemp("library")
    settings = Settings(corpus=folder / "corpus", index=folder / "index")
    settings.corpus.mkdir()
    write(settings.corpus)
    sync(settings, embedder=embedder)
    with serving(settings) as address:
        yield address


def box_has_focus(page: "Page") -> None:
    page.wait_for_function("document.activeElement?.getAttribute('aria-label') === 'Question'")


def current(page: "Page", number: int) -> str:
    """The citation of the passage that the keys stand on, which has this number."""
    page.locator(".pincite-current .pincite-title").get_by_text(re.compile(rf"^{number}\. ")).wait_for()
    return page.locator(".pincite-current .pincite-quiet").first.inner_text()


def test_a_question_is_answered_read_opened_and_cited_by_keys_alone(library: str, browser_page: "Page") -> None:
    from playwright.sync_api import expect

    page = browser_page
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(library)
    box_has_focus(page)
    page.keyboard.type("how much is one night for a visiting boat?")  # ? is no key while typing
    page.keyboard.press("Enter")
    page.locator("mark").first.wait_for()
    assert page.locator("mark").first.inner_text() == FEE
    page.wait_for_url(f"{library}/?q=how+much+is+one+night+for+a+visiting+boat%3F")

    settled(page)
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    first = current(page, 1)
    assert first.startswith("harbour.md › Fees › characters ")
    page.keyboard.press("ArrowDown")
    assert current(page, 2) != first
    page.keyboard.press("k")
    assert current(page, 1) == first
    page.keyboard.press("y")
    page.get_by_text("Copied: “A night").first.wait_for(state="attached")
    assert page.evaluate("navigator.clipboard.readText()") == f"“{FEE}” ({first})"

    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keys").inner_text().startswith("Keys\nj or ↓\nthe next passage")
    page.keyboard.press("Escape")
    page.get_by_role("dialog", name="Keys").wait_for(state="hidden")
    page.keyboard.press("/")
    box_has_focus(page)
    page.keyboard.press("Escape")

    page.keyboard.press("Enter")
    passage = page.locator(".pincite-passage")
    passage.wait_for()
    settled(page)
    assert "/source?" in page.url
    assert passage.locator("mark").inner_text() == FEE
    page.wait_for_function(
        "(() => { const box = document.querySelector('.pincite-passage').getBoundingClientRect();"
        " return box.top >= 0 && box.bottom <= innerHeight; })()"
    )
    link = page.url
    page.get_by_text(re.compile(r"Passage 1 of \d+")).wait_for()
    settled(page)
    page.keyboard.press("n")
    page.get_by_text(re.compile(r"Passage 2 of \d+")).wait_for()
    page.wait_for_url(lambda url: url != link)
    page.locator(".st-key-go-previous").wait_for()
    settled(page)
    page.keyboard.press("p")
    page.get_by_text(re.compile(r"Passage 1 of \d+")).wait_for()
    page.wait_for_url(link)
    settled(page)

    page.keyboard.press("b")
    page.locator(".pincite-hit").first.wait_for()
    expect(page.get_by_label("Question", exact=True)).to_have_value("how much is one night for a visiting boat?")
    own = (library, library.replace("http", "ws"), "data:", "blob:")
    assert [url for url in asked if not url.startswith(own)] == []


def test_a_link_reproduces_filters_and_view_and_text_of_documents_runs_nothing(
    library: str, browser_page: "Page"
) -> None:
    page = browser_page
    page.goto(f"{library}/?q={ASKED}&in=old notes/&by=document")
    page.locator("mark").first.wait_for()
    assert page.locator("mark").first.inner_text() == FEE.replace("costs eleven", "cost nine")
    assert page.locator(".pincite-title").first.inner_text() == "fees.txt"
    assert "harbour.md" not in page.locator("[data-testid=stMain]").inner_text()

    page.get_by_role("button", name="Filters (1)").click()
    page.get_by_role("combobox", name="Type").click()
    page.get_by_role("option", name="md (1)").click()
    page.wait_for_url(lambda url: "type=md" in url)
    page.get_by_text("old notes/fees.txt").first.wait_for(state="detached")
    page.goto(f"{library}/?q=when does the harbour office close")
    page.locator("mark").first.wait_for()
    assert page.locator("mark").first.inner_text() == "The harbour office closes at nine in the evening."
    assert "<script>document.title = 'taken'</script><img src=x" in page.locator(".pincite-text").first.inner_text()
    assert page.title() == "Pincite"

    settled(page)
    page.goto(library)
    page.get_by_role("button", name="when does the harbour office close").click()  # this browser remembers it
    page.wait_for_url(f"{library}/?q=when+does+the+harbour+office+close")
    settled(page)
    page.goto(library)
    page.get_by_role("button", name="Forget them").click()
    page.get_by_text("Asked before").wait_for(state="detached")


def test_a_pdf_opens_at_its_page_with_the_words_marked_and_is_turned_and_downloaded(
    library: str, browser_page: "Page", tmp_path: Path
) -> None:
    page = browser_page
    page.goto(f"{library}/?q=what stops a sailing boat drifting sideways")
    page.locator("mark").first.wait_for()
    assert page.locator(".pincite-hit .pincite-quiet").first.inner_text() == "keels.pdf, pp. 1–2"
    page.get_by_text("Open in the source").first.click()
    page.get_by_alt_text("Page 2 of keels.pdf; its text stands below").wait_for()
    page.get_by_text("Page 2 of 2").wait_for()
    settled(page)
    page.keyboard.press("ArrowLeft")
    page.get_by_alt_text("Page 1 of keels.pdf; its text stands below").wait_for()
    page.wait_for_url(lambda url: "page=1" in url)
    with page.expect_download() as begun:
        page.get_by_role("button", name="Original file").click()
    assert begun.value.suggested_filename == "keels.pdf"
    begun.value.save_as(tmp_path / "keels.pdf")
    assert (tmp_path / "keels.pdf").read_bytes().startswith(b"%PDF-")
    page.get_by_text("Text", exact=True).click()
    settled(page)
    assert page.locator(".pincite-passage mark").inner_text() == "A keel keeps a sailing boat from drifting sideways."


def test_the_first_page_of_a_server_comes_to_rest(
    settings: Settings, serve: Callable[[Settings], str], embedder: Embedder, browser_page: "Page"
) -> None:
    write(settings.corpus)
    sync(settings, embedder=embedder)
    told: list[str | bytes] = []
    browser_page.on("websocket", lambda socket: socket.on("framesent", lambda frame: told.append(frame)))
    browser_page.goto(serve(settings))
    browser_page.get_by_text("Nothing has changed since.").wait_for()
    settled(browser_page)
    before = len(told)
    assert before > 0
    browser_page.wait_for_timeout(2_000)
    assert len(told) == before  # whoever waits for something asks twice a second


def test_two_sets_of_sources_each_have_their_own_verdict(library: str, browser_page: "Page") -> None:
    page = browser_page
    page.goto(f"{library}/compare?q={ASKED}&ina=old notes/&typeb=pdf")
    page.locator("mark").first.wait_for()
    page.get_by_text("Nothing here answers that.").wait_for()
    settled(page)
    left, right = page.locator("[data-testid=stColumn]").all()
    assert left.locator("mark").first.inner_text() == FEE.replace("costs eleven", "cost nine")
    assert "Nothing here answers that." in right.inner_text()
    assert "Nothing here answers that." not in left.inner_text()


def test_documents_added_changed_and_deleted_are_seen_for_what_they_are(
    settings: Settings, embedder: Embedder, serve: Callable[[Settings], str], browser_page: "Page"
) -> None:
    write(settings.corpus)
    sync(settings, embedder=embedder)
    page = browser_page
    page.goto(f"{serve(settings)}/?q={ASKED}")
    page.get_by_text("Nothing has changed since.").wait_for()
    (settings.corpus / "anchor.md").write_text("# Anchors\n\nAn anchor of twenty kilos holds a boat of nine metres.\n")
    (settings.corpus / "harbour.md").write_text(HARBOUR.replace("eleven", "twelve"))
    (settings.corpus / "old notes" / "fees.txt").unlink()
    page.reload()
    page.get_by_text("The file has changed since: this is what it said when it was indexed.").first.wait_for()
    page.get_by_text("Passages of files that are gone").wait_for()
    page.get_by_role("button", name="Re-index").click()
    page.get_by_text("1 added, 1 changed, 0 moved, 1 removed").wait_for()
    page.get_by_text(FEE.replace("eleven", "twelve")).first.wait_for()
    page.get_by_text("Passages of files that are gone").wait_for(state="detached")
    page.get_by_label("Question", exact=True).fill("how heavy an anchor does a boat need")
    page.keyboard.press("Enter")
    page.get_by_text("An anchor of twenty kilos holds a boat of nine metres.").first.wait_for()


PAGES = [
    "",
    f"?q={ASKED}",
    f"compare?q={ASKED}&ina=old notes/",
    "source?source=harbour.md&start=0&end=60",
    "source?source=keels.pdf&start=0&end=20",
    "reading-list",
    "documents",
    "judge",
    "quality",
]


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES)
def test_every_page_can_be_heard_read_in_the_dark_and_held_in_a_hand(
    library: str, browser_page: "Page", path: str
) -> None:
    """axe-core finds nothing in light and dark; at 320 px, which is 400 % zoom of 1,280, nothing runs out sideways."""
    page = browser_page
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.goto(f"{library}/{path}")
        settled(page)
        assert [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in Axe().run(page).response["violations"]] == []
    page.set_viewport_size({"width": 320, "height": 640})
    page.reload()
    settled(page)
    wide = "[...document.querySelectorAll('[data-testid=stMain]')].map(e => e.scrollWidth - e.clientWidth)"
    assert page.evaluate(wide) == [0]


def main_width(page: "Page") -> int:
    return page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').clientWidth")


def test_back_leads_where_a_person_was_and_pages_keep_their_width(library: str, browser_page: "Page") -> None:
    from playwright.sync_api import expect

    page = browser_page
    page.goto(f"{library}/?q={ASKED}")
    page.locator("mark").first.wait_for()
    settled(page)
    page.get_by_role("link", name="Judge").click()
    page.get_by_role("heading", name="Judge", exact=True).wait_for()
    settled(page)
    page.go_back()
    page.locator("mark").first.wait_for()
    expect(page.get_by_label("Question", exact=True)).to_have_value(ASKED)

    asked = []
    page.on("request", lambda request: asked.append(request.url))
    narrow = main_width(page)
    page.get_by_role("link", name="Documents", exact=True).click()
    page.get_by_role("heading", name="What is in the folder").wait_for()
    settled(page)
    width = main_width(page)
    assert width > narrow
    for words in ("notes", "fees"):
        page.get_by_label("Words in the path").fill(words)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{library}/documents?words={words}")
        settled(page)
        assert main_width(page) == width
    page.go_back()
    page.wait_for_url(f"{library}/documents?words=notes")

    page.goto(f"{library}/source?source=harbour.md&from=documents&words=harbour")
    page.get_by_text("Back to the documents").click()
    page.wait_for_url(f"{library}/documents?words=harbour")
    page.go_back()
    page.locator(".pincite-text").wait_for()
    assert "source=harbour.md" in page.url

    page.goto(f"{library}/compare?q={ASKED}&ina=old+notes/&typeb=pdf")
    page.locator("mark").first.wait_for()
    settled(page)
    page.get_by_text("Open in the source").first.click()
    page.locator(".pincite-passage").wait_for()
    page.get_by_text("Back to the comparison").click()
    page.get_by_role("heading", name="Compare").wait_for()
    settled(page)
    assert all(part in page.url for part in ("ina=old+notes", "typeb=pdf", "/compare?q="))
    own = (library, library.replace("http", "ws"), "data:", "blob:")
    assert [url for url in asked if not url.startswith(own)] == []


def test_a_link_opens_what_it_names_although_a_box_holds_words_that_nobody_sent(
    library: str, browser_page: "Page"
) -> None:
    page = browser_page
    page.goto(f"{library}/?q={ASKED}")
    page.locator("mark").first.wait_for()
    settled(page)
    page.get_by_label("Question", exact=True).fill("something else altogether")
    page.get_by_text("Open in the source").first.click()
    page.locator(".pincite-passage").wait_for()
    page.wait_for_url(lambda url: url.startswith(f"{library}/source?q=how+much+is+one+night"))


@pytest.mark.parametrize(
    ("button", "kept"), [("Collect", "reading-list.jsonl"), ("Answers", "judgments/own.jsonl")], ids=str
)
@pytest.mark.parametrize("late", [5, 400], ids="{}ms".format)
def test_a_press_that_arrives_late_means_the_passage_that_was_seen_or_none(
    settings: Settings,
    embedder: Embedder,
    serve: Callable[[Settings], str],
    browser_page: "Page",
    button: str,
    kept: str,
    late: int,
) -> None:
    page = browser_page
    write(settings.corpus)
    sync(settings, embedder=embedder)
    page.goto(f"{serve(settings)}/?q={ASKED}")
    page.locator("mark").first.wait_for()
    settled(page)
    page.get_by_label("Question", exact=True).fill("what keeps a sailing boat from drifting sideways")
    page.get_by_role("button", name=button, exact=True).first.evaluate(
        """(button, late) => {
            const enter = {key: "Enter", code: "Enter", keyCode: 13, charCode: 13, bubbles: true};
            for (const name of ["keydown", "keypress"])
                document.activeElement.dispatchEvent(new KeyboardEvent(name, enter));
            setTimeout(() => button.click(), late);  // while the next question is on its way
        }""",
        late,
    )
    page.locator("mark", has_text="A keel keeps a sailing boat").first.wait_for()
    settled(page)
    file = settings.corpus.parent / kept
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    places = [place for line in lines for place in line.get("places", [line])]
    assert {(line["question"], place["quote"].endswith(FEE)) for line in lines for place in places} <= {(ASKED, True)}


def test_without_an_index_a_telephone_can_build_one(
    settings: Settings, serve: Callable[[Settings], str], browser_page: "Page"
) -> None:
    write(settings.corpus)
    page = browser_page
    page.set_viewport_size({"width": 375, "height": 780})
    page.goto(f"{serve(settings)}/?q={ASKED}")
    page.get_by_text("Nothing is indexed yet.").first.wait_for()
    page.get_by_role("button", name="Build the index").click()
    page.locator("mark").first.wait_for()
    assert page.locator("mark").first.inner_text() == FEE
