"""What a person could ask: the headings of the documents themselves."""

from pincite.embedding import Embedder
from pincite.settings import Settings
from pincite.storage import Catalog
from pincite.suggestions import suggest
from pincite.sync import sync


def test_headings_that_ask_come_first_and_each_document_gives_one(settings: Settings, embedder: Embedder) -> None:
    texts = {
        "a.md": "# Tides\n\nSea.\n\n## Introduction\n\nUp.\n\n## Spring tides in March\n\nHigh.\n\n## Sources\n\n-\n",
        "b.md": "# Bread\n\nFlour.\n\n## Wild yeast and time\n\nSlow.\n\n## Why does dough rise?\n\nGas.\n",
        "c.txt": "Only a title\n\nNo heading that says anything.\n",
        "d.md": "# Boats\n\nWood.\n\n## Keel\n\nToo short a heading.\n",
        "e.md": "# Other bread\n\nFlour.\n\n## Why does dough rise?\n\nThe same heading again.\n",
    }
    for name, text in texts.items():
        (settings.corpus / name).write_text(text, encoding="utf-8")
    sync(settings, embedder=embedder)
    with Catalog(settings.index) as catalog:
        assert suggest(catalog, 6) == ["Why does dough rise?", "Spring tides in March"]
        assert suggest(catalog, 1) == ["Why does dough rise?"]


def test_the_sample_corpus_gives_as_many_as_are_asked_for(sample: Settings) -> None:
    with Catalog(sample.index) as catalog:
        found = suggest(catalog, 6)
        known = {
            section.heading[-1] for _, sections in catalog.outlines(100) for section in sections if section.heading
        }
    assert len(found) == 6
    assert set(found) <= known
