"""What the index holds beside what the folder holds, row by row."""

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest

from pincite.embedding import Embedder
from pincite.errors import IndexMismatch, IndexMissing
from pincite.holdings import Holding, Inventory, holdings, index_state
from pincite.settings import Passages, Settings
from pincite.storage import Catalog, IndexFolder, Recipe
from pincite.sync import preview, sync
from pincite.sync.look import Look

GERMAN = "Der Hafen schließt um neun Uhr abends und öffnet wieder um sechs am Morgen, wenn die Fischer kommen.\n" * 4


@pytest.fixture
def indexed(settings: Settings, embedder: Embedder) -> Settings:
    files = {
        "a.md": "# Tides\n\nThe moon pulls the sea.\n\n## Range\n\nIt is largest at full moon.\n",
        "b.txt": "Owls hunt mice.\n",
        "c.csv": "name,weight\nowl,600\nheron,1500\n",
        "gone.md": "# Gone\n\nThis goes.\n",
        "moves.md": "# Moves\n\nThis moves.\n",
        "photo.jpg": "no text",
    }
    for name, text in files.items():
        (settings.corpus / name).write_text(text)
        os.utime(settings.corpus / name, ns=(10**18, 10**18))
    (settings.corpus / "hafen.txt").write_bytes(GERMAN.encode("latin-1"))
    os.utime(settings.corpus / "hafen.txt", ns=(10**18, 10**18))
    sync(settings, embedder=embedder)
    return settings


def rows(settings: Settings, look: bool) -> dict[str, Holding]:
    with Catalog(settings.index) as catalog, catalog.reading():
        found = holdings(Inventory.of(catalog), preview(settings) if look else None)
    assert [row.source for row in found] == sorted(row.source for row in found)
    return {row.source: row for row in found}


def test_the_shelf_has_what_the_documents_have(indexed: Settings) -> None:
    with Catalog(indexed.index) as catalog:
        shelf = {shelved.source: shelved for shelved in catalog.shelf()}
        for source in catalog.files():
            document, shelved = catalog.document(source), shelf[source]
            assert document is not None
            assert (shelved.title, shelved.media_type, shelved.coverage, shelved.remarks) == (
                document.title,
                document.media_type,
                document.coverage,
                document.remarks,
            )
            assert (shelved.pages, shelved.parts) == (len(document.pages), len(document.parts))
            assert shelved.part == (document.parts[0].name if document.parts else "")
            assert shelved.passages == len(catalog.places(source))
        assert list(shelf) == sorted(catalog.files())


def test_rows_of_an_index_that_is_as_the_folder_is(indexed: Settings) -> None:
    found = rows(indexed, look=True)
    size = (indexed.corpus / "a.md").stat().st_size
    assert found["a.md"] == Holding("a.md", "indexed", "Tides", "", 2, size, 10**18, "en", 1.0)
    assert found["a.md"].kind == "md"
    assert found["c.csv"].length == "3 rows"
    assert found["photo.jpg"] == Holding("photo.jpg", "not indexed", told=("no reader for .jpg",))
    assert found["hafen.txt"].language == "de"
    assert found["hafen.txt"].told[-1] == "in a language that the model does not know (de)"
    assert found == rows(indexed, look=False)


def test_rows_say_what_the_next_sync_will_do(indexed: Settings) -> None:
    (indexed.corpus / "a.md").write_text("# Tides\n\nOther words.\n")
    (indexed.corpus / "new.md").write_text("# New\n")
    (indexed.corpus / "gone.md").unlink()
    (indexed.corpus / "moves.md").rename(indexed.corpus / "moved.md")
    (indexed.corpus / "b.txt").write_bytes(b"")
    found = rows(indexed, look=True)
    assert {source: row.status for source, row in found.items()} == {
        "a.md": "changed",
        "b.txt": "missing",
        "c.csv": "indexed",
        "gone.md": "missing",
        "hafen.txt": "indexed",
        "moves.md": "moved",
        "new.md": "new",
        "photo.jpg": "not indexed",
    }
    assert found["b.txt"].told == ("empty",)
    assert found["moves.md"].told == ("now moved.md",)
    assert (found["new.md"].size, found["new.md"].is_indexed) == (6, False)
    assert found["a.md"].is_indexed


def test_without_an_index_every_file_is_new(settings: Settings) -> None:
    (settings.corpus / "a.md").write_text("# A\n")
    assert [(row.source, row.status) for row in holdings(Inventory(), preview(settings))] == [("a.md", "new")]
    assert holdings(Inventory()) == []


def test_a_look_at_another_generation_hurts_nothing(indexed: Settings, embedder: Embedder) -> None:
    (indexed.corpus / "gone.md").unlink()
    (indexed.corpus / "moves.md").rename(indexed.corpus / "moved.md")
    old = preview(indexed)
    sync(indexed, embedder=embedder)
    with Catalog(indexed.index) as catalog:
        assert "gone.md" not in {row.source for row in holdings(Inventory.of(catalog), old)}


def test_what_an_index_says_of_itself(indexed: Settings) -> None:
    recipe = Recipe.of(indexed)
    state = index_state(indexed, recipe)
    manifest = json.loads((IndexFolder(indexed.index).generation(1) / "manifest.json").read_text())
    assert (state.documents, state.passages) == (manifest["documents"], manifest["passages"]) == (6, state.passages)
    assert state.built is not None
    assert state.built.isoformat().replace("+00:00", "Z") == manifest["built_at"]
    assert (state.generation, state.model) == (1, "all-MiniLM-L6-v2")
    assert state.bytes == sum(path.stat().st_size for path in indexed.index.rglob("*") if path.is_file())


def test_a_file_that_generations_share_is_counted_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 1000)
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    assert IndexFolder(tmp_path).bytes() == 1000


def test_an_index_that_is_not_there_or_of_other_settings_is_told(indexed: Settings) -> None:
    with pytest.raises(IndexMissing):
        index_state(indexed.model_copy(update={"index": indexed.index / "none"}), Recipe.of(indexed))
    other = indexed.model_copy(update={"passages": Passages(tokens=64)})
    with pytest.raises(IndexMismatch):
        index_state(other, Recipe.of(other))


def test_a_look_is_for_one_generation_and_is_not_repeated_while_it_is_young(indexed: Settings) -> None:
    look = Look(indexed)
    assert look.found(1) is None
    look.begin(1)
    assert look.wait(30)
    first, ended = look.found(1), look.ended
    assert first == preview(indexed)
    assert look.found(2) is None
    look.begin(1, older_than=60)
    assert look.wait(30)
    assert look.ended == ended
    look._work.ended += timedelta(days=1)  # as a clock that was ahead and was put right
    look.begin(1, older_than=60)
    assert look.wait(30)
    assert look.ended == ended + timedelta(days=1)
    look.begin(1, older_than=0)
    assert look.wait(30)
    assert ended <= look.ended < ended + timedelta(hours=1)
    look.begin(2, older_than=60)
    assert look.wait(30)
    assert (look.found(1), look.found(2)) == (None, first)


def test_a_look_that_fails_says_why(settings: Settings) -> None:
    settings.corpus.rmdir()
    look = Look(settings)
    look.begin(0)
    assert look.wait(30)
    assert "no such folder" in str(look.found(0))
