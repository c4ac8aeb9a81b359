"""The corpus folder is watched, and synced by itself once what changes in it has settled.

with Watcher(settings, job):
    ...
"""

import atexit
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from watchfiles import watch

from pincite.errors import CorpusError, IndexBusy
from pincite.reading.ignore import FILE, IgnoreRules
from pincite.settings import Settings
from pincite.sync.job import Job

_TICK = 0.25
"""Seconds between two looks at what there is to do."""
_PATIENCE = 10.0
"""Seconds until it is tried again to watch a folder that is there."""
_BUSY = 10.0
"""Seconds until it is tried again where another process was writing the index."""


class Watcher:
    """A thread that starts `job` when files of the corpus folder were added, changed, moved or removed.

    It syncs when it begins, too, for much may have happened before. A folder that goes away is waited for.
    """

    def __init__(self, settings: Settings, job: Job, settled: float = 2.0) -> None:
        """`settled`: seconds without a change before a sync begins."""
        self._corpus, self._index = settings.corpus, settings.index
        self._job = job
        self._settled = settled
        self._due: float | None = time.monotonic()
        """When a sync is to begin, on the monotonic clock; None where nothing has changed."""
        self._ours = False
        """Whether the sync that runs, or ran last, was begun here."""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pincite-watch", daemon=True)
        self.trouble = ""
        """Why the folder is not being watched just now; empty where it is."""

    def start(self) -> None:
        """Begin to watch. It ends with the process."""
        self._thread.start()
        atexit.register(self.stop)  # a thread that is inside the library when Python ends would take it down

    def stop(self) -> None:
        """End watching. A sync that runs goes on."""
        self._stopped.set()
        self._thread.join()
        atexit.unregister(self.stop)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        while not self._stopped.wait(_TICK):
            try:
                self._watch()
            except (OSError, RuntimeError) as error:  # not there, not ours, more folders than the system watches
                why = getattr(error, "strerror", None) or error
                self.trouble = f"{self._corpus}: cannot be watched ({why}): it is synced when that is mended"
                if not isinstance(error, FileNotFoundError):  # to try anew looks at every folder
                    self._stopped.wait(_PATIENCE)

    def _watch(self) -> None:
        """Until the folder is no longer the one that this began with."""
        watched = _identity(self._corpus)
        corpus = self._corpus.resolve()
        changes = watch(
            corpus,
            watch_filter=None,
            stop_event=self._stopped,
            rust_timeout=round(_TICK * 1000),
            yield_on_timeout=True,
            raise_interrupt=False,
            ignore_permission_denied=True,
        )
        for changed in changes:
            if self.trouble:  # it is back, and nobody saw what happened meanwhile
                self.trouble = ""
                self._postpone(self._settled)
            if changed and _matter(corpus, self._index, (Path(path) for _, path in changed)):
                self._postpone(self._settled)
            self._sync_when_due()
            if _identity(self._corpus) != watched:
                raise FileNotFoundError(None, "no such folder")

    def _postpone(self, seconds: float) -> None:
        self._due = time.monotonic() + seconds

    def _sync_when_due(self) -> None:
        if self._job.is_running:
            return
        if self._ours:
            self._ours = False
            if isinstance(self._job.outcome, IndexBusy):
                self._postpone(_BUSY)
        if self._due is not None and time.monotonic() >= self._due:
            self._due = None
            self._ours = self._job.start()


def _matter(corpus: Path, index: Path, changed: Iterable[Path]) -> bool:
    """Whether any of these is not left alone. A file that says what is left alone matters itself."""
    rules = IgnoreRules(corpus, index)
    try:
        return any(
            path.name == FILE or not rules.is_ignored(path.relative_to(corpus).as_posix(), path.is_dir())
            for path in changed
            if path != corpus
        )
    except CorpusError:  # of a file of rules: the sync says it
        return True


def _identity(folder: Path) -> tuple[int, int]:
    """What tells a folder from another one of the same path."""
    info = folder.stat()
    return info.st_dev, info.st_ino
