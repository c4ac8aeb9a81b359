"""Candidates one by one, as tests write them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pincite import relevance
from pincite.relevance import Evidence, Question, TokenEvidence
from pincite.storage import Records


class Candidate(NamedTuple):
    """A passage to be judged."""

    vector: np.ndarray
    tokens: np.ndarray
    sentences: np.ndarray
    terms: np.ndarray


def together(candidates: Sequence[Candidate]) -> Records:
    """What storage gives of them."""
    vectors, tokens, sentences, _ = zip(*candidates, strict=True)
    return Records(
        np.stack(vectors),
        np.concatenate(tokens),
        np.array([len(own) for own in tokens]),
        np.concatenate(sentences),
        np.array([len(own) for own in sentences]),
    )


def token_evidence(question: Question, candidates: Sequence[Candidate]) -> list[TokenEvidence]:
    return relevance.token_evidence(question, together(candidates))


def judge(question: Question, candidates: Sequence[Candidate]) -> list[Evidence]:
    words = relevance.word_evidence(question.idf, [candidate.terms for candidate in candidates])
    return relevance.judge(question, together(candidates), words)
