"""Whether what is indexed of a file is what the file holds now."""

import os

import pytest

from pincite.embedding import Embedder
from pincite.errors import Unreadable
from pincite.freshness import freshness, original
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.storage import Catalog
from pincite.sync import sync


@pytest.fixture
def indexed(settings: Settings, embedder: Embedder) -> Settings:
    for name in ("same.md", "touched.md", "changed.md", "gone.md"):
        (settings.corpus / name).write_text(f"# {name}\n\nThe harbour of {name} closes at nine.\n", encoding="utf-8")
    sync(settings, embedder=embedder)
    return settings


def test_each_file_is_told_how_it_stands(indexed: Settings) -> None:
    os.utime(indexed.corpus / "touched.md", (1, 1))
    (indexed.corpus / "changed.md").write_text("# changed.md\n\nThe harbour never closes.\n", encoding="utf-8")
    (indexed.corpus / "gone.md").unlink()
    with Catalog(indexed.index) as catalog:
        found = freshness(indexed.corpus, catalog, ["same.md", "touched.md", "changed.md", "gone.md", "never.md"])
    assert found == {"same.md": "current", "touched.md": "current", "changed.md": "changed", "gone.md": "missing"}


def test_a_change_of_the_same_length_is_seen(indexed: Settings) -> None:
    file = indexed.corpus / "same.md"
    file.write_bytes(file.read_bytes().replace(b"nine", b"five"))
    with Catalog(indexed.index) as catalog:
        assert freshness(indexed.corpus, catalog, ["same.md"]) == {"same.md": "changed"}


def test_an_answer_of_the_generation_before_is_compared_as_it_was_given(indexed: Settings, embedder: Embedder) -> None:
    answered = {
        hit.passage.source: hit.sha256 for hit in Searcher(indexed, embedder).search("when does it close", 10).hits
    }
    (indexed.corpus / "same.md").write_text("Other words by now.\n")
    (indexed.corpus / "gone.md").unlink(missing_ok=True)
    sync(indexed, embedder=embedder)
    with Catalog(indexed.index) as catalog:
        assert freshness(indexed.corpus, catalog, ["same.md"]) == {"same.md": "current"}
        found = freshness(indexed.corpus, catalog, [], {"same.md": answered["same.md"], "gone.md": answered["gone.md"]})
        assert found == {"same.md": "changed", "gone.md": "missing"}


def test_the_original_is_given_only_as_it_was_indexed(indexed: Settings) -> None:
    data = (indexed.corpus / "same.md").read_bytes()
    with Catalog(indexed.index) as catalog:
        sha256 = catalog.files()["same.md"].sha256
    assert original(indexed.corpus, "same.md", sha256) == data
    (indexed.corpus / "same.md").write_bytes(data + b"More.\n")
    assert original(indexed.corpus, "same.md", sha256) is None
    (indexed.corpus / "same.md").rename(indexed.corpus.parent / "outside.md")
    (indexed.corpus.parent / "outside.md").write_bytes(data)
    for put, reason in (
        (lambda path: path.symlink_to("../outside.md"), "is a link out of the corpus folder now"),
        (os.mkfifo, "not a regular file"),  # which would be waited for
        (lambda path: path.mkdir(), "not a regular file"),
    ):
        put(indexed.corpus / "same.md")
        with pytest.raises(Unreadable, match=reason):
            original(indexed.corpus, "same.md", sha256)
        removed = indexed.corpus / "same.md"
        removed.rmdir() if removed.is_dir() and not removed.is_symlink() else removed.unlink()
