"""What the server of `python -m pincite serve` can take: requests at a fixed rate over loopback, from another process.

    python -m benchmarks.load [FOLDER_OF_DOCUMENTS] [--seconds 60] [--rate 150] [--questions 500] [--json FILE]

A fifth of the requests are searches, each with the next of the questions; half open a passage, whose words are compared
with what is indexed; the others ask for the state of the index and for health in turn. Requests are sent when they are
due, whether or not earlier ones were answered, and latency counts from then: a server that falls behind cannot hide it.

Where the rate is too much, it is lowered by a fifth until a try of 5 s is answered without a failure and on time (the
last answer within a second of the last request, and 95 of 100 within a second); then it is held for all of the seconds.
Failures are answers other than 200, other words than those that are indexed, and what is not answered within 10 s.

The index is made on first use and kept in the user's cache folder. Memory is the server's own, without files.
"""

import argparse
import hashlib
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import numpy as np

from benchmarks.machine import anonymous_mib, conditions
from pincite.embedding.model import cache_folder
from pincite.errors import PinciteError, QuestionError
from pincite.query import parse
from pincite.settings import Settings
from pincite.storage import Catalog, Recipe
from pincite.sync import sync

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "corpus"
JUDGED = ("answerable", "unanswerable")
KINDS = {"Q": "search", "P": "passage", "S": "state", "H": "health"}
MIX = [KINDS[letter] for letter in "QPSPHQPPSPQPHPSQPPHP"]
"""A fifth, a half, and the rest in turn."""
CLIENTS = 48
"""Connections, each of which waits for one answer at a time; fewer than the server lets wait."""
TRY_SECONDS = 5.0
LATE = 1.0
"""Seconds."""
PATIENCE = 10.0
IDLE = 4.0
LOWEST = 1.0
"""Requests a second below which no lower rate is tried."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request, and what the answer must hold."""

    kind: str
    method: str
    target: str
    body: bytes | None = None
    text: str | None = None


@dataclass
class Run:
    """What came of a rate that was held for a while."""

    rate: float
    sent: int = 0
    seconds: float = 0.0
    milliseconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: Counter[str] = field(default_factory=Counter)
    memory: dict[str, float | None] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Whether all was answered, and on time."""
        every = [value for values in self.milliseconds.values() for value in values]
        in_time = bool(every) and float(np.percentile(every, 95)) < LATE * 1000
        return not self.failures and in_time and self.seconds < self.sent / self.rate + LATE


def home_for(folder: Path) -> Path:
    """Where the index lies, with a settings file that lets one client ask as often as it likes."""
    name = f"{folder.resolve()}{Recipe.of(Settings()).model_dump_json()}"
    home = cache_folder() / "benchmarks" / f"load-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    home.mkdir(parents=True, exist_ok=True)
    lines = f"corpus = {json.dumps(str(folder.resolve()))}\n[api]\nper_second = 100_000\n"
    (home / "pincite.toml").write_text(lines, encoding="utf-8")
    return home


def calls(index: Path, count: int) -> Iterator[Call]:
    """Requests without end, in the mix, over so many questions and all passages."""
    with Catalog(index) as catalog, catalog.reading():
        passages = list(catalog.all_passages())
    sentences = [stored.text[start:end] for stored in passages for start, end in stored.passage.sentences[:1]]
    judged = [
        json.loads(line)["question"]
        for name in JUDGED
        for line in (ROOT / "judgments" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    questions = list(islice(dict.fromkeys(text for text in (*judged, *sentences) if _is_askable(text)), count))
    asking, opening = cycle(questions), cycle(np.random.default_rng(0).permutation(len(passages)))
    for kind in cycle(MIX):
        if kind == "search":
            yield Call(kind, "POST", "/v1/search", json.dumps({"question": next(asking)}).encode())
        elif kind == "passage":
            stored = passages[next(opening)]
            place = urlencode({"source": stored.source, "start": stored.start, "end": stored.end})
            yield Call(kind, "GET", f"/v1/passage?{place}", text=stored.text)
        else:
            yield Call(kind, "GET", "/v1/index" if kind == "state" else "/health")


def _is_askable(text: str) -> bool:
    try:
        return bool(parse(text))
    except QuestionError:
        return False


@contextmanager
def serving(home: Path) -> Iterator[tuple[int, int]]:
    """Port and process id of the server, whose log is not kept."""
    command = [sys.executable, "-m", "pincite", "serve", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=home, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            address = process.stdout.readline().split()[0]
            yield urlsplit(address).port or 0, process.pid
        finally:
            process.terminate()


def hold(port: int, process: int, calls: Iterator[Call], rate: float, seconds: float) -> Run:
    """Send at this rate for so long, and wait for what is still to come."""
    run, lock, due = Run(rate), threading.Lock(), iter(range(max(round(rate * seconds), 1)))
    began = time.monotonic() + 0.1

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        used = time.monotonic()
        while True:
            with lock:
                number = next(due, None)
                if number is None:
                    break
                call = next(calls)
                run.sent += 1
            at = began + number / rate
            time.sleep(max(at - time.monotonic(), 0))
            if time.monotonic() - used > IDLE:
                connection.close()  # the server is about to
            failure = _asked(connection, call)
            used = time.monotonic()
            taken = (used - at) * 1000
            with lock:
                if failure:
                    run.failures[f"{call.kind}: {failure}"] += 1
                else:
                    run.milliseconds[call.kind].append(taken)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    run.memory["start"] = anonymous_mib(process)
    for thread in threads:
        thread.start()
    time.sleep(seconds / 2)
    run.memory["middle"] = anonymous_mib(process)
    for thread in threads:
        thread.join()
    run.seconds = time.monotonic() - began
    run.memory["end"] = anonymous_mib(process)
    return run


def _asked(connection: http.client.HTTPConnection, call: Call) -> str | None:
    """What went wrong, if anything."""
    try:
        headers = {} if call.body is None else {"Content-Type": "application/json"}
        connection.request(call.method, call.target, call.body, headers)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return type(error).__name__
    if answer.status != 200:
        return str(answer.status)
    return "other words" if call.text is not None and json.loads(body)["text"] != call.text else None


def summary(milliseconds: Sequence[float]) -> dict[str, float]:
    """Of one kind of request."""
    at = {"median": 50, "p95": 95, "p99": 99}
    found = {name: round(float(np.percentile(milliseconds, share)), 1) for name, share in at.items()}
    return {"requests": len(milliseconds), **found}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=SAMPLE)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=150.0, help="requests a second, at most")
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    home = home_for(arguments.folder)
    try:
        sync(Settings(corpus=arguments.folder.resolve(), index=home / "index"))
    except PinciteError as error:
        parser.error(str(error))
    result: dict[str, Any] = conditions(("fastapi", "uvicorn", "starlette", "openvino"))
    endless = calls(home / "index", arguments.questions)
    with serving(home) as (port, process):
        rate = arguments.rate
        hold(port, process, endless, min(rate, 10.0), TRY_SECONDS)  # does not count: the first of each kind is slow
        tried = hold(port, process, endless, rate, TRY_SECONDS)
        while not tried.is_good and rate > LOWEST:
            print(f"{rate:.0f} requests a second are too many", file=sys.stderr)
            rate *= 0.8
            time.sleep(1)
            tried = hold(port, process, endless, rate, TRY_SECONDS)
        run = hold(port, process, endless, rate, arguments.seconds)
    result |= {
        "rate_asked_for": arguments.rate,
        "rate": round(run.rate, 1),
        "requests": run.sent,
        "seconds": round(run.seconds, 1),
        "without_failure_and_on_time": run.is_good,
        "failures": dict(run.failures),
        "milliseconds": {kind: summary(values) for kind, values in sorted(run.milliseconds.items())},
        "server_anonymous_mib": {name: value and round(value, 1) for name, value in run.memory.items()},
        "load_after": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(result, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
