"""Pictures of every page over the sample corpus, into docs/images/. `scripts/screenshots` runs it."""

import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
ADDRESS = "http://localhost:8690"
QUESTION = "can ketamine damage your bladder"
WIDE, NARROW = {"width": 1280, "height": 860}, {"width": 375, "height": 780}
PAGES = {
    "start": "",
    "search": f"?q={QUESTION}",
    "nothing": "?q=best tyres for winter",
    "documents-of-hits": f"?q={QUESTION}&by=document&type=md",
    "source": f"source?q={QUESTION}&source=ketamine/dependence-and-long-term-use.md&start=1296&end=1693&mark=1315-1395",
    "compare": "compare?q=how long do the effects last&ina=ketamine/&inb=microdosing/",
    "reading-list": "reading-list",
    "documents": "documents",
    "judge": f"judge?q={QUESTION}",
    "quality": "quality",
}


def main() -> None:
    """In a folder of its own, which stands for a person's home."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("screenshots: there is no chromium: install it")
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        shutil.copytree(ROOT / "corpus", home / "corpus")
        shutil.copytree(ROOT / "judgments", home / "judgments", ignore=shutil.ignore_patterns("own.jsonl", "runs"))
        environment = {**os.environ, "HOME": folder, "PYTHONPATH": str(ROOT), "STREAMLIT_SERVER_HEADLESS": "true"}
        environment["XDG_CACHE_HOME"] = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
        for command in ("ingest.py", "evaluate.py"):
            subprocess.run([sys.executable, str(ROOT / command)], cwd=folder, env=environment, check=True)
        command = ["-m", "pincite", "page", "--port", ADDRESS.rpartition(":")[2]]
        with subprocess.Popen([sys.executable, *command], cwd=folder, env=environment) as server:
            try:
                _wait()
                with sync_playwright() as engine:
                    _draw(engine.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]))
            finally:
                server.kill()


def _wait() -> None:
    for _ in range(120):
        try:
            with urllib.request.urlopen(f"{ADDRESS}/_stcore/health", timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    sys.exit("screenshots: the page's server does not answer")


def _collect(browser: Browser) -> None:
    """Two passages for the reading list, one with a note."""
    page = browser.new_page()
    page.goto(f"{ADDRESS}/{PAGES['search']}")
    for _ in range(2):
        page.get_by_role("button", name="Collect", exact=True).first.click()
        page.wait_for_timeout(2000)
    page.goto(f"{ADDRESS}/reading-list")
    page.get_by_label("Note").first.fill("Ask about this before a second course.")
    page.keyboard.press("Control+Enter")
    page.wait_for_timeout(2000)
    page.close()


def _draw(browser: Browser) -> None:
    _collect(browser)
    for scheme in ("light", "dark"):
        for size, viewport in (("wide", WIDE), ("narrow", NARROW)):
            context = browser.new_context(color_scheme=scheme, viewport=viewport)
            page = context.new_page()
            for name, path in PAGES.items():
                page.goto(f"{ADDRESS}/{path}")
                _settle(page)
                _keep(page, IMAGES / f"{name}-{scheme}-{size}.png")
            context.close()
    browser.close()


def _settle(page: Page) -> None:
    page.locator("[data-testid=stMain] h1, .pincite-title").first.wait_for(state="attached", timeout=60_000)
    page.wait_for_function("document.querySelector('.stApp')?.dataset.testScriptState === 'notRunning'", timeout=60_000)
    page.wait_for_timeout(1500)  # charts are drawn after the script has run


def _keep(page: Page, file: Path) -> None:
    """In 256 colours: a quarter of the size."""
    picture = Image.open(io.BytesIO(page.screenshot()))
    picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)
    print(file.relative_to(ROOT))


if __name__ == "__main__":
    main()
