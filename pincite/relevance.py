"""Hop 5: features → order, and the probability that a passage answers.

Two linear models, both in `relevance.json` with where their weights come from. `order` ranks the
passages of one question; `probability` uses only what can be compared between questions.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from pincite.types import Band

BM25_K1 = 1.2
BM25_B = 0.75


@dataclass(frozen=True, slots=True)
class Features:
    """What is known of one passage for one question. More is always better."""

    cosine: float
    """Of question and passage, −1 to 1."""
    sentence_cosine: float
    """The best cosine of the question and any one sentence, −1 to 1."""
    bm25_bound: float
    """BM25 as a share of the most that any passage could reach, 0 to 1."""
    idf_share: float
    """Share of the question's inverse document frequency whose terms the passage holds, 0 to 1."""

    def as_dict(self) -> dict[str, float]:
        """Name → value, in the order of the class."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Weights:
    """A linear model."""

    intercept: float
    weights: Mapping[str, float]

    def __call__(self, features: Features) -> float:
        """The weighted sum."""
        return self.intercept + sum(weight * float(getattr(features, name)) for name, weight in self.weights.items())


WORDS = ("bm25_bound", "idf_share")
"""The features that rest on how many passages hold each word."""
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

    def probability_of(self, features: Features) -> float:
        """That the passage answers: the logistic function of the linear model, 0 to 1."""
        return 1 / (1 + math.exp(-self.probability(features)))

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
    """What BM25 must know of an index."""

    passages: int
    mean_terms: float
    """Mean length of a passage in terms."""
    frequencies: Mapping[str, int]
    """Term of the question → passages that hold it."""

    def idf(self, term: str) -> float:
        """ln(1 + (N − n + ½) / (n + ½)), never negative; a term that nobody holds weighs most."""
        frequency = self.frequencies[term]
        return math.log(1 + (self.passages - frequency + 0.5) / (frequency + 0.5))


def bm25(terms: Counter[str], length: int, statistics: TermStatistics) -> float:
    """Okapi BM25 of a passage, with Lucene's idf (Robertson and Zaragoza 2009,
    "The Probabilistic Relevance Framework", section 3)."""
    norm = BM25_K1 * (1 - BM25_B + BM25_B * length / statistics.mean_terms)
    return sum(
        statistics.idf(term) * terms[term] * (BM25_K1 + 1) / (terms[term] + norm)
        for term in statistics.frequencies
        if terms[term]
    )


def bm25_bound(statistics: TermStatistics) -> float:
    """What no passage can exceed: every term of the question, endlessly often."""
    return sum(statistics.idf(term) * (BM25_K1 + 1) for term in statistics.frequencies)


def idf_share(present: Counter[str], statistics: TermStatistics) -> float:
    """Share of the question's idf whose terms are present, 0 to 1."""
    total = sum(statistics.idf(term) for term in statistics.frequencies)
    return sum(statistics.idf(term) for term in statistics.frequencies if present[term]) / total


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage to be judged: its vectors and its terms."""

    vector: np.ndarray
    """Unit, shape (dim,)."""
    sentences: np.ndarray
    """Unit, shape (sentences, dim)."""
    terms: Counter[str]
    length: int
    """In terms."""


def features(question: np.ndarray, candidates: Sequence[Candidate], statistics: TermStatistics) -> list[Features]:
    """The features of every candidate of one question. `question` is a unit vector."""
    scores = [bm25(candidate.terms, candidate.length, statistics) for candidate in candidates]
    bound = bm25_bound(statistics)
    return [
        Features(
            cosine=float(candidate.vector @ question),
            sentence_cosine=float(np.max(candidate.sentences @ question)),
            bm25_bound=score / bound,
            idf_share=idf_share(candidate.terms, statistics),
        )
        for candidate, score in zip(candidates, scores, strict=True)
    ]
