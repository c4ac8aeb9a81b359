"""The evaluator's pages in a real browser: judging with the keys, and measuring what was judged."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import settled

from pincite.embedding import Embedder
from pincite.settings import Settings
from pincite.sync import sync

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[1]
QUESTION = "why is there high water every twelve hours"
NASTY = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\"> :red[x] $x^2$"
TEXTS = {
    "tides.md": "The moon pulls the sea towards it. That is why high water comes about every twelve hours.",
    "bread.md": f"Sourdough rises slowly because wild yeast is slower than baker's yeast. {NASTY}",
    "harbour.md": "The harbour office closes at nine in the evening, at high water an hour later.",
}

pytestmark = [
    pytest.mark.slow,
    # Playwright's own event loop leaves a socket to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]


def own(settings: Settings) -> list[dict[str, Any]]:
    lines = (settings.corpus.parent / "judgments" / "own.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def passage(page: "Page", number: int) -> str:
    """The source of the passage that is shown, once it is the one with this number."""
    page.get_by_text(f"Passage {number} of 3").wait_for()
    place = page.locator(".pincite-quiet", has_text=re.compile(r"^(tides|bread|harbour)\.md ›")).first
    return place.inner_text().split(" ›")[0]


def test_three_passages_are_graded_with_the_keys_and_measured(
    settings: Settings, embedder: Embedder, serve: Callable[[Settings], str], browser_page: "Page"
) -> None:
    for name, text in TEXTS.items():
        (settings.corpus / name).write_text(f"# {name[:-3].title()}\n\n{text}\n", encoding="utf-8")
    sync(settings, embedder=embedder)
    server, page = serve(settings), browser_page

    # A question is typed: grades typed into the box are none.
    page.goto(f"{server}/judge")
    page.get_by_label("Question").click()
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    page.get_by_text("0 of 3 judged").wait_for()
    settled(page)
    page.keyboard.type(" 2")
    page.keyboard.press("Backspace")
    page.keyboard.press("Backspace")
    page.keyboard.press("Escape")

    given: dict[str, int] = {}
    for number, key in enumerate("210", start=1):
        source = passage(page, number)
        settled(page)
        page.keyboard.press(key)
        given[source] = int(key)
        page.get_by_text(f"{number} of 3 judged").wait_for()
    page.get_by_text("All passages are judged.").wait_for()
    settled(page)
    assert {place["source"]: place["grade"] for place in own(settings)[-1]["places"]} == given
    assert [len(line["places"]) for line in own(settings)] == [1, 2, 3]
    assert {line["question"] for line in own(settings)} == {QUESTION}

    # Everything is there after a reload, and text of documents has run nothing.
    page.keyboard.press("k")
    said = {2: "You said: answers", 1: "You said: answers in part", 0: "You said: does not answer"}
    for number in (3, 2, 1):
        source = passage(page, number)
        page.reload()
        assert passage(page, number) == source
        page.get_by_text(said[given[source]], exact=True).wait_for()
        if source == "bread.md":
            settled(page)
            assert NASTY in page.locator(".pincite-judging").inner_text()
        if number > 1:
            page.get_by_role("button", name="Back", exact=True).click()
    assert page.title() == "Pincite"
    assert len(own(settings)) == 3

    # What was judged is measured, beside the page, as the command measures it.
    page.get_by_role("link", name="Quality").first.click()
    page.get_by_role("button", name="Measure").click()
    row = page.get_by_role("table", name="Documents").get_by_role("row", name="nDCG@10")
    row.wait_for()
    command = [sys.executable, str(ROOT / "evaluate.py"), "--json", "out.json"]
    subprocess.run(command, cwd=settings.corpus.parent, check=True, capture_output=True)
    out = json.loads((settings.corpus.parent / "out.json").read_text(encoding="utf-8"))
    assert row.get_by_role("cell").first.inner_text() == f"{out['measures']['nDCG@10']:.3f}"
    assert out["queries"] == 1
