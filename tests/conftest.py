"""What tests share: the real model, and the sample corpus indexed once."""

import gc
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from filelock import FileLock

from pincite import embedding
from pincite.embedding import Embedder
from pincite.settings import Settings
from pincite.sync import sync

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[1]
_STILL = """pause => {
    const now = performance.now();
    if (!window.changes) {
        window.changes = new MutationObserver(() => { window.changed = performance.now(); });
        window.changes.observe(document, {childList: true, characterData: true, attributes: true, subtree: true});
        window.changed = now;
    }
    const state = document.querySelector('.stApp')?.getAttribute('data-test-script-state');
    const unfinished = document.querySelector('[data-testid=stSkeleton], [data-stale=true]');
    const listens = window.pinciteKeys && !window.pinciteKeys.signal.aborted;
    return state === 'notRunning' && !unfinished && listens && now - window.changed > pause;
}"""
"""Whether the script has run to its end, all is drawn, keys are listened to, and nothing has changed for so many
milliseconds."""
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_CHROMIUMS = ("chromium-headless-shell", "chromium", "chromium-browser")
"""The first draws pages and no windows around them, which take the others a second of a processor for each page."""
CHROMIUM = next((path for name in _CHROMIUMS if (path := shutil.which(name))), None)
PORT = 8620 + 100 * WORKER
"""The first that a server of the page tries: two that look for a free one at once may find the same."""


hypothesis.settings.register_profile("busy", deadline=None)  # how long an example takes is the machine's business
hypothesis.settings.load_profile("busy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes on its own begins first, so that nobody waits for it in the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of a run of tests share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def embedder(together: Path) -> Embedder:
    """The default model on the engine that this machine gets."""
    # Of several processes of tests one converts it, and the others wait.
    with FileLock(together / "model.lock"):
        return embedding.open_embedder(embedding.find("all-MiniLM-L6-v2"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An empty corpus folder and no index yet."""
    (tmp_path / "corpus").mkdir()
    return Settings(corpus=tmp_path / "corpus", index=tmp_path / "index")


@pytest.fixture(scope="session")
def sample(together: Path, embedder: Embedder) -> Settings:
    """The sample corpus, indexed. Not to be written to."""
    settings = Settings(corpus=ROOT / "corpus", index=together / "sample" / "index")
    made = together / "sample" / "made"
    with FileLock(together / "sample.lock"):
        if not made.exists():  # of several processes of tests the first makes it
            sync(settings, embedder=embedder)
            made.touch()
    return settings


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of test collections and documents beside the project."""
    folder = Path(os.environ.get("PINCITE_SHARED", ROOT.parent / "shared"))
    if not (folder / "seed").is_dir():
        pytest.skip(f"the folder of test material is not there: {folder}")
    return folder


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """The address of the page's real server for some settings, run in their folder."""
    command = [sys.executable, "-m", "pincite", "page", "--port", str(PORT)]
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


@pytest.fixture
def serve() -> Iterator[Callable[[Settings], str]]:
    """Starts the page's server for one test."""
    with ExitStack() as running:
        yield lambda settings: running.enter_context(serving(settings))


def _address(process: "subprocess.Popen[str]") -> str:
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


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Headless Chromium, started once a file."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with playwright.sync_playwright() as engine:
        running = engine.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield running
        running.close()
    gc.collect()  # what the engine leaves open is complained of here, and not in whatever test comes next


@pytest.fixture
def browser_page(browser: "Browser") -> Iterator["Page"]:
    """A page of a browser that remembers nothing, from which nothing but loopback is reached."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, permissions=["clipboard-read", "clipboard-write"]
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    yield page
    context.close()


def settled(page: "Page") -> None:
    """The page is as it will stay: what the browser remembers may have the script run once more."""
    page.locator(".st-key-keys").wait_for(state="attached")  # it comes last
    page.wait_for_function(_STILL, arg=500, timeout=60_000)
