"""How good the search is, in numbers: judgements, runs, measures. Imported by the front ends alone."""

from pincite.evaluation.collection import Collection, draw
from pincite.evaluation.datasets import Dataset
from pincite.evaluation.evaluator import Evaluation, evaluate, score
from pincite.evaluation.judgements import JudgedQuery, Judgement, load, project

__all__ = [
    "Collection",
    "Dataset",
    "Evaluation",
    "JudgedQuery",
    "Judgement",
    "draw",
    "evaluate",
    "load",
    "project",
    "score",
]
