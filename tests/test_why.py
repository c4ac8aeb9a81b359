"""Why a passage stands where it stands: the same numbers as the search itself."""

import json
import math
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
from pincite.why import Trace, explain

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


def figures(trace: Trace) -> tuple[dict[str, float], dict[str, float]]:
    """Feature → its value for the passage, and for the first hit."""
    return (
        {reason.feature: reason.expected for reason in trace.reasons},
        {reason.feature: reason.first for reason in trace.reasons},
    )


@pytest.mark.parametrize("question", ["How fast does ketamine work?", "is it safe to drive the day after a session"])
def test_its_figures_are_those_of_the_search(sample: Settings, embedder: Embedder, question: str) -> None:
    searcher = Searcher(sample, embedder)
    first, *others = searcher.search(question, 40).hits
    for hit in others[::4]:
        passage = hit.passage
        traces = explain(searcher, question, passage.source, passage.start, passage.end).traces
        (trace,) = [trace for trace in traces if trace.citation == hit.citation]
        assert (trace.rank, trace.is_candidate, trace.folded_into) == (hit.rank, True, None)
        weighed = relevance.load().order.weights
        mine, theirs = figures(trace)
        assert mine == {name: pytest.approx(hit.features[name], abs=1e-6) for name in weighed}
        assert theirs == {name: pytest.approx(first.features[name], abs=1e-6) for name in weighed}
        assert (trace.score, trace.band) == (hit.score, hit.band)


def test_what_was_not_ranked_has_the_figures_that_a_wider_search_gives(sample: Settings, embedder: Embedder) -> None:
    question = "How fast does ketamine work?"
    narrow = sample.model_copy(update={"search": sample.search.model_copy(update={"candidates": 10})})
    wide = sample.model_copy(update={"search": sample.search.model_copy(update={"candidates": 100})})
    hits = Searcher(wide, embedder).search(question, 100).hits
    searcher = Searcher(narrow, embedder)
    left_out = []
    for hit in hits[60:100:5]:
        passage = hit.passage
        traces = explain(searcher, question, passage.source, passage.start, passage.end).traces
        (trace,) = [trace for trace in traces if trace.citation == hit.citation]
        if not trace.is_candidate:
            left_out.append(trace)
            assert trace.rank is None
            mine, theirs = figures(trace)
            assert mine == {name: pytest.approx(hit.features[name], abs=1e-6) for name in mine}
            assert theirs == {name: pytest.approx(hits[0].features[name], abs=1e-6) for name in theirs}
            assert trace.band == relevance.load().band(trace.score)
    assert left_out


def test_its_reasons_are_those_of_the_weights_that_order(sample: Settings, embedder: Embedder) -> None:
    weights = relevance.Relevance(
        order=relevance.Weights(0.0, {"token_similarity": 5.0, "proximity": 2.0}),
        probability=relevance.Weights(0.0, {"cosine": 1.0}),
        strong=0.9,
        weak=0.6,
    )
    searcher = Searcher(sample, embedder, weights)
    question = "How fast does ketamine work?"
    hits = searcher.search(question, 20).hits
    first, last = hits[0], hits[-1]
    passage = last.passage
    traces = explain(searcher, question, passage.source, passage.start, passage.end).traces
    (trace,) = [trace for trace in traces if trace.citation == last.citation]
    with searcher.index.snapshot() as snapshot:
        passages = snapshot.generation.manifest.passages
    # Of so many passages words weigh N / (N + 100) of their weight.
    expected = {
        "token_similarity": 5 * (first.features["token_similarity"] - last.features["token_similarity"]),
        "proximity": 2 * passages / (passages + 100) * (first.features["proximity"] - last.features["proximity"]),
    }
    gaps = {reason.feature: reason.gap for reason in trace.reasons}
    assert gaps == {name: pytest.approx(gap, abs=1e-5) for name, gap in expected.items()}
    # What is shown does not rise with rank.
    lowest = min(hit.features["cosine"] for hit in hits)
    assert trace.score == pytest.approx(1 / (1 + math.exp(-lowest)), abs=1e-6)
    assert trace.band == ("strong" if trace.score >= 0.9 else "weak" if trace.score >= 0.6 else "none")


def test_derived_files_that_are_damaged_are_built_again(searcher: Searcher, settings: Settings) -> None:
    whole = explain(searcher, QUESTION, "bread.md", None, None)
    for pattern in ("dense/*.faiss", "lexical/*.term"):
        (file,) = settings.index.glob(f"generations/*/{pattern}")
        whole_file = file.read_bytes()
        file.unlink()  # the searcher before has it mapped
        file.write_bytes(whole_file[:10])
        anew = Searcher(settings, searcher.embedder)
        assert explain(anew, QUESTION, "bread.md", None, None) == whole


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
