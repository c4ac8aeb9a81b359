"""The catalog: one state at a time, all or nothing, and damage is named and left alone."""

import gc
import hashlib
import os
import re
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pincite.doctor import examine
from pincite.embedding import Embedder
from pincite.errors import (
    CatalogDamaged,
    IndexBusy,
    IndexDamaged,
    IndexMismatch,
    IndexMissing,
    PinciteError,
    StorageError,
)
from pincite.passages import Counted
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.storage import Catalog, FileState, NewDocument, NewPassage, create
from pincite.storage.catalog import _digest, drop_aside, exists, peek, put_back, set_aside
from pincite.storage.lexical import LexicalIndex
from pincite.storage.lexical import terms as lexical_terms
from pincite.storage.terms import numbered
from pincite.storage.vectors import Location
from pincite.sync import preview, sync
from pincite.types import Coverage, Document, Page, Part, Passage, Section, Table

STATE = FileState("a.md", 12, 1_000, 2_000, "ab" * 32)


def new(
    source: str = "a.md", text: str = "Zebras eat grass.", first_id: int = 1, key: bytes = b"k" * 32
) -> NewDocument:
    document = Document(source, "Title", "text/markdown", "ab" * 32, text, (Section(0, ("Title",)),))
    passage = Passage(source, 0, len(text), text, "Title", ("Title",), None, ((0, len(text)),))
    return NewDocument(document, STATE._replace(source=source), [NewPassage(first_id, passage, key)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create(tmp_path, Path("/some/corpus"))
    return tmp_path


def put(catalog: Catalog, *documents: NewDocument) -> None:
    with catalog.writing():
        for document in documents:
            catalog.put_document(document)


def test_a_new_catalog_holds_nothing(folder: Path) -> None:
    with Catalog(folder) as catalog:
        assert catalog.counts() == {"documents": 0, "passages": 0}
        assert (catalog.generation, catalog.meta("corpus"), catalog.meta("nothing")) == (0, "/some/corpus", "")
        assert catalog.complaints() == []
    assert [path.name for path in folder.iterdir() if not path.name.endswith(("-wal", "-shm"))] == ["catalog.sqlite"]


def test_a_folder_without_a_catalog_is_named_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(IndexMissing, match=f"^{re.escape(str(tmp_path))}: no index here: run python ingest.py$"):
        Catalog(tmp_path)


texts = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=60)


@given(texts, texts, st.lists(texts, max_size=3), st.booleans())
@hypothesis_settings(deadline=None, max_examples=60)
def test_what_goes_in_comes_out(
    tmp_path_factory: pytest.TempPathFactory, text: str, title: str, heading: list[str], has_pages: bool
) -> None:
    folder = tmp_path_factory.mktemp("catalog")
    create(folder, folder)
    document = Document(
        "x/ü.md",
        title,
        "text/markdown",
        "cd" * 32,
        text,
        (Section(0, tuple(heading)),),
        (Page(3, 0, 1, "iii"), Page(4, 1, len(text), "", is_recognised=True)) if has_pages else (),
        () if has_pages else (Part("row", 1, 0, 1), Part("row", 2, 1, len(text))),
        (Table(0, 1, "a | b"),),
        Coverage(0.25, (1, 2), (("hidden sheets", 2), ("images", 1)), "nl"),
        "markdown/7",
        ("decoded from X",),
    )
    passage = Passage("x/ü.md", 0, len(text), text, title, tuple(heading), sentences=((0, 1),), columns="a | b")
    passage = Counted(document).place(passage)
    last = 2 if len(text) > 1 else 1
    assert (passage.pages, passage.parts) == (((3, 2 + last), None) if has_pages else (None, ("row", 1, last)))
    with Catalog(folder, writable=True) as catalog:
        state = STATE._replace(source="x/ü.md", reader="markdown/7")
        put(catalog, NewDocument(document, state, [NewPassage(7, passage, b"k" * 32)]))
        with catalog.writing():
            catalog.put_vectors([(b"k" * 32, Location(1, 8, 99))])
    with Catalog(folder) as catalog:
        assert catalog.document("x/ü.md") == document
        (stored,) = catalog.passages([7])
        assert (stored.id, stored.passage, stored.key) == (7, passage, b"k" * 32)
        assert (stored.location, stored.file_sha256) == (Location(1, 8, 99), "cd" * 32)
        assert stored.is_sound
        for other in (
            replace(passage, text=text + "!"),
            replace(passage, start=1),
            replace(passage, end=len(text) + 1),
            replace(passage, heading=(*heading, "Elsewhere")),
            replace(passage, pages=(5, 5)),
            replace(passage, sentences=()),
            replace(passage, labels=("iv", "v")),
            replace(passage, is_recognised=not passage.is_recognised),
            replace(passage, parts=("row", 2, 2)),
            replace(passage, columns="b"),
            replace(passage, source="x/y.md"),
            replace(passage, title=title + "!"),
        ):
            assert _digest(passage, stored.terms, stored.file_sha256) != _digest(
                other, stored.terms, stored.file_sha256
            )
        assert stored.terms.tolist() == numbered(lexical_terms(passage.indexed_text)).tolist()
        assert not stored._replace(numbers=stored.numbers[4:]).is_sound
        assert not stored._replace(text=text + "!").is_sound
        assert not stored._replace(file_sha256="dd" * 32).is_sound
        assert [every.passage for every in catalog.all_passages()] == [passage]
        assert list(catalog.indexed_texts(0, 9)) == [(7, passage.indexed_text)]
        assert catalog.remarks() == {"x/ü.md": ["decoded from X"]}
        assert catalog.coverage() == {"x/ü.md": document.coverage}
        assert catalog.counts() == {"documents": 1, "passages": 1}


@pytest.mark.parametrize("damaged", ["[", "5", "null"])
def test_indexed_texts_are_those_of_a_stretch_and_one_that_cannot_be_decoded_is_named(
    folder: Path, damaged: str
) -> None:
    with Catalog(folder, writable=True) as catalog:
        put(catalog, *(new(f"{id_}.md", f"Zebra {id_}.", id_) for id_ in (9, 2, 5, 7)))
        # The title is the heading, and is told once.
        assert list(catalog.indexed_texts(3, 7)) == [(5, "Title\nZebra 5."), (7, "Title\nZebra 7.")]
        assert list(catalog.indexed_texts(10, 99)) == []
        with catalog.writing():
            catalog._connection.execute("UPDATE passages SET heading = ? WHERE id = 7", (damaged,))
        with pytest.raises(CatalogDamaged, match=r"7\.md, characters 0–8"), catalog.named():
            list(catalog.indexed_texts(3, 7))


def test_what_is_known_of_files_is_no_concern_of_the_collector_of_garbage(folder: Path) -> None:
    with Catalog(folder, writable=True) as catalog:
        put(catalog, *(new(f"{id_}.md", first_id=id_) for id_ in range(1, 50)))
        gc.collect()
        before = len(gc.get_objects())
        files = catalog.files()
        gc.collect()
        assert len(gc.get_objects()) - before < 30  # not one for each
        assert files == {f"{id_}.md": STATE._replace(source=f"{id_}.md") for id_ in range(1, 50)}
        assert ("7.md" in files, "x.md" in files, files.get("x.md"), len(files)) == (True, False, None, 49)


def test_a_passage_is_sound_under_its_documents_new_name_unless_it_was_damaged(folder: Path) -> None:
    with Catalog(folder, writable=True) as catalog:
        put(catalog, new("a.md", first_id=1), new("b.md", first_id=2))
        with catalog.writing():
            catalog._connection.execute("UPDATE passages SET text = 'Zebras eat glass.' WHERE id = 2")
            catalog.rename_document("a.md", STATE._replace(source="c.md"))
            catalog.rename_document("b.md", STATE._replace(source="d.md"))
        assert [(at.passage.source, at.is_sound) for at in catalog.passages([1, 2])] == [
            ("c.md", True),
            ("d.md", False),
        ]


def test_a_reader_sees_one_state_while_others_commit(folder: Path) -> None:
    with Catalog(folder, writable=True) as writer, Catalog(folder) as reader:
        put(writer, new("a.md"))
        with reader.reading():
            put(writer, new("b.md", "New.", first_id=2))
            with writer.writing():
                writer.remove_document("a.md")
                writer.set_meta("generation", "5")
            assert list(reader.files()) == ["a.md"]
            assert [stored.passage.text for stored in reader.all_passages()] == ["Zebras eat grass."]
            assert (reader.generation, reader.counts()["documents"]) == (0, 1)
        assert list(reader.files()) == ["b.md"]
        assert (reader.generation, [stored.passage.text for stored in reader.passages([1, 2])]) == (5, ["New."])


def test_nothing_of_an_unfinished_transaction_is_seen(folder: Path) -> None:
    with Catalog(folder, writable=True) as writer, Catalog(folder) as reader:
        with writer.writing():
            writer.put_document(new("a.md"))
            assert reader.counts()["documents"] == 0
        assert reader.counts()["documents"] == 1


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_transaction_that_fails_leaves_everything_as_it_was(folder: Path, error: type[BaseException]) -> None:
    with Catalog(folder, writable=True) as catalog:
        put(catalog, new("a.md"), new("b.md", "Old.", first_id=2))
        before = dump(folder)
        with pytest.raises(error):
            change_everything(catalog, error)
        assert dump(folder) == before
        put(catalog, new("c.md", "Third.", first_id=3))  # and it can go on
        assert sorted(catalog.files()) == ["a.md", "b.md", "c.md"]


def test_of_what_was_skipped_only_what_changed_is_written(settings: Settings) -> None:
    settings.index.mkdir()
    create(settings.index, settings.corpus)
    tried = STATE._replace(source="b.pdf", reader="pdf/1")
    with Catalog(settings.index, writable=True) as catalog:
        skipped = {f"{number}.jpg": "no reader for .jpg" for number in range(50)} | {"b.pdf": "empty"}
        with catalog.writing():
            catalog.put_skipped(skipped, {"b.pdf": tried})
        assert (catalog.skipped(), catalog.failed()) == (skipped, {"b.pdf": tried})
        before = catalog._connection.total_changes
        with catalog.writing():
            catalog.put_skipped(dict(reversed(skipped.items())), {"b.pdf": tried})
        assert catalog._connection.total_changes == before
        del skipped["7.jpg"]
        skipped["8.jpg"] = "hidden"
        skipped["new.jpg"] = "no reader for .jpg"
        with catalog.writing():
            catalog.put_skipped(skipped, {"b.pdf": tried._replace(size=9)})
        assert catalog._connection.total_changes == before + 4
        assert (catalog.skipped(), catalog.failed()) == (skipped, {"b.pdf": tried._replace(size=9)})


def change_everything(catalog: Catalog, error: type[BaseException]) -> None:
    with catalog.writing():
        catalog.put_document(new("c.md", "Third.", first_id=3))
        catalog.remove_document("a.md")
        catalog.rename_document("b.md", STATE._replace(source="z.md"))
        catalog.put_vectors([(b"v" * 32, Location(1, 8, 9))])
        catalog.put_skipped({"x": "y"}, {})
        catalog.set_meta("generation", "9")
        raise error


def dump(folder: Path) -> list[str]:
    connection = sqlite3.connect(folder / "catalog.sqlite")
    lines = list(connection.iterdump())
    connection.close()
    return lines


def test_a_document_takes_its_passages_with_it(folder: Path) -> None:
    with Catalog(folder, writable=True) as catalog:
        put(catalog, new("a.md"), new("b.md", "Other.", first_id=2))
        assert catalog.passage_ids(["a.md"]).tolist() == [1]
        assert catalog.passage_ids(["a.md", "b.md", "c.md"]).tolist() == [1, 2]
        put(catalog, new("a.md", "Replaced.", first_id=3))
        assert [stored.id for stored in catalog.all_passages()] == [2, 3]
        with catalog.writing():
            catalog.rename_document("a.md", STATE._replace(source="c.md", size=77))
        assert [(stored.id, stored.passage.source) for stored in catalog.all_passages()] == [(2, "b.md"), (3, "c.md")]
        assert catalog.files()["c.md"] == STATE._replace(source="c.md", size=77)


def test_passages_come_in_order_of_source_and_start_and_unknown_ids_are_left_out(folder: Path) -> None:
    with Catalog(folder, writable=True) as catalog:
        put(catalog, new("b.md", first_id=1), new("a.md", first_id=2))
        assert [stored.id for stored in catalog.passages([1, 99, 2])] == [2, 1]


def test_live_and_dead_records_are_told_apart(folder: Path) -> None:
    with Catalog(folder, writable=True) as catalog:
        put(catalog, new("a.md", key=b"a" * 32), new("b.md", first_id=2, key=b"b" * 32))
        with catalog.writing():
            catalog.put_vectors(
                [
                    (b"a" * 32, Location(1, 8, 10)),
                    (b"d" * 32, Location(1, 18, 20)),
                    (b"b" * 32, Location(2, 8, 30)),
                ]
            )
        assert catalog.live_bytes() == {1: 10, 2: 30}
        assert catalog.used_bytes([b"a" * 32, b"d" * 32, b"x" * 32]) == {1: 10}
        assert catalog.keys_of(np.array([2, 9])) == {b"b" * 32}
        assert catalog.committed_ends() == {1: 38, 2: 38}
        assert catalog.live_keys(1) == [(b"a" * 32, Location(1, 8, 10))]
        assert (catalog.dead_keys(1), catalog.dead_keys(2)) == ([b"d" * 32], [])


# Numbers


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 5), st.booleans()), min_size=1, max_size=25))
@hypothesis_settings(deadline=None, max_examples=30)
def test_a_number_is_never_given_twice(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("catalog")
    create(folder, folder)
    given_out: list[int] = []
    catalogs = [Catalog(folder, writable=True) for _ in range(3)]
    for who, count, fails in steps:
        first = catalogs[who].reserve("next_passage", count)
        given_out += range(first, first + count)
        if fails:  # what they were meant for comes to nothing
            with pytest.raises(RuntimeError):
                change_everything(catalogs[who], RuntimeError)
    for catalog in catalogs:
        catalog.close()
    with Catalog(folder, writable=True) as catalog:
        given_out.append(catalog.reserve("next_passage"))
    assert given_out == list(range(1, len(given_out) + 1))


def test_numbers_reserved_at_the_same_time_differ(folder: Path) -> None:
    given_out: list[int] = []

    def take() -> None:
        with Catalog(folder, writable=True) as catalog:
            for _ in range(20):
                given_out.append(catalog.reserve("next_generation"))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given_out) == list(range(1, 81))


# Damage


def test_another_format_is_refused_with_both_versions(folder: Path) -> None:
    with Catalog(folder, writable=True) as catalog, catalog.writing():
        catalog.set_meta("format", "99")
    with pytest.raises(IndexMismatch) as refused:
        Catalog(folder)
    assert str(refused.value) == (f"{folder}: index of format 99, this version reads 5: run python ingest.py --rebuild")


@pytest.mark.parametrize("value", ["", "\x35x", "five"])
def test_a_format_that_is_no_number_is_damage_and_no_format(folder: Path, value: str) -> None:
    with Catalog(folder, writable=True) as catalog, catalog.writing():
        catalog.set_meta("format", value)
    with pytest.raises(CatalogDamaged, match=r"damaged \(format is '.*'\): restore it from a copy, or move the index"):
        Catalog(folder)


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def zeroed(data: bytes) -> bytes:
    return bytes(len(data))


def random_bytes(data: bytes) -> bytes:
    return hashlib.shake_128(data).digest(len(data))


def emptied(_: bytes) -> bytes:
    return b""


def without_its_first_page(data: bytes) -> bytes:
    return bytes(4096) + data[4096:]


DAMAGES = [truncated, zeroed, random_bytes, emptied, without_its_first_page]


@pytest.fixture(scope="module")
def zebras(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder) -> Settings:
    """Six short documents, indexed. Not to be written to."""
    folder = tmp_path_factory.mktemp("zebras")
    (folder / "corpus").mkdir()
    for number in range(6):
        words = f"# Animal {number}\n\nThe zebra number {number} eats grass in field {number}. It sleeps at night."
        (folder / "corpus" / f"{number}.md").write_text(words * 3)
    settings = Settings(corpus=folder / "corpus", index=folder / "index")
    sync(settings, embedder=embedder)
    return settings


def copied(zebras: Settings, folder: Path) -> Settings:
    shutil.copytree(zebras.index, folder / "index")
    return zebras.model_copy(update={"index": folder / "index"})


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_catalog_is_named_and_never_overwritten(
    zebras: Settings, tmp_path: Path, embedder: Embedder, damage: Callable[[bytes], bytes]
) -> None:
    settings = copied(zebras, tmp_path)
    path = settings.index / "catalog.sqlite"
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()

    uses: list[Callable[[], object]] = [
        lambda: sync(settings, embedder=embedder),
        lambda: sync(settings, embedder=embedder, rebuild=True, allow_removals=True, move_corpus=True),
        lambda: preview(settings),
        lambda: Searcher(settings, embedder).search("zebra"),
        lambda: examine(settings),
    ]
    for use in uses:
        with pytest.raises(IndexDamaged) as named:
            use()
        assert re.fullmatch(
            re.escape(str(path)) + r": damaged \(.+\): restore it from a copy, or move the index folder away and run"
            r" python ingest.py",
            str(named.value),
        )
        assert path.read_bytes() == before


@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=20))
@hypothesis_settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_flipped_in_a_catalog_ends_in_one_line_or_in_true_words(
    zebras: Settings, tmp_path: Path, embedder: Embedder, flips: list[tuple[float, int]]
) -> None:
    shutil.rmtree(tmp_path / "index", ignore_errors=True)
    settings = copied(zebras, tmp_path)
    path = settings.index / "catalog.sqlite"
    data = bytearray(path.read_bytes())
    for place, change in flips:
        data[int(place * len(data))] ^= change
    path.write_bytes(data)
    originals = {file.read_text() for file in zebras.corpus.iterdir()}

    def search() -> None:
        for hit in Searcher(settings, embedder).search("which zebra eats grass?").hits:
            assert any(hit.passage.text in original for original in originals)

    uses: list[Callable[[], object]] = [
        search,
        lambda: examine(settings),
        lambda: preview(settings),
        lambda: sync(settings, embedder=embedder),
        lambda: sync(settings, embedder=embedder, rebuild=True),
    ]
    complaints: list[str] = []
    for use in uses:
        try:
            use()
        except PinciteError as error:
            complaints.append(str(error))
    assert not any("\n" in complaint for complaint in complaints)


def test_a_changed_text_is_noticed_before_it_is_shown(zebras: Settings, tmp_path: Path, embedder: Embedder) -> None:
    settings = copied(zebras, tmp_path)
    with sqlite3.connect(settings.index / "catalog.sqlite") as connection:
        connection.execute("UPDATE passages SET text = replace(text, 'grass', 'glass') WHERE id = 3")
    connection.close()
    with pytest.raises(IndexDamaged, match=r"the stored passage is damaged: run python ingest\.py --rebuild$"):
        Searcher(settings, embedder).search("which zebra eats grass?")

    assert sync(settings, embedder=embedder, rebuild=True).embedded == 0
    hits = Searcher(settings, embedder).search("which zebra eats grass?").hits
    assert len(hits) == 6
    assert not any("glass" in hit.passage.text for hit in hits)


@pytest.mark.parametrize("change", ["source = '3.txt'", "title = 'Lions'", "sha256 = replace(sha256, 'a', 'b')"])
def test_a_changed_name_title_or_hash_is_noticed_before_it_is_cited(
    zebras: Settings, tmp_path: Path, embedder: Embedder, change: str
) -> None:
    settings = copied(zebras, tmp_path)
    with sqlite3.connect(settings.index / "catalog.sqlite") as connection:
        connection.execute(f"UPDATE documents SET {change} WHERE source = '3.md'")
    connection.close()
    with pytest.raises(IndexDamaged, match=r"^3\.\w+, .*: the stored passage is damaged: run .* --rebuild$"):
        Searcher(settings, embedder).search("which zebra eats grass?")
    sync(settings, embedder=embedder, rebuild=True)
    assert {hit.passage.source for hit in Searcher(settings, embedder).search("which zebra eats grass?").hits} == {
        hit.passage.source for hit in Searcher(zebras, embedder).search("which zebra eats grass?").hits
    }


def test_a_changed_name_is_noticed_where_it_is_only_another_place_of_the_same_words(
    settings: Settings, embedder: Embedder
) -> None:
    for name in ("a.md", "b.md"):
        (settings.corpus / name).write_text("Zebras eat grass.\n")
    sync(settings, embedder=embedder)
    with sqlite3.connect(settings.index / "catalog.sqlite") as connection:
        connection.execute("UPDATE documents SET source = 'c.md' WHERE source = 'b.md'")
    connection.close()
    with pytest.raises(IndexDamaged, match=r"^c\.md, characters 0–17: the stored passage is damaged"):
        Searcher(settings, embedder).search("what do zebras eat?")


@pytest.mark.parametrize(
    "change",
    [
        "text = replace(text, 'grass', 'glass')",
        "title = 'Lions'",
        "media_type = 'text/html'",
        "sha256 = replace(sha256, 'a', 'b')",
        "sections = '[[0, [\"Lions\"]]]'",
        "structure = '[[[1, 0, 3, \"i\"]], [], []]'",
        "remarks = '[\"decoded from latin-1\"]'",
    ],
)
def test_a_changed_document_is_noticed_before_it_is_opened(zebras: Settings, tmp_path: Path, change: str) -> None:
    settings = copied(zebras, tmp_path)
    with sqlite3.connect(settings.index / "catalog.sqlite") as connection:
        assert connection.execute(f"UPDATE documents SET {change} WHERE source = '2.md'").rowcount == 1
    connection.close()
    with Catalog(settings.index) as catalog:
        with pytest.raises(IndexDamaged, match=r"what is known of 2\.md is damaged: run python ingest\.py --rebuild$"):
            catalog.document("2.md")
        assert catalog.document("3.md") is not None


def test_a_catalog_that_was_set_aside_comes_back_unless_another_was_made(folder: Path) -> None:
    def set_aside_again() -> None:
        set_aside(folder)
        assert not exists(folder)

    with Catalog(folder, writable=True) as catalog:
        put(catalog, new("a.md"))
        with pytest.raises(IndexBusy, match="in use by another process"):
            set_aside(folder, 0)  # whoever has it open would not see what becomes of it
    set_aside_again()
    put_back(folder)
    with Catalog(folder, writable=True) as catalog:
        assert list(catalog.files()) == ["a.md"]
    set_aside_again()
    create(folder, folder)  # a run that died before it committed anything
    put_back(folder)
    with Catalog(folder) as catalog:
        assert list(catalog.files()) == ["a.md"]
    set_aside_again()
    create(folder, folder)
    with Catalog(folder, writable=True) as catalog, catalog.writing():
        catalog.set_meta("generation", "7")
    put_back(folder)
    assert peek(folder, "generation") == "7"
    (folder / "catalog.sqlite").write_bytes(b"damaged")  # perhaps it was committed, and is not overwritten
    put_back(folder)
    assert (folder / "catalog.sqlite").read_bytes() == b"damaged"
    drop_aside(folder)
    assert list(folder.glob("*.before")) == []


def test_whoever_has_a_catalog_open_is_waited_for(folder: Path) -> None:
    reader = sqlite3.connect(folder / "catalog.sqlite", check_same_thread=False)
    reader.execute("SELECT * FROM meta").fetchall()
    with pytest.raises(IndexBusy):
        set_aside(folder, 0)
    letting_go = threading.Timer(0.5, reader.close)
    letting_go.start()
    set_aside(folder)
    letting_go.join()
    assert peek(folder, "format") == ""
    assert (folder / "catalog.sqlite.before").exists()


def test_the_log_is_folded_in_though_somebody_is_always_reading(folder: Path) -> None:
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            with Catalog(folder) as catalog, catalog.reading():
                done.wait(0.05)

    log = folder / "catalog.sqlite-wal"
    reader = threading.Thread(target=ask)
    reader.start()
    try:
        with Catalog(folder, writable=True) as catalog:
            for number in range(5):
                put(catalog, new(f"{number}.md", first_id=1 + number))
                asked = time.monotonic()
                while not catalog.checkpoint():
                    time.sleep(0.01)
                assert time.monotonic() - asked < 5  # SQLite waited ten seconds for the reader's place in the log
                assert log.stat().st_size == 0
    finally:
        done.set()
        reader.join()


def test_a_catalog_that_another_process_keeps_locked_is_told_as_busy(folder: Path) -> None:
    other = sqlite3.connect(folder / "catalog.sqlite", isolation_level=None)
    with Catalog(folder, writable=True) as catalog:
        catalog._connection.execute("PRAGMA busy_timeout = 50")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(IndexBusy, match="in use by another process"), catalog.writing():
            pass
        other.execute("ROLLBACK")
        with catalog.writing():
            catalog.set_meta("generation", "4")
        assert catalog.generation == 4
    other.close()


def test_a_full_disk_is_not_told_as_damage(folder: Path) -> None:
    with Catalog(folder, writable=True) as catalog:
        put(catalog, new("a.md"))
        catalog._connection.execute("PRAGMA max_page_count = 20")  # SQLite then says what it says of a full disk
        with pytest.raises(StorageError, match="database or disk is full: see to the disk's room") as told:
            put(catalog, new("b.md", "word " * 50_000, first_id=2))
        assert not isinstance(told.value, IndexDamaged)
        assert list(catalog.files()) == ["a.md"]


# Deletion


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def holding(folder: Path, word: str) -> list[str]:
    return sorted(name for name, data in all_bytes(folder).items() if word.encode() in data.lower())


def lexical_frequencies(index: Path, word: str) -> list[int]:
    (term,) = lexical_terms(word)
    return [LexicalIndex(folder).frequency(term) for folder in sorted(index.glob("generations/*/lexical"))]


def test_deleted_text_is_gone_from_every_file_after_the_next_sync(settings: Settings, embedder: Embedder) -> None:
    garden = "The garden has a wall and a gate. " * 40
    for number in range(12):
        (settings.corpus / f"{number}.md").write_text(
            f"# Page {number}\n\n{garden}\n\n## Secret\n\nAbout xyzzyq{number}q."
        )
    sync(settings, embedder=embedder)
    before = settings.index / "catalog.sqlite"
    assert b"xyzzyq3q" in before.read_bytes()  # so that its absence later says something
    assert lexical_frequencies(settings.index, "xyzzyq3q") == [1]

    (settings.corpus / "3.md").unlink()
    edited = settings.corpus / "4.md"
    edited.write_text(edited.read_text().replace("xyzzyq4q", "plughq4q"))
    reader = Searcher(settings, embedder)  # a page that stays open meanwhile
    reader.search("xyzzyq3q")
    sync(settings, embedder=embedder)

    for word in ("xyzzyq3q", "xyzzyq4q", "3.md"):
        assert holding(settings.index, word) == []
    assert (lexical_frequencies(settings.index, "xyzzyq3q"), lexical_frequencies(settings.index, "xyzzyq4q")) == (
        [0],
        [0],
    )
    assert lexical_frequencies(settings.index, "plughq4q") == [1]
    assert holding(settings.index, "xyzzyq5q") == ["catalog.sqlite"]
    assert not any("xyzzyq3q" in hit.passage.text for hit in reader.search("xyzzyq3q").hits)


def test_deleted_text_is_gone_although_the_run_that_deleted_it_died(
    settings: Settings, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        (settings.corpus / f"{number}.md").write_text(f"# Page {number}\n\nAbout xyzzyq{number}q and nothing else.")
    sync(settings, embedder=embedder)
    (settings.corpus / "3.md").unlink()

    def die(_: Catalog) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(Catalog, "checkpoint", die)  # after the commit, before the log is folded in
        with pytest.raises(RuntimeError):
            sync(settings, embedder=embedder)
    assert sync(settings, embedder=embedder).difference.removed == []
    assert holding(settings.index, "xyzzyq3q") == []


@pytest.mark.slow
def test_deleted_text_is_gone_after_many_changes_of_many_sizes(settings: Settings, embedder: Embedder) -> None:
    """Texts of every size are moved between SQLite's pages again and again, and leave no copy behind."""
    numbers = iter(range(10**6))
    alive: dict[Path, set[bytes]] = {}

    def write(path: Path, seed: int) -> None:
        words = [b"xyzzyq%06dq" % next(numbers) for _ in range(1 + seed % 5)]
        about = "A line about {0} and other things in the garden. "
        parts = [f"## Part {word.decode()}\n\n{(about * (1 + seed % 7)).format(word.decode())}" for word in words]
        path.write_text("\n\n".join(["# Page", *parts]))
        alive[path] = set(words)

    for number in range(30):
        write(settings.corpus / f"{number:02}.md", number)
    for turn in range(8):
        for number in range(30):
            path = settings.corpus / f"{number:02}.md"
            what = (number * 7 + turn * 5) % 11
            if what == 0 and path in alive:
                path.unlink()
                del alive[path]
            elif what in (1, 2):
                write(path, number + turn)
        sync(settings, embedder=embedder)
        living = set().union(*alive.values())
        for name, data in all_bytes(settings.index).items():
            assert set(re.findall(rb"xyzzyq\d{6}q", data)) <= living, name


def test_an_index_folder_is_for_its_owner_alone(settings: Settings, embedder: Embedder) -> None:
    (settings.corpus / "a.md").write_text("# A\n\nZebras eat grass.")
    sync(settings, embedder=embedder)
    assert os.stat(settings.index).st_mode & 0o777 == 0o700
