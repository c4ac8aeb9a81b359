"""kill -9 during a sync: afterwards the old index answers or the new one, whole, and the next sync completes."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pincite.doctor import examine
from pincite.embedding import Embedder
from pincite.search import Searcher, as_json
from pincite.settings import Settings
from pincite.storage import Catalog, IndexFolder
from pincite.storage.generation import generation_numbers
from pincite.sync import sync

ROOT = Path(__file__).parents[1]
FILES = 36
QUESTIONS = ("what does the heron hunt?", "which bird sleeps by day?", "number 7")


def text(number: int, turn: int) -> str:
    """Of three passages, one of which changes from turn to turn."""
    return (
        f"# Bird {number}\n\nBird number {number} hunts frogs in the pond.\n\n"
        f"## Sleep\n\nIt sleeps by day in tree {number}.\n\n"
        f"## Diary\n\nIn turn {turn} the heron number {number} was seen at the lake.\n"
    )


def write_turn(corpus: Path, turn: int) -> None:
    """Of every four files one is edited, one moved, one added or removed, one left as it is."""
    for number in range(FILES):
        what = number % 4
        if what == 0:
            (corpus / f"{number:02}.md").write_text(text(number, turn))
        elif what == 1:
            old, new = corpus / f"{number:02}-{turn - 1}.md", corpus / f"{number:02}-{turn}.md"
            if old.exists():
                old.rename(new)
            else:
                new.write_text(text(number, 0))
        elif what == 2:
            path = corpus / f"{number:02}.md"
            if (number // 4 + turn) % 2:
                path.write_text(text(number, turn))
            else:
                path.unlink(missing_ok=True)
        elif turn == 0:
            (corpus / f"{number:02}.md").write_text(text(number, 0))


State = tuple[dict[str, str], list[list[dict[str, Any]]]]


def state(settings: Settings, embedder: Embedder) -> State:
    """Everything that an index says: its documents, and every hit of some questions."""
    with Catalog(settings.index) as catalog, catalog.reading():
        documents = {source: catalog.document(source) for source in catalog.files()}
    searcher = Searcher(settings, embedder)
    hits = [as_json(searcher.search(question, 200))["hits"] for question in QUESTIONS]
    kept = ("source", "start", "end", "text", "heading", "marks", "citation", "also")
    return (
        {source: document.text for source, document in documents.items() if document},
        [[{key: hit[key] for key in kept} for hit in some] for some in hits],
    )


def held(corpus: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in corpus.iterdir()}


def child(settings: Settings, *before: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, *before, "ingest.py", str(settings.corpus), "--index", str(settings.index)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


@pytest.fixture
def birds(settings: Settings, embedder: Embedder) -> Settings:
    write_turn(settings.corpus, 0)
    sync(settings, embedder=embedder)
    return settings


def assert_old_or_new_then_new(settings: Settings, embedder: Embedder, old: State, was_killed: bool) -> State:
    """What must hold after a kill. Gives back the state after the next sync."""
    found = state(settings, embedder)
    late = ("changed since it was indexed: run python ingest.py", "(No such file or directory)): run python ingest.py")
    assert [problem for problem in examine(settings).problems if not problem.endswith(late)] == []
    done = sync(settings, embedder=embedder)
    new = state(settings, embedder)
    assert new[0] == held(settings.corpus)
    assert found in (old, new)
    assert was_killed or found == new
    assert (done.documents, done.passages) == (len(new[0]), 3 * len(new[0]))
    assert examine(settings).problems == []
    assert generation_numbers(IndexFolder(settings.index)) == [done.generation]
    return new


def moments(rng: random.Random, count: int, length: float) -> Iterator[float]:
    """Random moments of a run, one in each of as many stretches of the same length."""
    for number in range(count):
        yield (number + rng.random()) / count * length


@pytest.mark.alone
def test_a_sync_killed_at_any_of_20_random_moments_leaves_the_old_index_or_the_new(
    birds: Settings, embedder: Embedder
) -> None:
    write_turn(birds.corpus, 1)
    started = time.monotonic()
    whole = child(birds)
    _, errors = whole.communicate(timeout=60)
    length = time.monotonic() - started
    assert (whole.returncode, errors) == (0, b"")
    old = state(birds, embedder)
    assert old[0] == held(birds.corpus)

    seed = random.randrange(10**6)
    print(f"seed {seed}, a run takes {length:.2f} s")  # shown if the test fails
    killed = 0
    for turn, moment in enumerate(moments(random.Random(seed), 20, length), start=2):
        write_turn(birds.corpus, turn)
        running = child(birds)
        try:
            running.wait(moment)
        except subprocess.TimeoutExpired:
            running.kill()
        running.communicate()
        killed += running.returncode == -signal.SIGKILL
        assert running.returncode in (0, -signal.SIGKILL)
        old = assert_old_or_new_then_new(birds, embedder, old, was_killed=running.returncode != 0)
    assert killed >= 10


DIES_AT = """
import os, signal, sys
number, folder = int(sys.argv[1]), sys.argv[2]
seen = 0
kinds = ("open", "os.", "shutil.", "sqlite3.", "fcntl.", "pathlib.")

def watch(event, arguments):
    global seen
    if number < 0 and event == "shutil.rmtree" and str(arguments[0]) == folder:
        os.kill(os.getpid(), signal.SIGKILL)
    if event.startswith(kinds) and any(folder in str(one) for one in arguments[:2]) or event == "fcntl.flock":
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
sys.argv = sys.argv[3:]
import runpy
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as done:
    if number == 0:
        print(seen, file=sys.stderr)
    raise
"""


@pytest.mark.slow
def test_a_sync_killed_at_any_step_upon_the_index_leaves_the_old_index_or_the_new(
    birds: Settings, embedder: Embedder
) -> None:
    """The moments between two operations on the index's files are short: here each is as likely as a long one."""
    write_turn(birds.corpus, 1)
    whole = child(birds, "-c", DIES_AT, "0", str(birds.index))
    _, errors = whole.communicate(timeout=60)
    assert whole.returncode == 0
    steps = int(errors)
    assert steps > 50
    old = state(birds, embedder)

    seed = random.randrange(10**6)
    print(f"seed {seed}, {steps} steps")
    rng = random.Random(seed)
    killed = 0
    for turn, step in enumerate(moments(rng, 16, steps), start=2):
        write_turn(birds.corpus, turn)
        running = child(birds, "-c", DIES_AT, str(int(step) + 1), str(birds.index))
        running.communicate(timeout=60)
        assert running.returncode in (0, -signal.SIGKILL)  # a turn has a few steps more or fewer than the first
        killed += running.returncode != 0
        old = assert_old_or_new_then_new(birds, embedder, old, was_killed=running.returncode != 0)
    assert killed >= 12


def test_a_sync_killed_while_it_sweeps_leaves_the_new_index(birds: Settings, embedder: Embedder) -> None:
    write_turn(birds.corpus, 1)
    old = IndexFolder(birds.index).generation(1)
    running = child(birds, "-c", DIES_AT, "-1", str(old))
    running.communicate(timeout=60)
    assert running.returncode == -signal.SIGKILL
    assert generation_numbers(IndexFolder(birds.index)) == [1, 2]

    found = state(birds, embedder)
    assert found[0] == held(birds.corpus)
    assert examine(birds).problems == []
    done = sync(birds, embedder=embedder)
    assert (done.generation, done.embedded, done.difference.unchanged) == (2, 0, len(found[0]))
    assert state(birds, embedder) == found
    assert generation_numbers(IndexFolder(birds.index)) == [2]


def test_a_dead_writers_lock_is_free(birds: Settings, embedder: Embedder) -> None:
    holds = (
        "import os, signal, sys; from pathlib import Path; from pincite.storage import IndexFolder\n"
        "with IndexFolder(Path(sys.argv[1])).writer(): os.kill(os.getpid(), signal.SIGKILL)"
    )
    dead = subprocess.run([sys.executable, "-c", holds, str(birds.index)], cwd=ROOT, check=False)
    assert dead.returncode == -signal.SIGKILL
    (birds.corpus / "00.md").unlink()
    assert sync(birds, embedder=embedder).difference.removed == ["00.md"]


def test_a_first_sync_that_was_killed_is_begun_again(settings: Settings, embedder: Embedder) -> None:
    write_turn(settings.corpus, 0)
    for step in (3, 12, 30, 60):
        running = child(settings, "-c", DIES_AT, str(step), str(settings.index))
        running.communicate(timeout=60)
        assert running.returncode == -signal.SIGKILL, step
    done = sync(settings, embedder=embedder)
    assert (done.documents, done.passages) == (len(held(settings.corpus)), 3 * len(held(settings.corpus)))
    assert state(settings, embedder)[0] == held(settings.corpus)
    assert examine(settings).problems == []
    assert {path.name for path in settings.index.iterdir()} >= {"catalog.sqlite", "generations", "vectors"}
    assert not list(settings.index.glob("*.making*"))
    assert os.stat(settings.index).st_mode & 0o777 == 0o700
