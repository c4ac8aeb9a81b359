"""The page in a real browser, over a real server."""

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pincite.embedding import Embedder
from pincite.settings import Settings
from pincite.sync import sync

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

ROOT = Path(__file__).parents[1]
CHROMIUM = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
WAIT = 60_000
"""Milliseconds."""

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
    # Playwright's own event loop leaves a socket to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]

HARBOUR = (
    "# Harbour rules\n\nThe harbour office closes at nine in the evening. <script>document.title = 'taken'</script>"
    "<img src=x onerror=\"document.title = 'taken'\">\n\n" + "Boats are moored by length. " * 400 + "\n\n"
    "## Fees\n\nA night at the visitors' pontoon costs eleven pounds for a boat of ten metres.\n"
)
TIDES = "# Tides\n\nThe moon pulls the sea towards it. That is why high water comes about every twelve hours.\n"


@pytest.fixture
def server(settings: Settings, embedder: Embedder) -> Iterator[str]:
    """The address of a page over two documents."""
    (settings.corpus / "harbour.md").write_text(HARBOUR, encoding="utf-8")
    (settings.corpus / "tides.md").write_text(TIDES, encoding="utf-8")
    sync(settings, embedder=embedder)
    command = [sys.executable, "-m", "pincite", "page", "--port", "8620"]
    environment = {**os.environ, "STREAMLIT_SERVER_HEADLESS": "true", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command,
        cwd=settings.corpus.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield _address(process)
        finally:
            process.kill()


def _address(process: subprocess.Popen[str]) -> str:
    """What the server prints as its address, once it answers there."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://localhost:\d+", line):
            for _ in range(100):
                try:
                    with urllib.request.urlopen(f"{found[0]}/_stcore/health", timeout=5):
                        return found[0]
                except OSError:
                    time.sleep(0.1)
    raise AssertionError("the server did not start")


@pytest.fixture
def browser_page() -> Iterator["playwright.Page"]:
    """A page of headless Chromium that nothing but loopback is reached from."""
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(WAIT)
        yield page
        browser.close()


def test_a_question_is_typed_a_marked_passage_read_and_its_source_opened(
    server: str, browser_page: "playwright.Page"
) -> None:
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


def test_a_link_reproduces_the_question_and_text_of_documents_runs_nothing(
    server: str, browser_page: "playwright.Page"
) -> None:
    page = browser_page
    page.goto(f"{server}/?q=when does the harbour office close")
    page.locator("mark").first.wait_for()
    assert page.locator("mark").first.inner_text() == "The harbour office closes at nine in the evening."
    assert "<script>document.title = 'taken'</script><img src=x" in page.locator(".pincite-text").first.inner_text()
    assert page.title() == "Pincite"


def test_documents_added_are_found_after_a_click_on_re_index(
    server: str, browser_page: "playwright.Page", settings: Settings
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
