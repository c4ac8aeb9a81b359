"""What the ranking sees of every question of a collection: asked once, kept, used by fits and tables.

The index, the candidates, the features and the marks are those of `pincite.search`; only the weights
are still open. What was gathered lies in the user's cache folder, named for what it rests on.
"""

import hashlib
import inspect
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pincite import citation, relevance
from pincite import query as query_module
from pincite.candidates import Pool
from pincite.embedding import codes
from pincite.embedding.model import cache_folder
from pincite.errors import QuestionError
from pincite.evaluation import Collection, JudgedQuery, draw
from pincite.evaluation.index import open_index
from pincite.evaluation.measures import overlaps
from pincite.query import plain
from pincite.relevance import Question
from pincite.search import Searcher
from pincite.settings import Passages, Settings
from pincite.storage import Snapshot, lexical
from pincite.types import Passage, Place

FEATURES = ("cosine", "token_similarity", "sentence_similarity", "idf_share", "proximity")
"""Of the order; a reranker's is not among them."""
DEPTH = 100
TRAINING = ("scifact-train", "covidqa-articles", "squad-dev", "clapnq-dev", "pubmedqa", "medquad")
"""What weights are fitted on."""
GROUPS = {"squad-dev-articles": "squad-dev"}
"""Collections that share questions with another, and are left out together with it."""
SUBJECTS = {"scifact-train": "medicine", "covidqa-articles": "medicine", "pubmedqa": "medicine", "medquad": "medicine"}
"""What a collection is about; the others are about everything."""


_RESTS_ON = (
    relevance.Question,
    relevance.TermStatistics,
    relevance.token_evidence,
    relevance.word_evidence,
    relevance.pair_weight,
    relevance.proximities,
    codes,
    query_module,
)
"""Code that decides what is gathered, beside what is in the index."""


def group(name: str) -> str:
    """What is left out together with a collection."""
    return GROUPS.get(name, name)


@dataclass(frozen=True, slots=True)
class Asked:
    """The candidates of one question, in order of source and start."""

    query: str
    """Id; empty for a question that was meant for another collection."""
    sources: np.ndarray
    """Of each candidate."""
    starts: np.ndarray
    """Where each begins."""
    features: np.ndarray
    """Shape (candidates, features)."""
    answers: np.ndarray
    """Whether each answers."""
    by_vector: np.ndarray
    """Rows of the 100 nearest, the nearest first."""
    by_words: np.ndarray
    """Rows of the 100 best by BM25, the best first."""


@dataclass(frozen=True, slots=True)
class Marked:
    """The passages of a document that answers a question."""

    features: np.ndarray
    """Shape (passages, features)."""
    holds: np.ndarray
    """Whether the sentence marked in each holds the answer."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Everything about one collection."""

    name: str
    passages: int
    queries: list[JudgedQuery]
    asked: list[Asked]
    """Of each query."""
    foreign: list[tuple[str, Asked]]
    """Questions of other collections with where they are from: nothing here answers them."""
    marked: list[Marked]
    """Of each query and document with exact answers and more than one sentence."""
    answering: dict[str, int]
    """Query → passages that hold an exact answer, found or not."""


def gather(folder: Path, name: str, tokens: int, queries: int | None = None) -> Gathered:
    """Ask a collection its own questions, all or so many, and 300 that belong to the others.

    `folder`: where all collections lie. `tokens`: the budget of a passage.
    """
    collection = Collection(folder / name)
    searcher = open_index(Settings(passages=Passages(tokens=tokens)), collection)
    judged = sample(collection, queries)
    others = [other for other in TRAINING if group(other) != group(name)]
    foreign = [
        (other, query.question)
        for number, other in enumerate(others)
        for query in sample(Collection(folder / other), 300)[number :: len(others)]
    ]
    file = _file(searcher, judged, [question for _, question in foreign])
    if not file.is_file():
        _write(file, searcher, judged, foreign)
    return _read(file, name, judged)


def sample(collection: Collection, count: int | None) -> list[JudgedQuery]:
    """`count` queries, drawn as `evaluate.py --queries` does."""
    return draw(collection.queries(), count)


def _file(searcher: Searcher, judged: Sequence[JudgedQuery], foreign: Sequence[str]) -> Path:
    digest = hashlib.sha256(json.dumps([FEATURES, lexical.ANALYZER, relevance.ASKING, relevance.REACH]).encode())
    for code in _RESTS_ON:
        digest.update(inspect.getsource(code).encode())
    for text in [searcher.settings.index.name, *(query.id for query in judged), *foreign]:
        digest.update(f"{text}\0".encode())
    return cache_folder() / "benchmarks" / f"{searcher.settings.corpus.name}-{digest.hexdigest()[:16]}.npz"


class _Columns:
    """Rows of unequal length, end to end, with their lengths."""

    def __init__(self) -> None:
        self._parts: dict[str, list[np.ndarray]] = {}

    def add(self, name: str, rows: Sequence[Any] | np.ndarray, kind: str) -> None:
        self._parts.setdefault(name, []).append(np.array(rows, dtype=kind))

    def arrays(self) -> dict[str, np.ndarray]:
        found = {}
        for name, parts in self._parts.items():
            found[name] = np.concatenate(parts)
            found[f"{name}_ends"] = np.cumsum([len(part) for part in parts])
        return found


def _write(file: Path, searcher: Searcher, judged: Sequence[JudgedQuery], foreign: Sequence[tuple[str, str]]) -> None:
    columns = _Columns()
    with searcher.index.snapshot() as snapshot:
        for number, query in enumerate(judged):
            if number % 500 == 0:
                print(f"{searcher.settings.corpus.name}: {number} of {len(judged)}", file=sys.stderr, flush=True)
            _add_asked(columns, "own", searcher, snapshot, query.question, query)
            for features, holds in _marks(searcher, snapshot, query):
                columns.add("marked_features", features, "f4")
                columns.add("marked_holds", holds, "?")
            columns.add("answering", [_answering(snapshot, query)], "i4")
        for _, question in foreign:
            _add_asked(columns, "foreign", searcher, snapshot, question, None)
        passages = snapshot.generation.manifest.passages
    arrays = columns.arrays()
    names, arrays["own_sources"] = np.unique(arrays["own_sources"], return_inverse=True)
    arrays.pop("foreign_sources")
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, **arrays, names=names, passages=passages, foreign_from=np.array([name for name, _ in foreign]))


def _add_asked(
    columns: _Columns, side: str, searcher: Searcher, snapshot: Snapshot, text: str, query: JudgedQuery | None
) -> None:
    try:
        parsed = plain(text)
        embedded = searcher.embedder.embed_query(parsed.text)
    except QuestionError:  # refused: finds nothing
        for name, kind in (("sources", "U64"), ("starts", "i4"), ("answers", "?"), ("vector", "i2"), ("words", "i2")):
            columns.add(f"{side}_{name}", [], kind)
        columns.add(f"{side}_features", np.empty((0, len(FEATURES))), "f4")
        return
    pool = Pool(snapshot, parsed, searcher.embedder)
    question = Question.of(parsed, embedded, pool.statistics)
    by_words, by_vector = pool.by_words(DEPTH), pool.by_vector(question.vector, DEPTH)
    judged = pool.judged(question, {*by_words, *by_vector})
    found = sorted(judged, key=lambda one: (one[0].source, one[0].start))
    rows = {stored.id: row for row, (stored, _) in enumerate(found)}
    features = [evidence.features for _, evidence in found]
    passages = [stored.passage for stored, _ in found]
    columns.add(f"{side}_sources", [passage.source for passage in passages], "U64")
    columns.add(f"{side}_starts", [passage.start for passage in passages], "i4")
    columns.add(f"{side}_features", [list(f.as_dict().values()) for f in features], "f4")
    columns.add(f"{side}_answers", [query is not None and answers(query, passage) for passage in passages], "?")
    columns.add(f"{side}_vector", [rows[id_] for id_ in by_vector], "i2")
    columns.add(f"{side}_words", [rows[id_] for id_ in by_words], "i2")


def answers(query: JudgedQuery, passage: Passage) -> bool:
    """Whether a passage of a relevant document holds an exact answer, where those are known."""
    if query.grades.get(passage.source, 0) <= 0:
        return False
    gold = [place for place in query.places if place.source == passage.source]
    return not gold or any(overlaps(place, Place(passage.source, passage.start, passage.end)) for place in gold)


def _marks(
    searcher: Searcher, snapshot: Snapshot, query: JudgedQuery
) -> Iterator[tuple[list[list[float]], list[bool]]]:
    """Features and marks of the passages of each document that answers, if it has more than one sentence."""
    try:
        parsed = plain(query.question)
    except QuestionError:
        return
    pool = question = None
    for source in sorted({place.source for place in query.places}):
        stored = snapshot.passages(snapshot.catalog.passage_ids([source]).tolist())
        if sum(len(s.passage.sentences) for s in stored) < 2:
            continue
        pool = pool or Pool(snapshot, parsed, searcher.embedder)
        question = question or Question.of(parsed, searcher.embedder.embed_query(parsed.text), pool.statistics)
        judged = pool.judged(question, [s.id for s in stored])
        holds = [_holds(query, s.passage, found) for s, found in judged]
        yield [list(found.features.as_dict().values()) for _, found in judged], holds


def _holds(query: JudgedQuery, passage: Passage, found: relevance.Evidence) -> bool:
    """Whether the sentence marked in a passage holds an answer."""
    marks = citation.mark(passage, found.sentence)
    places = [Place(passage.source, passage.start + start, passage.start + end) for start, end in marks]
    return any(overlaps(mark, place) for mark in places for place in query.places)


def _answering(snapshot: Snapshot, query: JudgedQuery) -> int:
    """Passages that hold an exact answer, whether or not they were found."""
    places = {place.source: snapshot.catalog.places(place.source) for place in query.places}
    return sum(any(overlaps(gold, p) for gold in query.places) for found in places.values() for p in found)


def _read(file: Path, name: str, judged: list[JudgedQuery]) -> Gathered:
    with np.load(file, allow_pickle=False) as stored:
        arrays = dict(stored)
    arrays["own_sources"] = arrays["names"][arrays["own_sources"]]

    def rows(column: str) -> list[np.ndarray]:
        return np.split(arrays[column], arrays[f"{column}_ends"][:-1]) if column in arrays else []

    own = ("own_sources", "own_starts", "own_features", "own_answers", "own_vector", "own_words")
    asked = [Asked(query.id, *parts) for query, *parts in zip(judged, *(rows(column) for column in own), strict=True)]
    empty = np.array([], dtype="U1")
    foreign = [
        (str(origin), Asked("", empty, *parts))
        for origin, *parts in zip(
            arrays["foreign_from"], *(rows(column.replace("own", "foreign")) for column in own[1:]), strict=True
        )
    ]
    marked = [Marked(f, h) for f, h in zip(rows("marked_features"), rows("marked_holds"), strict=True)]
    answering = {query.id: int(count) for query, count in zip(judged, arrays["answering"], strict=True)}
    return Gathered(name, int(arrays["passages"]), judged, asked, foreign, marked, answering)
