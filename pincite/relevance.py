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
from itertools import pairwise

import numpy as np

from pincite.embedding import QueryEmbedding, codes
from pincite.query import Query, Word
from pincite.types import Band

ASKING = 0.3
"""What the words that ask count for beside the others within a sentence: “when” is near to a date."""
REACH = 16
"""Terms further apart than this are not near each other."""


@dataclass(frozen=True, slots=True)
class Features:
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
        return {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True)
class Evidence:
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
        return self.intercept + sum(weight * float(getattr(features, name)) for name, weight in self.weights.items())


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
    """How rare a question's terms are in an index."""

    passages: int
    frequencies: Mapping[str, int]
    """Term of the question → passages that hold it."""

    def idf(self, term: str) -> float:
        """ln(1 + (N − n + ½) / (n + ½)), never negative, as BM25 has it in Lucene; a term that nobody
        holds weighs most."""
        frequency = self.frequencies[term]
        return math.log(1 + (self.passages - frequency + 0.5) / (frequency + 0.5))


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
        idf = {term: statistics.idf(term) for term in statistics.frequencies}
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


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage to be judged for one question."""

    vector: np.ndarray
    """Unit, shape (dim,)."""
    tokens: np.ndarray
    """Codes, shape (tokens, codes.BYTES)."""
    sentences: np.ndarray
    """Where each sentence's tokens begin and end, shape (sentences, 2)."""
    terms: Sequence[tuple[int, str]]
    """The question's terms where they stand, counted in terms, in order."""


def judge(question: Question, candidates: Sequence[Candidate]) -> list[Evidence]:
    """The evidence of every candidate of one question."""
    pairs = pair_weight(question.idf)
    return [
        Evidence(
            Features(
                cosine=float(candidate.vector @ question.vector),
                token_similarity=tokens.similarity,
                sentence_similarity=tokens.sentence_similarity,
                idf_share=idf_share({term for _, term in candidate.terms}, question.idf),
                proximity=proximity(candidate.terms, question.idf, pairs),
            ),
            tokens.sentence,
        )
        for candidate, tokens in zip(candidates, token_evidence(question, candidates), strict=True)
    ]


@dataclass(frozen=True, slots=True)
class TokenEvidence:
    """What the tokens of one passage say; 0 where it has none."""

    similarity: float = 0.0
    sentence_similarity: float = 0.0
    sentence: int = 0
    """The one with that similarity; the first of equals, and where none has tokens."""


def token_evidence(question: Question, candidates: Sequence[Candidate]) -> list[TokenEvidence]:
    """What the tokens of each candidate say, from one product of all of them with the question's."""
    counts = np.array([len(candidate.tokens) for candidate in candidates], dtype=np.int64)
    if not counts.any():
        return [TokenEvidence()] * len(candidates)
    starts = np.cumsum(counts) - counts
    within = question.weights + ASKING * question.asking
    telling = within > 0
    tokens = np.concatenate([candidate.tokens for candidate in candidates])
    cosines = codes.cosines(question.tokens[telling], tokens)

    similarities = np.zeros(len(candidates))
    holding = counts > 0  # reduceat takes the next one's first token for an empty stretch
    nearest = np.maximum.reduceat(cosines, starts[holding], axis=1)
    similarities[holding] = question.weights[telling] @ nearest

    found = [TokenEvidence(similarity) for similarity in similarities.tolist()]
    owners, numbers, ranges = _sentences(candidates, starts)
    if len(owners):
        # Of the stretches between all these ends, every second is a sentence; one may end with the last token.
        padded = np.pad(cosines, ((0, 0), (0, 1)))
        scores = within[telling] @ np.maximum.reduceat(padded, ranges.ravel(), axis=1)[:, ::2]
        for first, last in pairwise([*np.flatnonzero(np.diff(owners, prepend=-1)), len(owners)]):
            best = first + int(np.argmax(scores[first:last]))
            own = owners[best]
            found[own] = TokenEvidence(found[own].similarity, float(scores[best]), int(numbers[best]))
    return found


def _sentences(candidates: Sequence[Candidate], starts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of all sentences that have tokens: whose each is, which of its own, and where its tokens begin and end
    among those of all candidates, whose first ones are at `starts`."""
    counts = [len(candidate.sentences) for candidate in candidates]
    owners = np.repeat(np.arange(len(candidates)), counts)
    numbers = np.concatenate([np.arange(count) for count in counts])
    ranges = np.concatenate([candidate.sentences for candidate in candidates]) + starts[owners, None]
    holding = ranges[:, 1] > ranges[:, 0]
    return owners[holding], numbers[holding], ranges[holding]


def idf_share(present: set[str], idf: Mapping[str, float]) -> float:
    """Share of the question's idf whose terms are present, 0 to 1."""
    return sum(weight for term, weight in idf.items() if term in present) / sum(idf.values())


def pair_weight(idf: Mapping[str, float]) -> float:
    """The weight of all pairs of terms together; a pair weighs what its commoner term does."""
    return sum(rank * weight for rank, weight in enumerate(sorted(idf.values(), reverse=True)))


def proximity(terms: Sequence[tuple[int, str]], idf: Mapping[str, float], pairs: float) -> float:
    """Each pair's weight divided by its smallest distance, summed, as a share of `pairs`: 0 to 1.

    After Tao and Zhai 2007, "An Exploration of Proximity Measures in Information Retrieval".
    """
    nearest: dict[tuple[str, str], int] = {}
    for first, (position, term) in enumerate(terms):
        for other, neighbour in terms[first + 1 :]:
            if other - position > REACH:
                break
            if neighbour != term:
                pair = (term, neighbour) if term < neighbour else (neighbour, term)
                nearest[pair] = min(nearest.get(pair, REACH), other - position)
    return sum(min(idf[a], idf[b]) / distance for (a, b), distance in nearest.items()) / pairs if pairs else 0.0
