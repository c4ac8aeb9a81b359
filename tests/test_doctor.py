"""Doctor: silent about a sound index, and every damage named with what mends it."""

import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pincite.doctor import Findings, examine
from pincite.embedding import Embedder
from pincite.errors import IndexMissing
from pincite.settings import Settings
from pincite.storage import Catalog, IndexFolder, NewDocument, NewPassage
from pincite.storage.generation import generation_numbers
from pincite.sync import sync

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder) -> Settings:
    """Four short documents, indexed; the pattern for what tests may write to."""
    folder = tmp_path_factory.mktemp("doctor")
    (folder / "corpus").mkdir()
    for number in range(3):
        (folder / "corpus" / f"{number}.md").write_text(f"# Note {number}\n\nNote {number} says that owls hunt mice.\n")
    (folder / "corpus" / "old.txt").write_bytes(
        "Das Café liegt schön über dem Fluß, drüben – für alle.".encode("cp1252")
    )
    (folder / "corpus" / "picture.png").write_bytes(b"x")
    settings = Settings(corpus=folder / "corpus", index=folder / "index")
    sync(settings, embedder=embedder)
    return settings


@pytest.fixture
def index(model: Settings, tmp_path: Path) -> Settings:
    shutil.copytree(model.index, tmp_path / "index")
    return model.model_copy(update={"index": tmp_path / "index"})


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x20
    path.write_bytes(data)


def change(settings: Settings, statement: str) -> None:
    connection = sqlite3.connect(settings.index / "catalog.sqlite")
    with connection:
        connection.execute(statement)
    connection.close()


def test_a_sound_index_has_no_problems(model: Settings) -> None:
    assert examine(model) == Findings(
        generation=1,
        documents=4,
        passages=4,
        skipped={"picture.png": "no reader for .png"},
        ledger={"old.txt": ["decoded from Windows-1252", "in a language that the model does not know (de)"]},
        problems=[],
    )


def test_the_sample_index_has_no_problems(sample: Settings) -> None:
    found = examine(sample)
    assert (found.problems, found.skipped) == ([], {})
    told = ["99 % searchable", "left out: 2 navigation and page furniture"]
    pages = ["ketamine/compounded-ketamine-at-home.html", "microdosing/gummies-and-legal-products.html"]
    assert found.ledger == dict.fromkeys(pages, told)
    assert found.documents == sum(path.is_file() for path in sample.corpus.rglob("*"))


def test_doctor_changes_nothing(index: Settings) -> None:
    def everything() -> dict[Path, bytes]:
        return {
            path: path.read_bytes()
            for path in index.index.rglob("*")
            if path.is_file() and not path.name.endswith(("-wal", "-shm"))
        }

    before = everything()
    for damage in (lambda: None, lambda: flip(index.index / "vectors" / "000001.seg", 100)):
        damage()
        before = everything()
        examine(index)
        assert everything() == before


def generation(settings: Settings) -> Path:
    return IndexFolder(settings.index).generation(1)


def lexical_file(settings: Settings, suffix: str) -> Path:
    (path,) = (generation(settings) / "lexical").glob(f"*{suffix}")
    return path


def spoil_a_record(settings: Settings) -> str:
    with Catalog(settings.index) as catalog:
        stored = next(one for one in catalog.all_passages() if one.passage.source == "1.md")
    assert stored.location is not None
    flip(settings.index / "vectors" / "000001.seg", stored.location.offset + 60)
    return (
        f"1.md, characters 0–{stored.passage.end}: its vectors are damaged (checksum differs): run python ingest.py"
        " --rebuild"
    )


def lose_the_segment(settings: Settings) -> list[str]:
    path = settings.index / "vectors" / "000001.seg"
    path.unlink()
    with Catalog(settings.index) as catalog:
        return [
            f"{one.passage.source}, characters {one.passage.start}–{one.passage.end}: its vectors are damaged"
            f" ([Errno 2] No such file or directory: '{path}'): run python ingest.py --rebuild"
            for one in catalog.all_passages()
        ]


def forget_a_record(settings: Settings) -> str:
    change(settings, "DELETE FROM vectors WHERE key = (SELECT key FROM passages ORDER BY id LIMIT 1)")
    return "0.md, characters 0–42: its vectors are damaged (not there): run python ingest.py --rebuild"


def change_a_passage(settings: Settings) -> str:
    change(settings, "UPDATE passages SET text = replace(text, 'mice', 'rice') WHERE text LIKE '%Note 2%'")
    return "2.md, characters 0–42: not there: run python ingest.py --rebuild"


def move_a_passage(settings: Settings) -> str:
    change(settings, "UPDATE passages SET start = start + 1 WHERE text LIKE '%Note 2%'")
    return "2.md, characters 1–42: not there: run python ingest.py --rebuild"


def change_a_document(settings: Settings) -> str:
    change(settings, "UPDATE documents SET text = replace(text, 'mice', 'rice') WHERE source = '2.md'")
    return f"{settings.index}/catalog.sqlite: what is known of 2.md is damaged: run python ingest.py --rebuild"


def alter_faiss(settings: Settings) -> str:
    (path,) = (generation(settings) / "dense").glob("*.faiss")
    flip(path, 200)
    return f"{path}: missing or altered: run python ingest.py --rebuild"


def alter_tantivy(settings: Settings) -> str:
    path = lexical_file(settings, ".store")
    flip(path, 3)
    return f"{path}: missing or altered: run python ingest.py --rebuild"


def lose_a_derived_file(settings: Settings) -> str:
    path = lexical_file(settings, ".term")
    path.unlink()
    return f"{path}: missing or altered: run python ingest.py --rebuild"


def alter_the_manifest(settings: Settings) -> str:
    path = generation(settings) / "manifest.json"
    path.write_text(path.read_text().replace('"passages": 4', '"passages": 5'))
    return f"{path}: not the one that was committed: run python ingest.py"


def lose_the_generation(settings: Settings) -> str:
    shutil.rmtree(generation(settings))
    path = generation(settings) / "manifest.json"
    return f"{path}: [Errno 2] No such file or directory: '{path}': run python ingest.py"


DAMAGES = [
    spoil_a_record,
    lose_the_segment,
    forget_a_record,
    change_a_passage,
    move_a_passage,
    change_a_document,
    alter_faiss,
    alter_tantivy,
    lose_a_derived_file,
    alter_the_manifest,
    lose_the_generation,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named_and_mended_by_what_is_named_with_it(
    index: Settings, embedder: Embedder, damage: Callable[[Settings], str | list[str]]
) -> None:
    wanted = damage(index)
    found = examine(index)
    assert found.problems == ([wanted] if isinstance(wanted, str) else wanted)
    assert (found.generation, found.documents, found.passages) == (1, 4, 4)

    rebuild = found.problems[0].endswith("run python ingest.py --rebuild")
    assert rebuild or found.problems[0].endswith("run python ingest.py")
    sync(index, rebuild=rebuild, embedder=embedder)
    assert examine(index).problems == []


def test_several_problems_are_all_named(index: Settings) -> None:
    wanted = [change_a_passage(index), spoil_a_record(index), alter_faiss(index), alter_tantivy(index)]
    assert sorted(examine(index).problems) == sorted(wanted)


def test_an_index_that_holds_other_passages_than_its_catalog_is_noticed(index: Settings) -> None:
    change(index, "DELETE FROM documents WHERE source = '0.md'")
    (problem,) = examine(index).problems
    assert problem.startswith(f"{generation(index)}: counts {{'documents': 4, 'passages': 4}}, the catalog holds ")
    assert problem.endswith(": run python ingest.py --rebuild")


def test_a_folder_without_an_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(IndexMissing, match="no index here: run python ingest"):
        examine(Settings(index=tmp_path))


def test_doctor_finds_nothing_wrong_with_an_index_while_syncs_go_on(settings: Settings, embedder: Embedder) -> None:
    def version(number: int) -> None:
        for name in "abc":
            making = settings.corpus.with_name("making.md")  # in one step: a look never meets half a file
            making.write_text(f"# {name}\n\nVersion {number} of {name}.\n")
            making.replace(settings.corpus / f"{name}.md")

    version(0)
    sync(settings, embedder=embedder)
    found: list[Findings] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            found.append(examine(settings))

    thread = threading.Thread(target=look)
    thread.start()
    for number in range(1, 12):
        version(number)
        sync(settings, embedder=embedder)
    done.set()
    thread.join()
    assert len(found) > 5
    # A file that was written since is not what was indexed, and nothing else is wrong.
    late = {f"{name}.md: changed since it was indexed: run python ingest.py" for name in "abc"}
    assert {problem for one in found for problem in one.problems} <= late
    assert {(one.documents, one.passages) for one in found} == {(3, 3)}
    sync(settings, embedder=embedder)
    assert generation_numbers(IndexFolder(settings.index)) == [12]


def test_the_command_prints_what_was_found_and_fails_if_something_is_wrong(index: Settings) -> None:
    def doctor(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pincite", "doctor", "--index", str(index.index), *options]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    sound = doctor()
    assert (sound.returncode, sound.stderr) == (0, "")
    assert sound.stdout.splitlines() == [
        "4 documents, 4 passages, generation 1: everything is as it should be",
        "  skipped picture.png: no reader for .png",
        "  old.txt: decoded from Windows-1252; in a language that the model does not know (de)",
    ]

    problem = alter_faiss(index)
    damaged = doctor()
    assert (damaged.returncode, damaged.stderr) == (1, "")
    assert damaged.stdout.splitlines() == [
        "4 documents, 4 passages, generation 1: 1 problems",
        "  skipped picture.png: no reader for .png",
        "  old.txt: decoded from Windows-1252; in a language that the model does not know (de)",
        f"  {problem}",
    ]
    as_json = doctor("--json")
    assert as_json.returncode == 1
    assert json.loads(as_json.stdout) == {
        "generation": 1,
        "documents": 4,
        "passages": 4,
        "skipped": [{"source": "picture.png", "reason": "no reader for .png"}],
        "ledger": {"old.txt": ["decoded from Windows-1252", "in a language that the model does not know (de)"]},
        "problems": [problem],
    }


# Attribution, from the files


@pytest.fixture
def loose(model: Settings, index: Settings, tmp_path: Path) -> Settings:
    """A copy of the corpus too."""
    shutil.copytree(model.corpus, tmp_path / "corpus")
    settings = index.model_copy(update={"corpus": tmp_path / "corpus"})
    change(settings, f"UPDATE meta SET value = '{tmp_path / 'corpus'}' WHERE key = 'corpus'")
    return settings


def test_places_are_proved_against_the_files(loose: Settings) -> None:
    assert examine(loose).problems == []


def test_a_file_that_was_changed_since_is_named(loose: Settings) -> None:
    (loose.corpus / "1.md").write_text("# Note 1\n\nNote 1 says that owls hunt voles.\n")
    assert examine(loose).problems == ["1.md: changed since it was indexed: run python ingest.py"]


def test_a_file_that_is_gone_is_named(loose: Settings) -> None:
    (loose.corpus / "1.md").unlink()
    assert examine(loose).problems == [
        "1.md: cannot be read again (cannot be opened (No such file or directory)): run python ingest.py"
    ]


def test_a_document_of_an_older_reader_is_named(loose: Settings) -> None:
    change(loose, "UPDATE documents SET reader = 'markdown/1' WHERE source = '2.md'")
    assert examine(loose).problems == ["2.md: was read by markdown/1, and markdown/3 is here: run python ingest.py"]


def test_a_text_that_is_not_the_files_is_found_although_the_catalog_agrees_with_itself(loose: Settings) -> None:
    with Catalog(loose.index, writable=True) as catalog:
        document, state = catalog.document("2.md"), catalog.files()["2.md"]
        assert document is not None
        (stored,) = catalog.passages(catalog.passage_ids(["2.md"]).tolist())
        forged = document.text.replace("mice", "cats")
        passage = replace(stored.passage, text=forged[stored.passage.start : stored.passage.end])
        with catalog.writing():
            catalog.put_document(
                NewDocument(replace(document, text=forged), state, [NewPassage(stored.id, passage, stored.key)])
            )
    assert examine(loose).problems == ["2.md: places in it are not those of the file: run python ingest.py --rebuild"]


def test_a_wrong_page_is_found(loose: Settings) -> None:
    with Catalog(loose.index, writable=True) as catalog:
        document, state = catalog.document("2.md"), catalog.files()["2.md"]
        assert document is not None
        (stored,) = catalog.passages(catalog.passage_ids(["2.md"]).tolist())
        passage = replace(stored.passage, pages=(4, 4))
        with catalog.writing():
            catalog.put_document(NewDocument(document, state, [NewPassage(stored.id, passage, stored.key)]))
    assert examine(loose).problems == [f"2.md, characters 0–{passage.end}: not there: run python ingest.py --rebuild"]
