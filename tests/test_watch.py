"""The folder is watched: what changes in it is synced once it has settled, with real files and the real clock."""

import errno
import itertools
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from pincite.embedding import Embedder
from pincite.errors import PinciteError
from pincite.settings import Settings
from pincite.storage import Catalog, IndexFolder
from pincite.sync import Report, watch
from pincite.sync.job import Job
from pincite.sync.watch import Watcher

WAIT = 30
SETTLED = 0.4


class Counted(Job):
    """How often a sync was begun."""

    begun = 0

    def start(self, *, rebuild: bool = False, allow_removals: bool = False, move_corpus: bool = False) -> bool:
        self.begun += 1
        return super().start(rebuild=rebuild, allow_removals=allow_removals, move_corpus=move_corpus)


@pytest.fixture
def job(settings: Settings, embedder: Embedder) -> Counted:
    (settings.corpus / "owl.md").write_text("# Owl\n\nOwls hunt mice.\n")
    return Counted(settings, embedder)


@pytest.fixture
def watcher(settings: Settings, job: Counted) -> Iterator[Watcher]:
    """At work, with the first sync done."""
    with Watcher(settings, job, SETTLED) as at_work:
        until(lambda: indexed(settings) == ["owl.md"] and not job.is_running)
        yield at_work


def indexed(settings: Settings) -> list[str]:
    try:
        with Catalog(settings.index) as catalog:
            return sorted(catalog.files())
    except PinciteError:
        return []


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_is_there_already_is_taken_in_at_the_beginning(watcher: Watcher, job: Counted) -> None:
    assert isinstance(job.outcome, Report)
    assert job.begun == 1
    assert watcher.trouble == ""


def test_files_that_come_change_move_and_go_are_followed(watcher: Watcher, job: Counted, settings: Settings) -> None:
    below = settings.corpus / "new folder" / "deeper"
    below.mkdir(parents=True)
    (below / "heron.md").write_text("# Heron\n\nHerons hunt frogs.\n")
    until(lambda: indexed(settings) == ["new folder/deeper/heron.md", "owl.md"])
    (below / "heron.md").rename(settings.corpus / "heron.md")
    (settings.corpus / "owl.md").write_text("# Owl\n\nOwls sleep by day.\n")
    until(lambda: indexed(settings) == ["heron.md", "owl.md"])
    with Catalog(settings.index) as catalog:
        owl = catalog.document("owl.md")
    assert owl is not None
    assert "sleep by day" in owl.text
    (settings.corpus / "heron.md").unlink()
    until(lambda: indexed(settings) == ["owl.md"])


@pytest.mark.alone
def test_many_changes_in_a_row_are_one_sync(watcher: Watcher, job: Counted, settings: Settings) -> None:
    for number in range(10):
        (settings.corpus / f"owl {number}.md").write_text(f"# Owl\n\nOwl {number} hunts mice.\n")
        time.sleep(SETTLED / 4)
    until(lambda: len(indexed(settings)) == 11)
    assert job.begun < 6  # one, but for a machine that was held up in between


def test_what_is_left_alone_begins_nothing_and_what_says_so_does(
    watcher: Watcher, job: Counted, settings: Settings
) -> None:
    (settings.corpus / ".pinciteignore").write_text("drafts/\n")
    until(lambda: job.begun == 2)
    (settings.corpus / "drafts").mkdir()
    (settings.corpus / "drafts" / "owl.md").write_text("# Draft\n")
    (settings.corpus / ".hidden.md").write_text("# Hidden\n")
    time.sleep(4 * SETTLED)
    assert job.begun == 2
    assert indexed(settings) == ["owl.md"]
    (settings.corpus / ".pinciteignore").unlink()
    until(lambda: indexed(settings) == ["drafts/owl.md", "owl.md"])


def test_a_folder_that_goes_away_is_waited_for_and_its_index_stays(
    watcher: Watcher, job: Counted, settings: Settings
) -> None:
    away = settings.corpus.rename(settings.corpus.parent / "away")
    until(lambda: "cannot be watched (No such file or directory)" in watcher.trouble)
    time.sleep(2 * SETTLED)
    assert (indexed(settings), job.begun) == (["owl.md"], 1)
    (away / "heron.md").write_text("# Heron\n\nHerons hunt frogs.\n")
    away.rename(settings.corpus)
    until(lambda: indexed(settings) == ["heron.md", "owl.md"])
    assert watcher.trouble == ""
    shutil.copytree(settings.corpus, settings.corpus.parent / "copy")
    shutil.rmtree(settings.corpus)
    (settings.corpus.parent / "copy").rename(settings.corpus)  # another folder of the same path
    (settings.corpus / "owl.md").unlink()
    until(lambda: indexed(settings) == ["heron.md"])


def test_what_goes_wrong_is_told_and_the_next_change_tries_again(
    watcher: Watcher, job: Counted, settings: Settings
) -> None:
    rules = settings.corpus / ".pinciteignore"
    rules.write_bytes(b"\xff\xfe\xfd")
    until(lambda: isinstance(job.outcome, PinciteError))
    assert ".pinciteignore: line 1: not in UTF-8" in str(job.outcome)
    rules.unlink()
    until(lambda: isinstance(job.outcome, Report))


def test_a_folder_that_cannot_be_watched_is_tried_again_at_intervals(
    settings: Settings, job: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[float] = []

    def refused(*_: object, **__: object) -> NoReturn:
        began.append(time.monotonic())
        raise OSError(errno.ENOSPC, "No space left on device")  # as where the system watches no more folders

    with monkeypatch.context() as patch:
        patch.setattr(watch, "watch", refused)
        patch.setattr(watch, "_PATIENCE", 0.5)
        with Watcher(settings, job, SETTLED) as at_work:
            until(lambda: len(began) >= 3)
            assert at_work.trouble == (
                f"{settings.corpus}: cannot be watched (No space left on device): it is synced when that is mended"
            )
            assert min(after - before for before, after in itertools.pairwise(began)) >= 0.5
            assert job.begun == 0
            patch.undo()
            until(lambda: indexed(settings) == ["owl.md"])
            assert at_work.trouble == ""


def test_it_waits_for_another_writer(
    watcher: Watcher, job: Counted, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_BUSY", 0.2)
    with IndexFolder(settings.index).writer():
        (settings.corpus / "heron.md").write_text("# Heron\n\nHerons hunt frogs.\n")
        until(lambda: isinstance(job.outcome, PinciteError))
        assert "another process is writing this index" in str(job.outcome)
    until(lambda: indexed(settings) == ["heron.md", "owl.md"])


def test_stopped_it_does_no_more(settings: Settings, job: Counted) -> None:
    with Watcher(settings, job, SETTLED):
        until(lambda: job.begun == 1 and not job.is_running)
    (settings.corpus / "heron.md").write_text("# Heron\n\nHerons hunt frogs.\n")
    time.sleep(3 * SETTLED)
    assert job.begun == 1


def test_an_index_in_the_folder_begins_nothing(settings: Settings, embedder: Embedder) -> None:
    within = settings.model_copy(update={"index": settings.corpus / "index"})
    (within.corpus / "owl.md").write_text("# Owl\n\nOwls hunt mice.\n")
    job = Counted(within, embedder)
    with Watcher(within, job, SETTLED):
        until(lambda: indexed(within) == ["owl.md"] and not job.is_running)
        time.sleep(5 * SETTLED)
        assert job.begun == 1
        (within.corpus / "heron.md").write_text("# Heron\n\nHerons hunt frogs.\n")
        until(lambda: indexed(within) == ["heron.md", "owl.md"])


def test_a_link_to_the_folder_is_watched_through(settings: Settings, embedder: Embedder, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(settings.corpus)
    (settings.corpus / "owl.md").write_text("# Owl\n\nOwls hunt mice.\n")
    linked = settings.model_copy(update={"corpus": link})
    with Watcher(linked, Job(linked, embedder), SETTLED):
        until(lambda: indexed(linked) == ["owl.md"])
        (settings.corpus / "heron.md").write_text("# Heron\n\nHerons hunt frogs.\n")
        until(lambda: indexed(linked) == ["heron.md", "owl.md"])
