"""Pincite from Python: `pincite.sync`, `pincite.open`, and the public names."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import pincite
from pincite.errors import IndexDamaged, IndexMissing
from pincite.settings import Passages, Search, Settings
from pincite.storage import Catalog
from pincite.sync import sync

ROOT = Path(__file__).parents[1]
QUESTION = "when do owls hunt"


def write(corpus: Path, *names: str) -> None:
    for name in names:
        (corpus / f"{name}.md").write_text(f"# The {name}\n\nThe {name} hunts at night.\n")


def test_a_folder_is_taken_in_and_asked_with_two_paths(settings: Settings) -> None:
    write(settings.corpus, "owl")
    first = pincite.sync(str(settings.corpus), str(settings.index))
    assert (first.difference.added, first.documents, first.generation) == (["owl.md"], 1, 1)
    write(settings.corpus, "bat")
    second = pincite.sync(settings.corpus, settings.index)
    assert (second.difference.added, second.embedded, second.generation) == (["bat.md"], 1, 2)
    (hit,) = pincite.open(str(settings.index)).search(QUESTION, 1).hits
    assert hit.citation == "owl.md › characters 0–34"


def test_an_index_keeps_the_settings_it_was_built_with(settings: Settings) -> None:
    write(settings.corpus, "owl")
    sync(settings.model_copy(update={"passages": Passages(tokens=64)}))
    assert pincite.sync(settings.corpus, settings.index).difference.unchanged == 1
    searcher = pincite.open(settings.index)
    assert searcher.settings == Settings(
        corpus=settings.corpus.resolve(), index=settings.index, passages=Passages(tokens=64)
    )
    assert searcher.search(QUESTION).hits[0].passage.source == "owl.md"


def test_settings_that_are_given_hold_but_for_the_folders(settings: Settings) -> None:
    write(settings.corpus, "owl", "bat", "moth")
    wider = Settings(index=Path("elsewhere"), passages=Passages(tokens=200), search=Search(results=2))
    pincite.sync(settings.corpus, settings.index, wider)
    searcher = pincite.open(settings.index, wider)
    assert searcher.settings == wider.model_copy(update={"index": settings.index})
    assert [hit.rank for hit in searcher.search(QUESTION).hits] == [1, 2]

    assert pincite.open(settings.index).settings.passages.tokens == 200
    with pytest.raises(pincite.PinciteError, match="built with passage_tokens 200, the settings ask for 128"):
        pincite.sync(settings.corpus, settings.index, Settings())
    again = pincite.sync(settings.corpus, settings.index, Settings(), rebuild=True)
    assert (again.generation, pincite.open(settings.index).settings.passages.tokens) == (2, 128)


def test_what_is_no_index_is_said_in_one_line(settings: Settings) -> None:
    with pytest.raises(IndexMissing, match=r"index: no index here: run python ingest\.py$"):
        pincite.open(settings.index)
    write(settings.corpus, "owl")
    pincite.sync(settings.corpus, settings.index)
    with Catalog(settings.index, writable=True) as catalog, catalog.writing():
        catalog.set_meta("recipe", "{}")
    with pytest.raises(IndexDamaged, match=r"its recipe is damaged: run python ingest\.py --rebuild$"):
        pincite.open(settings.index)


def test_every_public_name_is_there_and_no_other() -> None:
    assert [name for name in pincite.__all__ if getattr(pincite, name, None) is None] == []
    assert pincite.__all__ == sorted(pincite.__all__)
    with pytest.raises(AttributeError, match="module 'pincite' has no attribute 'ask'"):
        _ = pincite.ask


FRESH = """
import json, sys, time
started = time.process_time()
import pincite
seconds = time.process_time() - started
loaded = sorted(name for name in sys.modules if name.split(".")[0] in ("pincite", "numpy", "pydantic"))
first = pincite.sync(sys.argv[1], sys.argv[2]).generation
from pincite.sync import sync
import pincite.sync.job
again = pincite.sync(sys.argv[1], sys.argv[2]).difference.unchanged
same = sync(pincite.open(sys.argv[2]).settings).difference.unchanged
print(json.dumps([seconds, loaded, first, again, same]))
"""


def test_importing_loads_nothing_and_the_package_of_syncs_can_be_called_at_any_time(settings: Settings) -> None:
    write(settings.corpus, "owl")
    done = subprocess.run(
        [sys.executable, "-c", FRESH, settings.corpus, settings.index], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    seconds, loaded, first, again, same = json.loads(done.stdout)
    assert (loaded, first, again, same) == (["pincite"], 1, 1, 1)
    assert seconds < 0.1
