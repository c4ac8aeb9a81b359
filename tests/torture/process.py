"""Processes for what is to be killed, starved or kept out: forked, so that none has to start from nothing."""

import ctypes
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pincite.errors import PinciteError

Work = Callable[["Say"], Any]
Say = Callable[[Any], None]
"""Tells the parent something; what was told outlives a kill."""

_PATIENCE = 600.0
"""Seconds until a process counts as hanging, on a machine that may be busy with other things."""
_TICK = 0.002
_WATCHED = ("open", "os.", "shutil.", "sqlite3.", "fcntl.", "pathlib.")


@dataclass(frozen=True)
class Outcome:
    """What became of a process."""

    value: Any = None
    """What its work gave back."""
    refusal: str = ""
    """The one line of an error that a person can mend."""
    crash: str = ""
    """Anything else that went wrong: never right."""
    was_killed: bool = False
    said: tuple[Any, ...] = ()

    @property
    def is_done(self) -> bool:
        return not (self.refusal or self.crash or self.was_killed)


class Child:
    """A process that is at work."""

    def __init__(self, work: Work, output: Path) -> None:
        """`output`: the file that takes what it and its libraries print."""
        self._told = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process is waited for
        self._pid = os.fork()
        if not self._pid:
            _work(work, self._told.fileno(), output)

    def kill(self) -> None:
        """At once, as the system does it when memory runs out."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    def said(self) -> list[Any]:
        """What it has told so far. The last line may not be whole yet."""
        data = os.pread(self._told.fileno(), 2**26, 0)
        return [json.loads(line)["said"] for line in data.split(b"\n")[:-1] if line.startswith(b'{"said"')]

    def is_over(self, seconds: float = 0.0) -> bool:
        """Whether it has ended, or does within so many seconds."""
        until = time.monotonic() + seconds
        while True:
            info = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if info is not None or time.monotonic() >= until:
                return info is not None
            time.sleep(_TICK)

    def outcome(self, patience: float = _PATIENCE) -> Outcome:
        """Wait for it."""
        hangs = not self.is_over(patience)
        if hangs:
            self.kill()
        _, status = os.waitpid(self._pid, 0)
        data = os.pread(self._told.fileno(), 2**26, 0)
        self._told.close()
        lines = [json.loads(line) for line in data.split(b"\n")[:-1]]
        last: dict[str, Any] = next((line for line in reversed(lines) if "said" not in line), {})
        crash = last.get("crash", "")
        was_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL and not hangs
        if hangs:
            crash = f"no end after {patience:.0f} s"
        elif not was_killed and not last:
            crash = f"ended by {status} without a word"
        said = tuple(line["said"] for line in lines if "said" in line)
        return Outcome(last.get("value"), last.get("refusal", ""), crash, was_killed, said)


def _work(work: Work, told: int, output: Path) -> NoReturn:
    def tell(**fields: Any) -> None:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits[1], limits[1]))  # what is told is not under test
        try:
            os.write(told, (json.dumps(fields) + "\n").encode())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    try:
        printed = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        tell(value=work(lambda said: tell(said=said)))
    except PinciteError as error:
        line = str(error)
        tell(**({"refusal": line} if "\n" not in line else {"crash": f"an error of several lines: {line}"}))
    except BaseException:
        tell(crash=traceback.format_exc()[-4000:])
    os._exit(0)


# What a child does to itself


def die_at_step(number: int, folder: Path) -> Callable[[], int]:
    """Die at this operation on the files of `folder`, counted from 1; 0: never. Gives what counts them.

    The moments between two of them are short: so each is as likely as a long one.
    """
    seen = 0
    wanted = str(folder)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event == "fcntl.flock" or (
            event.startswith(_WATCHED) and any(wanted in str(argument) for argument in arguments[:2])
        ):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    return lambda: seen


def limit_files(size: int) -> None:
    """No file may grow beyond so many bytes: to this process, the disk is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def give_up_privileges() -> None:
    """Be bound by permissions like anybody, also as root and in what is started from here."""
    if os.geteuid():
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this process
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable, and the upper halves of each
    libc.capget(header, sets)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
        for position in range(3):
            sets[position] &= ~(1 << capability) & 0xFFFFFFFF
    if libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset")


def jump_clock(seconds: float) -> None:
    """The clock is wrong by so much from here on."""
    ours, ours_ns = time.time, time.time_ns
    time.time = lambda: ours() + seconds
    time.time_ns = lambda: ours_ns() + round(seconds * 1e9)
