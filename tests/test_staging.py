"""What a run has read waits in a catalog of its own, and nothing of it stays behind."""

from pathlib import Path

import pytest

from pincite.embedding import Embedder
from pincite.errors import SyncCancelled
from pincite.settings import Settings
from pincite.storage import Catalog, FileState, NewDocument, NewPassage, create, staging
from pincite.storage.staging import FOLDER
from pincite.sync import sync
from pincite.types import Document, Passage


def new(source: str, text: str, first_id: int) -> NewDocument:
    halves = [(0, len(text) // 2), (len(text) // 2, len(text))]
    passages = [Passage(source, start, end, text[start:end], "Title", sentences=((0, 1),)) for start, end in halves]
    return NewDocument(
        Document(source, "Title", "text/markdown", "ab" * 32, text),
        FileState(source, 1, 2, 3, "ab" * 32),
        [NewPassage(first_id + row, passage, f"{source} {row}".encode()) for row, passage in enumerate(passages)],
    )


def test_what_is_staged_takes_the_place_of_what_is_there(tmp_path: Path) -> None:
    create(tmp_path, Path("/some/corpus"))
    with Catalog(tmp_path, writable=True) as catalog, staging(tmp_path) as staged:
        with catalog.writing():
            catalog.put_document(new("a.md", "The first text.", 1))
            catalog.put_document(new("b.md", "The second text.", 3))
        with staged.writing():
            staged.put_document(new("c.md", "A third text.", 7))
            staged.put_document(new("b.md", "Another second text.", 5))
        assert list(staged.keys()) == [(5, b"b.md 0"), (6, b"b.md 1"), (7, b"c.md 0"), (8, b"c.md 1")]
        assert catalog.counts() == {"documents": 2, "passages": 4}
        wanted = [stored.passage for stored in staged.all_passages()]

        catalog.attach(staged)
        with catalog.writing():
            catalog.put_staged()
        found = list(catalog.all_passages())
        assert [stored.id for stored in found] == [1, 2, 5, 6, 7, 8]
        assert all(stored.is_sound for stored in found)
        assert [stored.passage for stored in found[2:]] == wanted
        assert (document := catalog.document("b.md")) is not None
        assert document.text == "Another second text."
        assert catalog.files()["c.md"] == STATE._replace(source="c.md")
        assert catalog.complaints() == []


STATE = FileState("", 1, 2, 3, "ab" * 32)


def test_nothing_is_left_of_it(settings: Settings, embedder: Embedder) -> None:
    (settings.corpus / "a.md").write_text("The ferry leaves at nine.\n")
    sync(settings, embedder=embedder)
    assert not (settings.index / FOLDER).exists()

    def stop(stage: str, _done: int, _total: int) -> None:
        if stage == "embed":
            assert (settings.index / FOLDER / "catalog.sqlite").is_file()
            raise SyncCancelled("stopped")

    (settings.corpus / "b.md").write_text("The harbour closes at ten.\n")
    with pytest.raises(SyncCancelled):
        sync(settings, progress=stop, embedder=embedder)
    assert not (settings.index / FOLDER).exists()


def test_what_a_run_that_died_left_there_goes_with_the_next(settings: Settings, embedder: Embedder) -> None:
    (settings.corpus / "a.md").write_text("The ferry leaves at nine.\n")
    sync(settings, embedder=embedder)
    (settings.index / FOLDER).mkdir()
    (settings.index / FOLDER / "catalog.sqlite").write_bytes(b"half a page of a text")
    (settings.corpus / "b.md").write_text("The harbour closes at ten.\n")
    assert sync(settings, embedder=embedder).documents == 2
    assert not (settings.index / FOLDER).exists()
