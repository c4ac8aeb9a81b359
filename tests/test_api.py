"""What the server answers: the words of the command line, over a real socket."""

import doctest
import hashlib
import json
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from api_server import ROOT, Reply, Server, answering

from pincite.doctor import examine
from pincite.embedding import Embedder
from pincite.evaluation import evaluate
from pincite.evaluation.sets import named
from pincite.filters import Filters
from pincite.passages import stretch
from pincite.search import Searcher, as_json
from pincite.settings import Settings
from pincite.storage import Catalog
from pincite.sync import preview, sync

pytest.importorskip("fastapi", reason="requirements-api.txt is not installed")
PAPER = ROOT / "docs" / "api.md"
WAIT = 60.0
QUESTION = "can ketamine damage your bladder"
SOURCE = "ketamine/dependence-and-long-term-use.md"


def written(settings: Settings, folder: Path, more: str = "") -> None:
    """A settings file that says the same."""
    paths = {name: str(getattr(settings, name)) for name in ("corpus", "index", "judgments")}
    lines = "".join(f"{name} = {json.dumps(path)}\n" for name, path in paths.items())
    (folder / "pincite.toml").write_text(lines + more, encoding="utf-8")


@pytest.fixture(scope="module")
def own(sample: Settings, embedder: Embedder, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The sample with files and an index of its own, which may be changed, and three questions to measure with."""
    folder = tmp_path_factory.mktemp("api")
    shutil.copytree(sample.corpus, folder / "corpus")
    shutil.copytree(sample.index, folder / "index")
    (folder / "judgments").mkdir()
    judged = (ROOT / "judgments" / "answerable.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "judgments" / "few.jsonl").write_text("".join(judged[:3]), encoding="utf-8")
    settings = Settings(corpus=folder / "corpus", index=folder / "index", judgments=folder / "judgments")
    sync(settings, embedder=embedder, move_corpus=True)
    return settings


@pytest.fixture(scope="module")
def server(own: Settings) -> Iterator[Server]:
    folder = own.index.parent
    written(own, folder)
    # What others have the environment say of telemetry has no say here.
    telemetry = {
        "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "PYTHONWARNINGS": "error::ResourceWarning",
    }
    with answering(folder, **telemetry) as running:
        yield running
        assert running.end() == 0
        assert {line["message"] for line in running.log()} == {"request"}


def until(ask: Callable[[], Reply], wanted: Callable[[Any], bool]) -> Any:
    """What is answered once it is so."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        table = ask().table
        if wanted(table):
            return table
        time.sleep(0.05)
    raise AssertionError(table)


def ended(server: Server, what: str) -> Any:
    return until(lambda: server.get(f"/v1/{what}"), lambda table: not table["running"])


# Questions


def test_a_search_gives_what_the_command_line_prints(own: Settings, server: Server, embedder: Embedder) -> None:
    reply = server.post("/v1/search", {"question": QUESTION, "k": 3})
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    expected = json.loads(json.dumps(as_json(Searcher(own, embedder).search(QUESTION, 3))))
    assert {**reply.table, "milliseconds": 0} == {**expected, "milliseconds": 0}
    assert reply.table["hits"][0]["source"] == SOURCE


def test_filters_limit_as_operators_do(own: Settings, server: Server, embedder: Embedder) -> None:
    searcher = Searcher(own, embedder)

    def places(limits: object, question: str = "side effects") -> list[tuple[str, int]]:
        reply = server.post("/v1/search", {"question": question, "filters": limits})
        assert reply.status == 200, reply.body
        return [(hit["source"], hit["start"]) for hit in reply.table["hits"]]

    def expected(filters: Filters) -> list[tuple[str, int]]:
        hits = searcher.search("side effects", filters=filters).hits
        return [(hit.passage.source, hit.passage.start) for hit in hits]

    within = places({"within": ["/microdosing/"], "types": [".MD"]})
    assert within == expected(Filters(within=("microdosing/",), types=("md",))) != []
    assert within == places({}, "side effects in:microdosing/ type:md")
    phrase = places({"phrases": ["side  effects"], "no_words": ["nausea"], "after": "2001-02"})
    assert phrase == places({}, '"side effects" -nausea after:2001-02')
    refused = server.post("/v1/search", {"question": "x y", "filters": {"after": "soon"}})
    assert (refused.status, refused.detail) == (
        422,
        "after “soon” names no day: write after:2024, after:2024-05 or after:2024-05-17",
    )


@pytest.mark.parametrize(
    ("table", "detail"),
    [
        ({"question": ""}, "the question is empty: type what you want to know"),
        ({"question": "x" * 2001}, "the question has 2,001 characters, 2,000 is the most: ask for one thing at a time"),
        ({"question": "what is it"}, "“what is it” holds only words that stand in every text: name what it is about"),
        ({"question": "owl", "k": 0}, "k: input should be greater than or equal to 1: GET /openapi.json says"),
        ({"question": "owl", "how": 1}, "how: unknown: GET /openapi.json says what the route takes"),
        ({"question": "\ud800 owl"}, "the question is not valid UTF-8: type it again"),
        ({"question": "owl", "filters": {"types": ["\ud800"]}}, "filters.types.0: value error, holds half a character"),
        ({"question": "owl", "filters": {"after": "\ud800"}}, "after “?” names no day: write after:2024, "),
        ({"question": "owl", "\ud800": 1}, "body: input should be a valid string, unable to parse"),
        ([], "body: input should be a valid dictionary or object"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(server: Server, table: object, detail: str) -> None:
    reply = server.post("/v1/search", table)
    assert reply.status == 422
    assert reply.detail.startswith(detail)


# Documents


def test_each_hit_can_be_opened_at_its_place(server: Server) -> None:
    for hit in server.post("/v1/search", {"question": QUESTION, "k": 20}).table["hits"]:
        shown = server.get("/v1/passage", source=hit["source"], start=hit["start"], end=hit["end"], around=50).table
        same = ("source", "title", "heading", "page", "start", "end", "text", "citation")
        assert {name: shown[name] for name in same} == {name: hit[name] for name in same}
        document = server.get("/v1/document", source=hit["source"]).table
        text, before, after = document["text"], shown["before"], shown["after"]
        assert before == {"start": max(hit["start"] - 50, 0), "end": hit["start"], "text": before["text"]}
        assert before["text"] + hit["text"] + after["text"] == text[before["start"] : after["end"]]
        assert shown["file"] == "current"


def test_a_stretch_has_the_place_of_the_passage_that_was_cut_there(sample: Settings) -> None:
    with Catalog(sample.index) as catalog, catalog.reading():
        documents = {source: catalog.document(source) for source in catalog.files()}
        for stored in catalog.all_passages():
            document = documents[stored.source]
            assert document is not None
            made, kept = stretch(document, stored.start, stored.end), stored.passage
            assert (made.text, made.heading, made.pages, made.parts, made.title) == (
                kept.text,
                kept.heading,
                kept.pages,
                kept.parts,
                kept.title,
            )


def test_a_document_has_its_text_and_headings(own: Settings, server: Server) -> None:
    shown = server.get("/v1/document", source=SOURCE).table
    data = (own.corpus / SOURCE).read_bytes()
    assert (shown["text"], shown["length"]) == (data.decode(), len(data.decode()))
    assert (shown["sha256"], shown["media_type"]) == (hashlib.sha256(data).hexdigest(), "text/markdown")
    for heading in shown["headings"]:
        assert shown["text"][heading["start"] :].lstrip("# ").startswith(heading["heading"][-1])


@pytest.mark.parametrize(
    ("start", "end", "status", "detail"),
    [
        (5, 5, 404, f"{SOURCE} has the characters 0 to "),
        (5, 10**9, 404, f"{SOURCE} has the characters 0 to "),
        (-1, 5, 422, "start: input should be greater than or equal to 0: "),
        (0, 10**30, 422, "end: input should be less than or equal to 9007199254740991: "),
        ("x", 5, 422, "start: input should be a valid integer"),
    ],
)
def test_a_place_that_is_not_there_is_refused(
    server: Server, start: object, end: object, status: int, detail: str
) -> None:
    reply = server.get("/v1/passage", source=SOURCE, start=start, end=end)
    assert (reply.status, reply.detail[: len(detail)]) == (status, detail)


def test_a_file_is_given_byte_for_byte_while_it_is_what_was_indexed(own: Settings, server: Server) -> None:
    path = own.corpus / SOURCE
    data = path.read_bytes()
    reply = server.get("/v1/file", source=SOURCE)
    assert (reply.status, reply.body) == (200, data)
    assert reply.headers["content-disposition"] == "attachment; filename*=UTF-8''dependence-and-long-term-use.md"
    assert reply.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert reply.headers["x-content-type-options"] == "nosniff"
    kept = path.with_name(".kept")
    path.rename(kept)
    try:
        assert server.get("/v1/file", source=SOURCE).detail == (
            f"{SOURCE}: cannot be opened (No such file or directory): put the file back, or sync"
        )
        path.write_bytes(data + b"!")
        changed = server.get("/v1/file", source=SOURCE)
        assert (changed.status, changed.detail) == (409, f"{SOURCE}: the file has changed since it was indexed: sync")
        assert server.get("/v1/document", source=SOURCE).table["file"] == "changed"
        path.unlink()
        outside = own.index.parent / "outside.md"
        outside.write_bytes(data)
        path.symlink_to(outside)
        link = server.get("/v1/file", source=SOURCE)
        assert (link.status, link.detail) == (
            404,
            f"{SOURCE}: is a link out of the corpus folder now: put the file back, or sync",
        )
    finally:
        path.unlink()
        kept.rename(path)
    assert server.get("/v1/file", source=SOURCE).body == data


@pytest.mark.parametrize(
    "source",
    ["../pincite.toml", "/etc/passwd", "ketamine/../../pincite.toml", ".", "", "\0", "ketamine", "pincite.toml"],
)
def test_what_is_not_a_document_of_the_index_is_not_there(server: Server, source: str) -> None:
    for route in ("/v1/file", "/v1/document"):
        reply = server.get(route, source=source)
        assert reply.status == 404
        assert reply.detail.endswith("not in the index: name a source that a search gave")


def test_the_examples_of_the_paper_give_what_it_shows(server: Server) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl on this machine")
    (block,) = re.findall(r"^```shell\n(.*?)^```$", PAPER.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    examples = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    assert len(examples) == 6
    for command, expected in examples:
        words = shlex.split(command.replace("127.0.0.1:8600", f"127.0.0.1:{server.port}"))
        printed = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
        assert doctest.OutputChecker().check_output(expected.strip(), printed, doctest.ELLIPSIS), (
            f"{command}\n{printed}"
        )
    ended(server, "sync")


# Index, sync, evaluation


def test_a_sync_can_be_watched_and_is_followed(own: Settings, server: Server) -> None:
    looked = until(lambda: server.get("/v1/index"), lambda table: table["differs"] is not None)
    assert looked["differs"] == {
        "added": 0,
        "changed": 0,
        "moved": 0,
        "removed": 0,
        "unchanged": 28,
        "skipped": 0,
    }
    (own.corpus / "heron.md").write_text("# The heron\n\nA heron hunts frogs in shallow water.\n")
    began = server.post("/v1/sync", {})
    assert (began.status, began.table["running"]) == (202, True)
    state = ended(server, "sync")
    assert (state["outcome"], state["error"], state["stopping"]) == ("done", None, False)
    report = server.get("/v1/sync/report").table
    assert 0 < report.pop("seconds") < WAIT
    assert report == {
        "added": ["heron.md"],
        "changed": [],
        "moved": [],
        "removed": [],
        "unchanged": 28,
        "skipped": [],
        "documents": 29,
        "passages": 478,
        "embedded": 1,
        "generation": 2,
    }
    found = server.post("/v1/search", {"question": "what does the heron hunt?", "k": 1}).table
    assert (found["generation"], found["hits"][0]["source"]) == (2, "heron.md")
    state = server.get("/v1/index").table
    assert (state["documents"], state["passages"], state["generation"]) == (29, 478, 2)
    difference = until(lambda: server.get("/v1/index/difference"), lambda table: "added" in table)
    assert difference == json.loads(json.dumps(preview(own).as_json()))
    assert difference["unchanged"] == 29
    assert examine(own).problems == []


def test_a_sync_can_be_stopped(own: Settings, server: Server) -> None:
    assert server.post("/v1/sync/cancel", {}).detail == "no sync is running: POST /v1/sync begins one"
    before = server.get("/v1/index").table["generation"]
    assert server.post("/v1/sync", {"rebuild": True}).status == 202
    again = server.post("/v1/sync", {})
    assert (again.status, again.detail) == (
        409,
        "a sync is running: GET /v1/sync tells how far it is, POST /v1/sync/cancel stops it",
    )
    stopped = server.post("/v1/sync/cancel", {})
    assert (stopped.status, stopped.table["stopping"]) == (202, True)
    state = ended(server, "sync")
    assert state["outcome"] == "cancelled"
    assert "the sync was stopped and the index is as it was" in state["error"]
    assert server.get("/v1/sync/report").status == 409
    assert server.get("/v1/index").table["generation"] == before


def test_an_evaluation_runs_beside_and_gives_what_evaluate_writes(
    own: Settings, server: Server, embedder: Embedder
) -> None:
    assert server.get("/v1/evaluation/report").detail == (
        "this server has not finished any evaluation: POST /v1/evaluation begins one"
    )
    missing = server.post("/v1/evaluation", {"judgements": "own"})
    assert (missing.status, missing.detail) == (409, "own judgements are not there: sample can be measured with")
    assert server.post("/v1/evaluation/cancel", {}).status == 409
    began = server.post("/v1/evaluation", {})
    assert (began.status, began.table["total"]) == (202, 3)
    assert ended(server, "evaluation")["outcome"] == "done"
    found = server.get("/v1/evaluation/report").table
    queries, _ = named(own.judgments)["sample"].project(own.index)
    expected = evaluate(Searcher(own, embedder), queries, "pincite").as_json()
    for name in ("queries", "passages", "method", "measures", "intervals", "passage_measures"):
        assert found[name] == json.loads(json.dumps(expected[name])), name
    assert len([*(own.judgments / "runs").glob("*.json")]) == 1
    assert "sha256" not in json.dumps(
        json.loads(next((own.judgments / "runs").glob("*.json")).read_bytes())["settings"]
    )


# The server


def test_health_and_metrics(server: Server) -> None:
    assert (server.get("/health").status, server.get("/health").table) == (200, {"status": "ok"})
    server.get("/made-up")

    def counted() -> dict[str, float]:
        reply = server.get("/metrics")
        assert reply.headers["content-type"].startswith("text/plain; version=")
        lines = [line for line in reply.body.decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    before = counted()
    server.post("/v1/search", {"question": QUESTION})
    after = counted()
    search = 'pincite_requests_total{method="POST",route="/v1/search",status="200"}'
    assert after[search] == before[search] + 1
    strong = 'pincite_answers_total{answer="strong"}'
    assert after[strong] == before[strong] + 1
    assert after['pincite_requests_total{method="GET",route="other",status="404"}'] >= 1
    assert after["pincite_index_passages"] == server.get("/v1/index").table["passages"]
    assert after["process_resident_memory_bytes"] > 2**20


def test_what_is_no_route_or_no_method_of_one_is_said(server: Server) -> None:
    missing = server.get("/v2/search")
    assert (missing.status, missing.detail) == (404, "/v2/search: no such route: GET /openapi.json lists them")
    wrong = server.ask("DELETE", "/v1/sync")
    assert (wrong.status, wrong.headers["allow"], wrong.detail) == (
        405,
        "GET, POST",
        "DELETE /v1/sync: the route takes GET, POST",
    )


def test_every_route_is_described_with_its_refusals(server: Server) -> None:
    described = server.get("/openapi.json").table
    assert described["openapi"].startswith("3.1")
    operations = [operation for path in described["paths"].values() for operation in path.values()]
    assert len(operations) == 16
    for operation in operations:
        assert {"400", "401", "403", "422", "429", "503"} < {*operation["responses"]}
        assert operation["description"]
    for name in ("question", "filters"):
        assert described["components"]["schemas"]["Asked"]["properties"][name]["examples"]


def test_every_route_is_in_the_papers(server: Server) -> None:
    paper = PAPER.read_text(encoding="utf-8")
    for path, methods in server.get("/openapi.json").table["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path}`" in paper
