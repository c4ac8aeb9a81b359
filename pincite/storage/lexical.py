"""Words: tantivy. Derived; BM25 finds candidates here and is computed again, exactly, in `relevance`."""

import json
import math
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import numpy as np
import tantivy

from pincite.storage.derived import noticing_damage
from pincite.storage.parts import IndexPart, Stretch, capacity, link, plan

ANALYZER = "NFKC, words, lower case, ASCII folding, English stems; no stop words removed"
"""Named in the manifest: an index made by another analyzer is refused."""

PART = 16_384
"""Passages that a part holds at most: what a change of one costs."""
_PARTS = 64
"""Where there are more than so many full ones, the parts are larger."""
_NAME = "pincite"
_LONGEST_WORD = 250
_TOLD = 256
"""Passages between two reports of progress."""
_META = "meta.json"
_HEAP = 64_000_000
_HEAP_EACH = 2_000
_MOST_HEAP = 1_000_000_000
"""Bytes in which passages are gathered: enough, as a rule, to make one segment of a part."""
_FEW = 2_000
"""Passages that are named to tantivy one by one; of more, what is not allowed is taken out of what it finds."""
_NOT_TOO_MANY = 50_000
"""Those that are named to it nonetheless where the best of all hold too few of them: it takes a tenth of a second."""
_MANY = 200_000
"""Passages that hold frequent terms, from which on it is worth while to look at those alone that hold another one."""
_HIGHEST = 2.2
"""Tantivy's k1 + 1: what BM25 gives a term comes near to so many times its idf, and never reaches it."""
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


@lru_cache(maxsize=1024)
def phrase(words: str) -> re.Pattern[str]:
    """Finds these whole words in this order in a text that is `folded`: alike but for case, accents, compatibility
    forms and white space."""
    words = folded(words)
    before, after = (r"(?<!\w)" if words[:1].isalnum() else "", r"(?!\w)" if words[-1:].isalnum() else "")
    return re.compile(before + re.escape(words) + after)


def build(
    folder: Path,
    before: tuple[Path, Sequence[IndexPart]] | None,
    gone: np.ndarray,
    new: Stretch | None,
    texts: Callable[[int, int], Iterator[tuple[int, str]]],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[IndexPart, ...]:
    """Write into `folder` what changes, and say of which parts the index then consists.

    What stays of the folder and the parts `before` is linked.
    `gone`: ids, int64, rising. `texts` gives id and text of every living passage from one id to another.
    `progress` is told how many passages have been written, and of how many.

    A part is a segment of tantivy's, or a few. Nothing is ever deleted in one, for its words would stay until
    tantivy merges it, and be counted until then: a part that held what is gone is written again without it.
    """
    folder.mkdir(exist_ok=True)
    source, parts = before or (folder, ())
    living = sum(part.passages for part in parts) - len(gone) + (new.passages if new else 0)
    planned = plan(parts, gone, new, most := capacity(living, PART, _PARTS))
    total = sum(one.passages for one in planned if not isinstance(one, IndexPart))
    done = count()
    made: list[IndexPart] = []
    entries = _segments(source) if before else {}
    for one in planned:
        if isinstance(one, IndexPart):
            made.append(one)
            continue
        passages = _told(texts(one.first, one.last), done, total, progress)
        portion = -(-one.passages // -(-one.passages // most))
        for passage in passages:
            part, written = _write_part(folder, chain([passage], islice(passages, portion - 1)), portion)
            made.append(part)
            entries |= written
    progress(total, total)
    _write_meta(folder, [entries[name] for part in made for name in sorted({Path(f).stem for f in part.files})])
    link(source, folder, (name for part in made for name in part.files))
    return tuple(made)


def _told(
    passages: Iterator[tuple[int, str]], done: Iterator[int], total: int, progress: Callable[[int, int], None]
) -> Iterator[tuple[int, str]]:
    for passage in passages:
        if (number := next(done)) % _TOLD == 0:
            progress(number, total)
        yield passage


def _write_part(folder: Path, passages: Iterable[tuple[int, str]], most: int) -> tuple[IndexPart, dict[str, Any]]:
    """Written on its own, in a folder that is emptied into `folder`; with what tantivy notes of its segments.

    Passages are taken one by one, for tantivy works on those that it has been given while others are read.
    """
    making = folder / "making"
    making.mkdir()
    index = _open(making)
    # One thread: the same passages in the same order then make the same index.
    writer = index.writer(heap_size=min(_MOST_HEAP, max(_HEAP, _HEAP_EACH * most)), num_threads=1)
    ids = []
    try:
        for id_, text in passages:
            ids.append(id_)
            document = tantivy.Document()
            document.add_integer("id", id_)
            document.add_text("body", unicodedata.normalize("NFKC", text))
            writer.add_document(document)
        writer.commit()
    finally:  # no thread of it writes on where the passages break off
        writer.wait_merging_threads()
    segments = _segments(making)
    files = sorted(path.name for path in making.iterdir() if path.stem in segments)
    for name in files:
        (making / name).rename(folder / name)
    shutil.rmtree(making)
    return IndexPart(first=ids[0], last=ids[-1], passages=len(ids), files=tuple(files)), segments


def _segments(folder: Path) -> dict[str, Any]:
    """The stem of its files → what tantivy notes of a segment."""
    noted = json.loads((folder / _META).read_text(encoding="utf-8"))["segments"]
    return {segment["segment_id"].replace("-", ""): segment for segment in noted}


def _write_meta(folder: Path, segments: Sequence[Any]) -> None:
    """Tantivy's own list of segments: it counts terms over all of them, however they came together."""
    _open(folder)  # begins an index without any
    meta = json.loads((folder / _META).read_text(encoding="utf-8"))
    (folder / _META).write_text(json.dumps(meta | {"segments": list(segments)}), encoding="utf-8")


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
        if allowed is None:
            return self._best(query, count)
        if len(allowed) <= _FEW:
            return self._best_named(query, count, allowed)
        return self._best_allowed(query, count, allowed)

    def _best_named(self, query: Sequence[str], count: int, allowed: np.ndarray) -> list[int]:
        among = tantivy.Query.term_set_query(self._index.schema, "id", allowed.tolist())
        return self._ids(self._found([self._any(query), tantivy.Query.const_score_query(among, 0.0)], [], count))

    def _best_allowed(self, query: Sequence[str], count: int, allowed: np.ndarray) -> list[int]:
        """Of many that are allowed the best are soon among the best of all, as a rule."""
        depth = 2 * count * len(self) // len(allowed)
        while True:
            best = np.array(self._best(query, depth), dtype=np.int64)
            kept = best[np.isin(best, allowed)]
            if len(kept) >= count or len(best) < depth or depth >= len(self):  # or no other holds any of the terms
                return [int(id_) for id_ in kept[:count]]
            if len(allowed) <= _NOT_TOO_MANY:
                return self._best_named(query, count, allowed)
            depth *= 4

    def _best(self, query: Sequence[str], count: int) -> list[int]:
        """MaxScore (Turtle and Flood, 1995): a passage that holds frequent terms alone, which say little, cannot be
        among the best where enough others are worth more than these terms can be together."""
        frequent, others, bound = self._divided(query)
        if frequent:
            found = self._found([self._any(others)], [self._any([term]) for term in frequent], count)
            if len(found) >= count and found[-1][0] >= bound:
                return self._ids(found)
        return self._ids(self._found([self._any(query)], [], count))

    def _divided(self, query: Sequence[str]) -> tuple[list[str], list[str], float]:
        """The most frequent terms, the others, and what the first can be worth together: less than the others can.

        No term is frequent where it would not be worth while.
        """
        if len(self) < _MANY:
            return [], [*query], 0.0
        frequencies = {term: self.frequency(term) for term in query}
        rising = sorted(query, key=frequencies.__getitem__)
        held = [frequencies[term] for term in rising]
        highest = [_HIGHEST * math.log1p((len(self) - n + 0.5) / (n + 0.5)) for n in held]
        split = next(number for number in range(1, len(rising) + 1) if sum(highest[:number]) > sum(highest[number:]))
        if sum(held[split:]) < _MANY:
            return [], rising, 0.0
        return rising[split:], rising[:split], sum(highest[split:])

    def _any(self, query: Sequence[str]) -> tantivy.Query:
        terms = [tantivy.Query.term_query(self._index.schema, "body", term) for term in query]
        return tantivy.Query.boolean_query([(tantivy.Occur.Should, term) for term in terms])

    def _found(self, must: list[tantivy.Query], may: list[tantivy.Query], count: int) -> list[tuple[float, Any]]:
        """Score and place of the best that all of `must` find, to which `may` adds."""
        asked = [*((tantivy.Occur.Must, one) for one in must), *((tantivy.Occur.Should, one) for one in may)]
        query = asked[0][1] if len(asked) == 1 else tantivy.Query.boolean_query(asked)
        with noticing_damage(self._folder):
            return list(self._searcher.search(query, limit=min(count, len(self)), count=False).hits)

    def _ids(self, found: Sequence[tuple[float, Any]]) -> list[int]:
        with noticing_damage(self._folder):
            values = self._searcher.fast_field_values("id", [place for _, place in found])
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
