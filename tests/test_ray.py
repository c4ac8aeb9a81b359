"""Ingest on a Ray cluster: the same index as without one, whatever machine is lost on the way.

The cluster is a real one of two nodes on this machine, made by Ray's own `cluster_utils`.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ingest import _addressed
from pincite.doctor import examine
from pincite.embedding import Embedder
from pincite.errors import ClusterError, SettingsError, SyncCancelled
from pincite.settings import Model, Settings, Sync
from pincite.storage import Catalog, IndexFolder, Record, SegmentReader
from pincite.sync import Report, cluster, sync
from tests.test_offline import GUARD

pytestmark = [
    # Not imported yet: what it listens to is decided then.
    pytest.mark.skipif(find_spec("ray") is None, reason="requirements-cluster.txt is not installed"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Ray leaves files and sockets to the collector
    pytest.mark.filterwarnings(r"ignore::DeprecationWarning:ray\..*"),  # of itself
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

if TYPE_CHECKING:
    from ray._private.node import Node
    from ray.cluster_utils import Cluster

ROOT = Path(__file__).parents[1]
NOTES = 160
INGEST = [sys.executable, str(ROOT / "ingest.py")]


@pytest.fixture(scope="module")
def machines() -> Iterator["Cluster"]:
    """Two nodes with a processor each; the driver is on the first."""
    with cluster.environment(cluster.SILENT | cluster.ALONE):
        from ray.cluster_utils import Cluster

        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        made.add_node(num_cpus=1)
        yield made
        made.shutdown()


@pytest.fixture(scope="module")
def work(machines: "Cluster") -> Iterator[cluster.Cluster]:
    """What the default settings ask of them."""
    with cluster.connected(Settings(), machines.address) as connected:
        yield connected


def workers(node: "Node", doing: str) -> list[int]:
    """Processes of a node that are at this task now."""
    (raylet,) = node.all_processes["raylet"]
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(raylet.process.pid)], capture_output=True, text=True, check=False
    )
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if doing in line]


def told(report: Report) -> dict[str, Any]:
    return {**report.as_json(), "seconds": 0}


def passages(settings: Settings) -> list[Any]:
    """Every passage with its id, place, text and key."""
    with Catalog(settings.index) as catalog:
        return sorted(stored._replace(segment=None, offset=None, length=None) for stored in catalog.all_passages())


def documents(settings: Settings) -> list[Any]:
    with Catalog(settings.index) as catalog:
        return [(catalog.document(source), state._replace(looked=0)) for source, state in catalog.files().items()]


def records(settings: Settings) -> dict[bytes, Record]:
    reader = SegmentReader(IndexFolder(settings.index).vectors)
    with Catalog(settings.index) as catalog:
        found = {
            stored.key: reader.read(stored.location, stored.key) for stored in catalog.all_passages() if stored.location
        }
    reader.close()
    return found


def assert_same(one: Settings, other: Settings) -> None:
    """The same index but for what a model makes of other batches."""
    assert documents(one) == documents(other)
    assert passages(one) == passages(other)
    ours, theirs = records(one), records(other)
    assert ours.keys() == theirs.keys() == {stored.key for stored in passages(one)}
    for key, record in ours.items():
        same = theirs[key]
        assert float(record.vector @ same.vector) > 0.999
        assert record.sentences.tolist() == same.sentences.tolist()
        steps = [np.stack([tokens & 15, tokens >> 4]).astype(int) for tokens in (record.tokens, same.tokens)]
        assert np.abs(steps[0] - steps[1]).mean() < 0.25  # of 16
    assert examine(one).problems == []


def beside(settings: Settings, name: str) -> Settings:
    return settings.model_copy(update={"index": settings.index.with_name(name)})


def note(number: int) -> str:
    return f"# Note {number}\n\nNote {number} says that {number + 2} zebras eat grass by the river.\n"


@pytest.fixture
def notes(settings: Settings) -> Settings:
    """A passage each."""
    for number in range(NOTES):
        (settings.corpus / f"{number:03}.md").write_text(note(number))
    return settings


@pytest.fixture
def small_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_FILES", 4)
    monkeypatch.setattr(cluster, "_BATCH", 4)
    monkeypatch.setattr("pincite.sync.run._BATCH", 4)


def write_formats(corpus: Path) -> None:
    """Of many kinds, with what is broken, empty, there twice, and strangely named."""
    import docx
    import openpyxl
    from reportlab.pdfgen.canvas import Canvas

    (corpus / "ketamine").mkdir()
    for name in ("legality.md", "compounded-ketamine-at-home.html"):
        shutil.copy(ROOT / "corpus" / "ketamine" / name, corpus / "ketamine")
    word = docx.Document()
    word.add_heading("The tide", 1)
    word.add_paragraph("At the mole the tide rises four metres. It turns twice a day.")
    word.save(str(corpus / "tide.docx"))
    book = openpyxl.Workbook()
    for row in (("ship", "tons"), ("Aurora", 1200), ("Boreas", 800)):
        book.active.append(row)
    book.save(corpus / "ships.XLSX")
    page = Canvas(str(corpus / "harbour.pdf"))
    page.drawString(100, 700, "The harbour master keeps the keys of the lock.")
    page.save()
    mail = EmailMessage()
    mail["Subject"], mail["From"] = "Ferries", "a@example.org"
    mail.set_content("The last ferry leaves at nine.")
    (corpus / "ferries.eml").write_bytes(mail.as_bytes())
    (corpus / "prices.csv").write_text("fish,price\ncod,12\nplaice,9\n")
    (corpus / "broken.pdf").write_bytes(b"%PDF-1.7 and nothing else")
    (corpus / "broken.docx").write_bytes(b"PK\x03\x04 and nothing else")
    (corpus / "empty.md").write_bytes(b"")
    (corpus / "blank.txt").write_text(" \n \n")
    (corpus / "picture.bin").write_bytes(b"x")
    (corpus / "größer › 1").mkdir()
    (corpus / "größer › 1" / "zwei — 2.md").write_text(note(2), encoding="utf-8")
    (corpus / "twice.md").write_text(note(2), encoding="utf-8")


def test_the_index_is_that_of_a_plain_ingest_from_run_to_run(
    work: cluster.Cluster, settings: Settings, embedder: Embedder
) -> None:
    plain = beside(settings, "plain")
    write_formats(settings.corpus)
    first = told(sync(settings, work=work))
    assert first == told(sync(plain, embedder=embedder))
    assert {entry["source"]: entry["reason"] for entry in first["skipped"]}["blank.txt"] == "holds no text"
    assert {"broken.pdf", "broken.docx", "empty.md", "picture.bin"} <= {entry["source"] for entry in first["skipped"]}
    assert {"tide.docx", "ships.XLSX", "größer › 1/zwei — 2.md", "twice.md"} <= set(first["added"])
    assert first["embedded"] == first["passages"] - 1  # what stands twice
    assert_same(settings, plain)

    again = told(sync(settings, work=work))
    assert (again["embedded"], again["unchanged"], again["generation"]) == (0, len(first["added"]), 1)

    (settings.corpus / "twice.md").write_text(note(3))
    (settings.corpus / "prices.csv").unlink()
    (settings.corpus / "ferries.eml").rename(settings.corpus / "boats.eml")
    later = told(sync(settings, work=work))
    assert later == told(sync(plain, embedder=embedder))
    assert (later["changed"], later["removed"], later["moved"], later["embedded"]) == (
        ["twice.md"],
        ["prices.csv"],
        [["ferries.eml", "boats.eml"]],
        1,
    )
    assert_same(settings, plain)


@pytest.mark.slow
@pytest.mark.usefixtures("small_shares")
def test_a_worker_and_then_a_node_that_are_killed_cost_nothing(
    machines: "Cluster", work: cluster.Cluster, notes: Settings, embedder: Embedder
) -> None:
    _, second = machines.list_all_nodes()
    third = machines.add_node(num_cpus=1)
    looked: set[str] = set()
    killed: set[str] = set()

    def busy(node: "Node", task: str) -> int | None:
        """A worker that is at it, waited for: what is done is told when the tasks are over."""
        for _ in range(200):
            if found := workers(node, task):
                return found[0]
            time.sleep(0.02)
        return None

    def kill(stage: str, done: int, _total: int) -> None:
        """A worker in each of the stages, and a whole node with what it is at."""
        task = {"read": "_read", "embed": "_embed"}.get(stage, "")
        if not task or not done or task in looked:
            return
        looked.add(task)
        if worker := busy(second, task):
            os.kill(worker, signal.SIGKILL)
            killed.add(task)
        if task == "_embed" and busy(third, task):
            machines.remove_node(third, allow_graceful=False)
            killed.add("a node")

    done = told(sync(notes, work=work, progress=kill))
    assert killed == {"_read", "_embed", "a node"}
    assert (done["documents"], done["passages"], done["embedded"], done["skipped"]) == (NOTES, NOTES, NOTES, [])
    plain = beside(notes, "plain")
    assert told(sync(plain, embedder=embedder)) == done
    assert_same(notes, plain)


@pytest.mark.slow
@pytest.mark.usefixtures("small_shares")
def test_a_sync_that_is_stopped_leaves_the_index_as_it_was_and_what_was_embedded(
    work: cluster.Cluster, notes: Settings
) -> None:
    def stop(stage: str, done: int, _total: int) -> None:
        if (stage, done) == ("embed", 8):
            raise SyncCancelled("enough")

    with pytest.raises(SyncCancelled, match="enough"):
        sync(notes, work=work, progress=stop)
    with Catalog(notes.index) as catalog:
        assert (catalog.generation, catalog.counts()["documents"]) == (0, 0)
    done = sync(notes, work=work)
    assert (done.generation, done.documents, done.embedded) == (1, NOTES, NOTES - 8)
    assert examine(notes).problems == []


def test_another_version_on_a_machine_is_refused(
    work: cluster.Cluster, notes: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = dict(cluster._version(notes.model.name))["pincite"]
    wanted = (("pincite", "9.9 with code 0123"), *cluster._version(notes.model.name)[1:])
    monkeypatch.setattr(cluster, "_version", lambda _model: wanted)  # of this machine; the workers are as they are
    other = cluster.Cluster(work._ray, cluster._Task.of(notes))
    with pytest.raises(ClusterError) as caught:
        sync(notes, work=other)
    assert str(caught.value).endswith(
        f": has pincite {own}, and the machine with the index 9.9 with code 0123: install the same on every machine"
    )


def test_a_fault_there_is_told_in_one_line(work: cluster.Cluster, notes: Settings) -> None:
    # What is of the wrong type is the fault that is wanted.
    faulty = cluster.Cluster(work._ray, replace(work._task, model=None))  # type: ignore[arg-type]
    with pytest.raises(ClusterError) as caught:
        sync(notes, work=faulty)
    told = "TypeError: expected str, bytes or os.PathLike object, not NoneType: see Ray's log of the worker"
    assert str(caught.value).endswith(f": {told}")


class Missing:
    """Of a module that no worker has."""

    def __reduce__(self) -> tuple[Any, ...]:
        return import_module, ("nowhere",)


def test_a_machine_without_the_project_is_told_in_one_line(work: cluster.Cluster, notes: Settings) -> None:
    with pytest.raises(ClusterError) as caught:
        # No task, but what a machine without the project would make of one.
        sync(notes, work=cluster.Cluster(work._ray, Missing()))  # type: ignore[arg-type]
    reason = "ray.exceptions.RaySystemError: System error: No module named 'nowhere'"
    assert str(caught.value) == (
        f"the Ray cluster gave up ({reason}): see that every machine has the project, and Ray's logs"
    )


def test_what_a_reader_needs_too_much_of_is_skipped_there_too(work: cluster.Cluster, settings: Settings) -> None:
    (settings.corpus / "a.md").write_text(note(1))
    (settings.corpus / "b.csv").write_text("x,y\n" * 10_000_000)
    limited = settings.model_copy(update={"sync": Sync(reader_seconds=1)})
    other = cluster.Cluster(work._ray, cluster._Task.of(limited))
    assert sync(limited, work=other).difference.skipped == {"b.csv": "took longer than 1 s (sync.reader_seconds)"}


@pytest.mark.usefixtures("work")
def test_nothing_is_reported_to_the_makers_of_ray() -> None:
    import ray
    from ray._common.usage.usage_lib import usage_stats_enabled

    assert not usage_stats_enabled()
    assert not ray.get(ray.remote(usage_stats_enabled).remote())


def test_nobody_else_on_the_network_is_listened_to(machines: "Cluster") -> None:
    processes = {
        info.process.pid for node in machines.list_all_nodes() for some in node.all_processes.values() for info in some
    }
    listed = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout.splitlines()
    own = [line.split()[3] for line in listed if any(f"pid={pid}," in line for pid in processes)]
    assert len(own) > 4
    assert [place for place in own if "127.0.0.1" not in place] == []


# The command


def ingest(*arguments: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*INGEST, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
def test_the_command_makes_a_cluster_that_speaks_to_nobody_and_ends(notes: Settings, tmp_path: Path) -> None:
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD, encoding="utf-8")
    path = os.pathsep.join((str(tmp_path / "guard"), str(ROOT)))
    done = ingest(
        notes.corpus, "--index", notes.index, "--json", "--ray", PYTHONPATH=path, TRIED=str(tmp_path / "tried")
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["documents"] == NOTES
    assert not (tmp_path / "tried").exists(), (tmp_path / "tried").read_text()


def begun(machines: "Cluster | None", settings: Settings, task: str) -> "tuple[subprocess.Popen[str], int]":
    """The command, and a worker's process that is at the task."""
    address = machines.address if machines else "local"
    command = [*INGEST, str(settings.corpus), "--index", str(settings.index), "--json", "--ray", address]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_heed_interrupts,
    )
    for _ in range(600):
        if busy := list(_at(machines, task)):
            return process, busy[0]
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    raise AssertionError(f"nobody came to {task}")


def _heed_interrupts() -> None:
    """Tests that a shell runs in the background ignore them, and so do their processes."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _at(machines: "Cluster | None", task: str) -> Iterator[int]:
    """Processes at the task: of these machines, or of whatever cluster there is."""
    if machines:
        for node in machines.list_all_nodes():
            yield from workers(node, task)
        return
    listed = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout
    yield from (int(line.split()[0]) for line in listed.splitlines() if f"ray::MapBatches({task})" in line)


@pytest.mark.slow
def test_what_ray_says_of_a_lost_worker_is_not_in_the_json(machines: "Cluster", notes: Settings) -> None:
    process, worker = begun(machines, notes, "_read")
    os.kill(worker, signal.SIGKILL)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0
    assert json.loads(output)["documents"] == NOTES
    assert "A worker died" in errors


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_an_end_by_a_signal_ends_the_cluster_and_leaves_the_index_as_it_was(
    notes: Settings, sent: signal.Signals, status: int
) -> None:
    for number in range(NOTES, 4 * NOTES):  # so that nobody is done before the signal comes
        (notes.corpus / f"{number:03}.md").write_text(note(number))
    process, _ = begun(None, notes, "_embed")
    process.send_signal(sent)
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (status, "")
    with Catalog(notes.index) as catalog:
        assert (catalog.generation, catalog.counts()["documents"]) == (0, 0)
    deadline = time.monotonic() + 30
    while left := subprocess.run(["pgrep", "-f", f"session_.*_{process.pid}/"], capture_output=True, text=True).stdout:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1:9", "[Errno 111] Connection refused"),
        ("ray://127.0.0.1:10001", "a client from outside cannot run Ray Data"),
    ],
)
def test_an_address_without_a_cluster_is_told_in_one_line(notes: Settings, address: str, reason: str) -> None:
    done = ingest(notes.corpus, "--index", notes.index, "--ray", address)
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        f"pincite: {address}: no Ray cluster can be used there ({reason}): run python ingest.py on one of its machines,"
        " with the address that ray start names\n",
    )
    assert not notes.index.exists()


OTHER_RAY = """
import runpy, sys, ray
ray.__version__ = "1.0.0"
sys.argv = ["ingest.py", *sys.argv[1:]]
runpy.run_path("ingest.py", run_name="__main__")
"""


def test_another_version_of_ray_is_told_in_one_line(machines: "Cluster", notes: Settings) -> None:
    import ray

    own = ray.__version__
    command = [sys.executable, "-c", OTHER_RAY, str(notes.corpus), "--index", str(notes.index), "--ray"]
    ran = subprocess.run([*command, machines.address], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"pincite: {machines.address}: no Ray cluster can be used there (Version mismatch: ")
    assert ran.stderr.count("\n") == 1
    assert {own, "1.0.0"} <= {said.split()[0] for said in ran.stderr.split("Ray: ")}


WITHOUT = """
import runpy, sys
sys.modules["ray"] = None  # as if it were not installed
sys.argv = ["ingest.py", *sys.argv[1:]]
runpy.run_path("ingest.py", run_name="__main__")
"""


def test_without_the_extra_one_line_says_what_to_install(notes: Settings) -> None:
    command = [sys.executable, "-c", WITHOUT, str(notes.corpus), "--index", str(notes.index), "--ray"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "pincite: python ingest.py --ray needs pip install -r requirements-cluster.txt\n"
    assert (ROOT / "requirements-cluster.txt").is_file()


def test_int8_is_refused(notes: Settings) -> None:
    quantised = notes.model_copy(update={"model": Model(precision="int8")})
    with (
        pytest.raises(SettingsError, match="index without --ray, or without int8"),
        cluster.connected(quantised),
    ):
        pass


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["--ray"], ["--ray="]),
        (["--ray", "--json"], ["--ray=", "--json"]),
        (["--ray", "notes"], ["--ray=", "notes"]),
        (["--ray", "auto", "notes"], ["--ray", "auto", "notes"]),
        (["notes", "--ray", "10.0.0.1:6379"], ["notes", "--ray", "10.0.0.1:6379"]),
        (["--ray=auto"], ["--ray=auto"]),
        (["notes"], ["notes"]),
    ],
)
def test_an_address_may_be_left_out(given: list[str], meant: list[str]) -> None:
    assert _addressed(["ingest.py", *given]) == ["ingest.py", *meant]
