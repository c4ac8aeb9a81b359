"""A sync that can be watched and stopped, beside a server that goes on answering questions.

job = Job(settings, embedder)
job.start()
job.step.stage, job.step.share, job.step.seconds_left()
job.cancel()
job.outcome                 # Report, SyncCancelled, or what else went wrong
"""

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime

from pincite.background import Background
from pincite.embedding import Embedder
from pincite.errors import PinciteError, SyncCancelled
from pincite.settings import Settings
from pincite.sync import Report, sync

_GROUND = 3.0
"""Seconds of a stage after which its rate says something."""
_FEW = 0.02
"""Share of a stage below which its rate says nothing: the first of many may be unlike the rest."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far a sync is."""

    stage: str = "compare"
    """`compare`, `read`, `embed` or `commit`."""
    done: int = 0
    total: int = 0
    """0 where it is not known."""
    began: float = field(default_factory=time.monotonic)
    """When the stage began, on the monotonic clock."""
    told: float = field(default_factory=time.monotonic)
    """When this was true."""

    def next(self, stage: str, done: int, total: int) -> "Step":
        """What comes after it."""
        now = time.monotonic()
        return Step(stage, done, total, self.began if stage == self.stage else now, now)

    @property
    def share(self) -> float | None:
        """Of the stage, 0 to 1; None where it is not known."""
        return min(self.done / self.total, 1.0) if self.total else None

    def seconds_left(self, now: float | None = None) -> float | None:
        """Until the end of the stage, at the rate so far; None before there is ground for an estimate."""
        taken = self.told - self.began
        share = self.share
        if share is None or share < _FEW or taken < _GROUND:
            return None
        since = (time.monotonic() if now is None else now) - self.told
        return max(taken / share - taken - since, 0.0)


class Job:
    """Runs at most one sync at a time in this process. Safe to share between threads."""

    def __init__(self, settings: Settings, embedder: Embedder) -> None:
        self._settings = settings
        self._embedder = embedder
        self._work = Background[Report]("sync")
        self._cancelled = threading.Event()
        self._beginning = threading.Lock()
        self.step = Step()
        """Of the running sync, or where the last one ended."""

    @property
    def is_running(self) -> bool:
        """Whether a sync is under way."""
        return self._work.is_running

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop and has not yet."""
        return self.is_running and self._cancelled.is_set()

    @property
    def outcome(self) -> Report | PinciteError | None:
        """Of the last sync that ended; None before the first."""
        return self._work.outcome

    @property
    def ended(self) -> datetime | None:
        """When that was, in UTC."""
        return self._work.ended

    def start(self, *, rebuild: bool = False, allow_removals: bool = False, move_corpus: bool = False) -> bool:
        """Begin a sync, unless one is running. Whether it was begun."""

        def work() -> Report:
            return sync(
                self._settings,
                rebuild=rebuild,
                allow_removals=allow_removals,
                move_corpus=move_corpus,
                progress=self._told,
                embedder=self._embedder,
            )

        with self._beginning:
            if self.is_running:
                return False
            self._cancelled.clear()
            self.step = Step()
            return self._work.start(work)

    def cancel(self) -> None:
        """Have the running sync stop at its next step. What is embedded so far stays for the next one."""
        self._cancelled.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Until the running sync is done, or for so long. Whether none is running."""
        return self._work.wait(seconds)

    def _told(self, stage: str, done: int, total: int) -> None:
        if self._cancelled.is_set():
            raise SyncCancelled(
                f"{self._settings.index}: the sync was stopped and the index is as it was: what was embedded stays"
                " for the next one"
            )
        self.step = self.step.next(stage, done, total)
