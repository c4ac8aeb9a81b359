"""Words: tantivy. Derived; BM25 finds candidates here and is computed again, exactly, in `relevance`."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import tantivy

from pincite.storage.derived import noticing_damage

ANALYZER = "NFKC, words, lower case, ASCII folding, English stems; no stop words removed"
"""Named in the manifest: an index made by another analyzer is refused."""

_NAME = "pincite"
_LONGEST_WORD = 250
_HEAP = 64_000_000
_FEW = 2_000
"""Passages that are named to tantivy one by one; of more, what is not allowed is taken out of what it finds."""
_analyzer = (
    tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    .filter(tantivy.Filter.remove_long(_LONGEST_WORD))
    .filter(tantivy.Filter.lowercase())
    .filter(tantivy.Filter.ascii_fold())
    .filter(tantivy.Filter.stemmer("english"))
    .build()
)
_folder = (
    tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw())
    .filter(tantivy.Filter.lowercase())
    .filter(tantivy.Filter.ascii_fold())
    .build()
)


def terms(text: str) -> list[str]:
    """The terms of a text, in order, as they are indexed."""
    return _analyzer.analyze(unicodedata.normalize("NFKC", text))


def folded(text: str) -> str:
    """A text as the analyzer has it before it takes words for their stems, with white space folded."""
    return " ".join(" ".join(_folder.analyze(unicodedata.normalize("NFKC", text))).split())


def holds(text: str, phrase: str) -> bool:
    """Whether these whole words stand in a text in this order: alike but for case, accents, compatibility
    forms and white space."""
    words = folded(phrase)
    before, after = (r"(?<!\w)" if words[:1].isalnum() else "", r"(?!\w)" if words[-1:].isalnum() else "")
    return re.search(before + re.escape(words) + after, folded(text)) is not None


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

    def search(self, query: Sequence[str], count: int, allowed: np.ndarray | None = None) -> list[int]:
        """Ids of the passages best by BM25 for these terms, the best first; of the `allowed` alone, rising ids.

        Raises `DerivedDamaged`.
        """
        if not query or not len(self) or (allowed is not None and not len(allowed)):
            return []
        schema = self._index.schema
        asked = tantivy.Query.boolean_query(
            [(tantivy.Occur.Should, tantivy.Query.term_query(schema, "body", term)) for term in query]
        )
        if allowed is None:
            return self._best(asked, count)
        if len(allowed) <= _FEW:
            ids = tantivy.Query.const_score_query(tantivy.Query.term_set_query(schema, "id", allowed.tolist()), 0.0)
            return self._best(tantivy.Query.boolean_query([(tantivy.Occur.Must, q) for q in (asked, ids)]), count)
        return self._best_allowed(asked, count, allowed)

    def _best_allowed(self, asked: tantivy.Query, count: int, allowed: np.ndarray) -> list[int]:
        """Of many that are allowed the best are soon among the best of all."""
        depth = 2 * count * len(self) // len(allowed)
        while True:
            best = np.array(self._best(asked, depth), dtype=np.int64)
            kept = best[np.isin(best, allowed)]
            if len(kept) >= count or depth >= len(self):
                return [int(id_) for id_ in kept[:count]]
            depth *= 4

    def _best(self, asked: tantivy.Query, count: int) -> list[int]:
        with noticing_damage(self._folder):
            found = self._searcher.search(asked, limit=min(count, len(self)), count=False)
            values = self._searcher.fast_field_values("id", [address for _, address in found.hits])
        return [int(value) for value in values if value is not None]

    def holding(self, phrase: Sequence[str]) -> np.ndarray:
        """Ids of all passages that hold these terms in this order, int64, rising. Raises `DerivedDamaged`."""
        if not phrase or not len(self):
            return np.empty(0, dtype=np.int64)
        schema = self._index.schema
        with noticing_damage(self._folder):
            asked = (
                tantivy.Query.phrase_query(schema, "body", list(phrase))
                if len(phrase) > 1
                else tantivy.Query.term_query(schema, "body", phrase[0])
            )
            found = self._searcher.search(asked, limit=len(self), count=False, order_by_field="id")
        return np.sort(np.array([id_ for id_, _ in found.hits], dtype=np.int64))
