"""Words: tantivy. Derived; BM25 finds candidates here and is computed again, exactly, in `relevance`."""

import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import tantivy

from pincite.storage.derived import noticing_damage

ANALYZER = "NFKC, words, lower case, ASCII folding, English stems; no stop words removed"
"""Named in the manifest: an index made by another analyzer is refused."""

_NAME = "pincite"
_LONGEST_WORD = 250
_HEAP = 64_000_000
_analyzer = (
    tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    .filter(tantivy.Filter.remove_long(_LONGEST_WORD))
    .filter(tantivy.Filter.lowercase())
    .filter(tantivy.Filter.ascii_fold())
    .filter(tantivy.Filter.stemmer("english"))
    .build()
)


def terms(text: str) -> list[str]:
    """The terms of a text, in order, as they are indexed."""
    return _analyzer.analyze(unicodedata.normalize("NFKC", text))


def build(folder: Path, passages: Iterable[tuple[int, str]]) -> None:
    """Add (id, text) to the index in `folder`, or begin one there."""
    folder.mkdir(exist_ok=True)
    index = _open(folder)
    # One thread: the same passages in the same order then make the same index.
    writer = index.writer(heap_size=_HEAP, num_threads=1)
    for id_, text in passages:
        document = tantivy.Document()
        document.add_integer("id", id_)
        document.add_text("body", unicodedata.normalize("NFKC", text))
        writer.add_document(document)
    writer.commit()
    writer.wait_merging_threads()


def _open(folder: Path) -> tantivy.Index:
    builder = tantivy.SchemaBuilder()
    # Signed: tantivy-py 0.27 silently deletes nothing by a term of an unsigned field.
    builder.add_integer_field("id", indexed=True, fast=True)
    builder.add_text_field("body", tokenizer_name=_NAME, index_option="position")
    index = tantivy.Index(builder.build(), path=str(folder))
    index.register_tokenizer(_NAME, _analyzer)
    return index


class LexicalIndex:
    """An opened index. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        """Raises `DerivedDamaged` for a folder that tantivy cannot read."""
        self._folder = folder
        with noticing_damage(folder):
            if not tantivy.Index.exists(str(folder)):
                raise OSError("no index")
            self._index = _open(folder)
            self._searcher = self._index.searcher()

    def __len__(self) -> int:
        return self._searcher.num_docs

    def frequency(self, term: str) -> int:
        """How many passages hold the term. Exact, because nothing is ever deleted in place."""
        with noticing_damage(self._folder):
            return min(self._searcher.doc_freq("body", term), len(self))

    def search(self, query: Sequence[str], count: int) -> list[int]:
        """Ids of the passages best by BM25 for these terms, the best first. Raises `DerivedDamaged`."""
        schema = self._index.schema
        parts = [(tantivy.Occur.Should, tantivy.Query.term_query(schema, "body", term)) for term in query]
        if not parts or not len(self):
            return []
        with noticing_damage(self._folder):
            found = self._searcher.search(tantivy.Query.boolean_query(parts), limit=count, count=False)
            values = self._searcher.fast_field_values("id", [address for _, address in found.hits])
        return [int(value) for value in values if value is not None]
