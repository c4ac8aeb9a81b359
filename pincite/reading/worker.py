"""A reading process: gets the names of files on its standard input, answers with documents.

`pincite.reading.pool` starts it as `python -m pincite.reading.worker SECONDS MEGABYTES [language]` and speaks to it
in frames: a length in 8 bytes, then as much JSON. It says `Outcome()` when it is ready; then each request,
`{"path": …, "source": …, "ocr": …}`, gets one `Outcome`.
"""

import contextlib
import json
import os
import queue
import resource
import signal
import struct
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import IO, Any

from pincite import reading
from pincite.errors import Inaccessible, Unreadable
from pincite.reading import language
from pincite.types import Document

LENGTH = struct.Struct(">Q")
"""In front of each frame."""
MEGABYTE = 2**20

_GRACE = 5
"""Seconds after the limit at which this process ends, should nobody have ended it by then."""
LANGUAGES = 256
"""Megabytes that what tells languages takes at most."""
_FILES = 256
"""Open at a time: readers need a handful."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file: of the first four fields one is set."""

    document: Document | None = None
    refusal: str = ""
    """Why the reader or the system does not give it."""
    fault: str = ""
    """The error of a reader that did not expect such a file."""
    needs_memory: bool = False
    """Whether it needs more than the limit."""
    is_inaccessible: bool = False
    """Whether it was the system that refused."""
    retires: bool = False
    """Whether this process takes no further file."""


@dataclass(frozen=True, slots=True)
class _Request:
    """A file to be read."""

    path: Path
    source: str
    ocr: bool


def serve(
    seconds: int, megabytes: int, read: Callable[..., Document] = reading.read, *, tells_language: bool = False
) -> None:
    """Answer requests until the standard input ends, as it does when the parent dies.

    Readers and their libraries get `/dev/null` in place of the pipes to the parent. What tells languages is loaded
    before the first request, and takes nothing of a reader's time and memory.
    """
    requests, answers = _take(0, "rb"), _take(1, "wb")
    before = _used()
    if tells_language:
        language.learn()
    beside = _used() - before
    limit_memory(megabytes + beside // MEGABYTE)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    own = os.getpid()
    files: queue.SimpleQueue[_Request] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests, files), daemon=True).start()
    _send(answers, Outcome())
    retires = False
    while not retires:
        request = files.get()
        # The system's clock ends this process even if a library never gives the interpreter a turn.
        signal.alarm(seconds + _GRACE)
        outcome = _outcome(request, read, tells_language=tells_language)
        signal.alarm(0)
        if os.getpid() != own:  # a reader forked, and this is the child
            os._exit(0)
        retires = _used() - beside > megabytes * MEGABYTE / 2  # what is left behind would lack the next file
        _send(answers, replace(outcome, retires=retires))


def _take(descriptor: int, mode: str) -> IO[bytes]:
    """The standard stream for ourselves; whoever else uses it from now on gets `/dev/null`."""
    taken = os.dup(descriptor)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, descriptor)
    os.close(nothing)
    return os.fdopen(taken, mode)


def limit_memory(megabytes: int) -> None:
    """Of this process, where the system can; it leaves no core and opens few files too."""
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _FILES),
        (resource.RLIMIT_AS, megabytes * MEGABYTE),
    ):
        with contextlib.suppress(ValueError, OSError):  # macOS has no limit of memory: there the parent looks
            resource.setrlimit(what, (most, most))


def _used() -> int:
    """Bytes of memory, counted as they are limited."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except OSError:  # macOS
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _listen(requests: IO[bytes], files: "queue.SimpleQueue[_Request]") -> None:
    """Pass requests on. When no more can come, end this process and all that readers started."""
    while header := requests.read(LENGTH.size):
        request = json.loads(requests.read(LENGTH.unpack(header)[0]))
        files.put(_Request(Path(request["path"]), request["source"], request["ocr"]))
    os.killpg(0, signal.SIGKILL)


def _outcome(request: _Request, read: Callable[..., Document], *, tells_language: bool) -> Outcome:
    """Whatever a reader does with a file costs that file alone."""
    try:
        document = read(request.path, request.source, ocr=request.ocr)
        return Outcome(document=language.with_language(document) if tells_language else document)
    except Unreadable as error:
        return Outcome(refusal=_line(str(error)), is_inaccessible=isinstance(error, Inaccessible))
    except MemoryError:
        return Outcome(needs_memory=True)
    except BaseException as error:  # panics of libraries in Rust are no Exceptions
        return Outcome(fault=_line(f"{type(error).__name__}: {error}")[:200])


def _line(message: str) -> str:
    return " ".join(message.encode("utf-8", "replace").decode().split())


def _send(answers: IO[bytes], outcome: Outcome) -> None:
    try:
        frame = json.dumps(outcome, ensure_ascii=False, separators=(",", ":"), default=_fields).encode()
    except MemoryError:
        frame = json.dumps(Outcome(needs_memory=True, retires=True), default=_fields).encode()
    answers.write(LENGTH.pack(len(frame)))
    answers.write(frame)
    answers.flush()


def _fields(noun: Any) -> dict[str, Any]:
    return {field.name: getattr(noun, field.name) for field in fields(noun)}


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]), tells_language="language" in sys.argv[3:])
