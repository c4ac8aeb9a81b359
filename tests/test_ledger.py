"""The ledger: what is told of a document, and nothing of one that can be searched whole."""

from pathlib import Path

import pytest

from pincite.ledger import entry, ledger
from pincite.storage import Catalog, FileState, NewDocument, create
from pincite.types import Coverage, Document


@pytest.mark.parametrize(
    ("coverage", "languages", "told"),
    [
        (Coverage(), ["en"], []),
        (Coverage(language="en"), ["en"], []),
        (Coverage(language="de"), [], []),  # a model that does not say what it knows
        (Coverage(language="de"), ["en", "fr"], ["in a language that the model does not know (de)"]),
        (Coverage(0.75, (3, 7)), ["en"], ["75 % searchable", "without text: pages 3, 7"]),
        (Coverage(0.5, (2,)), ["en"], ["50 % searchable", "without text: page 2"]),
        (Coverage(0.9999), ["en"], ["99 % searchable"]),
        (Coverage(0.0001), ["en"], ["1 % searchable"]),
        (Coverage(0.0), ["en"], ["0 % searchable"]),
        (
            Coverage(left_out=(("running headers and footers", 1234), ("page numbers", 20))),
            ["en"],
            ["left out: 1,234 running headers and footers, 20 page numbers"],
        ),
        (
            Coverage(blank_pages=tuple(range(1, 14))),
            ["en"],
            ["without text: pages 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 3 more"],
        ),
    ],
)
def test_what_is_told_of_a_document(coverage: Coverage, languages: list[str], told: list[str]) -> None:
    assert entry(coverage, languages) == told


def test_the_ledger_holds_remarks_first_and_is_silent_about_what_is_whole(tmp_path: Path) -> None:
    create(tmp_path, tmp_path)
    documents = {
        "b.txt": Document("b.txt", "", "text/plain", "", "Ça.", coverage=Coverage(language="fr"), remarks=("old",)),
        "a.pdf": Document("a.pdf", "", "application/pdf", "", "It.", coverage=Coverage(0.5, (2,), language="en")),
        "c.md": Document("c.md", "", "text/markdown", "", "It.", coverage=Coverage(language="en")),
    }
    with Catalog(tmp_path, writable=True) as catalog:
        with catalog.writing():
            for source, document in documents.items():
                catalog.put_document(NewDocument(document, FileState(source, 1, 1, 1, ""), []))
            catalog.set_meta("languages", "en")
        assert ledger(catalog) == {
            "a.pdf": ["50 % searchable", "without text: page 2"],
            "b.txt": ["old", "in a language that the model does not know (fr)"],
        }
        assert list(ledger(catalog)) == ["a.pdf", "b.txt"]
