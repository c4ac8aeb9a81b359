"""How fast the page is in a real browser, over its real server, and what memory the server keeps.

    python -m benchmarks.page [FOLDER_OF_DOCUMENTS] [--questions 50] [--crowd 500] [--json FILE]
    python -m benchmarks.page --collection FOLDER_IN_BEIR_LAYOUT

In headless Chromium, on this machine: from Enter to the first passage of the new question, and from a click on
“Open in the source” to the passage, as a script in the browser sees them frame by frame. Questions that nothing
answers are left out, and of those with the same first passage all but one, so that what is seen is the new one's.
Then five sessions ask at once, `--crowd` questions in all, while the memory of the server is looked at.

The index is made on first use and kept in the user's cache folder; a collection's documents are written there as
files, for the page looks at the file of everything that it shows. What was begun is taken up again.
"""

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.machine import conditions
from pincite.embedding.model import cache_folder
from pincite.errors import PinciteError
from pincite.evaluation import Collection
from pincite.evaluation.collection import draw
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.storage import Catalog, Recipe
from pincite.suggestions import suggest
from pincite.sync import sync
from pincite.ui.serve import free_port

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "corpus"
JUDGED = ROOT / "judgments" / "answerable.jsonl"
SESSIONS = 5
LOOK = 100
"""Questions from all sessions between two looks at memory."""
PATIENCE = 60_000
"""Milliseconds."""

WATCH = """
([event, key, selector, label]) => {
  window.measured = new Promise((done) => {
    const seen = (began) => {
      const found = document.querySelector(selector);
      const box = found?.getBoundingClientRect();
      const isThere = box && box.height > 0 && box.bottom > 0 && box.top < innerHeight &&
        found.closest("[data-stale=true]") === null &&
        (label === null || found.getAttribute("aria-label") === label);
      if (isThere) done(performance.now() - began);
      else requestAnimationFrame(() => seen(began));
    };
    const listening = new AbortController();
    addEventListener(event, (happened) => {
      if (key && happened.key !== key) return;
      listening.abort();
      seen(happened.timeStamp);
    }, { capture: true, signal: listening.signal });
  });
}
"""
"""Begins with the time that the browser gives to an event; ends in the frame in which the element can be seen."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and what the page then shows first."""

    text: str
    label: str
    """By which a screen reader knows the first passage."""


def settings_for(folder: Path, collection: Collection | None) -> Settings:
    """Where the index lies, and the documents; a collection's are written as files where they are not yet."""
    recipe = Recipe.of(Settings()).model_dump_json()
    of = collection.sha256() if collection else str(folder.resolve())
    name = f"{(collection.folder if collection else folder).resolve().name}-"
    home = cache_folder() / "benchmarks" / f"page-{name}{hashlib.sha256(f'{of}{recipe}'.encode()).hexdigest()[:16]}"
    home.mkdir(parents=True, exist_ok=True)
    corpus = home / "corpus" if collection else folder.resolve()
    if collection:
        corpus.mkdir(exist_ok=True)
        for document in collection.documents():
            file = corpus / f"{urllib.parse.quote(document.source, safe='')}.md"
            if not file.exists():
                part = file.with_suffix(".part")
                part.write_text(f"# {document.title}\n\n{document.text}\n", encoding="utf-8")
                part.rename(file)
    settings = Settings(corpus=corpus, index=home / "index")
    toml = f"corpus = {json.dumps(str(corpus))}\nindex = {json.dumps(str(settings.index))}\n"
    (home / "pincite.toml").write_text(toml, encoding="utf-8")
    return settings


def asked(folder: Path, collection: Collection | None, catalog: Catalog, count: int) -> list[str]:
    """The collection's own questions, those judged for the sample, or else headings of the documents."""
    if collection:
        return [query.question for query in draw(collection.queries(), count)]
    if folder.resolve() == SAMPLE:
        return [json.loads(line)["question"] for line in JUDGED.read_text(encoding="utf-8").splitlines()][:count]
    with catalog.reading():
        return suggest(catalog, count)


def expected(searcher: Searcher, texts: Sequence[str]) -> list[Question]:
    """Those that something answers, each with another first passage."""
    found: dict[str, Question] = {}
    for text in texts:
        hit = next(iter(searcher.search(text).hits), None)
        if hit is not None and hit.band != "none":
            label = f"Passage {hit.rank}, {hit.citation}"
            found.setdefault(label, Question(text, label))
    return list(found.values())


@contextmanager
def serving(home: Path) -> Iterator[tuple[str, int]]:
    """Address and process id of the page's server."""
    port = free_port(8650)
    command = [sys.executable, "-m", "pincite", "page", "--port", str(port)]
    environment = {**os.environ, "STREAMLIT_SERVER_HEADLESS": "true", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=home, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(600):
                try:
                    with urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=5):
                        break
                except OSError:
                    time.sleep(0.1)
            yield f"http://localhost:{port}", process.pid
        finally:
            process.kill()


def memory(process: int) -> float:
    """What the process holds in memory, in MiB."""
    told = subprocess.run(["ps", "-o", "rss=", "-p", str(process)], capture_output=True, text=True, check=True)
    return int(told.stdout) / 1024


def idle(page: Page) -> None:
    """The script has run to its end, and what it brought has been drawn."""
    page.wait_for_function("document.querySelector('.stApp')?.dataset.testScriptState === 'notRunning'")
    page.wait_for_timeout(400)


def begin(page: Page, question: Question) -> None:
    """Type a question and press Enter."""
    page.get_by_label("Question", exact=True).fill(question.text)
    page.evaluate(WATCH, ["keydown", "Enter", ".pincite-hit", question.label])
    page.keyboard.press("Enter")


def measured(page: Page) -> float:
    """Milliseconds, once it is there."""
    late = f"new Promise((_, fail) => setTimeout(() => fail('nothing after {PATIENCE} ms'), {PATIENCE}))"
    return float(page.evaluate(f"Promise.race([window.measured, {late}])"))


def opened(browser: Browser, address: str) -> Page:
    """The page, in a session of its own."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    page.get_by_label("Question", exact=True).wait_for()
    idle(page)
    return page


def one_by_one(page: Page, questions: Sequence[Question]) -> tuple[list[float], list[float]]:
    """Milliseconds from Enter to the results, and from the click to the passage."""
    results, sources = [], []
    for question in questions:
        begin(page, question)
        results.append(measured(page))
        idle(page)
        page.evaluate(WATCH, ["click", "", ".pincite-passage", None])
        page.get_by_text("Open in the source").first.click()
        sources.append(measured(page))
        idle(page)
        page.get_by_text("Back to the results").click()
        page.locator(".pincite-hit").first.wait_for()
        idle(page)
    return results, sources


def at_once(pages: Sequence[Page], questions: Sequence[Question]) -> list[float]:
    """Milliseconds from Enter to the results, while every session asks."""
    times: list[float] = []
    for first in range(0, len(questions), len(pages)):
        asking = list(zip(pages, questions[first : first + len(pages)], strict=False))
        for page, question in asking:
            begin(page, question)
        times += [measured(page) for page, _ in asking]
        for page, _ in asking:
            page.wait_for_function("document.querySelector('.stApp')?.dataset.testScriptState === 'notRunning'")
    return times


def summary(milliseconds: Sequence[float]) -> dict[str, int]:
    """Median and 95th percentile."""
    return {"median": round(statistics.median(milliseconds)), "p95": round(float(np.percentile(milliseconds, 95)))}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=SAMPLE)
    parser.add_argument("--collection", type=Path, help="in BEIR layout, in place of a folder of documents")
    parser.add_argument("--questions", type=int, default=50)
    parser.add_argument("--crowd", type=int, default=500, help="questions from five sessions at once; 0: none")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        parser.error("there is no chromium on this machine")
    try:
        collection = Collection(arguments.collection) if arguments.collection else None
        settings = settings_for(arguments.folder, collection)
        searcher = Searcher(settings)
        sync(settings, embedder=searcher.embedder, progress=told)
        with Catalog(settings.index) as catalog:
            texts = asked(arguments.folder, collection, catalog, 2 * max(arguments.questions, LOOK))
            with catalog.reading():
                counts = catalog.counts()
        questions = expected(searcher, texts)
    except PinciteError as error:
        parser.error(str(error))
    if len(questions) <= SESSIONS:
        parser.error("too few of the questions have an answer here")
    del searcher

    result: dict[str, Any] = {
        **conditions(("streamlit", "playwright")),
        "documents": counts["documents"],
        "passages": counts["passages"],
        "different_questions": len(questions),
    }
    with serving(settings.index.parent) as (address, process), sync_playwright() as engine:
        browser = engine.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        result["versions"]["chromium"] = browser.version
        page = opened(browser, address)
        one_by_one(page, questions[-2:])  # does not count: the first of each page loads its scripts
        results, sources = one_by_one(page, list(islice(cycle(questions), arguments.questions)))
        page.close()
        result["questions"] = len(results)
        result["enter_to_results_ms"] = summary(results)
        result["click_to_source_ms"] = summary(sources)
        if arguments.crowd:
            result |= crowd(browser, address, process, list(islice(cycle(questions), arguments.crowd)))
        browser.close()
    result["load_after"] = round(os.getloadavg()[0], 1)
    print(json.dumps(result, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def crowd(browser: Browser, address: str, process: int, questions: Sequence[Question]) -> dict[str, Any]:
    """Memory of the server before and after each hundred questions, and how long they took."""
    pages = [opened(browser, address) for _ in range(SESSIONS)]
    levels, times = {"before": round(memory(process))}, []
    for first in range(0, len(questions), LOOK):
        times += at_once(pages, questions[first : first + LOOK])
        levels[f"after {len(times)} questions"] = round(memory(process))
    return {"sessions": SESSIONS, "server_memory_mib": levels, "enter_to_results_at_once_ms": summary(times)}


def told(stage: str, done: int, total: int) -> None:
    """Progress of the index, on standard error."""
    if done == total or done % 1000 == 0:
        print(f"{stage} {done:,} of {total:,}", file=sys.stderr)


if __name__ == "__main__":
    main()
