"""Hop 5: features → order, and the probability that a passage answers.

Two linear models, both in `relevance.json` with where their weights come from. `order` ranks the
passages of one question; `probability` uses only what can be compared between questions.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from pincite.embedding import QueryEmbedding, codes
from pincite.query import Query, Word
from pincite.storage import terms
from pincite.storage.vectors import Records
from pincite.types import Band

ASKING = 0.3
"""What the words that ask count for beside the others within a sentence: “when” is near to a date."""
REACH = 16
"""Terms further apart than this are not near each other."""


class Features(NamedTuple):
    """What is known of one passage for one question. More is always better."""

    cosine: float
    """Of question and passage, −1 to 1."""
    token_similarity: float
    """How near, on average, each of the question's tokens finds one in the passage, weighted by the
    idf of its word, −1 to 1 (MaxSim; Khattab and Zaharia 2020, arXiv:2004.12832)."""
    sentence_similarity: float
    """The token similarity of any one sentence, at its best; the words that ask count too, −1.3 to 1.3."""
    idf_share: float
    """Share of the question's inverse document frequency whose terms the passage holds, 0 to 1."""
    proximity: float
    """How near to each other pairs of the question's terms stand, 0 to 1: 1 where all are neighbours."""
    reranker: float | None = None
    """Log-odds by the cross-encoder; None where none has read the passage."""

    def as_dict(self) -> dict[str, float]:
        """Name → value, in the order of the class, without what is not known."""
        return {name: value for name, value in self._asdict().items() if value is not None}


class Evidence(NamedTuple):
    """What speaks for one passage."""

    features: Features
    sentence: int
    """The passage's sentence most likely to answer; 0 where there is none."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A linear model."""

    intercept: float
    weights: Mapping[str, float]

    def __call__(self, features: Features) -> float:
        """The weighted sum."""
        return self.each([features])[0]

    def each(self, features: Sequence[Features]) -> list[float]:
        """That of several."""
        columns = ((weight, map(attrgetter(name), features)) for name, weight in self.weights.items())
        sums = sum((weight * np.fromiter(column, dtype=float) for weight, column in columns), np.zeros(len(features)))
        found: list[float] = (self.intercept + sums).tolist()
        return found


WORDS = ("idf_share", "proximity")
"""The features that rest on words alone, and on how many passages hold each."""
FEW = 100
"""Passages in which words count half as much for the order as in endlessly many."""


@dataclass(frozen=True, slots=True)
class Relevance:
    """The two models and the bands' thresholds, as probabilities."""

    order: Weights
    probability: Weights
    strong: float
    weak: float

    def order_weights(self, passages: int) -> dict[str, float]:
        """Feature → weight in an index of so many passages.

        What is rare among few passages is rare by chance, so words weigh N / (N + 100) of what
        they weigh among many.
        """
        trust = passages / (passages + FEW)
        return {name: weight * (trust if name in WORDS else 1) for name, weight in self.order.weights.items()}

    def probabilities(self, features: Sequence[Features]) -> list[float]:
        """That each of the passages answers: the logistic function of the linear model, 0 to 1."""
        return [1 / (1 + math.exp(-log_odds)) for log_odds in self.probability.each(features)]

    def band(self, probability: float) -> Band:
        """The band of a probability."""
        if probability >= self.strong:
            return "strong"
        return "weak" if probability >= self.weak else "none"


@cache
def load() -> Relevance:
    """The weights that ship with the package."""
    table = json.loads(files("pincite").joinpath("relevance.json").read_text(encoding="utf-8"))
    return Relevance(
        Weights(0.0, table["order"]["weights"]),
        Weights(table["probability"]["intercept"], table["probability"]["weights"]),
        table["probability"]["strong"],
        table["probability"]["weak"],
    )


@dataclass(frozen=True, slots=True)
class TermStatistics:
    """How rare a question's terms are in an index."""

    passages: int
    frequencies: Mapping[str, int]
    """Term of the question → passages that hold it."""

    def idf(self, term: str) -> float:
        """ln(1 + (N − n + ½) / (n + ½)), never negative, as BM25 has it in Lucene; a term that nobody
        holds weighs most."""
        frequency = self.frequencies[term]
        return math.log(1 + (self.passages - frequency + 0.5) / (frequency + 0.5))

    def all_idf(self) -> dict[str, float]:
        """That of every term."""
        return {term: self.idf(term) for term in self.frequencies}


@dataclass(frozen=True, slots=True)
class Question:
    """A query with everything that features are computed from."""

    vector: np.ndarray
    """Unit, shape (dim,)."""
    tokens: np.ndarray
    """Unit, shape (tokens, codes.COMPONENTS)."""
    weights: np.ndarray
    """What each token counts for: the idf of its word, shared by the word's tokens. Sums to 1."""
    asking: np.ndarray
    """The same for the tokens of words that say what kind of answer is wanted; 0 where there are none."""
    idf: Mapping[str, float]
    """Term → inverse document frequency."""
    passages: int
    """In the index."""

    @classmethod
    def of(cls, query: Query, embedded: QueryEmbedding, statistics: TermStatistics) -> "Question":
        """What an index makes of a query."""
        idf = statistics.all_idf()
        words = query.words()
        weights = _shared(words, embedded.spans, [max((idf.get(t, 0.0) for t in w.terms), default=0.0) for w in words])
        if not weights.any():
            weights = np.full(len(embedded.tokens), 1 / max(len(embedded.tokens), 1))
        asking = _shared(words, embedded.spans, [float(word.is_asking) for word in words])
        return cls(embedded.vector, embedded.tokens, weights, asking, idf, statistics.passages)


def _shared(words: Sequence[Word], spans: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """The words' weights on their tokens, each word's in equal parts; scaled to sum to 1 if any is."""
    shares = np.zeros(len(spans))
    for word, weight in zip(words, weights, strict=True):
        own = (spans[:, 0] >= word.span[0]) & (spans[:, 1] <= word.span[1])
        shares[own] = weight / max(own.sum(), 1)
    return shares / (shares.sum() or 1)


def judge(question: Question, records: Records, words: Sequence["WordEvidence"]) -> list[Evidence]:
    """The evidence of some passages, given what their words say."""
    cosines = np.einsum("ij,j->i", records.vectors, question.vector).tolist()  # on this thread, unlike `@`
    return [
        Evidence(Features(cosine, tokens.similarity, tokens.sentence_similarity, *by_words), tokens.sentence)
        for cosine, tokens, by_words in zip(cosines, token_evidence(question, records), words, strict=True)
    ]


class TokenEvidence(NamedTuple):
    """What the tokens of one passage say; 0 where it has none."""

    similarity: float
    sentence_similarity: float
    sentence: int
    """The one with that similarity; the first of equals, and where none has tokens."""


def token_evidence(question: Question, records: Records) -> list[TokenEvidence]:
    """What the tokens of each passage say, from one product of all of them with the question's."""
    passages = len(records.token_counts)
    similarities, sentence_similarities = np.zeros((2, passages))
    marked = np.zeros(passages, dtype=np.int64)
    within = question.weights + ASKING * question.asking
    telling = within > 0
    cosines = codes.cosines(question.tokens[telling], records.tokens)
    starts = np.cumsum(records.token_counts) - records.token_counts

    holding = records.token_counts > 0  # reduceat takes the next one's first token for an empty stretch
    if holding.any():
        nearest = np.maximum.reduceat(cosines, starts[holding], axis=1)
        similarities[holding] = _weighted(question.weights[telling], nearest)

    owners, numbers, ranges = _sentences(records, starts)
    if len(owners):
        # Of the stretches between all these ends, every second is a sentence; one may end with the last token.
        padded = np.pad(cosines, ((0, 0), (0, 1)))
        scores = _weighted(within[telling], np.maximum.reduceat(padded, ranges.ravel(), axis=1)[:, ::2])
        best_first = np.lexsort((numbers, -scores, owners))
        owning, at = np.unique(owners[best_first], return_index=True)
        sentence_similarities[owning] = scores[best_first[at]]
        marked[owning] = numbers[best_first[at]]
    return list(map(TokenEvidence, similarities.tolist(), sentence_similarities.tolist(), marked.tolist()))


def _weighted(weights: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The weighted sum of each column, on this thread, unlike `@`."""
    found: np.ndarray = (weights[:, None] * columns).sum(axis=0)
    return found


def _sentences(records: Records, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of all sentences that have tokens: whose each is, which of its own, and where its tokens begin and end
    among those of all passages, whose first ones are at `starts`."""
    counts = records.sentence_counts
    owners = np.repeat(np.arange(len(counts)), counts)
    numbers = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    ranges = records.sentences + starts[owners, None]
    holding = ranges[:, 1] > ranges[:, 0]
    return owners[holding], numbers[holding], ranges[holding]


class WordEvidence(NamedTuple):
    """What the words of one passage say."""

    idf_share: float
    proximity: float


def word_evidence(idf: Mapping[str, float], passages: Sequence[np.ndarray]) -> list[WordEvidence]:
    """What the terms of each passage say, given as numbers; all passages at once."""
    if not passages:
        return []
    weights = np.array(list(idf.values()))
    counts = np.array([len(numbers) for numbers in passages])
    numbers = np.concatenate(passages)
    places = [np.flatnonzero(numbers == term) for term in terms.numbered(idf)]
    order = np.argsort(np.concatenate(places), kind="stable")
    at = np.concatenate(places)[order]
    asked = np.repeat(np.arange(len(places)), list(map(len, places)))[order]
    owners = np.repeat(np.arange(len(counts)), counts)[at]
    present = np.zeros((len(counts), len(weights)))
    present[owners, asked] = weights[asked]
    shares = present.sum(axis=1) / weights.sum()
    return list(map(WordEvidence, shares.tolist(), proximities(owners, at, asked, weights, len(counts)).tolist()))


def pair_weight(weights: Sequence[float]) -> float:
    """The weight of all pairs of terms together; a pair weighs what its commoner term does."""
    return sum(rank * weight for rank, weight in enumerate(sorted(weights, reverse=True)))


def proximities(
    owners: np.ndarray, positions: np.ndarray, asked: np.ndarray, weights: np.ndarray, passages: int
) -> np.ndarray:
    """Each pair's weight divided by its smallest distance, summed, as a share of all pairs' weight: 0 to 1.

    Given where the question's terms stand: whose passage, at which position, which term; in order.
    After Tao and Zhai 2007, "An Exploration of Proximity Measures in Information Retrieval".
    """
    pairs, distances = [], []
    for step in range(1, REACH + 1):  # no more than that stand within reach
        distance = positions[step:] - positions[:-step]
        reached = np.flatnonzero((distance <= REACH) & (owners[step:] == owners[:-step]))
        if not len(reached):
            break
        one, other = asked[reached], asked[reached + step]
        lower, higher = np.minimum(one, other), np.maximum(one, other)
        pairs.append(((owners[reached] * len(weights) + lower) * len(weights) + higher)[lower < higher])
        distances.append(distance[reached][lower < higher])
    total = pair_weight(weights.tolist())
    if not pairs or not total:
        return np.zeros(passages)
    pair, distance = np.concatenate(pairs), np.concatenate(distances)
    nearest_first = np.lexsort((distance, pair))
    pair, at = np.unique(pair[nearest_first], return_index=True)
    owner, both = np.divmod(pair, len(weights) ** 2)
    lower, higher = np.divmod(both, len(weights))
    shares = np.minimum(weights[lower], weights[higher]) / distance[nearest_first][at]
    return np.bincount(owner, weights=shares, minlength=passages) / total
