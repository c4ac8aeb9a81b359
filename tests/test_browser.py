"""The page in a real browser, over a real server."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

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


@pytest.fixture
def server(settings: Settings, embedder: Embedder, serve: Callable[[Settings], str]) -> str:
    """The address of a page over two documents."""
    (settings.corpus / "harbour.md").write_text(HARBOUR, encoding="utf-8")
    (settings.corpus / "tides.md").write_text(TIDES, encoding="utf-8")
    sync(settings, embedder=embedder)
    return serve(settings)


def test_a_question_is_typed_a_marked_passage_read_and_its_source_opened(server: str, browser_page: "Page") -> None:
    page = browser_page
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server)
    page.wait_for_function("document.activeElement?.getAttribute('aria-label') === 'Question'")

    page.keyboard.type("how much is one night for a visiting boat")
    page.keyboard.press("Enter")
    mark = page.locator("mark").first
    mark.wait_for()
    sentence = "A night at the visitors' pontoon costs eleven pounds for a boat of ten metres."
    assert mark.inner_text() == sentence
    assert page.url == f"{server}/?q=how+much+is+one+night+for+a+visiting+boat"

    page.get_by_text("Open in the source").first.click()
    passage = page.locator(".pincite-passage")
    passage.wait_for()
    assert "/source?source=harbour.md&" in page.url
    assert passage.locator("mark").inner_text() == sentence
    page.wait_for_function(
        "(() => { const box = document.querySelector('.pincite-passage').getBoundingClientRect();"
        " return box.top >= 0 && box.bottom <= innerHeight; })()"
    )

    page.get_by_text("Back to the results").click()
    page.locator("mark").first.wait_for()
    assert page.get_by_label("Question").input_value() == "how much is one night for a visiting boat"
    assert all(url.startswith((server, server.replace("http", "ws"), "data:", "blob:")) for url in asked)


def test_a_link_reproduces_the_question_and_text_of_documents_runs_nothing(server: str, browser_page: "Page") -> None:
    page = browser_page
    page.goto(f"{server}/?q=when does the harbour office close")
    page.locator("mark").first.wait_for()
    assert page.locator("mark").first.inner_text() == "The harbour office closes at nine in the evening."
    assert "<script>document.title = 'taken'</script><img src=x" in page.locator(".pincite-text").first.inner_text()
    assert page.title() == "Pincite"


def test_documents_added_are_found_after_a_click_on_re_index(
    server: str, browser_page: "Page", settings: Settings
) -> None:
    page = browser_page
    page.goto(server)
    page.get_by_text("Nothing has changed since.").wait_for()
    (settings.corpus / "keel.md").write_text("# Keels\n\nA keel keeps a sailing boat from drifting sideways.\n")
    page.get_by_role("button", name="Re-index").click()
    page.get_by_text("1 added, 0 changed, 0 moved, 0 removed").wait_for()
    page.get_by_label("Question").fill("what stops a sailing boat drifting sideways")
    page.keyboard.press("Enter")
    page.get_by_text("A keel keeps a sailing boat from drifting sideways.").first.wait_for()
    assert page.locator("mark").first.inner_text() == "A keel keeps a sailing boat from drifting sideways."
