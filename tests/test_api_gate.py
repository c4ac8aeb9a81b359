"""What the server refuses: each with its status and one line, and nothing else happens."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_server import ROOT, Server, answering, read

from pincite.embedding import Embedder
from pincite.settings import Settings
from pincite.sync import sync

pytest.importorskip("fastapi", reason="requirements-api.txt is not installed")
import anyio.to_thread
from starlette.types import Message

from pincite.api import keys
from pincite.api.application import application
from pincite.api.gate import Gate
from pincite.api.rate import Rate
from pincite.api.resources import Resources

QUESTION = "what does the heron hunt?"
LARGE = "large.html"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def home(embedder: Embedder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index of two files, one of them large and with few words."""
    folder = tmp_path_factory.mktemp("gate")
    (folder / "corpus").mkdir()
    (folder / "corpus" / "heron.md").write_text("# The heron\n\nA heron hunts frogs in shallow water.\n")
    words = "<p>An owl hunts mice at night, and sleeps by day in a hollow tree.</p>"
    (folder / "corpus" / LARGE).write_text(f"<html><body>{words}<!-- {'x' * 16_000_000} --></body></html>")
    sync(Settings(corpus=folder / "corpus", index=folder / "index"), embedder=embedder)
    return folder


def started(home: Path, name: str, settings: str) -> Path:
    """A folder with settings of its own over the same index."""
    folder = home / name
    folder.mkdir()
    (folder / "pincite.toml").write_text(f'corpus = "../corpus"\nindex = "../index"\n[api]\n{settings}')
    return folder


@pytest.fixture(scope="module")
def local(home: Path) -> Iterator[Server]:
    """Without keys, and in a hurry."""
    with answering(
        started(home, "local", "seconds = 1\nwaiting = 2\nper_second = 100_000\nlog_questions = true\n")
    ) as server:
        yield server


@pytest.fixture(scope="module")
def asked(home: Path) -> Iterator[tuple[Server, str, str]]:
    """With two keys, of which the second may curate."""
    made = [keys.make(name, role) for name, role in (("reader", "read"), ("keeper", "curate"))]
    with answering(started(home, "asked", "\n".join(lines for _, lines in made)), "--host", "0.0.0.0") as server:
        yield server, made[0][0], made[1][0]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


# Who asks


def test_without_a_key_nothing_but_health_is_answered_and_nothing_happens(asked: tuple[Server, str, str]) -> None:
    server, reader, keeper = asked
    paths = server.get("/openapi.json", bearer(reader)).table["paths"]
    generation = server.get("/v1/index", bearer(reader)).table["generation"]
    for path, methods in paths.items():
        for method in methods:
            for headers, what in (
                ({}, "a key is needed"),
                (bearer("wrong"), "this key is not known"),
                ({"Authorization": f"Basic {reader}"}, "this key is not known"),
                (bearer(keeper[:-1]), "this key is not known"),
            ):
                time.sleep(0.006)  # within what one address may ask
                reply = server.ask(method.upper(), path, b"{}" if method == "post" else None, {**JSON, **headers})
                if path == "/health":
                    assert reply.status == 200
                    continue
                assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
                assert reply.detail == f"{what}: send Authorization: Bearer KEY"
    assert server.get("/v1/sync", bearer(reader)).table["ended"] is None
    assert server.get("/v1/evaluation", bearer(reader)).table["ended"] is None
    assert server.get("/v1/index", bearer(reader)).table["generation"] == generation


def test_a_key_for_reading_changes_nothing(asked: tuple[Server, str, str]) -> None:
    server, reader, _ = asked
    assert server.post("/v1/search", {"question": QUESTION}, bearer(reader)).status == 200
    for path, methods in server.get("/openapi.json", bearer(reader)).table["paths"].items():
        if "post" in methods and path != "/v1/search":
            reply = server.post(path, {}, bearer(reader))
            assert (reply.status, reply.detail) == (
                403,
                "the key reader may only read: ask with one whose role is curate",
            )
    assert server.get("/v1/sync", bearer(reader)).table["ended"] is None
    assert server.ask("PUT", "/v1/index", b"{}", {**JSON, **bearer(reader)}).status == 403


def test_a_key_for_curating_syncs_and_the_log_has_its_name_and_no_question(asked: tuple[Server, str, str]) -> None:
    server, reader, keeper = asked
    assert server.post("/v1/sync", {}, bearer(keeper)).status == 202
    while server.get("/v1/sync", bearer(reader)).table["running"]:
        time.sleep(0.05)
    assert server.get("/v1/sync", bearer(reader)).table["outcome"] == "done"
    server.post("/v1/search", {"question": QUESTION}, bearer(keeper))
    last = server.logged("/v1/search")
    assert {**last, "time": 0, "milliseconds": 0, "bytes": 0} == {
        "time": 0,
        "level": "info",
        "message": "request",
        "address": "127.0.0.1",
        "key": "keeper",
        "method": "POST",
        "path": "/v1/search",
        "status": 200,
        "milliseconds": 0,
        "bytes": 0,
    }
    text = server.errors.read_text()
    assert "heron hunt" not in text
    assert not any(key in text for key in (reader, keeper))


def test_other_names_and_pages_of_other_sites_are_refused(local: Server) -> None:
    for host in (
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "[",
        "192.0.2.1",
    ):
        reply = local.get("/v1/index", {"Host": host})
        assert reply.status == 403
        assert reply.detail.endswith(": without keys this server answers to localhost alone: ask for that")
    for host in ("localhost", f"localhost:{local.port}", "127.0.0.1", "127.0.0.2:1", f"[::1]:{local.port}"):
        assert local.get("/v1/index", {"Host": host}).status == 200
    for origin in ("http://evil.example", "null", f"http://127.0.0.1:{local.port + 1}"):
        assert local.post("/v1/search", {"question": QUESTION}, {"Origin": origin}).status == 403
    assert local.post("/v1/search", {"question": QUESTION}, {"Origin": local.address}).status == 200
    # A picture that such a page shows is asked for without an origin.
    for site in ("cross-site", "same-site"):
        assert local.get("/v1/index/difference", {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}).status == 403
    for site in ("none", "same-origin"):
        assert local.get("/v1/index", {"Sec-Fetch-Site": site}).status == 200
    # A page of another site may send forms without asking first, and JSON only if it is let; it is not.
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        reply = local.ask("POST", "/v1/sync", b"{}", {"Content-Type": kind})
        assert (reply.status, reply.detail) == (415, "the body must be JSON: send Content-Type: application/json")
    first = local.ask("OPTIONS", "/v1/sync", None, {"Access-Control-Request-Method": "POST"})
    assert first.status == 405
    assert not any(name.lower().startswith("access-control") for name in first.headers)
    assert local.get("/v1/sync").table["ended"] is None


def test_only_this_machine_is_answered_where_no_key_is_set(home: Path) -> None:
    folder = started(home, "open", "")
    done = subprocess.run(
        [sys.executable, "-m", "pincite", "serve", "--host", "0.0.0.0", "--port", "0"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "pincite: 0.0.0.0: other machines could ask, and no key is set: make one with python -m pincite key NAME and"
        " put it into pincite.toml, or leave --host away\n"
    )


def test_a_key_that_is_made_is_known_by_its_hash() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pincite", "key", "lab.1", "--role", "curate"], cwd=ROOT, capture_output=True, text=True
    )
    _, key, _, lines = done.stdout.strip().split("\n\n")
    import tomllib

    (held,) = Settings.model_validate(tomllib.loads(lines)).api.keys
    assert (held.name, held.role) == ("lab.1", "curate")
    assert keys.find([held], f"Bearer {key}".encode()) is held
    assert keys.find([held], f"Bearer {held.sha256}".encode()) is None
    assert keys.find([held], f"bearer  {key} ".encode()) is held
    assert len(key) == 43


# How much, how often, how slowly


def test_what_is_too_large_is_refused(local: Server) -> None:
    reply = local.ask("POST", "/v1/search", b"x" * 70_000, JSON)
    assert (reply.status, reply.detail) == (413, "the body has more than 65,536 bytes: ask for one thing at a time")
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    head = b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with local.connect() as connection:
        connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 3)
        assert read(connection).status == 413
    with local.connect() as connection:  # told before it sends
        connection.sendall(head + b"Expect: 100-continue\r\nContent-Length: 999999999\r\n\r\n")
        assert read(connection).status == 413
    long = local.get("/v1/document", source="x" * 9000)
    assert (long.status, long.detail) == (414, "the address has more than 8,192 bytes: name one document by its path")
    assert local.say(b"GET /" + b"x" * 40_000).status == 414
    assert local.say(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40_000).status == 431


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /health HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /v1/sync HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"POST /v1/sync HTTP/1.1\r\nHost: localhost\r\nContent-Length: -2\r\n\r\n{}",
        b"POST /v1/sync HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: application/json\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused(local: Server, sent: bytes) -> None:
    reply = local.say(sent)
    assert reply.status == 400
    assert reply.detail.startswith("this is not HTTP/1.1 (")
    assert local.get("/v1/sync").table["ended"] is None


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 60_000, b'{"question": ' + b"9" * 5000 + b"}", b"{}{}"])
def test_what_is_not_json_is_refused(local: Server, body: bytes) -> None:
    reply = local.ask("POST", "/v1/search", body, JSON)
    assert reply.status == 400
    assert reply.detail.endswith("send one JSON object") or reply.detail.endswith("send one JSON object in UTF-8")


def test_a_request_that_takes_its_time_is_ended(local: Server) -> None:
    head = b"POST /v1/sync HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    for sent, detail in (
        (b"POST /v1/sy", "the headers were not here within 1 s: send them at once"),
        (head + b"Content-Length: 2\r\n\r\n{", "the body was not here within 1 s: send it at once"),
    ):
        began = time.monotonic()
        reply = local.say(sent)
        assert (reply.status, reply.detail) == (408, detail)
        assert 0.9 < time.monotonic() - began < 10
    with local.connect() as connection:  # a byte now and then is no request either
        began = time.monotonic()
        for byte in head:
            try:
                connection.sendall(bytes([byte]))
            except OSError:
                break
            time.sleep(0.1)
        assert time.monotonic() - began < 8
    with local.connect() as connection:  # and who says nothing is not told anything
        assert connection.recv(1) == b""
    assert local.get("/v1/sync").table["ended"] is None


def unread(server: Server) -> socket.socket:
    """A connection that has asked for a large file and takes none of it."""
    connection = server.connect(receive=4096)
    connection.sendall(f"GET /v1/file?source={LARGE} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return connection


def test_beyond_so_many_at_work_it_is_told_when_to_come_back(home: Path) -> None:
    settings = "seconds = 5\nwaiting = 2\nper_second = 100_000\n"
    with answering(started(home, "busy", settings)) as local, unread(local), unread(local):
        waited = time.monotonic() + 4
        while "pincite_requests_at_work 2.0" not in local.get("/metrics").body.decode():
            assert time.monotonic() < waited
        reply = local.get("/v1/index")
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert reply.detail == "2 requests are being answered: try again in a second"
        assert local.get("/health").status == 200
        # Whoever does not read is let go, and the others have their turn.
        end = time.monotonic() + 20
        while local.get("/v1/index").status == 503:
            assert time.monotonic() < end
            time.sleep(0.1)
        assert local.ask("GET", f"/v1/file?source={LARGE}").body.endswith(b"x --></body></html>")


def test_one_client_may_not_ask_too_often(home: Path) -> None:
    made, lines = keys.make("reader", "read")
    with answering(started(home, "slow", f"per_second = 1\n{lines}")) as server:
        assert server.get("/v1/sync", bearer(made)).status == 200
        refused = next(reply for _ in range(50) if (reply := server.get("/v1/sync", bearer(made))).status != 200)
        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        assert re.fullmatch(r"at most 1 requests a second are answered: wait for (0\.\d\d|1\.00) s", refused.detail)
        assert server.get("/v1/sync").status == 401  # another client is not concerned


def test_a_second_s_worth_may_come_at_once_and_then_it_goes_by_the_rate() -> None:
    rate = Rate(4)
    assert [rate.wait("a", 100.0) for _ in range(4)] == [0, 0, 0, 0]
    assert rate.wait("a", 100.0) == pytest.approx(0.25)  # 4 are a second's worth: the next is due after a quarter
    assert rate.wait("b", 100.0) == 0
    assert rate.wait("a", 100.2) == pytest.approx(0.05)
    assert rate.wait("a", 100.25) == 0
    assert rate.wait("a", 100.25) == pytest.approx(0.25)
    assert [rate.wait("a", 200.0) for _ in range(5)] == [0, 0, 0, 0, pytest.approx(0.25)]


def test_questions_are_in_the_log_where_that_was_asked_for(local: Server) -> None:
    question = "what does\nthe heron “hunt”?"
    local.post("/v1/search", {"question": question})
    assert local.logged("/v1/search")["question"] == question
    assert {line["level"] for line in local.log()} == {"info"}


def test_whatever_else_is_said_is_a_line_of_the_log_too() -> None:
    code = (
        "import threading, warnings; from pincite.api import log; log.begin(); warnings.warn('two\\nlines');"
        "threading.Thread(target=lambda: 1 / 0, name='work').start()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    warned, failed = (json.loads(line) for line in done.stderr.splitlines())
    assert (warned["level"], warned["message"].splitlines()[0][-3:]) == ("warning", "two")
    assert (failed["level"], failed["message"]) == ("error", "work failed")
    assert failed["exception"].endswith("ZeroDivisionError: division by zero")


# The end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_told_to_and_answers_what_was_asked_before(home: Path, number: int) -> None:
    (home / f"end{number}").mkdir()
    (home / f"end{number}" / "pincite.toml").write_text('corpus = "../corpus"\nindex = "../index"\n')
    with answering(home / f"end{number}") as server:
        idle = server.connect()
        replies = []
        asking = threading.Thread(target=lambda: replies.append(server.post("/v1/search", {"question": QUESTION})))
        asking.start()
        while server.get("/metrics").body.decode().count("pincite_requests_at_work 1.0") == 0 and not replies:
            pass
        server.post("/v1/sync", {"rebuild": True})
        assert server.end(number) == 0
        asking.join()
        assert replies[0].status == 200
        idle.close()
        assert {line["level"] for line in server.log()} == {"info"}
    assert sync(Settings(corpus=home / "corpus", index=home / "index")).difference.is_empty()


def test_a_port_in_use_and_a_name_of_another_machine_are_told_in_one_line(local: Server, home: Path) -> None:
    for options, error in (
        (
            ["--port", str(local.port)],
            f"127.0.0.1, port {local.port}: Address already in use: name another with --port\n",
        ),
        (["--host", "192.0.2.1"], "192.0.2.1: other machines could ask, and no key is set: "),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "pincite", "serve", *options],
            cwd=home / "local",
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 1
        assert done.stderr.startswith(f"pincite: {error}")


STUCK = """
import signal, threading, time
from functools import partial
from types import SimpleNamespace
from pincite.api import serve

serve._GRACE, serve.Resources.PATIENCE = 0.3, 0.2
server = SimpleNamespace(should_exit=False, handle_exit=lambda number, frame: print("told", flush=True))
signal.signal(signal.SIGTERM, partial(serve._end, server))
threading.Thread(target=lambda: time.sleep(60)).start()
print("at work", flush=True)
"""


def test_a_thread_that_does_not_end_does_not_keep_the_server(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STUCK], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stdout.read() == "told\n"


def test_an_index_that_was_built_otherwise_is_not_healthy(home: Path) -> None:
    folder = home / "otherwise"
    folder.mkdir()
    (folder / "pincite.toml").write_text('corpus = "../corpus"\nindex = "../index"\n[passages]\ntokens = 100\n')
    with answering(folder) as server:
        reply = server.post("/v1/search", {"question": QUESTION})
        assert reply.status == 503
        assert "built with passage_tokens 128, the settings ask for 100" in reply.detail
        assert (server.get("/health").status, server.get("/metrics").status) == (503, 200)


async def got(app: Gate, path: str) -> int:
    """The status that a server gets from the application."""
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        said.append(message)

    where = {"method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": ""}
    scope = {"type": "http", "http_version": "1.1", "scheme": "http", "headers": [(b"host", b"localhost")], **where}
    await app({**scope, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}, receive, send)
    return int(said[0]["status"])


def test_health_is_told_while_every_thread_is_at_work(home: Path) -> None:
    app = application(Resources(Settings(corpus=home / "corpus", index=home / "index")))
    done = threading.Event()

    async def asked() -> tuple[int, int]:
        every = int(anyio.to_thread.current_default_thread_limiter().total_tokens)
        async with anyio.create_task_group() as group:
            for _ in range(every + 5):
                group.start_soon(anyio.to_thread.run_sync, done.wait)
            await anyio.sleep(0.1)
            try:
                with anyio.fail_after(4):  # it gives up after 5 s
                    return await got(app, "/health"), await got(app, "/metrics")
            finally:
                done.set()

    assert anyio.run(asked) == (200, 200)


def test_files_are_those_of_the_folder_that_was_indexed(home: Path, tmp_path: Path) -> None:
    with answering(tmp_path, "--index", str(home / "index")) as server:
        assert server.get("/v1/document", source="heron.md").table["file"] == "current"
        assert server.get("/v1/file", source="heron.md").body == (home / "corpus" / "heron.md").read_bytes()


def test_what_is_not_installed_is_named() -> None:
    code = "import sys; sys.modules['fastapi'] = None; import runpy; runpy.run_module('pincite', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code, "serve"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (
        1,
        "pincite: fastapi is not installed: pip install -r requirements-api.txt\n",
    )


def test_without_an_index_it_starts_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    with answering(tmp_path) as server:
        health = server.get("/health")
        assert (health.status, health.detail) == (503, "the index cannot be used: GET /v1/index says why")
        for reply in (server.get("/v1/index"), server.post("/v1/search", {"question": QUESTION})):
            assert reply.status == 503
            assert json.loads(reply.body)["detail"] == "index: no index here: run python ingest.py"
        assert server.post("/v1/sync", {}).status == 202
        while server.get("/v1/sync").table["running"]:
            time.sleep(0.05)
        state = server.get("/v1/sync").table
        assert state["outcome"] == "failed"
        assert state["error"].startswith(f"{tmp_path / 'corpus'}: holds no document that can be read")
