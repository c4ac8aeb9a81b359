"""A sync beside the page: stopped anywhere it leaves the old index whole, and nothing is embedded twice."""

import os
import subprocess
import threading
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

from pincite.background import Background
from pincite.doctor import examine
from pincite.embedding import Embedder, Embedding
from pincite.errors import CorpusError, IndexBusy, IndexMismatch, MostRemoved, OtherCorpus, PinciteError, SyncCancelled
from pincite.search import Searcher, as_json
from pincite.settings import Passages, Settings
from pincite.storage import Catalog, IndexFolder
from pincite.sync import Report, run, sync
from pincite.sync.job import Job, Step

WAIT = 60
NEW = 12
QUESTION = "what does the heron hunt?"


class Counting(Embedder):
    """The real model. It remembers what it was asked for, and waits where it is told to."""

    def __init__(self, inner: Embedder) -> None:
        super().__init__(inner.files, inner.engine)
        self.asked: Counter[str] = Counter()
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.has_begun = threading.Event()

    def embed_passages(self, passages: Iterable) -> Iterator[tuple[int, Embedding]]:
        for number, passage in enumerate(passages):
            self.has_begun.set()
            assert self.may_go_on.wait(WAIT)
            self.asked[passage.text] += 1
            ((_, made),) = super().embed_passages([passage])
            yield number, made


class Stopped(Job):
    """Told to stop when it is as far as `at`."""

    at = ("", 0)

    def _told(self, stage: str, done: int, total: int) -> None:
        if (stage, done) == self.at:
            self.cancel()
        super()._told(stage, done, total)


@pytest.fixture
def counting(embedder: Embedder) -> Counting:
    return Counting(embedder)


@pytest.fixture
def birds(settings: Settings, embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Four documents that are indexed; then one is changed, one is gone and twelve are new."""
    monkeypatch.setattr(run, "_BATCH", 4)
    for number in range(4):
        (settings.corpus / f"old {number}.md").write_text(f"# Heron {number}\n\nHeron {number} hunts frogs.\n")
    sync(settings, embedder=embedder)
    (settings.corpus / "old 0.md").write_text("# Heron\n\nThe heron hunts fish now.\n")
    (settings.corpus / "old 1.md").unlink()
    for number in range(NEW):
        (settings.corpus / f"owl {number:02}.md").write_text(f"# Owl {number}\n\nOwl {number} hunts mice.\n")
    return settings


def answers(settings: Settings, embedder: Embedder) -> list:
    hits = as_json(Searcher(settings, embedder).search(QUESTION, 100))["hits"]
    return [(hit["source"], hit["text"], hit["citation"], hit["score"]) for hit in hits]


def reading_processes() -> list[str]:
    listed = subprocess.run(["ps", "-eo", "ppid=,args="], capture_output=True, text=True, check=True).stdout
    ours = (line.split(maxsplit=1) for line in listed.splitlines())
    return [args for parent, args in ours if parent == str(os.getpid()) and "pincite.reading.worker" in args]


@pytest.mark.parametrize(
    ("at", "embedded"),
    [
        (("compare", 2), 0),
        (("read", 0), 0),
        (("read", 5), 0),
        (("embed", 0), 0),
        (("embed", 4), 4),
        (("embed", 12), 12),
        (("embed", 13), 13),
        (("commit", 0), 13),
        (("commit", 15), 13),
    ],
)
def test_stopped_anywhere_the_old_index_answers_and_the_next_sync_embeds_nothing_twice(
    birds: Settings, counting: Counting, at: tuple[str, int], embedded: int
) -> None:
    before = answers(birds, counting)
    job = Stopped(birds, counting)
    job.at = at
    job.start()
    assert job.wait(WAIT)
    assert isinstance(job.outcome, SyncCancelled)
    assert "the index is as it was" in str(job.outcome)
    assert counting.asked.total() == embedded
    assert answers(birds, counting) == before
    assert reading_processes() == []
    with Catalog(birds.index) as catalog:
        assert (catalog.generation, sorted(catalog.files())) == (1, [f"old {number}.md" for number in range(4)])

    job.at = ("", 0)
    assert job.start()
    assert job.wait(WAIT)
    assert isinstance(job.outcome, Report)
    assert (job.outcome.documents, job.outcome.embedded) == (3 + NEW, 13 - embedded)
    assert (len(job.outcome.difference.added), len(job.outcome.difference.removed)) == (NEW, 1)
    assert set(counting.asked.values()) == {1}
    assert examine(birds).problems == []


def test_a_first_sync_that_is_stopped_leaves_no_index_and_the_next_makes_it(
    settings: Settings, counting: Counting
) -> None:
    (settings.corpus / "owl.md").write_text("# Owl\n\nOwls hunt mice.\n")
    job = Stopped(settings, counting)
    job.at = ("commit", 1)
    job.start()
    job.wait(WAIT)
    assert isinstance(job.outcome, SyncCancelled)
    with pytest.raises(PinciteError, match="nothing is indexed yet"):
        Searcher(settings, counting).search(QUESTION)
    job.at = ("", 0)
    job.start()
    job.wait(WAIT)
    assert isinstance(job.outcome, Report)
    assert set(counting.asked.values()) == {1}


def test_one_sync_at_a_time_answers_meanwhile_and_a_stop_from_outside(birds: Settings, counting: Counting) -> None:
    job = Job(birds, counting)
    assert job.outcome is None
    counting.may_go_on.clear()
    assert job.start()
    assert counting.has_begun.wait(WAIT)
    assert not job.start()
    assert (job.is_running, job.is_stopping, job.step.stage, job.step.total) == (True, False, "embed", 13)
    assert answers(birds, counting)[0][0].startswith("old ")
    job.cancel()
    assert job.is_stopping
    counting.may_go_on.set()
    assert job.wait(WAIT)
    assert (job.is_running, job.is_stopping) == (False, False)
    assert isinstance(job.outcome, SyncCancelled)
    assert 1 <= counting.asked.total() < 13  # it stopped after the batch that it was at


def test_what_the_guard_refuses_goes_on_when_it_is_allowed(settings: Settings, embedder: Embedder) -> None:
    for number in range(20):
        (settings.corpus / f"{number}.md").write_text(f"# Owl {number}\n\nOwl {number} hunts mice.\n")
    sync(settings, embedder=embedder)
    for number in range(15):
        (settings.corpus / f"{number}.md").unlink()
    job = Job(settings, embedder)
    job.start()
    job.wait(WAIT)
    assert isinstance(job.outcome, MostRemoved)
    assert isinstance(job.outcome, CorpusError)
    assert "15 of 20 indexed documents are gone" in str(job.outcome)
    job.start(allow_removals=True)
    job.wait(WAIT)
    assert isinstance(job.outcome, Report)
    assert job.outcome.documents == 5


def test_other_settings_another_folder_and_another_writer_are_told_apart(birds: Settings, embedder: Embedder) -> None:
    def outcome(settings: Settings, **options: bool) -> Report | PinciteError | None:
        job = Job(settings, embedder)
        job.start(**options)
        job.wait(WAIT)
        return job.outcome

    smaller = birds.model_copy(update={"passages": Passages(tokens=64)})
    assert type(outcome(smaller)) is IndexMismatch
    with IndexFolder(birds.index).writer():
        assert type(outcome(birds)) is IndexBusy
    moved = birds.model_copy(update={"corpus": birds.corpus.rename(birds.corpus.parent / "moved")})
    assert type(outcome(moved)) is OtherCorpus
    assert isinstance(outcome(moved, move_corpus=True), Report)
    assert isinstance(outcome(smaller.model_copy(update={"corpus": moved.corpus}), rebuild=True), Report)


def test_where_no_thread_can_begin_the_next_start_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    work = Background[int]("the sum")

    def full(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", full)
        with pytest.raises(RuntimeError, match="can't start"):
            work.start(lambda: 1)
    assert not work.is_running
    assert work.start(lambda: 2)
    assert work.wait(10)
    assert work.outcome == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_our_own_is_an_outcome_too() -> None:
    work = Background[int]("the sum")

    def fail() -> int:
        raise RuntimeError("the lights went out")

    work.start(fail)
    assert work.wait(WAIT)
    assert type(work.outcome) is PinciteError
    assert str(work.outcome) == (
        "the sum failed (RuntimeError: the lights went out): what the server printed says more"
    )
    assert work.start(lambda: 4)
    assert work.wait(WAIT)
    assert work.outcome == 4


@pytest.mark.parametrize(
    ("done", "total", "taken", "left"),
    [
        (50, 200, 10.0, 30.0),  # 5 a second, 150 to go
        (200, 200, 10.0, 0.0),
        (50, 200, 2.9, None),  # too early to say
        (1, 200, 10.0, None),  # too few: 0.5 %
        (50, 0, 10.0, None),  # of how many is not known
        (0, 200, 10.0, None),
    ],
)
def test_the_time_left_is_what_the_rate_so_far_says(done: int, total: int, taken: float, left: float | None) -> None:
    assert Step("embed", done, total, began=100.0, told=100.0 + taken).seconds_left(100.0 + taken) == left


def test_the_estimate_counts_down_between_two_reports_and_a_stage_begins_anew() -> None:
    step = Step("embed", 50, 200, began=100.0, told=110.0)
    assert step.seconds_left(114.0) == 26.0
    assert step.seconds_left(500.0) == 0.0
    assert step.next("embed", 51, 200).began == 100.0
    commit = step.next("commit", 0, 0)
    assert commit.began == commit.told != 100.0
    assert commit.share is None
