"""Bad input to the command lines: one clear line, the right exit status, no traceback, the index as it was."""

import contextlib
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pincite.doctor import examine
from pincite.embedding import Embedder
from pincite.errors import StorageError
from pincite.reading import READERS
from pincite.settings import Settings
from pincite.storage import Catalog, IndexFolder
from pincite.sync import sync

ROOT = Path(__file__).parents[1]
INGEST = [sys.executable, str(ROOT / "ingest.py")]
PINCITE = [sys.executable, "-m", "pincite"]

UNPRIVILEGED = """
import ctypes, os, sys
for capability in (1, 2) if os.geteuid() == 0 else ():  # those by which root reads what it may not
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Runs a command as a user whom permissions bind, whoever runs the tests."""

SMALL_FILES = """
import resource, runpy, sys
size, sys.argv = int(sys.argv[1]), sys.argv[2:]
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a script that can write no file larger than so many bytes: to it, the disk is full."""


def run(*command: str | Path | bytes, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)


def ingest(settings: Settings, *options: str, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return run(*before, *INGEST, settings.corpus, "--index", settings.index, *options)


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a refused command prints."""
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert re.fullmatch(r"pincite: [^\n]+\n", done.stderr), done.stderr
    return done.stderr.removeprefix("pincite: ").rstrip("\n")


def everything(folder: Path) -> dict[str, bytes]:
    """What an index holds, without SQLite's own book-keeping of who reads."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


def write(corpus: Path, count: int) -> None:
    corpus.mkdir(exist_ok=True)
    for number in range(count):
        (corpus / f"{number:02}.md").write_text(f"# Note {number}\n\nNote {number} says that the zebra eats grass.\n")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder) -> Settings:
    """Three notes, indexed; the pattern for what tests may write to."""
    folder = tmp_path_factory.mktemp("model")
    settings = Settings(corpus=folder / "corpus", index=folder / "index")
    write(settings.corpus, 3)
    sync(settings, embedder=embedder)
    return settings


@pytest.fixture
def indexed(model: Settings, tmp_path: Path) -> Settings:
    shutil.copytree(model.corpus, tmp_path / "corpus")
    shutil.copytree(model.index, tmp_path / "index")
    settings = Settings(corpus=tmp_path / "corpus", index=tmp_path / "index")
    with Catalog(settings.index, writable=True) as catalog, catalog.writing():
        catalog.set_meta("corpus", str(settings.corpus))
    return settings


# The corpus folder


def test_a_missing_corpus_folder(indexed: Settings) -> None:
    before = everything(indexed.index)
    shutil.rmtree(indexed.corpus)
    assert refusal(ingest(indexed)) == f"{indexed.corpus}: no such folder: name the folder that holds your documents"
    assert everything(indexed.index) == before


def test_a_corpus_that_is_a_file(indexed: Settings) -> None:
    done = run(*INGEST, indexed.corpus / "00.md", "--index", indexed.index)
    assert refusal(done) == f"{indexed.corpus / '00.md'}: not a folder: name the folder that holds your documents"


def test_an_empty_corpus_folder(indexed: Settings, tmp_path: Path) -> None:
    before = everything(indexed.index)
    for path in indexed.corpus.iterdir():
        path.unlink()
    message = f"{indexed.corpus}: holds no document that can be read ({', '.join(READERS)}): add some"
    assert refusal(ingest(indexed)) == message
    assert everything(indexed.index) == before
    assert refusal(run(*INGEST, indexed.corpus, "--index", tmp_path / "new")) == message
    assert not (tmp_path / "new").exists()


def test_another_corpus_folder_on_the_same_index(indexed: Settings, tmp_path: Path) -> None:
    before = everything(indexed.index)
    write(tmp_path / "other", 1)
    assert refusal(run(*INGEST, tmp_path / "other", "--index", indexed.index)) == (
        f"{indexed.index}: is the index of {indexed.corpus}, not of {tmp_path / 'other'}: take another with --index"
        " OTHER, or say --move-corpus if the folder was moved"
    )
    assert everything(indexed.index) == before


def test_a_corpus_that_lost_more_than_half_its_documents(settings: Settings, embedder: Embedder) -> None:
    write(settings.corpus, 20)
    sync(settings, embedder=embedder)
    before = everything(settings.index)
    for number in range(11):
        (settings.corpus / f"{number:02}.md").unlink()
    assert refusal(ingest(settings)) == (
        f"{settings.corpus}: 11 of 20 indexed documents are gone: if that is meant, run python ingest.py"
        " --allow-removals"
    )
    assert everything(settings.index) == before
    assert ingest(settings, "--allow-removals").returncode == 0
    assert examine(settings).documents == 9


# Single files


def special_files(corpus: Path) -> dict[str, str]:
    """One of every kind that cannot be indexed; name → the reason that a person is given."""
    reasons: dict[str, str] = {}
    os.mkfifo(corpus / "pipe.md")
    reasons["pipe.md"] = "not a regular file"
    with contextlib.chdir(corpus), socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.md")  # from there, because the path of a socket may not be long
    reasons["socket.md"] = "not a regular file"
    try:
        os.mknod(corpus / "device.md", stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero: endless
        reasons["device.md"] = "not a regular file"
    except PermissionError:
        pass
    (corpus / "link.md").symlink_to(corpus / "00.md")
    reasons["link.md"] = "symbolic link"
    (corpus / "folder link").symlink_to("/")
    reasons["folder link"] = "symbolic link"
    (corpus / "empty.md").touch()
    reasons["empty.md"] = "empty"
    (corpus / "blank.md").write_text(" \n\t\n")
    reasons["blank.md"] = "holds no text"
    (corpus / "binary.txt").write_bytes(bytes(range(256)) * 20)
    reasons["binary.txt"] = "not text"
    (corpus / "picture.png").write_bytes(b"\x89PNG")
    reasons["picture.png"] = "no reader for .png"
    (corpus / "no ending").write_text("x")
    reasons["no ending"] = "no reader for files without an ending"
    with (corpus / "huge.txt").open("wb") as file:
        file.truncate(64 * 2**20 + 1)
    reasons["huge.txt"] = "larger than 64 MB (sync.max_megabytes)"
    (corpus / ".hidden.md").write_text("x")
    reasons[".hidden.md"] = "hidden"
    (corpus / "closed.md").write_text("# Closed\n\nNobody may read this.")
    (corpus / "closed.md").chmod(0)
    reasons["closed.md"] = "cannot be opened (Permission denied)"
    return reasons


def unprivileged() -> tuple[str, ...]:
    """What to put before a command so that permissions bind it."""
    return (sys.executable, "-c", UNPRIVILEGED)


def needs_permissions(folder: Path) -> None:
    closed = folder / "probe"
    closed.write_text("x")
    closed.chmod(0)
    if run(*unprivileged(), "/bin/cat", closed).returncode == 0:
        pytest.skip("permissions do not bind anybody here")
    closed.unlink()


def test_files_that_cannot_be_indexed_are_named_with_the_reason_and_the_rest_is_indexed(
    settings: Settings, tmp_path: Path
) -> None:
    needs_permissions(tmp_path)
    write(settings.corpus, 1)
    reasons = special_files(settings.corpus)
    (settings.corpus / "windows.txt").write_bytes(
        "Das Café liegt schön über dem Fluß, drüben – für alle.".encode("cp1252")
    )
    (settings.corpus / "wide.txt").write_bytes("The owl hunts at night. Größe.".encode("utf-16"))
    named_badly = os.fsencode(settings.corpus) + b"/caf\xe9.md"
    try:
        Path(os.fsdecode(named_badly)).write_text("# Café")
        reasons["caf?.md"] = "its name is not valid UTF-8"
    except OSError:  # a file system that has only names in UTF-8
        pass

    done = ingest(settings, "--json", before=unprivileged())
    assert (done.returncode, done.stderr) == (0, "")
    printed = json.loads(done.stdout)
    assert {one["source"]: one["reason"] for one in printed["skipped"]} == reasons
    assert printed["added"] == ["00.md", "wide.txt", "windows.txt"]
    with Catalog(settings.index) as catalog:
        texts = {source: document.text for source in catalog.files() if (document := catalog.document(source))}
        assert catalog.remarks() == {"wide.txt": ["decoded from UTF-16"], "windows.txt": ["decoded from Windows-1252"]}
    assert texts["windows.txt"] == "Das Café liegt schön über dem Fluß, drüben – für alle."
    assert texts["wide.txt"] == "The owl hunts at night. Größe."

    shutil.rmtree(settings.index)
    whole = ingest(settings, before=unprivileged())
    assert [line for line in whole.stdout.splitlines() if line.startswith("  read")] == [
        "  read wide.txt: decoded from UTF-16",
        "  read windows.txt: decoded from Windows-1252; in a language that the model does not know (de)",
    ]
    again = ingest(settings, before=unprivileged())
    assert (again.returncode, again.stderr) == (0, "")
    first, *lines, last = again.stdout.splitlines()
    assert first == "0 added, 0 changed, 0 moved, 0 removed, 3 unchanged"
    in_order = [f"  skipped {source}: {reasons[source]}" for source in sorted(reasons)]
    assert lines == [*in_order[:10], f"  skipped {len(reasons) - 10} more, listed by python -m pincite doctor"]
    assert last.startswith("3 documents, 3 passages, 0 embedded; generation 1, ")

    examined = run(*PINCITE, "doctor", "--index", settings.index)
    assert (examined.returncode, examined.stderr) == (0, "")
    assert set(in_order) <= set(examined.stdout.splitlines())
    assert (
        "  windows.txt: decoded from Windows-1252; in a language that the model does not know (de)"
        in examined.stdout.splitlines()
    )


def test_a_subfolder_that_cannot_be_listed_or_entered_keeps_its_documents(indexed: Settings, tmp_path: Path) -> None:
    needs_permissions(tmp_path)
    for name in ("unlisted", "locked"):
        (indexed.corpus / name).mkdir()
        (indexed.corpus / name / "in.md").write_text(f"# In {name}\n\nThe owl in {name} hunts at night.")
    assert ingest(indexed).returncode == 0
    (indexed.corpus / "unlisted").chmod(0)
    (indexed.corpus / "locked").chmod(0o444)
    (indexed.corpus / "00.md").unlink()

    done = ingest(indexed, before=unprivileged())
    (indexed.corpus / "unlisted").chmod(0o755)
    (indexed.corpus / "locked").chmod(0o755)
    assert done.returncode == 1
    assert sorted(done.stderr.splitlines()) == [
        f"pincite: {indexed.corpus}/locked: cannot be entered (Permission denied): what is indexed of it stays; mend it"
        " and run again",
        f"pincite: {indexed.corpus}/unlisted: cannot be listed (Permission denied): what is indexed of it stays; mend"
        " it and run again",
    ]
    assert done.stdout.splitlines()[0] == "0 added, 0 changed, 0 moved, 1 removed, 4 unchanged"
    with Catalog(indexed.index) as catalog:
        assert sorted(catalog.files()) == ["01.md", "02.md", "locked/in.md", "unlisted/in.md"]
    assert examine(indexed).problems == []


def test_a_corpus_folder_that_cannot_be_listed(indexed: Settings, tmp_path: Path) -> None:
    needs_permissions(tmp_path)
    before = everything(indexed.index)
    for mode in (0o000, 0o444):
        indexed.corpus.chmod(mode)
        done = ingest(indexed, before=unprivileged())
        indexed.corpus.chmod(0o755)
        assert refusal(done) == f"{indexed.corpus}: cannot be listed (Permission denied): mend its permissions"
    assert everything(indexed.index) == before


def test_an_indexed_file_that_cannot_be_read_any_more_stays_and_is_named(indexed: Settings, tmp_path: Path) -> None:
    needs_permissions(tmp_path)
    path = indexed.corpus / "01.md"
    path.write_text("# Changed\n\nBut nobody may read it.")
    path.chmod(0)
    done = ingest(indexed, before=unprivileged())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:2] == [
        "0 added, 0 changed, 0 moved, 0 removed, 3 unchanged",
        "  skipped 01.md: cannot be opened (Permission denied); the indexed version stays",
    ]
    with Catalog(indexed.index) as catalog:
        document = catalog.document("01.md")
    assert document is not None
    assert document.text.startswith("# Note 1")


# The index folder


@pytest.mark.parametrize("command", [["search", "zebra"], ["doctor"]])
def test_a_missing_index_folder(tmp_path: Path, command: list[str]) -> None:
    done = run(*PINCITE, *command, "--index", tmp_path / "nothing")
    assert refusal(done) == f"{tmp_path / 'nothing'}: no index here: run python ingest.py"
    assert not (tmp_path / "nothing").exists()


def test_an_index_folder_that_is_a_file(indexed: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    message = refusal(run(*INGEST, indexed.corpus, "--index", tmp_path / "file"))
    assert message.startswith(f"{tmp_path / 'file'}: cannot be written (")
    assert (tmp_path / "file").read_text() == "mine"
    assert refusal(run(*PINCITE, "search", "zebra", "--index", tmp_path / "file")).startswith(
        f"{tmp_path / 'file'}: no"
    )


def test_an_index_folder_that_may_not_be_written(indexed: Settings, tmp_path: Path) -> None:
    needs_permissions(tmp_path)
    before = everything(indexed.index)
    (tmp_path / "closed").mkdir(mode=0o500)
    done = run(*unprivileged(), *INGEST, indexed.corpus, "--index", tmp_path / "closed" / "index")
    assert refusal(done).startswith(f"{tmp_path / 'closed' / 'index'}: cannot be written (")
    assert everything(indexed.index) == before


def test_folders_that_may_not_be_entered(indexed: Settings, tmp_path: Path) -> None:
    needs_permissions(tmp_path)
    before = everything(indexed.index)
    indexed.index.chmod(0)
    commands = ([*INGEST, indexed.corpus], [*PINCITE, "search", "zebra"], [*PINCITE, "doctor"])
    done = [run(*unprivileged(), *command, "--index", indexed.index) for command in commands]
    indexed.index.chmod(0o700)
    for each in done:
        assert refusal(each) == f"{indexed.index}: cannot be opened (Permission denied): mend its permissions"

    (tmp_path / "outer" / "corpus").mkdir(parents=True)
    (tmp_path / "outer").chmod(0)
    refused = run(*unprivileged(), *INGEST, tmp_path / "outer" / "corpus", "--index", indexed.index)
    (tmp_path / "outer").chmod(0o700)
    assert refusal(refused) == (f"{tmp_path}/outer/corpus: cannot be opened (Permission denied): mend its permissions")
    assert everything(indexed.index) == before


@pytest.mark.parametrize("lost", ["generations", "generations/000001/lexical", "vectors", "vectors/000001.seg"])
def test_a_half_deleted_index_folder_is_completed(indexed: Settings, lost: str) -> None:
    path = indexed.index / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    found = run(*PINCITE, "search", "what does the zebra eat?", "--index", indexed.index)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.count("says that the zebra eats grass.") == 3

    done = ingest(indexed)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "0 added, 0 changed, 0 moved, 0 removed, 3 unchanged"
    assert examine(indexed).problems == []


def test_a_damaged_catalog_is_named_by_every_command_and_left_alone(indexed: Settings) -> None:
    path = indexed.index / "catalog.sqlite"
    path.write_bytes(path.read_bytes()[:5000])
    before = everything(indexed.index)
    for command in (
        [*INGEST, indexed.corpus],
        [*INGEST, indexed.corpus, "--rebuild"],
        [*INGEST, indexed.corpus, "--dry-run"],
        [*PINCITE, "search", "zebra"],
        [*PINCITE, "doctor"],
    ):
        assert refusal(run(*command, "--index", indexed.index)) == (
            f"{path}: damaged (database disk image is malformed): restore it from a copy, or move the index folder away"
            " and run python ingest.py"
        )
    assert everything(indexed.index) == before


def test_an_index_of_another_format(indexed: Settings) -> None:
    with Catalog(indexed.index, writable=True) as catalog, catalog.writing():
        catalog.set_meta("format", "1")
        recipe = json.loads(catalog.meta("recipe"))
        del recipe["projection"]  # which that format did not have
        catalog.set_meta("recipe", json.dumps(recipe | {"format": 1}))
    before = everything(indexed.index)
    for command in ([*INGEST, indexed.corpus], [*PINCITE, "search", "zebra"], [*PINCITE, "doctor"]):
        assert refusal(run(*command, "--index", indexed.index)) == (
            f"{indexed.index}: index of format 1, this version reads 5: run python ingest.py --rebuild"
        )
    assert everything(indexed.index) == before


def test_an_index_of_another_model_or_passage_size(indexed: Settings, tmp_path: Path) -> None:
    """Another model is told by its weights: here, by those that the index says it was built with."""
    (tmp_path / "pincite.toml").write_text("[passages]\ntokens = 100\n")
    before = everything(indexed.index)
    for command in (INGEST, [*PINCITE, "search", "zebra"]):
        assert refusal(run(*command, cwd=tmp_path)) == (
            "index: built with passage_tokens 128, the settings ask for 100: run python ingest.py --rebuild"
        )
    (tmp_path / "pincite.toml").unlink()
    assert everything(indexed.index) == before

    with Catalog(indexed.index, writable=True) as catalog, catalog.writing():
        recipe = catalog.meta("recipe").replace("53aa51172d14", "0123456789ab").replace("all-MiniLM-L6-v2", "other")
        catalog.set_meta("recipe", recipe)
    before = everything(indexed.index)
    for command in (INGEST, [*PINCITE, "search", "zebra"]):
        assert refusal(run(*command, cwd=tmp_path)) == (
            "index: built with weights_sha256 (other → all-MiniLM-L6-v2) 0123456789ab…, the settings ask for"
            " 53aa51172d14…: run python ingest.py --rebuild"
        )
    assert everything(indexed.index) == before


def test_a_second_writer(indexed: Settings) -> None:
    before = everything(indexed.index)
    with IndexFolder(indexed.index).writer():
        assert refusal(ingest(indexed)) == (
            f"{indexed.index}: another process is writing this index: wait until it is done"
        )
        found = run(*PINCITE, "search", "zebra", "--index", indexed.index)
        assert (found.returncode, found.stderr) == (0, "")
    assert everything(indexed.index) == before


@pytest.mark.parametrize("limit", [1_000, 33_000, 60_000])
def test_a_full_disk(indexed: Settings, limit: int) -> None:
    for number in range(20):
        text = f"# Bird {number}\n\n" + f"The bird number {number} hunts frogs in the pond and sleeps. " * 10
        (indexed.corpus / f"bird {number}.md").write_text(text)
    done = run(sys.executable, "-c", SMALL_FILES, str(limit), INGEST[1], indexed.corpus, "--index", indexed.index)
    assert re.search(r"disk|too large", refusal(done), re.IGNORECASE)
    with Catalog(indexed.index) as catalog:
        assert sorted(catalog.files()) == ["00.md", "01.md", "02.md"]
    found = run(*PINCITE, "search", "what does the zebra eat?", "--index", indexed.index)
    assert found.stdout.count("says that the zebra eats grass.") == 3
    assert ingest(indexed).returncode == 0
    assert (examine(indexed).documents, examine(indexed).problems) == (23, [])


# Questions


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("", "the question is empty: type what you want to know"),
        (" \n\t ", "the question is empty: type what you want to know"),
        (
            "grass " * 1_667,  # 10,002 characters, the last of them a space
            "the question has 10,001 characters, 2,000 is the most: ask for one thing at a time",
        ),
        ("a" * 10_000, "the question has 10,000 characters, 2,000 is the most: ask for one thing at a time"),
        ("what is the", "“what is the” holds only words that stand in every text: name what it is about"),
        ("?!… —", "“?!… —” holds no word to search for: ask in words"),
        (b"zebra\xff", "the question is not valid UTF-8: type it again"),
    ],
    ids=["empty", "blank", "10,001 characters", "one word of 10,000", "stop words", "symbols", "not UTF-8"],
)
def test_a_question_that_nothing_can_be_searched_for_with(model: Settings, question: str | bytes, message: str) -> None:
    done = run(*PINCITE, "search", "--index", model.index, "--", question)
    assert refusal(done) == message


# Settings and usage


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[search]\nresult = 3\n", "pincite.toml: search.result: unknown key; see docs/settings.md"),
        (
            "[passages]\ntokens = 1\n",
            "pincite.toml: passages.tokens: input should be greater than or equal to 48; see docs/settings.md",
        ),
        (
            "[passages\n",
            "pincite.toml: cannot be read (Expected ']' at the end of a table declaration (at line 1, column 10));"
            " see docs/settings.md",
        ),
    ],
)
def test_a_settings_file_that_asks_for_something_unknown(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "pincite.toml").write_text(text)
    assert refusal(run(*INGEST, cwd=tmp_path)) == message


def test_every_command_reads_the_settings_file(tmp_path: Path) -> None:
    (tmp_path / "pincite.toml").write_text("colour = 'red'\n")
    for command in (INGEST, [*PINCITE, "search", "zebra"], [*PINCITE, "doctor"]):
        assert refusal(run(*command, cwd=tmp_path)) == "pincite.toml: colour: unknown key; see docs/settings.md"


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    write(tmp_path / "corpus", 1)
    (tmp_path / "model").mkdir()
    (tmp_path / "pincite.toml").write_text(f'[model]\nname = "{tmp_path}/model"\n')
    assert refusal(run(*INGEST, cwd=tmp_path)) == (
        f"{tmp_path}/model: no model.safetensors; name another model in pincite.toml"
    )
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize(
    "command",
    [
        [*INGEST, "--colour"],
        [*INGEST, "one", "two"],
        [*PINCITE, "search"],
        [*PINCITE, "search", "zebra", "-k", "0"],
        [*PINCITE, "search", "zebra", "-k", "many"],
        [*PINCITE, "search", "--what is it"],
        [*PINCITE, "dance"],
        [*PINCITE],
    ],
    ids=lambda command: " ".join(command[2:]) or "no command",
)
def test_wrong_usage_has_exit_status_2(command: list[str], tmp_path: Path) -> None:
    done = run(*command, cwd=tmp_path)
    assert done.returncode == 2
    assert "Usage" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_error_is_one_line_whatever_a_file_is_called() -> None:
    message = "new\nline\u2028\r\n0.txt: damaged: run python ingest.py"
    assert str(StorageError(message)) == "new line  0.txt: damaged: run python ingest.py"
    assert str(StorageError("a.md: damaged")) == "a.md: damaged"
