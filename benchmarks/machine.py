"""What a figure depends on besides the code: the machine, how busy it is, and what a piece of work takes of it."""

import os
import platform
import resource
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pincite.processors import cores


@dataclass
class Cost:
    """What a piece of work took; filled in when it ends."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    """Of all threads of this process, and of the processes that it saw end."""


@contextmanager
def measured() -> Iterator[Cost]:
    """What is done in the `with` block."""
    cost, wall, cpu = Cost(), time.perf_counter(), _cpu_seconds()
    yield cost
    cost.seconds, cost.cpu_seconds = time.perf_counter() - wall, _cpu_seconds() - cpu


class Stages:
    """Seconds by stage, told as a sync tells its progress."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stage = "open"
        self._since = time.perf_counter()

    def __call__(self, stage: str, _done: int = 0, _total: int = 0) -> None:
        """What has passed since the last call belongs to the stage that was told then."""
        now = time.perf_counter()
        self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = stage, now


def peak_mib() -> float:
    """Most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def anonymous_mib(process: int | str = "self") -> float | None:
    """Memory that this process, or another by its id, holds now and that is no file's, where the system counts it."""
    return _counted(f"/proc/{process}/status", "RssAnon", 1 << 10)


class MostAnonymous:
    """The most memory that is no file's, looked at ten times a second in the `with` block: a peak may fall between."""

    mib: float | None = None

    def __enter__(self) -> "MostAnonymous":
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            now = anonymous_mib()
            self.mib = now if self.mib is None or now is None else max(self.mib, now)
            if self._ends.wait(0.1):
                return


def written_mib() -> float | None:
    """What this process has had written to disks, where the system counts it."""
    return _counted("/proc/self/io", "write_bytes", 1 << 20)


def _counted(path: str, name: str, unit: int) -> float | None:
    with suppress(OSError):
        for line in Path(path).read_text(encoding="ascii").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / unit
    return None


def disk_mib(folder: Path) -> float:
    """What the files below a folder take; one with several names counts once."""
    files = {(s.st_dev, s.st_ino): s.st_blocks * 512 for p in folder.rglob("*") if p.is_file() for s in [p.stat()]}
    return sum(files.values()) / (1 << 20)


def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def conditions(packages: Iterable[str]) -> dict[str, Any]:
    """What stands above every result. Wall time means little where the load is above the number of cores."""
    return {
        "machine": processor(),
        "cores": cores(),
        "load": [round(load, 1) for load in os.getloadavg()],
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
