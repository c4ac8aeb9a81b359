"""Two evaluations of the same questions: which is better, how surely, and where."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pincite.errors import JudgementError
from pincite.evaluation.measures import interval

PERMUTATIONS = 10_000
_FLIPPED_AT_ONCE = 1_000_000
"""Signs: 8 MB."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measure, B against A, over the questions that both have."""

    measure: str
    a: float
    b: float
    p: float
    wins: int
    """Questions that B answers better."""
    losses: int
    ties: int
    interval: tuple[float, float] = (0.0, 0.0)
    """95 % bootstrap interval of the difference, B − A."""


def compare(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Comparison]:
    """Every measure that both evaluations have; passage measures follow the documents'.

    Raises `JudgementError` where they have no question in common.
    """
    rows_a = {row["id"]: row for row in a["rows"]}
    rows_b = {row["id"]: row for row in b["rows"]}
    shared = [id_ for id_ in rows_a if id_ in rows_b]
    if not shared:
        raise JudgementError("the two evaluations have no question in common: compare runs of the same judgements")
    found = []
    for level, prefix in (("measures", ""), ("passage_measures", "passage ")):
        for name in a[level]:
            pairs = [
                (rows_a[id_][level][name], rows_b[id_][level][name])
                for id_ in shared
                if name in rows_a[id_][level] and name in rows_b[id_][level]
            ]
            if pairs:
                found.append(_comparison(prefix + name, np.array(pairs)))
    return found


def _comparison(name: str, pairs: np.ndarray) -> Comparison:
    differences = pairs[:, 1] - pairs[:, 0]
    a, b = pairs.mean(axis=0)
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    p, ties = randomisation_p(differences), len(pairs) - wins - losses
    return Comparison(name, float(a), float(b), p, wins, losses, ties, interval(differences.tolist()))


def randomisation_p(differences: Sequence[float] | np.ndarray) -> float:
    """Two-sided p of a paired randomisation test of the mean difference, 10,000 sign flips, seed 0.

    Smucker, Allan and Carterette 2007, "A Comparison of Statistical Significance Tests for
    Information Retrieval Evaluation". The observed assignment counts as one, so p is never 0.
    """
    values = np.asarray(differences, dtype=np.float64)
    values = values[values != 0]
    rng = np.random.default_rng(0)
    at_once = max(1, _FLIPPED_AT_ONCE // max(len(values), 1))
    as_far = 0
    for done in range(0, PERMUTATIONS, at_once):
        signs = rng.choice((-1.0, 1.0), (min(at_once, PERMUTATIONS - done), len(values)))
        as_far += int((np.abs(signs @ values) >= abs(values.sum()) - 1e-12).sum())
    return (as_far + 1) / (PERMUTATIONS + 1)


@dataclass(frozen=True, slots=True)
class Move:
    """A question whose measure changed, with what each ranked first."""

    question: str
    a: float
    b: float
    first_a: str | None
    first_b: str | None


def moves(a: Mapping[str, Any], b: Mapping[str, Any], measure: str, count: int) -> list[Move]:
    """The `count` questions that moved most, up or down; equal moves in the order of A."""
    rows_b = {row["id"]: row for row in b["rows"]}
    moved = [
        Move(
            row["question"],
            row["measures"][measure],
            other["measures"][measure],
            row["first"],
            other["first"],
        )
        for row in a["rows"]
        if (other := rows_b.get(row["id"])) and measure in row["measures"] and measure in other["measures"]
    ]
    moved = [move for move in moved if move.a != move.b]
    return sorted(moved, key=lambda move: -abs(move.b - move.a))[:count]


@dataclass(frozen=True, slots=True)
class Turn:
    """A question that nothing answers, and that only one of two evaluations knew to leave unanswered."""

    question: str
    a: str
    """The band of what came first."""
    b: str


def turns(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Turn]:
    """In the order of A."""
    rows_b = {row["id"]: row for row in b["rows"]}
    return [
        Turn(row["question"], row["answer"], other["answer"])
        for row in a["rows"]
        if row["unanswerable"]
        and (other := rows_b.get(row["id"]))
        and (row["answer"] == "none") != (other["answer"] == "none")
    ]
