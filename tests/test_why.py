"""Why a passage stands where it stands: the same numbers as the search itself."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pincite import relevance
from pincite.embedding import Embedder
from pincite.errors import QuestionError
from pincite.relevance import Features
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.sync import sync
from pincite.why import explain

QUESTION = "how often does high water come"
TEXTS = {
    "tides.md": "# Tides\n\nHigh water comes about every twelve hours.\n\n## Range\n\nIt is largest at full moon.\n",
    "copy.md": "# Tides\n\nHigh water comes about every twelve hours.\n",
    "bread.md": "# Bread\n\nSourdough rises slowly.\n",
}


@pytest.fixture
def searcher(settings: Settings, embedder: Embedder) -> Searcher:
    for name, text in TEXTS.items():
        (settings.corpus / name).write_text(text, encoding="utf-8")
    sync(settings, embedder=embedder)
    return Searcher(settings, embedder)


def test_it_names_the_rank_that_the_search_gives_and_adds_up_to_the_lead(searcher: Searcher) -> None:
    hits = searcher.search(QUESTION).hits
    (trace,) = explain(searcher, QUESTION, "bread.md", None, None).traces
    (hit,) = [hit for hit in hits if hit.passage.source == "bread.md"]
    assert (trace.rank, trace.is_candidate, trace.citation) == (hit.rank, True, hit.citation)
    order = relevance.Weights(0.0, relevance.load().order_weights(4))  # of the index's four passages
    lead = order(Features(**hits[0].features)) - order(Features(**hit.features))
    assert sum(reason.gap for reason in trace.reasons) == pytest.approx(lead)
    gaps = [abs(reason.gap) for reason in trace.reasons]
    assert gaps == sorted(gaps, reverse=True)


def test_the_first_hit_has_nothing_above_it(searcher: Searcher) -> None:
    told = explain(searcher, QUESTION, "copy.md", 0, 5)
    (trace,) = told.traces
    assert (trace.rank, trace.reasons) == (1, ())
    assert {trace.by_vector, trace.by_words} <= {1, 2}  # its copy is as near
    assert told.first == trace.citation


def test_a_passage_that_was_folded_names_the_hit_that_holds_its_words(searcher: Searcher) -> None:
    opening, range_ = explain(searcher, QUESTION, "tides.md", None, None).traces
    assert opening.rank == 1
    assert opening.folded_into == f"copy.md › characters 0–{len(TEXTS['copy.md']) - 1}"
    assert range_.folded_into is None


def test_a_passage_that_nothing_found_is_judged_all_the_same(
    settings: Settings, embedder: Embedder, searcher: Searcher
) -> None:
    for number in range(30):
        text = f"# Tide table {number}\n\nHigh water comes at {number % 12} and low water six hours later.\n"
        (settings.corpus / f"table-{number}.md").write_text(text, encoding="utf-8")
    sync(settings, embedder=embedder)
    narrow = settings.model_copy(update={"search": settings.search.model_copy(update={"candidates": 10})})
    (trace,) = explain(Searcher(narrow, embedder), QUESTION, "bread.md", None, None).traces
    assert (trace.is_candidate, trace.rank, trace.by_words) == (False, None, None)
    assert trace.by_vector == 34  # of 34 passages the farthest
    assert trace.band == "none"


def test_a_place_that_is_not_indexed_is_refused(searcher: Searcher) -> None:
    with pytest.raises(QuestionError, match=r"gone\.md: no passage there is indexed"):
        explain(searcher, QUESTION, "gone.md", None, None)


def test_the_command_takes_a_place_in_characters(searcher: Searcher, settings: Settings) -> None:
    def run(*more: str) -> str:
        command = [sys.executable, "-m", "pincite", "why", QUESTION, "--index", str(settings.index), *more]
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]).stdout

    assert "not found by words" in run("--expected", "bread.md")
    (trace,) = json.loads(run("--expected", "tides.md:60-70", "--json"))["traces"]
    assert trace["citation"].startswith("tides.md › Range › characters ")
