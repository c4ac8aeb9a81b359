"""Reading in processes with limits: whatever one file does, the others are read."""

import hashlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pincite import reading
from pincite.errors import PinciteError, Unreadable
from pincite.reading.pool import Readers, resident
from pincite.settings import Sync
from pincite.types import Coverage, Document, Section

ROOT = Path(__file__).parents[1]
LIMITS = Sync(reader_seconds=20, reader_megabytes=512)
POISONED = "tests.poison"


def write(corpus: Path, *sources: str) -> list[str]:
    for source in sources:
        (corpus / source).write_text("They sail daily.", encoding="utf-8")
    return list(sources)


def said(outcomes: Iterator[tuple[str, Document | Unreadable]]) -> dict[str, str]:
    """Source → text of the document, or the kind and words of the error."""
    return {
        source: outcome.text if isinstance(outcome, Document) else f"{type(outcome).__name__}: {outcome}"
        for source, outcome in outcomes
    }


def is_running(pid: int) -> bool:
    """Whether the process does anything still: one that nobody has waited for does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return state.stdout.strip()[:1] not in ("", "Z")


def is_gone(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_running(pid)


def test_documents_come_as_they_are_read_in_this_process(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes("# Fähren 😀\r\n\r\nThey sail — daily.\r\n".encode())
    (tmp_path / "b.txt").write_bytes("Il a été arrêté ; c’est très cher.".encode("cp1252"))
    (tmp_path / "c.html").write_bytes(b"<h1>A</h1><p>text</p><h2>B</h2><p>more</p>")
    with Readers(LIMITS) as readers:
        read = dict(readers.read(tmp_path, ["a.md", "b.txt", "c.html"]))
    assert read == {source: reading.read(tmp_path / source, source) for source in ("a.md", "b.txt", "c.html")}
    assert read["a.md"] == Document(
        source="a.md",
        title="Fähren 😀",
        media_type="text/markdown",
        sha256=hashlib.sha256((tmp_path / "a.md").read_bytes()).hexdigest(),
        text="# Fähren 😀\r\n\r\nThey sail — daily.\r\n",
        sections=(Section(0, ("Fähren 😀",)),),
        coverage=Coverage(),
        reader="markdown/3",
    )


def test_what_cannot_be_read_says_why_in_the_words_of_its_reader(tmp_path: Path) -> None:
    write(tmp_path, "a.refuse", "b.txt")
    (tmp_path / "c.txt").touch()
    with Readers(LIMITS, 2, POISONED) as readers:
        assert said(readers.read(tmp_path, ["a.refuse", "b.txt", "c.txt", "d.txt", "e.xyz"])) == {
            "a.refuse": "Unreadable: protected by a password: save a copy without one",
            "b.txt": "They sail daily.",
            "c.txt": "Unreadable: empty",
            "d.txt": "Inaccessible: cannot be opened (No such file or directory)",
            "e.xyz": "Unreadable: no reader for .xyz",
        }


def test_a_poisonous_file_costs_only_itself(tmp_path: Path) -> None:
    sources = ["a.crash", "b.leave", "c.fail", "d.stop", "e.shout", "f.orphan", "g.close", "h.half", "i.eat"]
    others = [f"{number}.txt" for number in range(9)]
    mixed = [
        source for pair in zip(write(tmp_path, *sources), write(tmp_path, *others), strict=True) for source in pair
    ]
    with Readers(LIMITS, 2, POISONED) as readers:
        outcomes = said(readers.read(tmp_path, mixed))
    assert outcomes == dict.fromkeys(others, "They sail daily.") | {
        "a.crash": "Unreadable: the reader crashed on it (signal 11)",
        "b.leave": "Unreadable: the reader crashed on it (exit status 3)",
        "c.fail": "Unreadable: the reader failed on it (ZeroDivisionError: division by zero ?)",
        "d.stop": "Unreadable: the reader failed on it (SystemExit: enough)",
        "e.shout": "They sail daily.",
        "f.orphan": "Inaccessible: what read it was ended from outside (signal 9)",
        "g.close": "Unreadable: the reader crashed on it (exit status 1)",
        "h.half": "Unreadable: damaged: holds halves of characters (lone surrogates)",
        "i.eat": "Unreadable: needs more than 512 MB (sync.reader_megabytes)",
    }


@pytest.mark.parametrize("poison", ["loop", "hold"])
@pytest.mark.alone
def test_a_reader_that_never_ends_is_ended(tmp_path: Path, poison: str) -> None:
    write(tmp_path, f"a.{poison}", "b.txt", "c.txt")
    started = time.monotonic()
    with Readers(Sync(reader_seconds=1), 1, POISONED) as readers:
        outcomes = said(readers.read(tmp_path, [f"a.{poison}", "b.txt", "c.txt"]))
    assert outcomes == {
        f"a.{poison}": "Unreadable: took longer than 1 s (sync.reader_seconds)",
        "b.txt": "They sail daily.",
        "c.txt": "They sail daily.",
    }
    assert time.monotonic() - started < 6


@pytest.mark.alone
def test_time_that_the_caller_takes_is_not_the_readers(tmp_path: Path) -> None:
    """While the caller is at one document, the next waits in its pipe, which holds a part of it."""
    sources = write(tmp_path, "a.large", "b.large")
    with Readers(Sync(reader_seconds=1), 2, POISONED) as readers:
        outcomes = readers.read(tmp_path, sources)
        read = [next(outcomes)]
        time.sleep(2)
        read += outcomes
    assert said(iter(read)) == dict.fromkeys(sources, "0123456789" * 2_000_000)


def test_a_process_reads_on_while_what_it_said_is_dealt_with(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "b.touch").write_text(str(mark), encoding="utf-8")
    with Readers(LIMITS, 1, POISONED) as readers:
        outcomes = readers.read(tmp_path, [*write(tmp_path, "a.txt"), "b.touch"])
        assert next(outcomes)[0] == "a.txt"
        deadline = time.monotonic() + 10
        while not mark.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert mark.exists()
        assert said(outcomes) == {"b.touch": "touched"}


def test_processes_tell_the_language_where_they_are_asked_to(tmp_path: Path) -> None:
    text = "Die Fähre fährt täglich um neun Uhr ab und kommt um fünf zurück."
    for name, told in {"a.txt": "12 13 14", "b.txt": text, "c.txt": text}.items():
        (tmp_path / name).write_text(told, encoding="utf-8")
    for asked, languages in ((True, ["", "de", "de"]), (False, ["", "", ""])):
        with Readers(Sync(reader_megabytes=256), 1, tell_language=asked) as readers:
            outcomes = readers.read(tmp_path, ["a.txt", "b.txt", "c.txt"])
            read = dict([next(outcomes)])
            (first,) = readers._processes
            read.update(outcomes)
            assert readers._processes == [first]  # languages take nothing of its memory, so it reads all of them
        assert [d.coverage.language for d in read.values() if isinstance(d, Document)] == languages


def test_no_process_is_far_ahead_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pincite.reading.pool._AHEAD", 4)
    sources = write(tmp_path, "0.loop", *(f"{number}.txt" for number in range(1, 9)))
    with Readers(Sync(reader_seconds=5), 2, POISONED) as readers:  # the other process must have begun by then
        read = [source for source, _ in readers.read(tmp_path, sources)]
    assert read[:4] == ["1.txt", "2.txt", "3.txt", "0.loop"]
    assert sorted(read) == sorted(sources)


def test_processes_are_started_for_files_only_and_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Readers(LIMITS, 2, POISONED) as readers:
        assert list(readers.read(tmp_path, [])) == []
        assert readers._processes == []
        first = set(said(readers.read(tmp_path, write(tmp_path, "a.who"))).values())
        monkeypatch.setattr("pincite.reading.pool._MOMENT", 60)
        again = set(said(readers.read(tmp_path, write(tmp_path, "b.who", "c.who", "d.who"))).values())
        assert first == again  # a few are not worth another
        assert len(first) == 1
        monkeypatch.setattr("pincite.reading.pool._MOMENT", 0)
        many = set(said(readers.read(tmp_path, write(tmp_path, *(f"{n}.who" for n in range(20))))).values())
        assert first < many
        assert len(many) == 2
    assert not any(is_running(int(process.removeprefix("process "))) for process in many)


def test_a_process_that_holds_much_memory_is_replaced(tmp_path: Path) -> None:
    sources = write(tmp_path, "a.who", "b.keep", "c.who")
    with Readers(Sync(reader_megabytes=400), 1, POISONED) as readers:
        outcomes = said(readers.read(tmp_path, sources))
    assert outcomes["a.who"].startswith("process ")
    assert outcomes["c.who"].startswith("process ")
    assert outcomes["a.who"] != outcomes["c.who"]


def test_children_of_a_reader_end_with_it(tmp_path: Path) -> None:
    with Readers(LIMITS, 1, POISONED) as readers:
        outcomes = said(readers.read(tmp_path, write(tmp_path, "a.fork", "b.txt")))
        child = int(outcomes.pop("a.fork").removeprefix("child "))
        assert outcomes == {"b.txt": "They sail daily."}
        assert is_running(child)
    assert is_gone(child, 5)


def test_whoever_stops_listening_ends_what_is_being_read(tmp_path: Path) -> None:
    write(tmp_path, "a.who", "b.loop", "c.who")
    with Readers(LIMITS, 2, POISONED) as readers:
        outcomes = readers.read(tmp_path, ["a.who", "b.loop"])
        assert next(outcomes)[0] == "a.who"
        outcomes.close()  # type: ignore[attr-defined]
        assert [source for source, _ in readers.read(tmp_path, ["c.who"])] == ["c.who"]


def test_a_worker_that_cannot_start_is_no_fault_of_the_files(tmp_path: Path) -> None:
    with Readers(LIMITS, 1, "tests.missing") as readers, pytest.raises(PinciteError) as caught:
        list(readers.read(tmp_path, write(tmp_path, "a.txt")))
    assert str(caught.value).startswith("no reading process can be started (exit status 1): see what ")
    assert str(caught.value).endswith(" -P -m tests.missing 20 512 says")
    assert not isinstance(caught.value, Unreadable)


PARENT = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
from pincite.reading.pool import Readers
from pincite.settings import Sync
with Readers(Sync(reader_seconds=int(sys.argv[2])), 2, "tests.poison") as readers:
    for source, outcome in readers.read(Path(sys.argv[1]), sys.argv[3:]):
        print(outcome.text, flush=True)
"""


def parent(corpus: Path, seconds: int, *sources: str) -> tuple[subprocess.Popen[str], list[int]]:
    """A process that reads, and the processes it started, of which one is at work."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(corpus), str(seconds), *sources],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().startswith("process ")
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
    )
    return process, [int(pid) for pid in listed.stdout.split()]


@pytest.mark.skipif(sys.platform != "linux", reason="lists processes by their parent")
@pytest.mark.parametrize(("poison", "seconds"), [("loop", 60), pytest.param("hold", 2, marks=pytest.mark.slow)])
def test_reading_processes_die_with_a_parent_that_is_killed(tmp_path: Path, poison: str, seconds: int) -> None:
    write(tmp_path, f"a.{poison}", "b.who")
    process, children = parent(tmp_path, seconds, f"a.{poison}", "b.who")
    assert len(children) == 2
    process.kill()
    process.communicate()
    assert all(is_gone(child, seconds + 6 if poison == "hold" else 30) for child in children)


@pytest.mark.skipif(sys.platform != "linux", reason="lists processes by their parent")
def test_an_interrupt_leaves_no_orphan(tmp_path: Path) -> None:
    write(tmp_path, "a.hold", "b.who")
    process, children = parent(tmp_path, 60, "a.hold", "b.who")
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=60)[1]
    assert len(children) == 2
    assert not any(is_running(child) for child in children)


def test_the_memory_of_a_process_is_told_as_the_system_counts_it() -> None:
    """Where the system limits no memory, the parent looks with `ps`."""
    now = resident(os.getpid())
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    # The system counts pages of each thread for itself, and adds them up now and then.
    assert 10 * 2**20 < now <= largest + 2**20
    assert resident(2**22 + 1) == 0


def test_a_worker_imports_only_what_reading_needs() -> None:
    code = "import sys, pincite.reading.worker; print(*sys.modules)"
    listed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(listed.stdout.split())
    assert "pincite.reading" in loaded
    assert (
        not {"numpy", "torch", "pydantic", "streamlit", "faiss", "lxml", "charset_normalizer", "pincite.settings"}
        & loaded
    )


def test_nothing_is_imported_from_the_folder_the_command_runs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "struct.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    (tmp_path / "pincite").mkdir()
    monkeypatch.chdir(tmp_path)
    with Readers(LIMITS) as readers:
        assert said(readers.read(Path(), write(tmp_path, "a.txt"))) == {"a.txt": "They sail daily."}
