"""Sync: what is reported is what was done, nothing is embedded twice, and what looks like an accident is refused."""

import contextlib
import errno
import hashlib
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pincite.doctor import examine
from pincite.embedding import Embedder, Embedding, codes
from pincite.errors import (
    CorpusError,
    IndexBusy,
    IndexDamaged,
    IndexMismatch,
    MostRemoved,
    PinciteError,
    StorageError,
    SyncCancelled,
    Unreadable,
)
from pincite.reading import READERS, language
from pincite.reading.pool import Readers
from pincite.search import Searcher
from pincite.settings import Model, Passages, Settings, Sync
from pincite.storage import Catalog, IndexFolder, IndexReader, Recipe, SegmentReader, vectors
from pincite.storage.catalog import count_documents, peek
from pincite.storage.generation import generation_numbers
from pincite.sync import Difference, Report, preview, run, sync, work
from pincite.types import Document, Passage


class Watched(Embedder):
    """The real model. It remembers what it was asked for, fails when it is told to, and makes the
    same vectors of the same passage whatever else is in the batch."""

    def __init__(self, inner: Embedder) -> None:
        super().__init__(inner.files, inner.engine)
        self.asked: list[str] = []
        self.fails_after: int | None = None
        self._made: dict[tuple[str, str, str], Embedding] = {}

    def embed_passages(self, passages: Iterable[Passage]) -> Iterator[tuple[int, Embedding]]:
        for number, passage in enumerate(passages):
            if self.fails_after == len(self.asked):
                raise RuntimeError("the lights went out")
            self.asked.append(passage.text)
            name = (passage.context, passage.text, repr(passage.sentences))
            if name not in self._made:
                ((_, self._made[name]),) = super().embed_passages([passage])
            yield number, self._made[name]


@pytest.fixture(scope="module")
def watched(embedder: Embedder) -> Watched:
    return Watched(embedder)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync waits for readers: where they never finish, it need not wait long."""
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: connect(*args, **{**options, "timeout": 0.1}))
    monkeypatch.setattr(run, "_PATIENCE", 0.1)


@pytest.fixture(autouse=True)
def forget(watched: Watched) -> None:
    watched.asked.clear()
    watched.fails_after = None


def write(corpus: Path, files: dict[str, str]) -> None:
    for source, text in files.items():
        path = corpus / source
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def note(number: int) -> str:
    return f"# Note {number}\n\nNote {number} says that the zebra eats grass.\n"


def notes(count: int) -> dict[str, str]:
    return {f"{number:02}.md": note(number) for number in range(count)}


def report(**values: Any) -> Report:
    """A report as `told` gives it back: nothing happened but what is named."""
    names = ("added", "changed", "moved", "removed", "unchanged", "skipped", "unread")
    difference = Difference(**{name: values.pop(name) for name in names if name in values})
    return Report(difference, seconds=0, **values)


def told(done: Report) -> Report:
    """What a person is told, without the time and without what is only for the next sync."""
    assert done.seconds > 0
    return replace(done, difference=replace(done.difference, failed={}, states={}), seconds=0)


def documents(settings: Settings) -> dict[str, Document]:
    with Catalog(settings.index) as catalog:
        found = {source: catalog.document(source) for source in catalog.files()}
    return {source: document for source, document in found.items() if document}


def passages(settings: Settings) -> list[Passage]:
    with Catalog(settings.index) as catalog:
        return sorted((one.passage for one in catalog.all_passages()), key=lambda one: (one.source, one.start))


def all_vectors(settings: Settings) -> dict[bytes, bytes]:
    """Key → the passage's vector, of every passage of the index."""
    reader = SegmentReader(IndexFolder(settings.index).vectors)
    with Catalog(settings.index) as catalog:
        found = {
            one.key: reader.read(one.location, one.key).vector.tobytes()
            for one in catalog.all_passages()
            if one.location
        }
    reader.close()
    return found


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file, without SQLite's own book-keeping of who reads."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not path.name.endswith("-shm")
        and not (path.name.endswith("-wal") and not path.stat().st_size)
    }


QUESTIONS = ("what does the zebra eat?", "where does the river go?", "night and fish")


def answers(settings: Settings, embedder: Embedder) -> list[list[tuple[Any, ...]]]:
    searcher = Searcher(settings, embedder)
    return [
        [
            (hit.rank, hit.score, hit.passage, hit.marks, hit.citation, hit.sha256, hit.also, hit.features)
            for hit in searcher.search(question, 100).hits
        ]
        for question in QUESTIONS
    ]


def assert_alike(found: list[list[tuple[Any, ...]]], wanted: list[list[tuple[Any, ...]]]) -> None:
    """The same, but for the rounding of vectors that were not kept."""
    for some, others in zip(found, wanted, strict=True):
        for (rank, score, passage, marks, *_), (of_rank, of_score, *rest) in zip(some, others, strict=True):
            assert (rank, passage, marks) == (of_rank, *rest[:2])
            assert score == pytest.approx(of_score, abs=0.002)


def assert_equals_a_fresh_index(settings: Settings, embedder: Embedder, folder: Path) -> None:
    fresh = settings.model_copy(update={"index": folder})
    sync(fresh, embedder=embedder)
    assert documents(settings) == documents(fresh)
    assert passages(settings) == passages(fresh)
    assert answers(settings, embedder) == answers(fresh, embedder)
    with Catalog(settings.index) as catalog, Catalog(fresh.index) as other:
        assert catalog.skipped() == other.skipped()
    assert examine(settings).problems == []
    shutil.rmtree(folder)


# What is reported


def test_a_report_says_what_was_done(settings: Settings, watched: Watched) -> None:
    write(
        settings.corpus, {**notes(3), "d/e.txt": "Fish swim in the river at night.", "junk.bin": "x", ".hidden.md": "x"}
    )
    skipped = {".hidden.md": "hidden", "junk.bin": "no reader for .bin"}
    assert told(sync(settings, embedder=watched)) == report(
        added=["00.md", "01.md", "02.md", "d/e.txt"],
        skipped=skipped,
        documents=4,
        passages=4,
        embedded=4,
        generation=1,
    )

    (settings.corpus / "00.md").write_text(note(100))
    (settings.corpus / "01.md").rename(settings.corpus / "d" / "f.md")
    (settings.corpus / "d" / "e.txt").unlink()
    write(settings.corpus, {"new.md": note(7)})
    assert told(sync(settings, embedder=watched)) == report(
        added=["new.md"],
        changed=["00.md"],
        moved=[("01.md", "d/f.md")],
        removed=["d/e.txt"],
        unchanged=1,
        skipped=skipped,
        documents=4,
        passages=4,
        embedded=2,
        generation=2,
    )
    assert {source: document.text for source, document in documents(settings).items()} == {
        "00.md": note(100),
        "02.md": note(2),
        "d/f.md": note(1),
        "new.md": note(7),
    }


def test_a_second_run_embeds_nothing_and_makes_no_generation(settings: Settings, watched: Watched) -> None:
    write(settings.corpus, notes(3))
    sync(settings, embedder=watched)
    watched.asked.clear()
    for _ in range(2):
        assert told(sync(settings, embedder=watched)) == report(
            unchanged=3, documents=3, passages=3, embedded=0, generation=1
        )
    assert watched.asked == []


def test_a_sync_without_changes_needs_no_model(
    settings: Settings, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(settings.corpus, notes(2))
    sync(settings, embedder=watched)

    def no_model(*_: object) -> None:
        raise AssertionError("the model was opened")

    monkeypatch.setattr("pincite.embedding.open_embedder", no_model)
    assert sync(settings).embedded == 0
    (settings.corpus / "00.md").rename(settings.corpus / "05.md")
    assert sync(settings).embedded == 0


SECTIONS = [
    "# The plain",
    "## Zebras",
    "The zebra eats grass.",
    "## Lions",
    "The lion eats zebras.",
    "## Rain",
    "Rain falls.",
]


def test_editing_one_paragraph_embeds_only_its_passage(settings: Settings, watched: Watched) -> None:
    path = settings.corpus / "plain.md"
    path.write_text("\n\n".join(SECTIONS))
    assert sync(settings, embedder=watched).embedded == 3
    watched.asked.clear()

    path.write_text("\n\n".join(SECTIONS).replace("The lion eats zebras.", "The lion sleeps, mostly."))
    assert told(sync(settings, embedder=watched)) == report(
        changed=["plain.md"], documents=1, passages=3, embedded=1, generation=2
    )
    assert watched.asked == ["## Lions\n\nThe lion sleeps, mostly."]


def test_a_passage_that_moves_within_its_file_is_not_embedded_again(settings: Settings, watched: Watched) -> None:
    path = settings.corpus / "plain.md"
    path.write_text("\n\n".join(SECTIONS))
    sync(settings, embedder=watched)
    path.write_text("\n\n".join([*SECTIONS[:3], *SECTIONS[5:], *SECTIONS[3:5]]))
    done = sync(settings, embedder=watched)
    assert (done.difference.changed, done.embedded) == (["plain.md"], 0)
    assert [(one.start, one.text.splitlines()[0]) for one in passages(settings)] == [
        (0, "# The plain"),
        (path.read_text().index("## Rain"), "## Rain"),
        (path.read_text().index("## Lions"), "## Lions"),
    ]


def test_moving_files_and_folders_embeds_nothing(settings: Settings, watched: Watched) -> None:
    write(settings.corpus, {"a/one.md": note(1), "a/two.md": note(2), "three.txt": "Fish swim in the river."})
    sync(settings, embedder=watched)
    watched.asked.clear()
    (settings.corpus / "a").rename(settings.corpus / "b")
    (settings.corpus / "three.txt").rename(settings.corpus / "b" / "3.txt")
    assert told(sync(settings, embedder=watched)) == report(
        moved=[("a/one.md", "b/one.md"), ("a/two.md", "b/two.md"), ("three.txt", "b/3.txt")],
        documents=3,
        passages=3,
        embedded=0,
        generation=2,
    )
    assert watched.asked == []
    assert sorted(documents(settings)) == ["b/3.txt", "b/one.md", "b/two.md"]


def test_files_that_change_places_are_two_changes_without_embedding(settings: Settings, watched: Watched) -> None:
    write(settings.corpus, {"a.md": note(1), "b.md": note(2)})
    sync(settings, embedder=watched)
    write(settings.corpus, {"a.md": note(2), "b.md": note(1)})
    done = sync(settings, embedder=watched)
    assert (done.difference.changed, done.embedded) == (["a.md", "b.md"], 0)
    assert [one.text for one in passages(settings)] == [note(2).strip(), note(1).strip()]


def test_two_files_with_the_same_text_are_two_sources(settings: Settings, watched: Watched) -> None:
    write(settings.corpus, {"a.md": note(1), "b.md": note(1), "c.md": note(3)})
    assert told(sync(settings, embedder=watched)) == report(
        added=["a.md", "b.md", "c.md"], documents=3, passages=3, embedded=2, generation=1
    )
    (first, _) = Searcher(settings, watched).search("what does note 1 say of the zebra?").hits
    assert (first.passage.source, [place.source for place in first.also]) == ("a.md", ["b.md"])

    (settings.corpus / "a.md").unlink()
    done = sync(settings, embedder=watched)
    assert (done.difference.removed, done.embedded) == (["a.md"], 0)
    (first, _) = Searcher(settings, watched).search("what does note 1 say of the zebra?").hits
    assert (first.passage.source, first.also) == ("b.md", ())


def test_an_edited_file_does_not_keep_its_text_because_another_has_it(settings: Settings, watched: Watched) -> None:
    write(settings.corpus, {"a.md": note(1), "b.md": note(2)})
    sync(settings, embedder=watched)
    write(settings.corpus, {"a.md": note(2)})
    assert sync(settings, embedder=watched).difference.changed == ["a.md"]
    assert [(one.source, one.text) for one in passages(settings)] == [
        ("a.md", note(2).strip()),
        ("b.md", note(2).strip()),
    ]


# What counts as changed


def made_long_ago(path: Path) -> None:
    long_ago = time.time_ns() - 60 * 10**9
    os.utime(path, ns=(long_ago, long_ago))


def test_a_touched_file_with_the_same_content_is_unchanged(settings: Settings, watched: Watched) -> None:
    write(settings.corpus, notes(2))
    for path in settings.corpus.iterdir():
        made_long_ago(path)
    sync(settings, embedder=watched)
    os.utime(settings.corpus / "00.md")
    assert list(preview(settings).states) == ["00.md"]  # that one alone is read to be sure
    assert told(sync(settings, embedder=watched)) == report(
        unchanged=2, documents=2, passages=2, embedded=0, generation=1
    )


def test_a_file_of_long_ago_is_read_once_and_remembered(settings: Settings, watched: Watched) -> None:
    write(settings.corpus, notes(2))
    sync(settings, embedder=watched)
    for path in settings.corpus.iterdir():
        made_long_ago(path)
    assert sorted(preview(settings).states) == ["00.md", "01.md"]
    sync(settings, embedder=watched)  # remembers the times that it saw
    assert preview(settings).states == {}


def test_other_content_of_the_same_size_and_time_is_noticed_within_two_seconds(
    settings: Settings, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pincite.sync.difference._UNSURE", 60 * 10**9)  # a busy machine may take more than two
    path = settings.corpus / "a.md"
    path.write_text(note(1))
    before = path.stat()
    sync(settings, embedder=watched)
    path.write_text(note(2))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)

    assert sync(settings, embedder=watched).difference.changed == ["a.md"]
    assert documents(settings)["a.md"].text == note(2)


def test_a_file_that_is_no_text_any_more_is_gone_and_named(settings: Settings, watched: Watched) -> None:
    write(settings.corpus, notes(3))
    sync(settings, embedder=watched)
    (settings.corpus / "00.md").write_bytes(bytes(range(256)))
    (settings.corpus / "01.md").write_text("")
    assert told(sync(settings, embedder=watched)) == report(
        removed=["00.md", "01.md"],
        unchanged=1,
        skipped={"00.md": "not text", "01.md": "empty"},
        documents=1,
        passages=1,
        embedded=0,
        generation=2,
    )
    assert list(documents(settings)) == ["02.md"]


def before_reading(meanwhile: Callable[[], object]) -> type[Readers]:
    """The real readers, and something that happens between the look at the files and their reading."""

    class Late(Readers):
        def read(self, corpus: Path, sources: Iterable[str]) -> Iterator[tuple[str, Document | Unreadable]]:
            meanwhile()
            return super().read(corpus, sources)

    return Late


def test_what_a_file_held_at_reading_counts_and_not_what_it_held_at_looking(
    settings: Settings, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(settings.corpus, notes(2))
    with monkeypatch.context() as patch:
        patch.setattr(work, "Readers", before_reading(lambda: (settings.corpus / "00.md").write_text(note(77))))
        sync(settings, embedder=watched)
    assert documents(settings)["00.md"].text == note(77)
    assert told(sync(settings, embedder=watched)) == report(
        unchanged=2, documents=2, passages=2, embedded=0, generation=1
    )


def test_a_file_that_vanishes_between_looking_and_reading_stays_as_it_was_until_the_next_sync(
    settings: Settings, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(settings.corpus, notes(2))
    sync(settings, embedder=watched)
    (settings.corpus / "00.md").write_text(note(9))
    with monkeypatch.context() as patch:
        patch.setattr(work, "Readers", before_reading(lambda: (settings.corpus / "00.md").unlink()))
        assert told(sync(settings, embedder=watched)) == report(
            unchanged=2,
            skipped={"00.md": "cannot be opened (No such file or directory); the indexed version stays"},
            documents=2,
            passages=2,
            embedded=0,
            generation=1,
        )
    assert documents(settings)["00.md"].text == note(0)
    assert sync(settings, embedder=watched).difference.removed == ["00.md"]


# Vectors are kept


def test_a_run_that_died_while_embedding_goes_on_where_it_stopped(
    settings: Settings, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pincite.sync.run._BATCH", 4)
    write(settings.corpus, notes(14))
    watched.fails_after = 10
    with pytest.raises(RuntimeError, match="the lights went out"):
        sync(settings, embedder=watched)
    first, watched.fails_after = list(watched.asked), None
    watched.asked.clear()

    # Two batches of four were committed; of the third nothing.
    assert told(sync(settings, embedder=watched)) == report(
        added=sorted(notes(14)), documents=14, passages=14, embedded=6, generation=1
    )
    assert not {*watched.asked} & {*first[:8]}
    assert examine(settings).problems == []


def test_a_run_that_died_leaves_the_old_answers(
    settings: Settings, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pincite.sync.run._BATCH", 2)
    write(settings.corpus, notes(5))
    sync(settings, embedder=watched)
    before = answers(settings, watched)
    write(settings.corpus, {f"{number:02}.md": note(number + 50) for number in range(9)})
    watched.fails_after = len(watched.asked) + 5
    with pytest.raises(RuntimeError):
        sync(settings, embedder=watched)
    watched.fails_after = None
    assert answers(settings, watched) == before
    assert sync(settings, embedder=watched).embedded == 5  # four of the nine were committed


def segment(settings: Settings) -> Path:
    (path,) = IndexFolder(settings.index).vectors.glob("*.seg")
    return path


def spoil_record_of(settings: Settings, source: str) -> None:
    with Catalog(settings.index) as catalog:
        (location,) = [one.location for one in catalog.all_passages() if one.passage.source == source]
    assert location is not None
    data = bytearray(segment(settings).read_bytes())
    data[location.offset + location.length // 2] ^= 0x10
    segment(settings).write_bytes(data)


def test_a_record_that_fails_its_checksum_is_embedded_again(settings: Settings, watched: Watched) -> None:
    write(settings.corpus, notes(5))
    sync(settings, embedder=watched)
    before = answers(settings, watched)
    spoil_record_of(settings, "03.md")
    watched.asked.clear()
    assert_alike(answers(settings, watched), before)  # made for the question, and not kept
    assert watched.asked == [note(3).strip()] * len(QUESTIONS)

    watched.asked.clear()
    assert sync(settings, embedder=watched, rebuild=True).embedded == 1
    assert watched.asked == [note(3).strip()]
    assert (answers(settings, watched), examine(settings).problems) == (before, [])


def test_a_removal_finds_the_spoilt_record_of_a_document_that_stays(settings: Settings, watched: Watched) -> None:
    write(settings.corpus, notes(5))
    sync(settings, embedder=watched)
    spoil_record_of(settings, "03.md")
    (settings.corpus / "00.md").unlink()
    assert sync(settings, embedder=watched).embedded == 1
    assert examine(settings).problems == []


@pytest.mark.parametrize("what", ["missing", "cut short"])
def test_a_lost_segment_is_embedded_again_by_the_next_sync_and_then_forgotten(
    settings: Settings, watched: Watched, what: str
) -> None:
    write(settings.corpus, notes(8))
    sync(settings, embedder=watched)
    (settings.corpus / "07.md").unlink()  # its record is dead, and too little for compaction
    sync(settings, embedder=watched)
    before, path = answers(settings, watched), segment(settings)
    # After the eight bytes of the segment's mark, eight records: of as many tokens, so of one size.
    record, rest = divmod(path.stat().st_size - 8, 8)
    assert rest == 0
    if what == "missing":
        path.unlink()
    else:
        os.truncate(path, 8 + 2 * record + record // 2)
    assert_alike(answers(settings, watched), before)
    watched.asked.clear()

    done = sync(settings, embedder=watched)
    lost = 7 if what == "missing" else 5
    assert (done.embedded, len(watched.asked), done.generation) == (lost, lost, 3)
    assert (answers(settings, watched), examine(settings).problems) == (before, [])
    assert sync(settings, embedder=watched).generation == 3  # and all is well again


def test_compaction_past_three_tenths_keeps_every_vector(settings: Settings, watched: Watched) -> None:
    write(settings.corpus, notes(10))
    sync(settings, embedder=watched)
    size = segment(settings).stat().st_size - len(vectors.SEGMENT_MAGIC)
    kept = all_vectors(settings)

    for number in range(2):
        (settings.corpus / f"{number:02}.md").unlink()
    sync(settings, embedder=watched)
    assert segment(settings).name == "000001.seg"  # two of ten are dead: not worth the while
    assert segment(settings).stat().st_size == size + len(vectors.SEGMENT_MAGIC)

    for number in range(2, 4):
        (settings.corpus / f"{number:02}.md").unlink()
    done = sync(settings, embedder=watched)
    assert (done.embedded, done.passages) == (0, 6)
    assert segment(settings).name == "000002.seg"
    assert segment(settings).stat().st_size == size * 6 // 10 + len(vectors.SEGMENT_MAGIC)
    assert all_vectors(settings) == {key: kept[key] for key in all_vectors(settings)}
    assert len(all_vectors(settings)) == 6
    assert examine(settings).problems == []
    with closing(sqlite3.connect(settings.index / "catalog.sqlite")) as catalog:
        assert {key for (key,) in catalog.execute("SELECT key FROM vectors")} == set(all_vectors(settings))


def fill_segments(
    settings: Settings, watched: Watched, monkeypatch: pytest.MonkeyPatch, records: int, all_: int
) -> None:
    """Index so many notes of one record each, in segments that take no more than `records`."""
    write(settings.corpus, notes(1))
    sync(settings, embedder=watched)
    record = segment(settings).stat().st_size - len(vectors.SEGMENT_MAGIC)
    monkeypatch.setattr(vectors, "_FULL", records * record + len(vectors.SEGMENT_MAGIC))
    write(settings.corpus, notes(all_))
    sync(settings, embedder=watched)


def test_what_lives_in_the_segments_is_known_without_counting_it(
    settings: Settings, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_segments(settings, watched, monkeypatch, 20, 70)  # 20, 20, 20 and 10 records
    counted = []
    live_bytes = Catalog.live_bytes

    def noted() -> dict[int, int]:
        with Catalog(settings.index) as catalog:
            assert (lives := live_bytes(catalog)).total() > 0
            known = {int(number): size for number, size in json.loads(catalog.meta("live_bytes")).items() if size}
            assert known == lives
            return known

    with monkeypatch.context() as patched:
        patched.setattr(Catalog, "live_bytes", lambda self: counted.append(self) or live_bytes(self))
        whole = noted()
        write(settings.corpus, {"00.md": note(80), "01.md": note(69), "again.md": note(5), "new.md": note(81)})
        assert sync(settings, embedder=watched).embedded == 2  # the others' texts are those of other files
        (settings.corpus / "05.md").unlink()  # of which there is another one
        (settings.corpus / "30.md").rename(settings.corpus / "renamed.md")
        for name in ("40.md", "41.md", "69.md"):
            (settings.corpus / name).unlink()
        sync(settings, embedder=watched)
        assert counted == []
    assert sum(noted().values()) == sum(whole.values()) * 68 // 70  # two new, and four of which no text is left
    for damaged in ("", "{", '{"1": "x"}', "[]", "7"):
        with Catalog(settings.index, writable=True) as catalog, catalog.writing():
            catalog.set_meta("live_bytes", damaged)
        write(settings.corpus, {"02.md": note(90 + len(damaged))})
        sync(settings, embedder=watched)
        noted()
    assert examine(settings).problems == []


def test_a_segment_that_a_reader_keeps_is_not_emptied_again(
    settings: Settings, watched: Watched, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    fill_segments(settings, watched, monkeypatch, 4, 12)
    folder = IndexFolder(settings.index)
    with IndexReader(folder, Recipe.of(settings)).snapshot():
        for number in range(8):
            (settings.corpus / f"{number:02}.md").unlink()
        sync(settings, embedder=watched, allow_removals=True)
        there = sorted(path.name for path in folder.vectors.iterdir())
        for number in range(3):
            (settings.corpus / f"{number + 8:02}.md").touch()
            sync(settings, embedder=watched)
        write(settings.corpus, {"one.md": note(50)})
        sync(settings, embedder=watched)
        assert sorted(path.name for path in folder.vectors.iterdir()) == there


def test_segments_that_a_reader_holds_stay_as_they_are(
    settings: Settings, watched: Watched, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    fill_segments(settings, watched, monkeypatch, 4, 12)
    folder = IndexFolder(settings.index)
    with IndexReader(folder, Recipe.of(settings)).snapshot():
        held = {path: path.read_bytes() for path in folder.vectors.glob("*.seg")}
        assert len(held) == 3
        for number in range(6, 12):  # all of the last segment, and half of the one before
            (settings.corpus / f"{number:02}.md").unlink()
        sync(settings, embedder=watched)
        sync(settings, embedder=watched)
        write(settings.corpus, {"other.md": note(30)})
        sync(settings, embedder=watched)
        assert {path: path.read_bytes() for path in held} == held
    sync(settings, embedder=watched)
    assert sum(path.exists() for path in held) == 1
    assert examine(settings).problems == []


def test_what_was_removed_is_gone_once_those_who_read_it_are_done(settings: Settings, watched: Watched) -> None:
    write(settings.corpus, {**notes(2), "secret.md": "# Secret\n\nThe quetzal is called Xochitl.\n"})
    sync(settings, embedder=watched)
    folder = IndexFolder(settings.index)
    reading = threading.Event()

    def read() -> None:
        with IndexReader(folder, Recipe.of(settings)).snapshot() as held:
            reading.set()
            while len(generation_numbers(folder)) < 2:
                time.sleep(0.01)
            time.sleep(0.5)  # over the commit
            assert held.catalog.document("secret.md") is not None

    reader = threading.Thread(target=read)
    reader.start()
    reading.wait()
    (settings.corpus / "secret.md").unlink()
    sync(settings, embedder=watched)
    assert generation_numbers(folder) == [2]
    assert [name for name, data in bytes_of(settings.index).items() if b"Xochitl" in data or b"xochitl" in data] == []
    reader.join()


def test_what_dead_runs_built_is_gone_before_anything_new_is_written(settings: Settings, watched: Watched) -> None:
    write(settings.corpus, notes(3))
    sync(settings, embedder=watched)
    generations = IndexFolder(settings.index).generations
    for number in (7, 8):
        shutil.copytree(generations / "000001", generations / f"{number:06}")
    write(settings.corpus, notes(5))
    watched.fails_after = len(watched.asked)
    with pytest.raises(RuntimeError):
        sync(settings, embedder=watched)
    assert [path.name for path in generations.iterdir()] == ["000001"]


def test_a_generation_that_cannot_be_built_leaves_nothing(
    settings: Settings, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(settings.corpus, notes(3))
    sync(settings, embedder=watched)
    before = answers(settings, watched)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write(settings.corpus, notes(5))
    with monkeypatch.context() as patched:
        patched.setattr("pincite.storage.generation.write_manifest", full)
        with pytest.raises(StorageError, match="No space left"):
            sync(settings, embedder=watched)
    assert [path.name for path in IndexFolder(settings.index).generations.iterdir()] == ["000001"]
    assert answers(settings, watched) == before
    assert sync(settings, embedder=watched).documents == 5


@pytest.mark.parametrize(
    "said", ["No space left on device (os error 28)", "write error in x.faiss: 1 != 2 (File too large)"]
)
def test_no_room_for_a_derived_file_is_not_taken_for_damage(
    settings: Settings, watched: Watched, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    write(settings.corpus, notes(3))
    sync(settings, embedder=watched)
    begun = []

    def full(*arguments: Any) -> None:
        begun.append(arguments[1])
        raise ValueError(said)  # as tantivy and FAISS put it

    write(settings.corpus, notes(4))
    with monkeypatch.context() as patched:
        patched.setattr("pincite.storage.lexical.build", full)
        with pytest.raises(StorageError, match=r": (No space left on device|File too large): see to the disk's room"):
            sync(settings, embedder=watched)
    assert len(begun) == 1  # a second try, which shares nothing with what is there, would take more room still
    assert begun[0] is not None
    assert sync(settings, embedder=watched).documents == 4


@pytest.mark.parametrize("text", ["text", "CAST(x'ff' AS TEXT)"], ids=["sound text", "no text"])
def test_a_damaged_passage_does_not_hold_up_a_file_that_was_moved(
    settings: Settings, watched: Watched, text: str
) -> None:
    write(settings.corpus, notes(3))
    sync(settings, embedder=watched)
    with closing(sqlite3.connect(settings.index / "catalog.sqlite")) as catalog, catalog:
        catalog.execute("UPDATE passages SET heading = '[' WHERE document = (SELECT min(id) FROM documents)")
        catalog.execute(f"UPDATE documents SET text = {text} WHERE source = '00.md'")
    (settings.corpus / "00.md").rename(settings.corpus / "moved.md")
    assert sync(settings, embedder=watched).difference.moved == [("00.md", "moved.md")]
    with pytest.raises(IndexDamaged, match=r"moved\.md, characters 0–|UTF-8"):  # what is damaged is still told
        examine(settings)
    (settings.corpus / "moved.md").rename(settings.corpus / "again.md")
    assert sync(settings, rebuild=True, embedder=watched).documents == 3
    assert examine(settings).problems == []


def test_a_counter_that_is_damaged_does_not_keep_a_question_from_mending_the_rest(
    settings: Settings, watched: Watched
) -> None:
    write(settings.corpus, notes(5))
    sync(settings, embedder=watched)
    before = answers(settings, watched)
    with Catalog(settings.index, writable=True) as catalog, catalog.writing():
        catalog.set_meta("next_passage", "2")
    next((IndexFolder(settings.index).generation(1) / "dense").glob("*.faiss")).unlink()
    assert answers(settings, watched) == before


def test_what_comes_back_before_compaction_is_not_embedded_again(settings: Settings, watched: Watched) -> None:
    write(settings.corpus, notes(10))
    sync(settings, embedder=watched)
    (settings.corpus / "00.md").unlink()
    sync(settings, embedder=watched)
    write(settings.corpus, {"00.md": note(0)})
    done = sync(settings, embedder=watched)
    assert (done.difference.added, done.embedded) == (["00.md"], 0)


# What looks like an accident


def test_the_loss_of_more_than_half_of_twenty_is_refused_unless_it_is_meant(
    settings: Settings, watched: Watched
) -> None:
    write(settings.corpus, notes(20))
    sync(settings, embedder=watched)
    before = bytes_of(settings.index)
    for number in range(11):
        (settings.corpus / f"{number:02}.md").unlink()

    with pytest.raises(CorpusError) as refused:
        sync(settings, embedder=watched)
    assert str(refused.value) == (
        f"{settings.corpus}: 11 of 20 indexed documents are gone: if that is meant, run python ingest.py"
        " --allow-removals"
    )
    assert bytes_of(settings.index) == before

    assert len(sync(settings, embedder=watched, allow_removals=True).difference.removed) == 11
    assert len(documents(settings)) == 9


def test_every_one_of_a_few_documents_may_give_way_to_others(settings: Settings, watched: Watched) -> None:
    write(settings.corpus, notes(3))
    sync(settings, embedder=watched)
    for source in notes(3):
        (settings.corpus / source).unlink()
    write(settings.corpus, {"a.md": note(30), "b.md": note(31)})
    done = sync(settings, embedder=watched).difference
    assert (done.removed, done.added) == (sorted(notes(3)), ["a.md", "b.md"])


def test_half_of_twenty_may_go_and_most_of_nineteen(settings: Settings, watched: Watched) -> None:
    write(settings.corpus, notes(20))
    sync(settings, embedder=watched)
    for number in range(10):
        (settings.corpus / f"{number:02}.md").unlink()
    assert len(sync(settings, embedder=watched).difference.removed) == 10
    for number in range(10, 19):
        (settings.corpus / f"{number:02}.md").unlink()
    assert len(sync(settings, embedder=watched).difference.removed) == 9


def test_documents_that_turn_into_something_else_are_lost_too(settings: Settings, watched: Watched) -> None:
    write(settings.corpus, notes(20))
    sync(settings, embedder=watched)
    before = documents(settings)
    for number in range(15):
        (settings.corpus / f"{number:02}.md").write_bytes(bytes(range(256)))
    with pytest.raises(CorpusError, match="15 of 20 indexed documents are gone"):
        sync(settings, embedder=watched)
    assert documents(settings) == before
    assert sync(settings, embedder=watched, allow_removals=True).documents == 5


@pytest.mark.parametrize("content", [None, b"", bytes(range(256))])
def test_a_corpus_without_a_document_left_is_refused(
    settings: Settings, watched: Watched, content: bytes | None
) -> None:
    write(settings.corpus, notes(2))
    sync(settings, embedder=watched)
    before = answers(settings, watched)
    for path in settings.corpus.iterdir():
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
    for allow in (False, True):
        with pytest.raises(CorpusError, match="holds no document that can be read"):
            sync(settings, embedder=watched, allow_removals=allow)
    assert answers(settings, watched) == before


def test_a_corpus_that_never_held_a_document_leaves_no_index(settings: Settings, watched: Watched) -> None:
    write(settings.corpus, {"picture.png": "x"})
    with pytest.raises(CorpusError) as refused:
        sync(settings, embedder=watched)
    assert str(refused.value) == (
        f"{settings.corpus}: holds no document that can be read ({', '.join(READERS)}): add some"
    )
    assert not settings.index.exists()


def refusing(names: set[str]) -> Callable[[Any], Any]:
    listing = os.scandir

    def scandir(path: Any) -> Any:
        if not isinstance(path, int) and Path(path).name in names:
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    return scandir


def test_what_lies_in_a_folder_that_cannot_be_listed_stays(
    settings: Settings, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        settings.corpus, {"closed/a.md": note(1), "closed/b/c.md": note(2), "closedness.md": note(3), "d.md": note(4)}
    )
    sync(settings, embedder=watched)
    (settings.corpus / "d.md").unlink()
    monkeypatch.setattr(os, "scandir", refusing({"closed"}))
    done = told(sync(settings, embedder=watched))
    monkeypatch.undo()
    assert done == report(
        removed=["d.md"],
        unchanged=3,
        unread={"closed": "cannot be listed (Permission denied)"},
        documents=3,
        passages=3,
        embedded=0,
        generation=2,
    )
    assert sorted(documents(settings)) == ["closed/a.md", "closed/b/c.md", "closedness.md"]


# Another corpus, another model


def test_another_corpus_folder_is_refused_with_both_paths(settings: Settings, watched: Watched, tmp_path: Path) -> None:
    write(settings.corpus, notes(2))
    sync(settings, embedder=watched)
    before = bytes_of(settings.index)
    other = settings.model_copy(update={"corpus": tmp_path / "other"})
    write(other.corpus, notes(2))

    for use in (lambda: sync(other, embedder=watched), lambda: preview(other)):
        with pytest.raises(IndexMismatch) as refused:
            use()
        assert str(refused.value) == (
            f"{settings.index}: is the index of {settings.corpus}, not of {other.corpus}: take another with --index"
            " OTHER, or say --move-corpus if the folder was moved"
        )
    assert bytes_of(settings.index) == before


def test_a_corpus_folder_that_was_moved_keeps_its_index(settings: Settings, watched: Watched, tmp_path: Path) -> None:
    write(settings.corpus, notes(2))
    sync(settings, embedder=watched)
    settings.corpus.rename(tmp_path / "moved")
    moved = settings.model_copy(update={"corpus": tmp_path / "moved"})
    assert preview(moved, move_corpus=True).unchanged == 2
    unchanged = report(unchanged=2, documents=2, passages=2, embedded=0, generation=1)
    assert told(sync(moved, embedder=watched, move_corpus=True)) == unchanged
    assert told(sync(moved, embedder=watched)) == unchanged


def test_a_move_of_the_corpus_that_is_refused_changes_nothing(
    settings: Settings, watched: Watched, tmp_path: Path
) -> None:
    write(settings.corpus, notes(20))
    sync(settings, embedder=watched)
    before = bytes_of(settings.index)
    wrong = settings.model_copy(update={"corpus": tmp_path / "wrong"})
    write(wrong.corpus, {"00.md": note(0)})
    with pytest.raises(CorpusError, match="19 of 20 indexed documents are gone"):
        sync(wrong, embedder=watched, move_corpus=True)
    assert bytes_of(settings.index) == before


LONG = "# Long\n\n" + " ".join(f"Sentence {number} says that the zebra eats grass and sleeps." for number in range(40))


def test_another_passage_size_is_refused_with_both_values_and_the_command(
    settings: Settings, watched: Watched, tmp_path: Path
) -> None:
    write(settings.corpus, {"long.md": LONG, **notes(2)})
    sync(settings, embedder=watched)
    before = bytes_of(settings.index)
    smaller = settings.model_copy(update={"passages": Passages(tokens=64)})

    message = (
        f"{settings.index}: built with passage_tokens 128, the settings ask for 64: run python ingest.py --rebuild"
    )
    for use in (lambda: sync(smaller, embedder=watched), lambda: Searcher(smaller, watched).search("zebra")):
        with pytest.raises(IndexMismatch) as refused:
            use()
        assert str(refused.value) == message
    assert bytes_of(settings.index) == before

    assert preview(smaller, rebuild=True).changed == ["00.md", "01.md", "long.md"]
    done = sync(smaller, embedder=watched, rebuild=True)
    assert (done.difference.changed, done.generation) == (["00.md", "01.md", "long.md"], 2)
    assert done.embedded == done.passages - 2  # the notes are cut as they were
    assert_equals_a_fresh_index(smaller, watched, tmp_path / "fresh")


def test_an_index_of_another_projection_is_refused_and_a_rebuild_takes_the_new_one(
    settings: Settings, embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(settings.corpus, notes(3))
    with monkeypatch.context() as patched:
        patched.setattr(codes, "PUBLISHED_SHA256", "another's")  # so that the default model gets random signs
        sync(settings, embedder=Embedder(embedder.files, embedder.engine))
    before, old = bytes_of(settings.index), all_vectors(settings)
    shipped = hashlib.sha256(Path(codes.__file__).with_name(codes.FILE).read_bytes()).hexdigest()

    for use in (lambda: sync(settings, embedder=embedder), lambda: Searcher(settings, embedder).search("zebra")):
        with pytest.raises(IndexMismatch) as refused:
            use()
        assert str(refused.value) == (
            f"{settings.index}: built with projection random signs, the settings ask for {shipped[:12]}…: run python"
            " ingest.py --rebuild"
        )
    assert bytes_of(settings.index) == before

    done = sync(settings, embedder=embedder, rebuild=True)
    assert (done.embedded, done.documents, done.passages) == (3, 3, 3)  # no code of another projection is kept
    assert not set(all_vectors(settings)) & set(old)
    assert examine(settings).problems == []
    assert_equals_a_fresh_index(settings, Watched(embedder), tmp_path / "fresh")


def test_a_rebuild_cuts_everything_again_also_what_moved_and_what_cannot_be_read(
    settings: Settings, watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {name: LONG.replace("zebra", name) for name in ("heron", "lion", "owl")}
    write(settings.corpus, {"heron.md": texts["heron"], "closed/lion.md": texts["lion"], "owl.md": texts["owl"]})
    sync(settings, embedder=watched)
    (settings.corpus / "heron.md").rename(settings.corpus / "bird.md")
    smaller = settings.model_copy(update={"passages": Passages(tokens=64)})
    monkeypatch.setattr(os, "scandir", refusing({"closed"}))
    done = sync(smaller, embedder=watched, rebuild=True)
    monkeypatch.undo()

    assert (done.difference.moved, done.difference.changed) == ([("heron.md", "bird.md")], ["owl.md"])
    assert (done.difference.unread, done.difference.unchanged) == (
        {"closed": "cannot be listed (Permission denied)"},
        1,
    )
    assert_equals_a_fresh_index(smaller, watched, tmp_path / "fresh")


def test_another_model_is_refused_and_a_rebuild_takes_it(
    settings: Settings, watched: Watched, embedder: Embedder, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file, save_file

    write(settings.corpus, notes(3))
    sync(settings, embedder=watched)
    before, old = bytes_of(settings.index), all_vectors(settings)
    folder = tmp_path / "model"
    shutil.copytree(embedder.files.folder, folder)
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("word_embeddings.weight"))
    weights[name] = weights[name][:, ::-1].copy()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    other = settings.model_copy(update={"model": Model(name=str(folder), engine="pytorch")})

    with pytest.raises(IndexMismatch) as refused:
        sync(other)
    assert f"built with weights_sha256 (all-MiniLM-L6-v2 → {folder}) 53aa51172d14…, the settings ask for " in str(
        refused.value
    )
    assert str(refused.value).endswith("…: run python ingest.py --rebuild")
    assert bytes_of(settings.index) == before

    done = sync(other, rebuild=True)
    assert (done.embedded, done.documents, done.passages) == (3, 3, 3)
    assert not set(all_vectors(other)) & set(old)
    assert not set(all_vectors(other).values()) & set(old.values())
    with Catalog(settings.index) as catalog:
        assert json.loads(catalog.meta("recipe"))["projection"] == "random signs"  # nothing was fitted to this model
    assert examine(other).problems == []
    with pytest.raises(IndexMismatch):
        sync(settings, embedder=watched)


# One writer, and a dry run


def test_a_second_writer_is_refused(settings: Settings, watched: Watched) -> None:
    write(settings.corpus, notes(2))
    sync(settings, embedder=watched)
    before = bytes_of(settings.index)
    (settings.corpus / "00.md").unlink()
    with IndexFolder(settings.index).writer():
        with pytest.raises(IndexBusy) as refused:
            sync(settings, embedder=watched)
        assert len(Searcher(settings, watched).search("zebra").hits) == 2  # a reader is not in the way
    assert str(refused.value) == f"{settings.index}: another process is writing this index: wait until it is done"
    assert bytes_of(settings.index) == before
    assert sync(settings, embedder=watched).documents == 1


def test_an_index_among_the_documents_is_none_of_them(settings: Settings, watched: Watched) -> None:
    within = settings.model_copy(update={"index": settings.corpus / "deep" / "index"})
    write(within.corpus, {**notes(2), "deep/a.md": note(7)})
    write(within.index, {"notes.md": note(8)})
    assert told(sync(within, embedder=watched)) == report(
        added=["00.md", "01.md", "deep/a.md"],
        skipped={"deep/index": "the index"},
        documents=3,
        passages=3,
        embedded=3,
        generation=1,
    )
    assert preview(within).is_empty()
    assert examine(within).problems == []
    with pytest.raises(CorpusError, match=r"cannot hold both documents and index: name another folder with --index$"):
        sync(settings.model_copy(update={"index": settings.corpus}), embedder=watched)
    assert not (settings.corpus / "writer.lock").exists()


def test_a_preview_says_what_a_sync_would_do_and_writes_nothing(settings: Settings, watched: Watched) -> None:
    write(settings.corpus, notes(3))
    assert replace(preview(settings), states={}) == Difference(added=["00.md", "01.md", "02.md"])
    assert not settings.index.exists()

    sync(settings, embedder=watched)
    (settings.corpus / "00.md").unlink()
    (settings.corpus / "01.md").rename(settings.corpus / "09.md")
    write(settings.corpus, {"02.md": note(22), "03.md": note(3), "x.bin": "x"})
    os.utime(settings.corpus / "02.md")
    before = bytes_of(settings.index)
    wanted = preview(settings)
    assert replace(wanted, states={}) == Difference(
        added=["03.md"],
        changed=["02.md"],
        moved=[("01.md", "09.md")],
        removed=["00.md"],
        skipped={"x.bin": "no reader for .bin"},
    )
    assert bytes_of(settings.index) == before
    assert replace(sync(settings, embedder=watched).difference, states={}) == replace(wanted, states={})


def test_two_first_syncs_at_once_do_not_undo_each_other(
    settings: Settings, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second has already seen that there is no index when the first makes one."""
    from pincite import sync as package

    write(settings.corpus, notes(3))
    look = package.readable

    def be_late(corpus: Path, index: Path) -> tuple[int, list[str]]:
        monkeypatch.setattr(package, "readable", look)
        sync(settings, embedder=watched)
        return look(corpus, index)

    monkeypatch.setattr(package, "readable", be_late)
    assert told(sync(settings, embedder=watched)) == report(
        unchanged=3, documents=3, passages=3, embedded=0, generation=1
    )


# A lost catalog


def test_a_lost_catalog_takes_over_the_vectors_of_the_segments(settings: Settings, watched: Watched) -> None:
    write(settings.corpus, notes(6))
    sync(settings, embedder=watched)
    write(settings.corpus, {"06.md": note(6)})
    sync(settings, embedder=watched)
    before = answers(settings, watched)
    watched.asked.clear()
    for path in settings.index.glob("catalog.sqlite*"):
        path.unlink()

    assert told(sync(settings, embedder=watched)) == report(
        added=sorted(notes(7)), documents=7, passages=7, embedded=0, generation=3
    )
    assert watched.asked == []
    assert (answers(settings, watched), examine(settings).problems) == (before, [])
    assert generation_numbers(IndexFolder(settings.index)) == [3]


CHANGES_AND_DIES = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("UPDATE meta SET value = '7' WHERE key = 'generation'")
connection.execute("DELETE FROM documents")
connection.commit()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_log_of_a_lost_catalog_does_not_get_into_the_new_one(settings: Settings, watched: Watched) -> None:
    write(settings.corpus, notes(4))
    sync(settings, embedder=watched)
    catalog = settings.index / "catalog.sqlite"
    dead = subprocess.run([sys.executable, "-c", CHANGES_AND_DIES, str(catalog)], check=False)
    assert dead.returncode == -signal.SIGKILL
    assert (settings.index / "catalog.sqlite-wal").stat().st_size > 0
    catalog.unlink()

    assert told(sync(settings, embedder=watched)) == report(
        added=sorted(notes(4)), documents=4, passages=4, embedded=0, generation=2
    )
    assert examine(settings).problems == []


def test_a_new_catalog_is_made_whole_or_not_at_all(
    settings: Settings, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(settings.corpus, notes(4))
    sync(settings, embedder=watched)
    (settings.index / "catalog.sqlite").unlink()

    def fail(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail)
        with pytest.raises(RuntimeError):
            sync(settings, embedder=watched)
    assert not (settings.index / "catalog.sqlite").exists()
    assert sync(settings, embedder=watched).embedded == 0


# Many at once, and many in a row


def test_questions_during_many_syncs_are_answered_from_one_state_whole(settings: Settings, watched: Watched) -> None:
    def version(number: int) -> None:
        write(
            settings.corpus, {f"{name}.md": f"# {name}\n\nVersion {number} of {name} eats grass." for name in "abcdef"}
        )
        if number % 2:
            write(settings.corpus, {"odd.md": f"# odd\n\nVersion {number} of odd eats grass."})
        else:
            (settings.corpus / "odd.md").unlink(missing_ok=True)

    version(0)
    versions = {sync(settings, embedder=watched).generation: 0}
    seen: list[tuple[int, set[str]]] = []
    failures: list[BaseException] = []
    done = threading.Event()

    def ask(searcher: Searcher) -> None:
        try:
            while not done.is_set():
                answer = searcher.search("which version eats grass?", 20)
                seen.append((answer.generation, {hit.passage.text.splitlines()[-1] for hit in answer.hits}))
        except BaseException as error:
            failures.append(error)

    searcher = Searcher(settings, watched)
    threads = [threading.Thread(target=ask, args=(each,)) for each in (searcher, searcher, Searcher(settings, watched))]
    for thread in threads:
        thread.start()
    for number in range(1, 13):
        version(number)
        versions[sync(settings, embedder=watched).generation] = number
    done.set()
    for thread in threads:
        thread.join()

    assert failures == []
    assert len(seen) > 12
    for generation, texts in seen:
        number = versions[generation]
        names = ["a", "b", "c", "d", "e", "f", *(["odd"] if number % 2 else [])]
        assert texts == {f"Version {number} of {name} eats grass." for name in names}


NAMES = ["a.md", "b.md", "c.txt", "d/e.md", "d/f.html", "d/g/h.txt"]
TEXTS = [
    "# Zebras\n\nThe zebra eats grass.\n\n## Night\n\nIt sleeps at night.\n",
    "# Zebras\n\nThe zebra eats grass.\n\n## Day\n\nIt walks by day. It drinks from the river.\n",
    "Rivers\n\nThe river goes to the sea. Fish swim in it at night.\n",
    "<h1>Fish</h1><p>Fish eat flies.</p><h2>Night</h2><p>At night they rest.</p>",
    "Only one line about the sea",
    "# Zebras\r\n\r\nThe zebra eats grass.\r\n",
]
STEP = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(NAMES), st.sampled_from(TEXTS)),
    st.tuples(st.just("remove"), st.sampled_from(NAMES), st.just("")),
    st.tuples(st.just("move"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.just("copy"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.just("touch"), st.sampled_from(NAMES), st.just("")),
    st.tuples(st.just("spoil"), st.sampled_from(NAMES), st.just("")),
)
SPOILT = bytes(range(256))


def do(corpus: Path, what: str, name: str, other: str) -> None:
    path = corpus / name
    if what == "write":
        write(corpus, {name: other})
    elif what == "spoil":
        write(corpus, {name: ""})
        path.write_bytes(SPOILT)
    elif path.exists() and what == "remove":
        path.unlink()
    elif path.exists() and what == "touch":
        os.utime(path)
    elif path.exists() and other != name:
        (corpus / other).parent.mkdir(parents=True, exist_ok=True)
        (path.rename if what == "move" else partial(shutil.copy, path))(corpus / other)


def contents(corpus: Path) -> dict[str, bytes]:
    return {str(path.relative_to(corpus)): path.read_bytes() for path in corpus.rglob("*") if path.is_file()}


def expected(before: dict[str, bytes], files: dict[str, bytes]) -> Difference:
    """What is different, worked out from the files' contents alone. `before`: what is indexed."""
    after = {source: data for source, data in files.items() if data != SPOILT}

    def kinds(sources: Iterable[str], data: dict[str, bytes]) -> dict[str, tuple[bytes, str]]:
        return {source: (data[source], Path(source).suffix) for source in sources}

    gone = kinds((source for source in before if source not in files), before)
    new = kinds((source for source in after if source not in before), after)
    pairs = Counter(gone.values()) & Counter(new.values())  # so many moves of each kind of content
    moved: list[tuple[str, str]] = []
    for kind, count in pairs.items():
        olds = sorted(source for source, of in gone.items() if of == kind)
        news = sorted(source for source, of in new.items() if of == kind)
        moved += list(zip(olds[:count], news[:count], strict=True))
    olds, news = {old for old, _ in moved}, {name for _, name in moved}
    both = [source for source in after if source in before]
    return Difference(
        added=sorted(new.keys() - news),
        changed=sorted(source for source in both if before[source] != after[source]),
        moved=sorted(moved),
        removed=sorted((before.keys() - after.keys()) - olds),
        unchanged=sum(before[source] == after[source] for source in both),
        skipped={source: "not text" for source in sorted(files) if files[source] == SPOILT},
    )


@given(st.lists(st.tuples(st.lists(STEP, max_size=4), st.booleans()), min_size=1, max_size=6))
@hypothesis_settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_after_any_changes_the_index_equals_a_fresh_one(
    watched: Watched, tmp_path_factory: pytest.TempPathFactory, turns: list[tuple[list[tuple[str, str, str]], bool]]
) -> None:
    folder = tmp_path_factory.mktemp("turns")
    settings = Settings(corpus=folder / "corpus", index=folder / "index")
    write(settings.corpus, {"a.md": TEXTS[0]})
    sync(settings, embedder=watched)
    indexed = contents(settings.corpus)
    for steps, rebuild in turns:
        for step in steps:
            do(settings.corpus, *step)
        files = contents(settings.corpus)
        wanted = expected(indexed, files)
        if all(data == SPOILT for data in files.values()):
            with pytest.raises(CorpusError):
                sync(settings, embedder=watched)
            assert sorted(documents(settings)) == sorted(indexed)
            continue
        done = sync(settings, embedder=watched, rebuild=rebuild)
        if not rebuild:
            assert sorted(done.difference.moved) == wanted.moved
            assert replace(done.difference, failed={}, states={}, moved=[]) == replace(wanted, moved=[])
        assert_equals_a_fresh_index(settings, watched, folder / "fresh")
        indexed = {source: data for source, data in files.items() if data != SPOILT}
    shutil.rmtree(folder)


def test_every_refusal_is_one_line(settings: Settings, watched: Watched) -> None:
    cases: list[Settings] = [
        settings,
        settings.model_copy(update={"corpus": settings.corpus / "nowhere"}),
        settings.model_copy(update={"corpus": Path(__file__)}),
        settings.model_copy(update={"index": Path(__file__)}),
    ]
    write(settings.corpus.parent, {"full/a.md": note(1)})
    cases[3] = cases[3].model_copy(update={"corpus": settings.corpus.parent / "full"})
    for case in cases:
        with pytest.raises(PinciteError) as refused:
            sync(case, embedder=watched)
        assert "\n" not in str(refused.value)
        assert str(case.corpus) in str(refused.value) or str(case.index) in str(refused.value)


# Readers


def reader(settings: Settings, source: str) -> str:
    with Catalog(settings.index) as catalog:
        return catalog.files()[source].reader


def pretend_read_by(settings: Settings, source: str, name: str) -> None:
    connection = sqlite3.connect(settings.index / "catalog.sqlite")
    with connection:
        connection.execute("UPDATE documents SET reader = ? WHERE source = ?", (name, source))
    connection.close()


def test_what_an_older_reader_read_is_read_again_and_only_that(settings: Settings, watched: Watched) -> None:
    write(settings.corpus, {**notes(3), "a.txt": "Owls hunt at night."})
    sync(settings, embedder=watched)
    pretend_read_by(settings, "01.md", "markdown/0")
    watched.asked.clear()
    assert preview(settings).changed == ["01.md"]
    done = sync(settings, embedder=watched)
    assert told(done) == report(changed=["01.md"], unchanged=3, documents=4, passages=4, embedded=0, generation=2)
    assert reader(settings, "01.md") == READERS[".md"].name
    assert watched.asked == []  # it reads the same as before
    assert sync(settings, embedder=watched).difference.is_empty()


def test_what_could_not_be_read_is_not_tried_again_until_something_changes(
    settings: Settings, watched: Watched
) -> None:
    write(settings.corpus, {"a.md": note(1), "b.pdf": "no PDF at all"})
    first = sync(settings, embedder=watched)
    reason = first.difference.skipped["b.pdf"]
    with Catalog(settings.index) as catalog:
        (failed,) = catalog.failed().values()
    assert failed.reader == f"{READERS['.pdf'].name} in 60 s and 2048 MB"
    age(settings.corpus / "b.pdf")
    sync(settings, embedder=watched)  # has looked long enough after the change to be sure

    def tried() -> list[str]:
        difference = preview(settings)
        assert difference.skipped.get("b.pdf", reason) == reason
        return difference.added

    assert tried() == []
    os.utime(settings.corpus / "b.pdf")  # touched, and the same
    assert tried() == []
    assert sync(settings, embedder=watched).difference.skipped == {"b.pdf": reason}
    patient = settings.model_copy(update={"sync": Sync(reader_seconds=90)})
    assert preview(patient).added == ["b.pdf"]  # another limit
    (settings.corpus / "b.pdf").write_text("still no PDF")
    assert tried() == ["b.pdf"]
    assert sync(settings, embedder=watched).difference.skipped == {"b.pdf": reason}
    assert sync(settings, embedder=watched, rebuild=True).difference.skipped == {"b.pdf": reason}


def age(path: Path) -> None:
    """As if it had been written a minute ago."""
    before = path.stat().st_mtime - 60
    os.utime(path, (before, before))


def test_ignored_files_are_listed_and_what_is_ignored_from_now_on_is_forgotten(
    settings: Settings, watched: Watched
) -> None:
    write(settings.corpus, {**notes(2), "drafts/a.md": note(7), "drafts/keep.md": note(8)})
    sync(settings, embedder=watched)
    write(settings.corpus, {".pinciteignore": "drafts/*\n!drafts/keep.md\n"})
    done = sync(settings, embedder=watched)
    assert done.difference.removed == ["drafts/a.md"]
    assert done.difference.skipped == {".pinciteignore": "hidden", "drafts/a.md": "named in .pinciteignore"}
    assert sorted(documents(settings)) == ["00.md", "01.md", "drafts/keep.md"]
    write(settings.corpus, {".pinciteignore": "drafts/\n"})
    assert sync(settings, embedder=watched).difference.skipped["drafts"] == "named in .pinciteignore"
    write(settings.corpus, {".pinciteignore": "[z-a]\n"})
    with pytest.raises(CorpusError, match=r"\.pinciteignore: line 1: not a pattern: '\[z-a\]'"):
        sync(settings, embedder=watched)
    assert sorted(documents(settings)) == ["00.md", "01.md"]


def outlined_pdf(entries: int) -> bytes:
    """One page that says one sentence, and an outline that names it so many times."""
    text = b"BT /F1 12 Tf 50 700 Td (The harbour closes at nine in the evening.) Tj ET"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /Outlines 6 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /First 7 0 R /Last %d 0 R /Count %d >>" % (6 + entries, entries),
    ]
    for number in range(7, 7 + entries):
        following = b" /Next %d 0 R" % (number + 1) if number < 6 + entries else b""
        objects.append(b"<< /Title (Page %d) /Parent 6 0 R /Dest [3 0 R /Fit]%s >>" % (number, following))
    file, starts = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(objects, start=1):
        starts.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % start for start in starts)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    tail = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(file))
    return bytes(file + head + table + tail)


def test_a_poisonous_file_costs_its_own_line_and_nothing_else(settings: Settings, watched: Watched) -> None:
    bomb = b"".join([b"<!DOCTYPE a [<!ENTITY l0 'ha'>", *(
        f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>".encode() for n in range(1, 12)
    ), b"]><a>&l11;</a>"])  # fmt: skip
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", bytes(300 * 2**20))
    laughs = io.BytesIO()
    with zipfile.ZipFile(laughs, "w") as archive:
        archive.writestr("[Content_Types].xml", bomb)
        archive.writestr("word/document.xml", bomb)
    write(settings.corpus, notes(2))
    for source, data in {
        "bomb.docx": inner.getvalue(),
        "objects.pdf": outlined_pdf(3).replace(b" obj\n<<", b" obj\n<[").replace(b"0 R", b"9 R"),
        "outline.pdf": outlined_pdf(100_000),
        "cut.docx": laughs.getvalue()[:-40],
        "empty.pdf": b"",
        "laughs.docx": laughs.getvalue(),
        "line.csv": b'"' + b"x" * 20_000_000,
        "pdf.docx": b"%PDF-1.7\n",
        "zip.pdf": laughs.getvalue(),
    }.items():
        (settings.corpus / source).write_bytes(data)
    limited = settings.model_copy(update={"sync": Sync(reader_seconds=20, reader_megabytes=512)})
    done = sync(limited, embedder=watched)
    assert done.difference.added == ["00.md", "01.md", "outline.pdf"]
    assert done.ledger["outline.pdf"] == ["its outline is longer than 10,000 entries; the rest is not used"]
    assert sorted(done.difference.skipped) == [
        "bomb.docx", "cut.docx", "empty.pdf", "laughs.docx", "line.csv", "objects.pdf", "pdf.docx", "zip.pdf",
    ]  # fmt: skip
    assert all(reason and "\n" not in reason for reason in done.difference.skipped.values())
    assert examine(limited).problems == []
    assert examine(limited).skipped == done.difference.skipped


_KILLED_AT_COMMIT = """
import os, signal, sys
from pincite.settings import Settings
from pincite.sync import sync
def kill(stage, done, total):
    if stage == "commit":
        os.kill(os.getpid(), signal.SIGKILL)
sync(Settings(corpus=sys.argv[1], index=sys.argv[2]), rebuild=True, progress=kill)
"""


def test_an_index_of_an_older_format_is_made_anew_by_a_rebuild_with_the_vectors_it_has(
    settings: Settings, watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(settings.corpus, notes(2))
    sync(settings, embedder=watched)
    with Catalog(settings.index, writable=True) as catalog, catalog.writing():
        catalog.set_meta("format", "2")
    with pytest.raises(IndexMismatch, match=r"of format 2, this version reads 5: run python ingest\.py --rebuild$"):
        sync(settings, embedder=watched)
    (tmp_path / "other").mkdir()
    write(tmp_path / "other", notes(1))
    with pytest.raises(IndexMismatch, match="is the index of"):  # another folder's index is not lost by it
        sync(settings.model_copy(update={"corpus": tmp_path / "other"}), rebuild=True, embedder=watched)
    away = [path.rename(tmp_path / path.name) for path in sorted(settings.corpus.iterdir())]
    with pytest.raises(CorpusError, match="holds no document that can be read"):  # as a drive that is not mounted
        sync(settings, rebuild=True, embedder=watched)
    write(settings.corpus, {"one.md": note(1)})
    with monkeypatch.context() as patched:
        patched.setattr("pincite.sync.count_documents", lambda _index: 22)
        with pytest.raises(MostRemoved, match="21 of 22 indexed documents are gone"):
            sync(settings, rebuild=True, embedder=watched)
    (settings.corpus / "one.md").unlink()
    for path in away:
        path.rename(settings.corpus / path.name)
    (settings.corpus / "closed").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", refusing({"closed"}))
        with pytest.raises(CorpusError, match="closed: cannot be listed, and what an index of another format holds"):
            sync(settings, rebuild=True, embedder=watched)

    def stop(stage: str, _done: int, _total: int) -> None:
        if stage == "commit":
            raise SyncCancelled

    def of_format() -> tuple[str, int]:
        return peek(settings.index, "format"), count_documents(settings.index)

    with pytest.raises(SyncCancelled):
        sync(settings, rebuild=True, embedder=watched, progress=stop)
    assert of_format() == ("2", 2)
    command = [sys.executable, "-c", _KILLED_AT_COMMIT, str(settings.corpus), str(settings.index)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert of_format() == ("5", 0)
    with pytest.raises(IndexMismatch, match="of format 2"):  # whoever writes next has it back first
        sync(settings, embedder=watched)
    assert of_format() == ("2", 2)
    watched.asked.clear()
    done = sync(settings, rebuild=True, embedder=watched)
    assert (done.documents, done.embedded, watched.asked) == (2, 0, [])
    assert done.generation == 2
    assert examine(settings).problems == []
    assert [
        path.name for path in settings.index.glob("catalog*") if path.suffix not in (".sqlite-wal", ".sqlite-shm")
    ] == ["catalog.sqlite"]


@pytest.mark.parametrize("gone", ["", "birds"])
def test_a_folder_that_goes_away_while_it_is_looked_at_is_not_taken_for_empty(
    settings: Settings, embedder: Embedder, gone: str
) -> None:
    folder = settings.corpus / gone
    folder.mkdir(exist_ok=True)
    for name in ("heron", "owl", "swift"):
        (folder / f"{name}.md").write_text(f"# The {name}\n\nThe {name} sleeps.\n")
    sync(settings, embedder=embedder)
    away = settings.corpus.parent / "away"

    def unplug(stage: str, done: int, _total: int) -> None:
        if (stage, done) == ("compare", 0):  # the first file was seen, the others were listed
            folder.rename(away)

    with contextlib.suppress(CorpusError):
        sync(settings, embedder=embedder, progress=unplug)
    with Catalog(settings.index) as catalog:
        assert sorted(Path(source).stem for source in catalog.files()) == ["heron", "owl", "swift"]
    away.rename(folder)
    assert sync(settings, embedder=embedder).difference.is_empty()


@pytest.mark.parametrize("many", [0, 1000], ids=["reading processes", "this process"])
def test_every_document_says_its_language_whoever_tells_it(
    settings: Settings, watched: Watched, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    told_here: list[str] = []

    def with_language(document: Document) -> Document:
        told_here.append(document.source)
        return language.with_language(document)

    monkeypatch.setattr(work, "_MANY", many)
    monkeypatch.setattr(work, "with_language", with_language)
    german = "Die Fähre fährt täglich um neun Uhr ab und kommt um fünf zurück."
    write(settings.corpus, {"hafen.txt": german, "n.txt": "12 13 14"})
    sync(settings, embedder=watched)
    told_of = {source: document.coverage.language for source, document in documents(settings).items()}
    assert told_of == {"hafen.txt": "de", "n.txt": ""}
    assert told_here == ([] if many == 0 else ["hafen.txt", "n.txt"])
