"""What a reader keeps open between answers, and what it lets go of."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pincite.embedding import Embedder
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.sync import sync

QUESTIONS = [
    "How fast does ketamine work?",
    "Is esketamine approved by regulators?",
    "What does a microdose of psilocybin do to sleep?",
    "Who should not take it because of heart disease?",
]


def put(settings: Settings, name: str, text: str) -> None:
    (settings.corpus / name).write_text(text, encoding="utf-8")


def found(searcher: Searcher, question: str) -> list[tuple[str, str]]:
    return [(hit.passage.source, hit.passage.text) for hit in searcher.search(question).hits]


def test_threads_get_what_one_alone_gets(sample: Settings, embedder: Embedder) -> None:
    searcher = Searcher(sample, embedder)
    alone = {question: searcher.search(question).hits for question in QUESTIONS}
    with ThreadPoolExecutor(6) as pool:
        asked = QUESTIONS * 5
        together = list(pool.map(lambda question: searcher.search(question).hits, asked))
    for question, hits in zip(asked, together, strict=True):
        assert [hit.citation for hit in hits] == [hit.citation for hit in alone[question]]
        for one, other in zip(hits, alone[question], strict=True):
            assert one.features == pytest.approx(other.features, abs=1e-5)
            assert (one.marks, one.passage) == (other.marks, other.passage)


def test_a_connection_is_used_again_but_not_after_an_error(sample: Settings, embedder: Embedder) -> None:
    reader = Searcher(sample, embedder).index
    with reader.snapshot() as first:
        pass
    with reader.snapshot() as second, reader.snapshot() as beside:
        assert second.catalog is first.catalog
        assert beside.catalog is not first.catalog
        assert (beside.generation, beside._segments) == (second.generation, second._segments)
    with pytest.raises(RuntimeError, match="no"), reader.snapshot() as third:
        raise RuntimeError("no")
    with reader.snapshot() as fourth:
        assert fourth.catalog is not third.catalog


def test_what_belongs_to_a_generation_goes_with_it(settings: Settings, embedder: Embedder) -> None:
    put(settings, "1.md", "The lighthouse was built of granite in 1812.")
    sync(settings, embedder=embedder)
    searcher = Searcher(settings, embedder)
    assert found(searcher, "lighthouse granite") == [("1.md", "The lighthouse was built of granite in 1812.")]
    with searcher.index.snapshot() as before:
        pass
    (settings.corpus / "1.md").unlink()
    put(settings, "2.md", "The harbour has a lamp of brass.")
    sync(settings, embedder=embedder)
    assert found(searcher, "lighthouse granite") == [("2.md", "The harbour has a lamp of brass.")]
    with searcher.index.snapshot() as after:
        assert after.generation is not before.generation
        assert after._segments is not before._segments
        assert [stored.text for stored in after.catalog.all_passages()] == ["The harbour has a lamp of brass."]


def test_an_index_that_was_moved_away_and_made_anew_is_followed(
    settings: Settings, embedder: Embedder, tmp_path: Path
) -> None:
    put(settings, "1.md", "Granite was cut in the quarry of the north.")
    sync(settings, embedder=embedder)
    searcher = Searcher(settings, embedder)
    assert found(searcher, "quarry granite") == [("1.md", "Granite was cut in the quarry of the north.")]
    settings.index.rename(tmp_path / "away")
    put(settings, "1.md", "Granite was never cut in the quarry.")
    sync(settings, embedder=embedder)
    assert found(searcher, "quarry granite") == [("1.md", "Granite was never cut in the quarry.")]


def test_a_flipped_bit_in_the_terms_is_noticed_before_the_passage_is_shown(
    settings: Settings, embedder: Embedder
) -> None:
    put(settings, "1.md", "The ferry to the island leaves at noon.")
    sync(settings, embedder=embedder)
    with Searcher(settings, embedder).index.snapshot() as snapshot:
        (stored,) = snapshot.catalog.all_passages()
    assert stored.is_sound
    flipped = stored.terms.copy()
    flipped[2] ^= 1
    assert not stored._replace(numbers=flipped.tobytes()).is_sound
