"""The Documents page in each of its states, as Streamlit's own test harness sees it."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pincite.embedding import Embedder
from pincite.settings import Settings
from pincite.storage import Catalog, IndexFolder
from pincite.sync import sync
from pincite.ui.resources import Resources, shared

WAIT = 60
PAGE = """
import streamlit as st
from pincite.ui import documents_page, markup
from pincite.ui.pages import Pages
from pincite.ui.resources import shared

markup.begin()
page = st.Page(lambda: documents_page.show(Pages(*[page] * 7), shared()), title="x", url_path="x", default=True)
st.navigation([page], position="hidden").run()
"""
EVIL = "<b>evil :red[no] $x$ [a](javascript:alert(1)) {number}.md"


@pytest.fixture(autouse=True)
def in_its_own_folder(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The page reads pincite.toml and the folders beside it."""
    monkeypatch.chdir(settings.corpus.parent)
    monkeypatch.setattr("pincite.ui.documents_page._PATIENCE", WAIT)  # nobody runs these pages again when it is done
    st.cache_resource.clear()
    st.cache_data.clear()
    yield
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def indexed(settings: Settings, embedder: Embedder) -> Settings:
    (settings.corpus / "reports").mkdir()
    (settings.corpus / "reports" / "owl.md").write_text("# Owls\n\nOwls hunt mice.\n")
    (settings.corpus / "reports" / "héron.txt").write_bytes("Le héron mange des grenouilles.\n".encode("latin-1"))
    (settings.corpus / EVIL).write_text("# Evil\n\nThe harbour closes at nine.\n")
    (settings.corpus / "photo.jpg").write_text("no text")
    sync(settings, embedder=embedder)
    return settings


def open_page(**query: str) -> AppTest:
    page = AppTest.from_string(PAGE, default_timeout=WAIT)
    for name, value in query.items():
        page.query_params[name] = value
    return run(page)


def run(page: AppTest) -> AppTest:
    """Again, until nobody is looking at the folder."""
    page.run()
    assert not page.exception
    if shared().look.is_running:
        shared().look.wait(WAIT)
        page.run()
    assert not page.exception
    return page


def click(page: AppTest, label: str) -> AppTest:
    next(button for button in page.button if button.label == label).click().run()
    shared().job.wait(WAIT)
    shared().check.wait(WAIT)
    return run(page)


def bodies(page: AppTest) -> str:
    return "\n".join(element.proto.body for element in page.get("html"))


def captions(page: AppTest) -> list[str]:
    return [caption.value for caption in page.caption]


def markdowns(page: AppTest) -> list[str]:
    return [markdown.value for markdown in page.markdown]


def labels(page: AppTest) -> list[str]:
    return [button.label for button in page.button]


def table(page: AppTest) -> pd.DataFrame:
    (frame,) = page.dataframe
    return frame.value


def row(page: AppTest, source: str) -> dict[str, Any]:
    frame = table(page)
    return dict(frame[frame["Source"] == source].iloc[0])


def test_the_list_holds_every_file_with_what_is_to_be_known_of_it(indexed: Settings) -> None:
    page = open_page()
    assert "**3** documents, **3** passages" in markdowns(page)
    assert "generation 1, " in bodies(page)
    assert "model all-MiniLM-L6-v2" in bodies(page)
    assert "Nothing has changed since." in captions(page)
    assert list(table(page)["Source"]) == sorted([EVIL, "photo.jpg", "reports/héron.txt", "reports/owl.md"])
    owl = row(page, "reports/owl.md")
    assert (owl["Title"], owl["Kind"], owl["Status"], owl["Passages"], owl["Searchable"]) == (
        "Owls",
        "md",
        "indexed",
        1,
        1.0,
    )
    assert row(page, "photo.jpg")["What to know"] == "no reader for .jpg"
    assert row(page, "photo.jpg")["Status"] == "not indexed"
    assert "decoded from " in row(page, "reports/héron.txt")["What to know"]


def test_the_list_is_filtered_by_words_in_the_path_and_by_state_and_both_are_in_the_url(indexed: Settings) -> None:
    page = open_page(words="REPORTS owl")
    assert list(table(page)["Source"]) == ["reports/owl.md"]
    (pills,) = page.button_group
    assert pills.options == ["All (1)"]
    page.text_input(key="words").set_value("").run()
    (pills,) = page.button_group
    assert pills.options == ["All (4)", "With a remark (2)", "Not indexed (1)"]
    pills.set_value("unindexed").run()
    assert list(table(page)["Source"]) == ["photo.jpg"]
    assert page.query_params["show"] == "unindexed"
    assert list(table(open_page(show="remarks"))["Source"]) == ["photo.jpg", "reports/héron.txt"]
    assert len(table(open_page(show="nonsense"))) == 4
    assert "None of them." in captions(open_page(show="unindexed", words="owl"))


def test_what_changed_in_the_folder_is_seen_and_taken_in(indexed: Settings) -> None:
    (indexed.corpus / "new.md").write_text("# New\n\nA new thing.\n")
    (indexed.corpus / "reports" / "owl.md").write_text("# Owls\n\nOwls sleep by day.\n")
    (indexed.corpus / EVIL).unlink()
    (indexed.corpus / "reports" / "héron.txt").rename(indexed.corpus / "héron.txt")
    page = open_page()
    assert "Since the last sync: **1** new, **1** changed, **1** moved, **1** missing." in markdowns(page)
    assert row(page, "new.md")["Status"] == "new"
    assert row(page, EVIL)["Status"] == "missing"
    assert row(page, "reports/héron.txt")["What to know"].startswith("now héron.txt; ")
    assert list(table(open_page(show="changed"))["Source"]) == ["reports/héron.txt", "reports/owl.md"]
    click(page, "Re-index")
    assert [s.value for s in page.success] == ["1 added, 1 changed, 1 moved, 1 removed"]
    assert "Nothing has changed since." in captions(page)
    assert list(table(page)["Source"]) == ["héron.txt", "new.md", "photo.jpg", "reports/owl.md"]


def test_a_look_is_repeated_when_it_is_asked_for(indexed: Settings) -> None:
    page = open_page()
    (indexed.corpus / "new.md").write_text("# New\n\nA new thing.\n")
    assert "Nothing has changed since." in captions(run(page))  # it was looked at a moment ago
    assert "Since the last sync: **1** new." in markdowns(click(page, "Look again"))


def test_without_an_index_it_offers_to_build_one(settings: Settings) -> None:
    (settings.corpus / "owl.md").write_text("# Owls\n\nOwls hunt mice.\n")
    page = open_page()
    assert "Nothing is indexed yet." in markdowns(page)
    assert "1 file can be indexed." in captions(page)
    assert row(page, "owl.md")["Status"] == "new"
    click(page, "Build the index")
    assert "**1** documents, **1** passages" in markdowns(page)
    assert row(page, "owl.md")["Status"] == "indexed"


def test_an_empty_folder_says_so(settings: Settings) -> None:
    page = open_page()
    assert "Nothing is indexed yet." in markdowns(page)
    assert "0 files can be indexed." in captions(page)
    click(page, "Build the index")
    assert "holds no document that can be read" in bodies(page)


def test_a_sync_can_be_stopped_and_says_that_the_index_is_as_it_was(indexed: Settings) -> None:
    for number in range(300):
        (indexed.corpus / f"log {number}.txt").write_text(f"Entry {number}. " + f"Boat {number} was painted. " * 12)
    page = open_page()
    next(button for button in page.button if button.label == "Re-index").click().run()
    (bar,) = page.get("progress")
    assert bar.proto.text.partition(":")[0] in ("Looking at the files", "Reading", "Embedding")
    assert "Questions are answered from the present index meanwhile." in captions(page)
    assert len(table(page)) == 304  # it can be looked at meanwhile
    click(page, "Cancel")
    assert [i.value for i in page.info] == [
        "Stopped. The index is as it was; what was embedded stays for the next time."
    ]
    assert "**3** documents, **3** passages" in markdowns(page)


def test_most_documents_gone_is_asked_about(indexed: Settings, embedder: Embedder) -> None:
    for number in range(20):
        (indexed.corpus / f"{number}.md").write_text(f"# Owl {number}\n\nOwl {number} hunts mice.\n")
    sync(indexed, embedder=embedder)
    for number in range(20):
        (indexed.corpus / f"{number}.md").unlink()
    page = click(open_page(), "Re-index")
    assert "20 of 23 indexed documents are gone" in bodies(page)
    click(page, "Forget what is gone")
    assert "**3** documents, **3** passages" in markdowns(page)
    assert "Forget what is gone" not in labels(page)


def test_an_index_of_other_settings_is_rebuilt_on_demand(indexed: Settings) -> None:
    Path("pincite.toml").write_text("[passages]\ntokens = 64\n")
    page = open_page()
    assert bodies(page).count("built with passage_tokens 128, the settings ask for 64") == 1
    click(page, "Rebuild the index")
    assert "built with" not in bodies(page)
    assert "Rebuild the index" not in labels(page)
    assert "generation 2, " in bodies(page)


def test_an_index_of_an_older_format_is_rebuilt_on_demand(indexed: Settings) -> None:
    with sqlite3.connect(indexed.index / "catalog.sqlite") as connection:
        connection.execute("UPDATE meta SET value = '2' WHERE key = 'format'")
    connection.close()
    page = open_page()
    assert bodies(page).count("index of format 2, this version reads 5") == 1
    click(page, "Rebuild the index")
    assert "**3** documents, **3** passages" in markdowns(page)


def test_an_index_of_another_folder_can_be_kept_where_the_folder_was_moved(indexed: Settings) -> None:
    indexed.corpus.rename("moved")
    Path("pincite.toml").write_text('corpus = "moved"\n')
    page = open_page()
    assert bodies(page).count("is the index of ") == 1
    assert "Rebuild the index" not in labels(page)
    click(page, "It is the same folder: keep the index")
    assert "is the index of " not in bodies(page)
    assert "Nothing has changed since." in captions(page)


def test_a_damaged_catalog_is_named(indexed: Settings) -> None:
    (indexed.index / "catalog.sqlite").write_bytes(b"not a database at all" * 500)
    for side in ("catalog.sqlite-wal", "catalog.sqlite-shm"):
        (indexed.index / side).unlink(missing_ok=True)
    assert bodies(open_page()).count("catalog.sqlite: damaged") == 1


def test_a_missing_folder_is_named_and_the_list_stays(indexed: Settings) -> None:
    indexed.corpus.rename("away")
    page = open_page()
    assert "corpus: no such folder: name the folder that holds your documents" in bodies(page)
    assert len(table(page)) == 4


def test_another_writer_is_told(indexed: Settings) -> None:
    page = open_page()
    with IndexFolder(indexed.index).writer():
        click(page, "Re-index")
    assert "another process is writing this index: wait until it is done" in bodies(page)


def test_the_check_says_that_all_is_well_or_what_is_not(indexed: Settings) -> None:
    page = click(open_page(), "Check the index")
    assert [s.value for s in page.success] == ["3 documents, 3 passages, generation 1: everything is as it should be"]
    (dense,) = (indexed.index / "generations" / "000001" / "dense").iterdir()
    dense.write_bytes(dense.read_bytes()[:-1] + b"?")
    click(page, "Check the index")
    assert "3 documents, 3 passages, generation 1: 1 problem" in bodies(page)
    assert "missing or altered" in bodies(page)
    click(page, "Rebuild the index")
    assert "everything is as it should be" in click(page, "Check the index").success[-1].value


def test_files_are_taken_only_where_the_settings_say_so(indexed: Settings) -> None:
    assert not open_page().get("file_uploader")
    Path("pincite.toml").write_text("[page]\nupload = true\n")
    shared.clear()
    page = open_page()
    assert len(page.get("file_uploader")) == 1
    assert page.selectbox[0].options == ["(the top)", "reports"]


def test_a_watched_folder_says_so_and_is_no_longer_watched_afterwards(indexed: Settings) -> None:
    Path("pincite.toml").write_text("[sync]\nwatch = true\n")
    page = open_page()
    assert "The folder is watched: what changes is taken in by itself." in captions(page)
    resources: Resources = shared()
    assert resources.watcher is not None
    shared.clear()
    assert not resources.watcher._thread.is_alive()
    assert resources.job.wait(WAIT)  # it may have begun a sync, in this folder


def test_names_of_files_are_shown_as_they_are(indexed: Settings) -> None:
    with Catalog(indexed.index) as catalog:
        assert EVIL in catalog.files()
    page = open_page(words="evil")
    assert list(table(page)["Source"]) == [EVIL]
    everything = [*markdowns(page), *captions(page), *labels(page)]
    assert not any("evil" in words for words in everything)
    assert "<b>" not in bodies(page)
