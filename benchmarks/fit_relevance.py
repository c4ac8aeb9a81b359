"""Fit `pincite/relevance.json` on collections in BEIR layout.

    python -m benchmarks.fit_relevance FOLDER_OF_COLLECTIONS [--write]

`order`: softmax over the candidates of a question, so that a passage that answers stands above
those that do not. `probability`: logistic regression over the first passages of questions asked of
their own collection and of others about another subject, where nothing answers. Its thresholds: 10 % of all
questions of other collections reach `weak`, 2 % reach `strong`. What such weights are worth on a collection that was
left out of the fit: `benchmarks/quality.py`.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from benchmarks.gathering import FEATURES, SUBJECTS, TRAINING, Asked, Gathered, gather, group
from pincite import relevance
from pincite.relevance import FEW, WORDS, Relevance, Weights
from pincite.settings import Settings

PROBABILITY = ("cosine", "token_similarity", "sentence_similarity", "idf_share")
"""What can be compared between questions."""
QUESTIONS = 1000
"""Of each collection, drawn, so that none outweighs the others in time either."""
RIDGE, PROBABILITY_RIDGE = 1e-3, 3e-4
"""On the weights of either model."""
WEAK, STRONG = 0.10, 0.02
"""Shares of unanswerable questions that may reach each band."""


def fit(collections: Sequence[Gathered]) -> Relevance:
    """Both models and the thresholds; each collection counts the same."""
    order = fit_order(collections)
    probability, weak, strong = fit_probability(collections, order)
    return Relevance(
        Weights(0.0, dict(zip(FEATURES, order.tolist(), strict=True))),
        Weights(float(probability[-1]), dict(zip(PROBABILITY, probability[:-1].tolist(), strict=True))),
        strong,
        weak,
    )


def drawn(asked: Sequence[Asked]) -> list[Asked]:
    """At most `QUESTIONS` of them."""
    rows = np.random.default_rng(0).permutation(len(asked))[:QUESTIONS]
    return [asked[row] for row in np.sort(rows)]


def trust(collection: Gathered) -> np.ndarray:
    """What each feature counts for in an index of this size."""
    words = collection.passages / (collection.passages + FEW)
    return np.array([words if name in WORDS else 1.0 for name in FEATURES])


def fit_order(collections: Sequence[Gathered]) -> np.ndarray:
    """Weights that put passages that answer above the others."""
    return fit_softmax(
        [
            (one.features * trust(collection), one.answers, 1 / len(collection.asked))
            for collection in collections
            for one in drawn(collection.asked)
        ]
    )


def fit_softmax(questions: Sequence[tuple[np.ndarray, np.ndarray, float]]) -> np.ndarray:
    """Weights of a linear model by softmax cross-entropy, from features, answers and weight of each question."""
    useful = [question for question in questions if question[1].any() and not question[1].all()]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        total, gradient = RIDGE * weights @ weights, 2 * RIDGE * weights
        for features, answers, share in useful:
            scores = features @ weights
            everything = np.exp(scores - scores.max())
            right = everything * answers
            total += share * np.log(everything.sum() / right.sum())
            gradient += share * (everything / everything.sum() - right / right.sum()) @ features
        return total, gradient

    return minimize(loss, np.ones(useful[0][0].shape[1]), jac=True, method="L-BFGS-B").x


def fit_probability(collections: Sequence[Gathered], order: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Logistic regression, the intercept last, and the thresholds `weak` and `strong`."""
    parts = []
    for collection in collections:
        for asked in (drawn(collection.asked), unanswerable(collection)):
            features, answers = first_hits(collection, asked, order)
            parts.append((features, answers, np.full(len(features), 1 / len(features))))
    inputs, labels, shares = (np.concatenate(column) for column in zip(*parts, strict=True))
    inputs = np.hstack([inputs, np.ones((len(inputs), 1))])

    def loss(model: np.ndarray) -> tuple[float, np.ndarray]:
        scores = inputs @ model
        predicted = 1 / (1 + np.exp(-scores))
        total = shares @ (np.logaddexp(0, scores) - labels * scores) + PROBABILITY_RIDGE * model @ model
        return total, (shares * (predicted - labels)) @ inputs + 2 * PROBABILITY_RIDGE * model

    model = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B").x
    foreign = np.concatenate([top_scores(c, [one for _, one in c.foreign], order, model) for c in collections])
    return model, float(np.quantile(foreign, 1 - WEAK)), float(np.quantile(foreign, 1 - STRONG))


def unanswerable(collection: Gathered) -> list[Asked]:
    """Questions that surely nothing here answers: of other collections, about another subject."""
    subject = SUBJECTS.get(group(collection.name))
    return [one for origin, one in collection.foreign if SUBJECTS.get(group(origin)) != subject]


def ranked(collection: Gathered, asked: Asked, order: np.ndarray) -> np.ndarray:
    """Rows of the candidates, best first; ties end with source and start, in which order they come."""
    return np.argsort(-(asked.features * trust(collection) @ order), kind="stable")


def first_hits(collection: Gathered, asked: Sequence[Asked], order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the probability rests on, and whether it answers, of the first hit of every question."""
    columns = [FEATURES.index(name) for name in PROBABILITY]
    first = [(one, ranked(collection, one, order)[:1]) for one in asked]
    features = np.concatenate([one.features[rows][:, columns] for one, rows in first])
    return features, np.concatenate([one.answers[rows] for one, rows in first])


def top_scores(collection: Gathered, asked: Sequence[Asked], order: np.ndarray, model: np.ndarray) -> np.ndarray:
    """The probability of the first hit of every question."""
    features, _ = first_hits(collection, asked, order)
    return 1 / (1 + np.exp(-(features @ model[:-1] + model[-1])))


def leave_out(collections: Sequence[Gathered], name: str) -> Relevance:
    """Fitted without a collection's group: neither its questions nor its documents had a part in it."""
    rest = [c for c in collections if c.name in TRAINING and group(c.name) != group(name)]
    return fit([without(c, name) for c in rest])


def without(collection: Gathered, name: str) -> Gathered:
    """The collection without the questions that came from another."""
    foreign = [(origin, one) for origin, one in collection.foreign if group(origin) != group(name)]
    return replace(collection, foreign=foreign)


def main() -> None:
    """Fit on all, report and, with --write, replace the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true", help="replace pincite/relevance.json")
    arguments = parser.parse_args()
    settings = Settings()
    collections = [gather(arguments.folder, name, settings.passages.tokens) for name in TRAINING]
    model = fit(collections)
    table = {
        "about": "Linear models over the features that pincite/relevance.py names.",
        "command": "python -m benchmarks.fit_relevance FOLDER_OF_COLLECTIONS --write",
        "trained_on": [c.name for c in collections],
        "questions": {c.name: min(len(c.asked), QUESTIONS) for c in collections},
        "model": settings.model.name,
        "passage_tokens": settings.passages.tokens,
        "date": date.today().isoformat(),
        "order": {"weights": {name: round(weight, 3) for name, weight in model.order.weights.items()}},
        "probability": {
            "intercept": round(model.probability.intercept, 3),
            "weights": {name: round(weight, 3) for name, weight in model.probability.weights.items()},
            "weak": round(model.weak, 3),
            "strong": round(model.strong, 3),
        },
    }
    print(json.dumps(table, indent=1))
    if arguments.write:
        file = Path(relevance.__file__).with_name("relevance.json")
        file.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
