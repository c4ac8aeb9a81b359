"""Work that takes longer than a person waits: in a thread of its own, at most one at a time, its outcome kept."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Generic, TypeVar

from pincite.errors import PinciteError

T = TypeVar("T")


class Background(Generic[T]):
    """One kind of work. Safe to share between threads."""

    def __init__(self, name: str) -> None:
        """`name` says what the work is, for a person and for the thread."""
        self.name = name
        self.outcome: T | PinciteError | None = None
        """Of the last time; None before the first."""
        self.ended: datetime | None = None
        """When that was, in UTC."""
        self._ended = 0.0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_running = False

    @property
    def is_running(self) -> bool:
        """Whether it is under way. Where it is not, `outcome` is that of the last time."""
        return self._is_running

    @property
    def age(self) -> float | None:
        """Seconds since it ended last, whatever the clock was set to meanwhile; None before the first."""
        return None if self.ended is None else time.monotonic() - self._ended

    def start(self, work: Callable[[], T]) -> bool:
        """Begin, unless it is under way. Whether it was begun."""
        with self._lock:
            if self._is_running:
                return False
            self._thread = threading.Thread(target=self._run, args=(work,), name=f"pincite-{self.name}", daemon=True)
            self._is_running = True
            try:
                self._thread.start()
            except RuntimeError:  # the system has no room for another
                self._is_running = False
                raise
            return True

    def wait(self, seconds: float | None = None) -> bool:
        """Until it is done, or for so long. Whether it is done."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return not self._is_running

    def _run(self, work: Callable[[], T]) -> None:
        try:
            self._end(work())
        except PinciteError as error:
            self._end(error.with_traceback(None))  # which would keep alive whatever the work was using
        except BaseException as error:
            what = f"{type(error).__name__}: {error}"
            self._end(PinciteError(f"{self.name} failed ({what}): what the server printed says more"))
            raise

    def _end(self, outcome: T | PinciteError) -> None:
        with self._lock:
            self.outcome = outcome
            self.ended, self._ended = datetime.now(UTC), time.monotonic()
            self._is_running = False
