"""A real server of the API in a process of its own, and a client that speaks to it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]


class Reply(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def table(self) -> Any:
        return json.loads(self.body)

    @property
    def detail(self) -> str:
        """Of a refusal, which always has the same shape."""
        table = json.loads(self.body)
        assert self.headers["content-type"] == "application/problem+json"
        assert [*table] == ["title", "status", "detail"]
        assert table["status"] == self.status
        assert "\n" not in table["detail"]
        return str(table["detail"])


@dataclass
class Server:
    port: int
    process: "subprocess.Popen[str]"
    errors: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, headers: Mapping[str, str] | None = None, **parameters: object) -> Reply:
        target = f"{path}?{urllib.parse.urlencode(parameters)}" if parameters else path
        return self.ask("GET", target, headers=headers)

    def post(self, path: str, table: object, headers: Mapping[str, str] | None = None) -> Reply:
        given = {"Content-Type": "application/json", **(headers or {})}
        return self.ask("POST", path, json.dumps(table).encode(), given)

    def ask(
        self, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, target, body, dict(headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def connect(self, receive: int = 0) -> socket.socket:
        """A bare connection; `receive`: bytes that its end takes unread."""
        connection = socket.socket()
        if receive:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        connection.settimeout(30)
        connection.connect(("127.0.0.1", self.port))
        return connection

    def say(self, sent: bytes) -> Reply:
        """What a bare connection gets for these bytes, until the server closes it."""
        with self.connect() as connection:
            connection.sendall(sent)
            return read(connection)

    def log(self) -> list[dict[str, Any]]:
        """What it has written so far: of a request a moment after its answer."""
        return [json.loads(line) for line in self.errors.read_text(encoding="utf-8").splitlines()]

    def logged(self, path: str) -> dict[str, Any]:
        """The last line of its log, once that is of a request for this path."""
        for _ in range(100):
            if (log := self.log()) and log[-1].get("path") == path:
                return log[-1]
            time.sleep(0.05)
        raise AssertionError(f"{path} is not logged: {log[-1:]}")

    def end(self, number: int = signal.SIGTERM) -> int:
        """Its exit status once it was told to end."""
        self.process.send_signal(number)
        return self.process.wait(30)


def read(connection: socket.socket) -> Reply:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    reply = Reply(answer.status, answer.headers, answer.read())
    assert answer.will_close
    answer.close()
    return reply


@contextmanager
def answering(folder: Path, *options: str, **variables: str) -> Iterator[Server]:
    """The server for the settings of a folder, on a free port."""
    errors = folder / "errors.txt"
    command = [sys.executable, "-m", "pincite", "serve", "--port", "0", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    with (
        errors.open("w") as log,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line.startswith("http://"), errors.read_text()
            yield Server(urllib.parse.urlsplit(line.split()[0]).port or 0, process, errors)
        finally:
            process.kill()
