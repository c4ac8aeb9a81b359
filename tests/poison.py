"""A reading process whose readers do what readers must not: `python -m tests.poison`, in place of the real one."""

import ctypes
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pincite import reading
from pincite.errors import Unreadable
from pincite.reading import Reader, worker
from pincite.reading.content import Content


def loop(data: bytes) -> Content:
    while True:
        pass


def hold(data: bytes) -> Content:
    """Loop in C, where Python's threads and signal handlers get no turn."""
    re.match(r"(a+)+$", "a" * 60 + "!")
    raise AssertionError


def eat(data: bytes) -> Content:
    eaten = [bytes(2**20)]
    while True:
        eaten.append(bytes(2**20))


def crash(data: bytes) -> Content:
    ctypes.string_at(0)
    raise AssertionError


def leave(data: bytes) -> Content:
    os._exit(3)


def fail(data: bytes) -> Content:
    raise ZeroDivisionError("division\nby zero \udcff")


def stop(data: bytes) -> Content:
    sys.exit("enough")


def shout(data: bytes) -> Content:
    print("a library says")
    os.write(1, b"\x00" * 100)
    os.write(2, b"words")
    sys.stdin.read()
    return Content(data.decode())


def fork(data: bytes) -> Content:
    """Leave a child behind that holds every pipe, and one that comes back like its parent."""
    if not (child := os.fork()):
        time.sleep(1000)
    os.fork()
    return Content(f"child {child}")


def orphan(data: bytes) -> Content:
    """Die with a child left behind that holds every pipe."""
    if not os.fork():
        time.sleep(1000)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def close(data: bytes) -> Content:
    os.closerange(3, 200)
    return Content("closed")


def half(data: bytes) -> Content:
    return Content("half \ud83d of it")


def large(data: bytes) -> Content:
    return Content("0123456789" * 2_000_000)


def keep(data: bytes) -> Content:
    """Leave much behind in memory."""
    globals()["kept"] = b"1" * (200 * 2**20)
    return Content("kept")


def refuse(data: bytes) -> Content:
    raise Unreadable("protected by a password: save a copy without one")


def who(data: bytes) -> Content:
    return Content(f"process {os.getpid()}")


def touch(data: bytes) -> Content:
    """Leave a file that says that this one was read."""
    Path(data.decode()).touch()
    return Content("touched")


class Poison(Reader):
    """Named for the function that reads."""

    def read(self, data: bytes) -> Content:
        read: Callable[[bytes], Content] = globals()[self.module]
        return read(data)


POISONS = (loop, hold, eat, crash, leave, fail, stop, shout, fork, orphan, close, half, large, keep, refuse, who, touch)
reading.READERS.update({f".{name.__name__}": Poison(name.__name__, 1, "text/plain", "") for name in POISONS})

if __name__ == "__main__":
    worker.serve(int(sys.argv[1]), int(sys.argv[2]))
