"""Files → documents in processes of their own, within limits: a poisonous file costs only itself.

    with Readers(settings.sync) as readers:
        for source, outcome in readers.read(corpus, sources):   # in the order they are done
            if isinstance(outcome, Document):
                ...
            else:                                               # `Unreadable`, also `Inaccessible`
                skipped[source] = str(outcome)

Processes are started when there are files for them, no more than cores, and stay for the next files until
the `with` ends. They end with this process, however it ends. A few small files are read before a second
process would have started; so one begins when those before it have been at work for a moment.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import TypeAdapter, ValidationError

from pincite.errors import Inaccessible, PinciteError, Unreadable
from pincite.processors import cores
from pincite.reading.worker import LANGUAGES, LENGTH, MEGABYTE, Outcome
from pincite.settings import Sync
from pincite.types import Document

_MOST = 8
"""Processes at a time, however many cores: each may take `sync.reader_megabytes`."""
_AHEAD = 256
"""Files by which one process may be ahead of another."""
_TICK = 0.5
"""Seconds between two looks at processes that say nothing."""
_MOMENT = 0.1
"""Seconds for which the last process has been at work before another is started: about what that takes."""
_PATIENCE = 60.0
"""Seconds for a process to start, and to go on with an answer it has begun."""
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Each thread of a numeric library takes tens of megabytes of the limit, and reading gains nothing by them."""
_OUTCOME = TypeAdapter(Outcome)


class Readers:
    """The reading processes. For one thread at a time."""

    def __init__(
        self,
        limits: Sync,
        processes: int | None = None,
        worker: str = "pincite.reading.worker",
        *,
        tell_language: bool = False,
    ) -> None:
        """`processes` is the most there may be; `worker` the module that each runs. Where they `tell_language`, that of
        each document, every process takes a second more to start."""
        self._limits = limits
        self._tell_language = tell_language
        self._most = processes or min(cores(), _MOST)
        self._worker = worker
        self._processes: list[_Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(self._processes)

    def read(self, corpus: Path, sources: Iterable[str]) -> Iterator[tuple[str, Document | Unreadable]]:
        """Each source with its document, or with the reason why there is none; first those that are done first.

        Raises `PinciteError` if no process can be started.
        """
        waiting = iter(enumerate(sources))
        upcoming = next(waiting, None)
        answers: list[tuple[str, Document | Unreadable]] = []
        try:
            while True:
                while upcoming is not None and self._is_near(upcoming[0]) and (process := self._free()):
                    process.ask(corpus / upcoming[1], *upcoming)
                    upcoming = next(waiting, None)
                yield from answers  # each process reads on while what it said is dealt with
                if not (busy := self._busy()):
                    return
                _wait(busy)
                answers = [answer for process in busy if (answer := process.answer())]
        finally:  # also where nobody asks for the rest
            self._end(self._busy())

    def _is_near(self, number: int) -> bool:
        """Whether a file is to be read although those before it are not done: whoever wants them in order must keep
        what comes early."""
        return all(number - process.number < _AHEAD for process in self._busy())

    def _busy(self) -> list["_Process"]:
        return [process for process in self._processes if process.source is not None]

    def _free(self) -> "_Process | None":
        """A process that waits for a file, started if need be; None if it is not time for another."""
        self._end([process for process in self._processes if process.source is None and process.is_over()])
        for process in self._processes:
            if process.source is None:
                return process
        if len(self._processes) == self._most or (self._processes and not self._processes[-1].has_worked(_MOMENT)):
            return None
        self._processes.append(_Process(self._worker, self._limits, tells_language=self._tell_language))
        return self._processes[-1]

    def _end(self, processes: Sequence["_Process"]) -> None:
        for process in list(processes):
            process.end()
            self._processes.remove(process)


class _Process:
    """One reading process, and the file it is at."""

    def __init__(self, module: str, limits: Sync, *, tells_language: bool) -> None:
        self._limits = limits
        package = str(Path(__file__).parents[2])
        # -P: nothing is imported from the folder that the command runs in.
        self._command = [sys.executable, "-P", "-m", module, str(limits.reader_seconds), str(limits.reader_megabytes)]
        self._command += ["language"] if tells_language else []
        self._beside = LANGUAGES if tells_language else 0
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                self._command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={
                    **os.environ,
                    **_ONE_THREAD,
                    "PYTHONPATH": os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH")))),
                },
                process_group=0,  # so that what readers start can be ended with it
            )
        except OSError as error:
            raise PinciteError(f"no reading process can be started ({error.strerror}): close other programs") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout
        os.set_blocking(self._answers.fileno(), False)
        self._received = bytearray()
        self._ready: float | None = None
        """Since when it reads."""
        self._retires = False
        self._deadline = time.monotonic() + _PATIENCE
        self.number = 0
        self.source: str | None = None
        """What is being read."""

    def fileno(self) -> int:
        """Where something can be read when there may be an answer."""
        return self._answers.fileno()

    def ask(self, path: Path, number: int, source: str) -> None:
        """Have a file read, which has this number among all. Its time runs once the process has started."""
        self.number, self.source = number, source
        if self._ready:
            self._deadline = time.monotonic() + self._limits.reader_seconds
        request = json.dumps({"path": str(path), "source": source, "ocr": self._limits.ocr}).encode()
        with suppress(BrokenPipeError):  # that it is gone is seen when its answer is looked for
            self._requests.write(LENGTH.pack(len(request)) + request)

    def answer(self) -> tuple[str, Document | Unreadable] | None:
        """The source with what became of it, once that is known. The process is free then, or over."""
        is_over = self.is_over()  # before its last words are read
        is_over |= self._receive()
        frame = self._frame()
        if frame is not None and not self._ready:
            self._ready = time.monotonic()
            self._deadline = self._ready + self._limits.reader_seconds
            frame = self._frame()
        outcome = self._understood(frame) if frame is not None else self._failure(is_over)
        if outcome is None or self.source is None:
            return None
        source, self.source = self.source, None
        return source, outcome

    def has_worked(self, seconds: float) -> bool:
        """Whether it began to read that long ago."""
        return self._ready is not None and time.monotonic() - self._ready >= seconds

    def is_over(self) -> bool:
        """Whether it can be given no further file."""
        return self._retires or self._process.poll() is not None

    def end(self) -> None:
        """Kill it, with all that its readers started."""
        with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of the dead
            os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):  # one that waits for a dead network drive cannot be killed yet
            self._process.wait(_PATIENCE)
        self._requests.close()
        self._answers.close()

    def _receive(self) -> bool:
        """Take what it said. Returns whether it will say no more."""
        while data := self._answers.read(MEGABYTE):
            if self._ready:  # it has been read in time, however long we did not look
                self._deadline = time.monotonic() + _PATIENCE
            self._received += data
        if data is None:  # nothing yet
            return False
        with suppress(subprocess.TimeoutExpired):  # a reader may have closed the pipe and live
            self._process.wait(10 * _TICK)
        return True

    def _frame(self) -> bytes | None:
        """The next whole frame that was received."""
        if len(self._received) < LENGTH.size:
            return None
        end = LENGTH.size + LENGTH.unpack_from(self._received)[0]
        if len(self._received) < end:
            return None
        frame = bytes(self._received[LENGTH.size : end])
        del self._received[:end]
        return frame

    def _understood(self, frame: bytes) -> Document | Unreadable:
        try:
            outcome = _OUTCOME.validate_json(frame)
        except ValidationError:
            self._retires = True
            return Unreadable("the reader crashed on it (its answer makes no sense)")
        self._retires = outcome.retires
        if outcome.document is not None:
            return outcome.document
        if outcome.needs_memory:
            return self._too_large()
        if outcome.fault:
            return Unreadable(f"the reader failed on it ({outcome.fault})")
        return (Inaccessible if outcome.is_inaccessible else Unreadable)(outcome.refusal)

    def _failure(self, is_over: bool) -> Unreadable | None:
        """Why there will be no answer, if it is known that there will be none. The process is over then."""
        is_late = time.monotonic() > self._deadline
        is_large = self._is_too_large()
        if not (is_over or is_late or is_large):
            return None
        status = self._process.poll()
        self.end()
        self._retires = True
        how = "no answer" if status is None else f"signal {-status}" if status < 0 else f"exit status {status}"
        if not self._ready:
            raise PinciteError(f"no reading process can be started ({how}): see what {' '.join(self._command)} says")
        if is_large:
            return self._too_large()
        if is_late or status == -signal.SIGALRM:
            return Unreadable(f"took longer than {self._limits.reader_seconds:,} s (sync.reader_seconds)")
        if status == -signal.SIGKILL:  # not ours: the system's, where memory is short, or a person's
            return Inaccessible(f"what read it was ended from outside ({how})")
        return Unreadable(f"the reader crashed on it ({how})")

    def _too_large(self) -> Unreadable:
        return Unreadable(f"needs more than {self._limits.reader_megabytes:,} MB (sync.reader_megabytes)")

    def _is_too_large(self) -> bool:
        """Where the system does not limit memory, the parent does."""
        limit = (self._limits.reader_megabytes + self._beside) * MEGABYTE
        return len(self._received) > limit or (sys.platform == "darwin" and resident(self._process.pid) > limit)


def resident(pid: int) -> int:
    """Bytes of memory that a process has; 0 where that cannot be told."""
    command = ["ps", "-o", "rss=", "-p", str(pid)]  # where it lies is the system's own affair
    listed = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - nothing of a person's
    return int(listed.stdout.strip() or 0) * 1024


def _wait(processes: Sequence[_Process]) -> None:
    """Until one of them says something, but no longer than a tick."""
    with selectors.DefaultSelector() as selector:
        for process in processes:
            selector.register(process, selectors.EVENT_READ)
        selector.select(_TICK)
