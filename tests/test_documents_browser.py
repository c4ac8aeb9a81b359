"""The Documents page in a real browser: a file is added, seen, taken in and read; a long sync is stopped."""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import settled

from pincite.embedding import Embedder
from pincite.settings import Settings
from pincite.sync import sync

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [
    # Playwright's own event loop leaves a socket to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
    pytest.mark.slow,
]

TIDES = "# Tides\n\nThe moon pulls the sea towards it. That is why high water comes about every twelve hours.\n"
NAME = "héron <img src=x> :red[x].txt"
HERON = "Le héron mange des grenouilles.\n".encode("latin-1")
OTHER = "Other words, après.\n".encode("latin-1")


@pytest.fixture
def server(settings: Settings, embedder: Embedder, serve: Callable[[Settings], str]) -> str:
    """The address of a page over one document, that takes files."""
    (settings.corpus / "tides.md").write_text(TIDES)
    (settings.corpus / "reports").mkdir()
    sync(settings, embedder=embedder)
    (settings.corpus.parent / "pincite.toml").write_text("[page]\nupload = true\n[sync]\nmax_megabytes = 1\n")
    return serve(settings)


def shows(cells: "Locator", *texts: str) -> None:
    """The first cells of the table, which is drawn on a canvas and kept for screen readers beside it."""
    from playwright.sync_api import expect

    for number, text in enumerate(texts):
        expect(cells.nth(number)).to_have_text(text, timeout=30_000)


def test_a_file_is_added_seen_taken_in_and_opened(server: str, browser_page: "Page", settings: Settings) -> None:
    from playwright.sync_api import TimeoutError as PlaywrightTimeout

    page = browser_page
    page.goto(f"{server}/documents")
    page.get_by_text("Nothing has changed since.").wait_for()
    settled(page)  # what is opened while the page is still being drawn closes again

    page.get_by_text("Add files").click()
    chooser = page.locator("input[type=file]")
    chooser.set_input_files([{"name": NAME, "mimeType": "text/plain", "buffer": HERON}])
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text(f"{NAME}: added to the folder").wait_for()
    assert (settings.corpus / NAME).read_bytes() == HERON
    page.get_by_text("Since the last sync: 1 new.").wait_for()
    page.get_by_role("radio", name="New (1)").click()
    cells = page.locator("[data-testid=stDataFrame] canvas [role=gridcell]")
    page.wait_for_url(f"{server}/documents?show=new")
    shows(cells, NAME, "new")

    chooser.set_input_files([{"name": NAME, "mimeType": "text/plain", "buffer": OTHER}])
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text("another file has this name, and was left as it is").wait_for()
    assert (settings.corpus / NAME).read_bytes() == HERON
    page.get_by_role("button", name="Replace the file that is there").wait_for()

    page.get_by_role("radio", name="All (2)").click()
    page.wait_for_url(f"{server}/documents")
    page.get_by_role("button", name="Replace the file that is there").click()
    page.get_by_text(f"{NAME}: replaced").wait_for()
    page.get_by_role("button", name="Take them in now").click()
    page.get_by_text("1 added, 0 changed, 0 moved, 0 removed").wait_for()
    page.get_by_text("2 documents, 2 passages").wait_for()
    page.get_by_label("Words in the path").fill("HÉRON")
    page.keyboard.press("Enter")
    page.get_by_text("1 row.").wait_for()
    settled(page)  # until then the table of before may stand beside the new one
    table = page.locator("[data-testid=stDataFrame]")
    table.scroll_into_view_if_needed()
    shows(cells, NAME, "indexed")
    box = table.bounding_box()
    assert box is not None
    card = page.get_by_text(f"{NAME} (indexed)")
    for _ in range(4):  # a canvas, which does not say when it is ready for a click
        page.mouse.click(box["x"] + 18, box["y"] + 52)  # the box in front of its first row
        with suppress(PlaywrightTimeout):  # the choice is sent a moment after it is made
            card.wait_for(timeout=5_000)
            break
    page.locator(".pincite-notice", has_text="decoded from").wait_for()
    card.wait_for()
    page.get_by_text("Open it as it was indexed").click()
    page.get_by_text("Other words, après.").wait_for()
    page.wait_for_url(lambda url: "source=h%C3%A9ron" in url)


def test_a_control_changed_while_another_is_taken_in_leaves_that_as_it_is(
    server: str, browser_page: "Page", settings: Settings
) -> None:
    page = browser_page
    (settings.corpus / "mooring.txt").write_text("Boats are moored by length.\n")
    (settings.corpus / "reports" / "mooring.txt").write_text("Boats are painted in spring.\n")
    page.goto(f"{server}/documents")
    page.get_by_text("Since the last sync: 2 new.").wait_for()
    settled(page)
    page.get_by_label("Words in the path").fill("mooring")
    page.get_by_role("radio", name="New (2)").evaluate(
        """radio => {
            const enter = {key: "Enter", code: "Enter", keyCode: 13, charCode: 13, bubbles: true};
            for (const name of ["keydown", "keypress"])
                document.activeElement.dispatchEvent(new KeyboardEvent(name, enter));
            setTimeout(() => radio.click(), 5);  // before the browser was told of the new URL
        }"""
    )
    page.get_by_text("2 rows.").wait_for()
    settled(page)
    assert parse_qs(urlsplit(page.url).query) == {"words": ["mooring"], "show": ["new"]}
    assert page.get_by_label("Words in the path").input_value() == "mooring"
    assert page.get_by_role("radio", name="New (2)").is_checked()


def test_a_long_sync_is_watched_and_stopped_while_a_question_is_answered(
    server: str, browser_page: "Page", settings: Settings
) -> None:
    page = browser_page
    for number in range(600):
        (settings.corpus / f"log {number}.txt").write_text(f"Entry {number}. " + f"Boat {number} was painted. " * 12)
    page.goto(f"{server}/documents")
    page.get_by_text("Since the last sync: 600 new.").wait_for()
    page.get_by_role("button", name="Re-index").click()
    page.get_by_text("Reading: ").wait_for()

    other = page.context.new_page()
    other.goto(f"{server}/?q=why is there high water every twelve hours")
    other.locator("mark").first.wait_for()
    assert other.locator("mark").first.inner_text() == "That is why high water comes about every twelve hours."
    other.get_by_text("Questions are answered from the present index meanwhile.").wait_for()
    other.close()

    page.get_by_text("Embedding: ").wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("Stopped. The index is as it was").wait_for()
    page.get_by_text("1 documents, 1 passages").wait_for()
    page.get_by_text("Since the last sync: 600 new.").wait_for()


def test_what_changes_in_a_watched_folder_is_listed_without_a_click(
    settings: Settings, embedder: Embedder, serve: Callable[[Settings], str], browser_page: "Page"
) -> None:
    page = browser_page
    (settings.corpus / "tides.md").write_text(TIDES)
    sync(settings, embedder=embedder)
    (settings.corpus.parent / "pincite.toml").write_text("[sync]\nwatch = true\n")
    page.goto(f"{serve(settings)}/documents")
    page.get_by_text("The folder is watched: what changes is taken in by itself.").wait_for()
    page.get_by_text("1 documents, 1 passages").wait_for()
    (settings.corpus / "heron.txt").write_bytes(HERON)  # one small file: its sync is over between two looks
    page.get_by_text("2 documents, 2 passages").wait_for()
    page.get_by_text("2 rows.").wait_for()
    (settings.corpus / "tides.md").unlink()
    page.get_by_text("1 documents, 1 passages").wait_for()
    page.get_by_text("1 row.").wait_for()
    shows(page.locator("[data-testid=stDataFrame] canvas [role=gridcell]"), "heron.txt", "indexed")
