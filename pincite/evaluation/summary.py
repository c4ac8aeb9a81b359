"""What was measured in words: the sentence that matters first, what each measure means, the worst questions."""

from collections.abc import Mapping, Sequence
from typing import Any

Table = Mapping[str, Any]
"""What `Evaluation.as_json` gives."""
Measured = tuple[str, float, Sequence[float], str]
"""Measure, mean, 95 % interval, meaning."""

WORST = 10
"""Questions that are shown with what was expected of them."""
FALSE_ANSWERS = 5
"""Questions without an answer that are shown with what they got nonetheless."""

_MEANINGS = {
    "nDCG@10": "how near the first ten come to the best possible order; 1 is perfect",
    "RR@10": "one divided by the rank of the first that is right: 1 if always first, 0.5 if second",
    "R@5": "share of all that is right found among the first five",
    "R@20": "share of all that is right found among the first twenty",
    "R@100": "share of all that is right found among the first hundred",
    "Success@1": "share of questions where the very first is right",
    "character R@5": "share of the words that answer which the first five passages show",
    "character P@5": "share of the words in the first five passages that answer",
    "character IoU@5": "both in one: what is shown and answers, of all that is shown or answers",
    "Success@1000 characters": "share of questions answered within a minute's reading, from the top",
    "marked sentence": "where the first passage answers: how often its marked sentence does",
}
_ABSTENTION = {
    "area under the ROC curve": "how often an answerable question scores above an unanswerable one; 0.5 is chance",
    "answerable kept at 5 % false answers": "share of answerable questions still answered, if 5 % of the others may be",
    "answerable answered": "share of answerable questions that get an answer (weak or strong)",
    "unanswerable answered": "share of unanswerable questions that get one nonetheless",
}


def has_probabilities(table: Table) -> bool:
    """Whether scores are probabilities and answers are bands: those of `pincite` are."""
    return table["method"] == "pincite" and table["passages"] is not None


def headline(table: Table) -> list[str]:
    """What a person wants to know first: the sentence that matters, then what belongs to it."""
    rows, lines = table["rows"], []
    for level, which, what in (
        ("measures", "", "the right document"),
        ("passage_measures", " whose exact place is known,", "a passage that answers"),
    ):
        first = [row[level]["Success@1"] for row in rows if "Success@1" in row[level]]
        if first:
            lines.append(f"For {sum(first):.0f} of {questions(len(first))}{which} {what} came first.")
    unanswerable = [row for row in rows if row["unanswerable"]]
    if unanswerable and has_probabilities(table):
        told = sum(row["answer"] == "none" for row in unanswerable)
        lines.append(f"For {told} of {questions(len(unanswerable))} that nothing answers, it said so.")
        answerable = [row for row in rows if not row["unanswerable"]]
        given = sum(row["answer"] != "none" for row in answerable)
        if answerable:
            lines.append(f"It gave an answer to {given} of {questions(len(answerable))} that have one.")
    return lines or ["Nothing could be measured: no question has a document that is judged to be right."]


def questions(count: int) -> str:
    """So many questions."""
    return f"{count:,} question{'' if count == 1 else 's'}"


def levels(table: Table) -> list[tuple[str, list[Measured]]]:
    """What was measured of documents, and of passages."""
    return [
        (title, [(name, mean, table[intervals][name], _MEANINGS.get(name, "")) for name, mean in table[means].items()])
        for title, means, intervals in (
            ("Documents", "measures", "intervals"),
            ("Passages", "passage_measures", "passage_intervals"),
        )
        if table[means]
    ]


def abstention(table: Table) -> list[Measured]:
    """How well it knows when it has no answer; nothing where there are not both kinds of question."""
    return [
        (name, table["abstention"][name], ends, _ABSTENTION.get(name, ""))
        for name, ends in table["abstention_intervals"].items()
    ]


def worst(table: Table) -> list[dict[str, Any]]:
    """The rows with the lowest measures, of those that are not perfect."""

    def merit(row: dict[str, Any]) -> tuple[float, float]:
        return row["measures"]["nDCG@10"], row["passage_measures"].get("nDCG@10", 1.0)

    return sorted((row for row in table["rows"] if row["measures"] and merit(row) != (1.0, 1.0)), key=merit)[:WORST]


def false_answers(table: Table) -> list[dict[str, Any]]:
    """The rows of questions that nothing answers and that got an answer, the surest first."""
    if not has_probabilities(table):
        return []
    wrong = [row for row in table["rows"] if row["unanswerable"] and row["answer"] != "none"]
    return sorted(wrong, key=lambda row: -row["score"])[:FALSE_ANSWERS]


def rank(measures: Mapping[str, float]) -> str:
    """Where the first right one came, told from its reciprocal rank; empty where it was not measured."""
    if "RR@10" not in measures:
        return ""
    return f"rank {1 / measures['RR@10']:.0f}" if measures["RR@10"] else "not among the first ten"
