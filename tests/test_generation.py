"""Generations: what is derived is shared, swept, checked when it is opened, and made again when damaged."""

import errno
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
import tantivy

from pincite import embedding
from pincite.doctor import examine
from pincite.embedding import Embedder, codes
from pincite.search import Searcher, as_json
from pincite.settings import Settings
from pincite.storage import Catalog, IndexFolder, SegmentReader, dense, lexical
from pincite.storage.generation import LOCK, generation_numbers, open_generation, read_manifest
from pincite.sync import run, sync

QUESTIONS = ("which animal eats grass?", "where does the heron fish?", "night")
ANIMALS = {
    "zebra.md": "# The zebra\n\nThe zebra eats grass on the plain.\n\n## Sleep\n\nIt sleeps at night, standing up.\n",
    "heron.txt": "The heron\n\nA heron fishes in shallow water at dawn. It stands still for an hour.\n",
    "owl.html": "<h1>The owl</h1><p>An owl hunts mice at night.</p><h2>Nest</h2><p>It nests in hollow trees.</p>",
    "birds/swift.md": "# The swift\n\nSwifts sleep on the wing and eat insects.\n",
}


def write(corpus: Path, files: dict[str, str]) -> None:
    for source, text in files.items():
        path = corpus / source
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def animals(settings: Settings, embedder: Embedder) -> Settings:
    write(settings.corpus, ANIMALS)
    sync(settings, embedder=embedder)
    return settings


def current(settings: Settings) -> Path:
    with Catalog(settings.index) as catalog:
        return IndexFolder(settings.index).generation(catalog.generation)


def answers(settings: Settings, embedder: Embedder) -> list[list[dict[str, Any]]]:
    """Every hit of some questions with every value, as `search --json` prints it."""
    searcher = Searcher(settings, embedder)
    return [as_json(searcher.search(question, 50))["hits"] for question in QUESTIONS]


def inodes(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_ino
        for part in ("dense", "lexical")
        for path in (folder / part).iterdir()
        if path.suffix not in (".json", ".lock") and path.name != dense.DEAD
    }


# What a generation holds


def test_the_manifest_says_what_the_generation_was_made_of(animals: Settings) -> None:
    folder = current(animals)
    manifest = json.loads((folder / "manifest.json").read_text())
    files = manifest.pop("files")
    manifest.pop("built_at")
    (words,) = manifest.pop("lexical")
    assert [words[key] for key in ("first", "last", "passages")] == [1, 6, 6]
    assert manifest == {
        "generation": 1,
        "recipe": {
            "format": 5,
            "model": "all-MiniLM-L6-v2",
            "weights_sha256": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "projection": hashlib.sha256(Path(codes.__file__).with_name("projection.npy").read_bytes()).hexdigest(),
            "passage_tokens": 128,
            "analyzer": lexical.ANALYZER,
            "precision": "auto",
        },
        "documents": 4,
        "passages": 6,
        "dense": {
            "parts": [
                {
                    "first": 1,
                    "last": 6,
                    "passages": 6,
                    "files": ["000000001-000000006.faiss"],
                }
            ],
            "dead": 0,
            "directions": 0,
            "shortlist": 200,
            "recall": 1.0,
            "measured": 0,
        },
    }
    assert sorted(files) == sorted(
        f"{part}/{path.name}"
        for part in ("dense", "lexical")
        for path in (folder / part).iterdir()
        if path.suffix != ".lock"
    )


def catalog_ids(settings: Settings) -> list[int]:
    with Catalog(settings.index) as catalog:
        return [stored.id for stored in catalog.all_passages()]


def dense_ids(settings: Settings) -> list[int]:
    folder = current(settings) / "dense"
    parts = [faiss.read_index(str(path)) for path in folder.glob("*.faiss")]
    held = [int(id_) for part in parts for id_ in faiss.vector_to_array(part.id_map)]
    dead = folder / dense.DEAD
    return sorted({*held} - ({*np.fromfile(dead, dtype="<i8").tolist()} if dead.exists() else set()))


def lexical_ids(settings: Settings) -> list[int]:
    index = tantivy.Index.open(str(current(settings) / "lexical"))
    index.reload()
    searcher = index.searcher()
    found = searcher.search(tantivy.Query.all_query(), limit=1000)
    values = searcher.fast_field_values("id", [address for _, address in found.hits])
    return sorted(int(value) for value in values if value is not None)


def test_dense_and_lexical_hold_exactly_the_passages_of_the_catalog(animals: Settings, embedder: Embedder) -> None:
    def same() -> list[int]:
        ids = catalog_ids(animals)
        assert dense_ids(animals) == lexical_ids(animals) == ids
        return ids

    first = same()
    assert len(first) == 6
    write(animals.corpus, {"ant.md": "# The ant\n\nAnts farm fungi."})
    sync(animals, embedder=embedder)
    assert same()[:6] == first
    (ant,) = same()[6:]
    assert ant > max(first)
    write(animals.corpus, {"ant.md": "# The ant\n\nAnts farm aphids."})
    (animals.corpus / "heron.txt").unlink()
    sync(animals, embedder=embedder)
    third = same()
    assert len(third) == 6
    assert len({*third} & {*first, ant}) == 5  # all but the heron's; the ant's is a new one
    assert max(third) > ant
    (animals.corpus / "ant.md").rename(animals.corpus / "bee.md")
    sync(animals, embedder=embedder)
    assert same() == third


def opened(settings: Settings) -> dense.DenseIndex:
    return open_generation(current(settings)).dense


def test_the_nearest_by_vector_are_those_that_numpy_finds(animals: Settings, embedder: Embedder) -> None:
    with Catalog(animals.index) as catalog:
        passages = list(catalog.all_passages())
    reader = SegmentReader(IndexFolder(animals.index).vectors)
    matrix = np.stack([reader.read(one.location, one.key).vector for one in passages if one.location])
    reader.close()
    question = embedder.embed_query("which animal eats grass?").vector
    order = np.argsort(-(matrix @ question))

    found = opened(animals).search(question, 4)
    assert found == [passages[row].id for row in order[:4]]
    assert opened(animals).search(question, 99) == [passages[row].id for row in order]


def test_the_frequency_of_a_term_is_that_of_the_passages_that_hold_it(animals: Settings) -> None:
    index = lexical.LexicalIndex(current(animals) / "lexical")
    with Catalog(animals.index) as catalog:
        bags = [set(lexical.terms(stored.passage.indexed_text)) for stored in catalog.all_passages()]
    for term in set().union(*bags):
        assert index.frequency(term) == sum(term in bag for bag in bags)
    assert index.frequency("nowhere") == 0


# What a sync makes of the one before


def test_a_sync_that_only_moves_links_every_derived_file(animals: Settings, embedder: Embedder) -> None:
    before, old = inodes(current(animals)), answers(animals, embedder)
    (animals.corpus / "zebra.md").rename(animals.corpus / "birds" / "zebra.md")
    report = sync(animals, embedder=embedder)

    assert (report.generation, report.embedded, report.difference.moved) == (2, 0, [("zebra.md", "birds/zebra.md")])
    assert inodes(current(animals)) == before
    assert generation_numbers(IndexFolder(animals.index)) == [2]
    assert examine(animals).problems == []
    renamed = json.loads(json.dumps(old).replace("zebra.md", "birds/zebra.md"))
    for found, wanted in zip(answers(animals, embedder), renamed, strict=True):
        assert found == wanted


def test_a_file_system_without_hard_links_gets_copies(
    animals: Settings, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_source: Path, _target: Path) -> None:  # what FAT says
        raise PermissionError(errno.EPERM, "Operation not permitted")

    before, old = current(animals), inodes(current(animals))
    held = {name: (before / name).read_bytes() for name in old}
    monkeypatch.setattr("os.link", refuse)
    (animals.corpus / "zebra.md").rename(animals.corpus / "birds" / "zebra.md")
    assert sync(animals, embedder=embedder).generation == 2

    assert {name: (current(animals) / name).read_bytes() for name in held} == held
    assert not set(inodes(current(animals)).values()) & set(old.values())
    write(animals.corpus, {"crane.md": "# The crane\n\nCranes dance in the marsh.\n"})
    assert sync(animals, embedder=embedder).difference.added == ["crane.md"]
    assert examine(animals).problems == []
    assert Searcher(animals, embedder).search("who dances?").hits[0].passage.source == "crane.md"


def test_a_sync_that_only_adds_appends_and_ranks_as_if_built_anew(
    animals: Settings, embedder: Embedder, tmp_path: Path
) -> None:
    before, ids = inodes(current(animals)), catalog_ids(animals)
    write(animals.corpus, {"ant.md": "# The ant\n\nAnts farm fungi at night.\n", "bat.txt": "Bats eat moths at night."})
    report = sync(animals, embedder=embedder)

    assert (report.documents, report.passages, report.embedded) == (6, 8, 2)
    after = inodes(current(animals))
    kept = {name for name in before if name.startswith("lexical/")}
    assert kept
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert catalog_ids(animals)[: len(ids)] == ids

    fresh = animals.model_copy(update={"index": tmp_path / "fresh"})
    sync(fresh, embedder=embedder)
    for found, wanted in zip(answers(animals, embedder), answers(fresh, embedder), strict=True):
        assert [[hit[key] for key in ("source", "start", "end", "text", "marks")] for hit in found] == [
            [hit[key] for key in ("source", "start", "end", "text", "marks")] for hit in wanted
        ]
        for hit, same in zip(found, wanted, strict=True):
            # Vectors of one text made in batches of other shapes differ by bfloat16's rounding.
            assert hit["features"] == pytest.approx(same["features"], abs=0.005)
            assert hit["score"] == pytest.approx(same["score"], abs=0.005)


def test_an_index_updated_many_times_equals_the_vectors_and_words_of_one_built_anew(
    animals: Settings, embedder: Embedder
) -> None:
    for number in range(12):  # enough for tantivy to merge its segments
        write(
            animals.corpus, {f"more/{number}.md": f"# Note {number}\n\nNote {number} is about grass and the number.\n"}
        )
        sync(animals, embedder=embedder)
    updated = answers(animals, embedder)
    for folder in IndexFolder(animals.index).generations.iterdir():
        (folder / "manifest.json").unlink()  # so that everything derived is made anew from the same records
    assert answers(animals, embedder) == updated
    assert current(animals).name == "000014"


# Readers and sweepers


def test_a_generation_that_is_read_is_not_swept(
    animals: Settings, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A sync waits for readers before it empties the log: here they never finish, so it need not wait long.
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: connect(*args, **{**options, "timeout": 0.1}))
    monkeypatch.setattr(run, "_PATIENCE", 0.1)
    searcher = Searcher(animals, embedder)
    index = IndexFolder(animals.index)
    with searcher.index.snapshot() as held:
        old = [stored.passage.text for stored in held.catalog.all_passages()]
        for number in range(2):
            write(
                animals.corpus, {source: text.replace("The", f"Now {number} the") for source, text in ANIMALS.items()}
            )
            sync(animals, embedder=embedder)
        assert generation_numbers(index) == [1, 3]
        # All of it still belongs together: the words, the vectors, the derived indexes.
        passages = list(held.catalog.all_passages())
        assert [stored.passage.text for stored in passages] == old
        assert all(held.record(stored) is not None for stored in passages)
        nearest = held.generation.dense.search(embedder.embed_query("zebra").vector, 99)
        assert sorted(nearest) == [stored.id for stored in passages]
        assert held.generation.manifest.generation == 1
    sync(animals, embedder=embedder)
    assert generation_numbers(index) == [3]
    assert examine(animals).problems == []


def test_a_dead_runs_generation_is_deleted_by_the_next_writer(animals: Settings, embedder: Embedder) -> None:
    index = IndexFolder(animals.index)
    shutil.copytree(index.generation(1), index.generation(2))
    shutil.copytree(index.generation(1), index.generation(9))
    sync(animals, embedder=embedder)
    assert generation_numbers(index) == [1]
    write(animals.corpus, {"ant.md": "# The ant\n\nAnts farm fungi."})
    assert sync(animals, embedder=embedder).generation == 2


def test_what_else_lies_among_the_generations_is_left_alone(animals: Settings, embedder: Embedder) -> None:
    generations = IndexFolder(animals.index).generations
    for name in ("000001 copy", "12", "notes"):
        (generations / name).mkdir()
    (generations / "000077").write_text("a file")
    write(animals.corpus, {"ant.md": "# The ant\n\nAnts farm fungi."})
    sync(animals, embedder=embedder)
    assert sorted(path.name for path in generations.iterdir()) == ["000001 copy", "000002", "000077", "12", "notes"]


def test_a_number_is_not_used_again_after_a_run_that_failed(
    animals: Settings, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(animals.corpus, {"ant.md": "# The ant\n\nAnts farm fungi."})

    def fail(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("pincite.storage.generation.write_manifest", fail)
        with pytest.raises(RuntimeError):
            sync(animals, embedder=embedder)
    assert generation_numbers(IndexFolder(animals.index)) == [1]
    assert len(Searcher(animals, embedder).search("zebra").hits) == 6
    report = sync(animals, embedder=embedder)
    assert (report.generation, report.embedded) == (3, 0)
    assert generation_numbers(IndexFolder(animals.index)) == [3]


def test_a_searcher_notices_an_index_made_anew_under_it(animals: Settings, embedder: Embedder) -> None:
    searcher = Searcher(animals, embedder)
    searcher.search("zebra")
    shutil.rmtree(animals.index)
    shutil.rmtree(animals.corpus)
    write(
        animals.corpus, {f"{number}.md": f"# Car {number}\n\nCar {number} drives on the road." for number in range(5)}
    )
    assert sync(animals, embedder=embedder).generation == 1  # the same number as before
    hits = searcher.search("which car drives?").hits
    assert sorted(hit.passage.source for hit in hits) == ["0.md", "1.md", "2.md", "3.md", "4.md"]


# Damage

CHILD = """
import json, os, shutil, sys
from pathlib import Path
from pincite import embedding
from pincite.doctor import examine
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.storage import generation
from pincite.sync import sync

folder, use, at_ends = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
if at_ends:
    generation._END = at_ends
settings = Settings(corpus=folder / "corpus", index=folder / "index")
embedder = embedding.open_embedder(embedding.find("all-MiniLM-L6-v2"))
sync(settings, embedder=embedder)
good, work = folder / "good", settings.index
work.rename(good)

def flip(place):
    def damage(path):
        data = bytearray(path.read_bytes())
        for position in place(len(data)):
            data[position] ^= 0x5A
        path.write_bytes(data)
    return damage

damages = {
    "deleted": lambda path: path.unlink(),
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: os.truncate(path, 0),
    "flipped at its front": flip(lambda size: range(min(8, size))),
    "flipped in the middle": flip(lambda size: range(size // 3, 2 * size // 3, max(1, size // 40))),
    "flipped at its end": flip(lambda size: range(max(0, size - 8), size)),
}
(current,) = (good / "generations").iterdir()
names = sorted(str(path.relative_to(current)) for path in current.rglob("*") if path.is_file())
if at_ends:  # the rest is seen at its ends
    damages = {"flipped in the middle": damages["flipped in the middle"]}
for name in names:
    if name.endswith("lock") and name != "lock":
        continue
    for what, damage in damages.items():
        if (current / name).stat().st_size == 0 and what != "deleted":
            continue
        while work.exists():  # a library that gave up may still be writing there
            shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(good, work)
        damage(work / "generations" / current.name / name)
        if use == "sync":
            sync(settings, embedder=embedder)
        searcher = Searcher(settings, embedder)
        texts = [hit.passage.text for question in ("which animal eats grass?", "night", "zebra heron owl swift")
                 for hit in searcher.search(question, 50).hits]
        after = examine(settings).problems
        if at_ends:
            assert sync(settings, embedder=embedder, rebuild=True).embedded == 0  # mended without the model
            assert examine(settings).problems == [], (name, what)
        print(json.dumps([name, what, texts, after]), flush=True)
"""


def damaged(settings: Settings, use: str, at_ends: int = 0) -> list[list[Any]]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(settings.corpus.parent), use, str(at_ends)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        env={**os.environ, "RUST_BACKTRACE": "0"},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("use", ["search", pytest.param("sync", marks=pytest.mark.slow)])
def test_a_damaged_derived_file_is_made_again_by_the_next_search_or_sync(settings: Settings, use: str) -> None:
    write(settings.corpus, ANIMALS)
    results = damaged(settings, use)

    # FAISS's file, tantivy's six and two of JSON, the manifest: six damages each; the lock can only be deleted.
    assert len(results) == 10 * 6 + 1
    truth = all_texts(settings)
    for name, what, texts, problems in results:
        assert set(texts) == truth, (name, what)
        assert problems == [], (name, what)


@pytest.mark.slow
def test_what_a_glance_at_the_ends_does_not_show_never_changes_a_word(settings: Settings) -> None:
    """Of large files only the ends are looked at when they are opened: here, of all files only 16 bytes."""
    write(settings.corpus, ANIMALS)
    truth: set[str] = set()
    noticed = 0
    for name, what, texts, problems in damaged(settings, "search", at_ends=16):
        truth = truth or all_texts(settings)
        assert set(texts) <= truth, (name, what)
        for problem in problems:
            assert problem.endswith("missing or altered: run python ingest.py --rebuild"), (name, what)
            noticed += 1
    assert noticed > 0


def all_texts(settings: Settings) -> set[str]:
    index = settings.corpus.parent / "good"
    with Catalog(index) as catalog:
        return {stored.passage.text for stored in catalog.all_passages()}


def test_two_questions_at_once_mend_an_index_together(animals: Settings, embedder: Embedder) -> None:
    wanted = answers(animals, embedder)
    next((current(animals) / "dense").glob("*.faiss")).unlink()
    found: list[list[list[dict[str, Any]]]] = []
    threads = [threading.Thread(target=lambda: found.append(answers(animals, embedder))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted] * 4
    assert current(animals).name == "000002"  # it was mended once


def test_a_sync_does_not_build_upon_an_altered_file(
    animals: Settings, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pincite.storage.generation._END", 16)
    sync(animals, embedder=embedder, rebuild=True)
    path = next((current(animals) / "dense").glob("*.faiss"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    assert len(examine(animals).problems) == 1

    write(animals.corpus, {"ant.md": "# The ant\n\nAnts farm fungi."})
    assert sync(animals, embedder=embedder).embedded == 1
    assert examine(animals).problems == []


def test_a_generation_that_is_missing_is_made_again(animals: Settings, embedder: Embedder) -> None:
    wanted = answers(animals, embedder)
    shutil.rmtree(IndexFolder(animals.index).generations)
    assert answers(animals, embedder) == wanted
    assert (current(animals).name, examine(animals).problems) == ("000002", [])


def test_opening_leaves_the_folder_as_it_was(animals: Settings, embedder: Embedder) -> None:
    folder = current(animals)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}
    answers(animals, embedder)
    examine(animals)
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}
    assert after == before
    assert folder / LOCK in before
    assert read_manifest(folder).passages == 6


def test_no_more_files_are_open_however_much_is_asked(animals: Settings, embedder: Embedder) -> None:
    searcher = Searcher(animals, embedder)
    counts = []
    for _ in range(6):
        searcher.search("zebra")
        examine(animals)
        sync(animals, embedder=embedder)
        counts.append(len(os.listdir("/dev/fd")))
    # SQLite keeps what it has opened of a file for its next connection, as long as there is any.
    assert max(counts[1:]) <= counts[0]


def test_the_model_is_not_needed_to_mend(
    animals: Settings, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (current(animals) / "manifest.json").unlink()

    def no_model(*_: object) -> None:
        raise AssertionError("the model was opened")

    monkeypatch.setattr(embedding, "open_embedder", no_model)
    report = sync(animals)
    assert (report.generation, report.embedded) == (2, 0)
    monkeypatch.undo()
    assert len(answers(animals, embedder)[0]) == 6


def test_what_an_earlier_version_built_is_built_again_by_a_sync(animals: Settings, embedder: Embedder) -> None:
    """Its manifest does not say of which directions codes are."""
    wanted = answers(animals, embedder)
    path = current(animals) / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["dense"]["directions"]
    path.write_text(json.dumps(manifest))
    with Catalog(animals.index, writable=True) as catalog, catalog.writing():
        catalog.set_meta("manifest", hashlib.sha256(path.read_bytes()).hexdigest())
    report = sync(animals, embedder=embedder)
    assert (report.generation, report.embedded) == (2, 0)
    assert read_manifest(current(animals)).dense.directions == 0
    assert answers(animals, embedder) == wanted
