"""TREC's files: runs, qrels and topics, as `trec_eval` and the other tools of the field read them.

Their columns are set apart by white space. White space within an id is therefore written as in a URL:
`my notes.md` becomes `my%20notes.md`. A `%` becomes `%25` only where it would be read as such an
escape, so every other id stands as it is, and each is read back as it was.
"""

import math
import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pincite.errors import JudgementError
from pincite.evaluation.judgements import JudgedQuery
from pincite.evaluation.runs import DEPTH

_ESCAPES = {quote(char): char for char in ("%", *(chr(code) for code in range(0x3001) if chr(code).isspace()))}
_CODE = re.compile("|".join(_ESCAPES))
_CODE_OR_SPACE = re.compile(rf"{_CODE.pattern}|\s")


@dataclass(frozen=True, slots=True)
class Run:
    """What another tool, or an earlier evaluation, ranked."""

    tag: str
    documents: Mapping[str, Sequence[str]]
    """Query → documents from best to worst."""

    def without(self, queries: Container[str]) -> "Run":
        """The run of the other queries."""
        return Run(self.tag, {query: found for query, found in self.documents.items() if query not in queries})


def encode(id_: str) -> str:
    """An id as one column."""
    return _CODE_OR_SPACE.sub(lambda found: quote(found[0]) if found[0].isspace() else f"%25{found[0][1:]}", id_)


def decode(column: str) -> str:
    """The id that `encode` made a column of."""
    return _CODE.sub(lambda found: _ESCAPES[found[0]], column)


def run_text(run: Mapping[str, Sequence[str]], tag: str) -> str:
    """A run, 100 deep: `query Q0 document rank score tag`.

    Scores are whole numbers that fall by one with each rank, so that every tool that sorts by them
    gets this order, whatever it does about ties and however it stores a number.
    """
    return "".join(
        f"{encode(query)} Q0 {encode(document)} {rank} {DEPTH + 1 - rank} {encode(tag)}\n"
        for query, documents in run.items()
        for rank, document in enumerate(documents[:DEPTH], start=1)
    )


def qrels_text(queries: Iterable[JudgedQuery]) -> str:
    """The judged documents: `query 0 document grade`. A question that nothing answers has no line."""
    return "".join(
        f"{encode(query.id)} 0 {encode(document)} {grade}\n"
        for query in queries
        for document, grade in query.grades.items()
    )


def read_run(file: Path) -> Run:
    """A run of one tag, ordered as trec_eval does: by score, and equal scores by document, backwards.

    The column of ranks is not looked at. Raises `JudgementError`, naming file and line.
    """
    scores: dict[str, dict[str, float]] = defaultdict(dict)
    tags: dict[str, None] = {}
    for number, (query, _, document, _, score, tag) in _rows(file, "query Q0 document rank score tag"):
        _once(file, number, scores[query], query, document)
        scores[query][document] = _score(file, number, score)
        tags[tag] = None
        if len(tags) > 1:
            raise JudgementError(f"{file}, line {number}: tag {tag!r} after {next(iter(tags))!r}: one run a file")
    ordered = {
        query: tuple(sorted(found, key=lambda document: (found[document], document.encode()), reverse=True))
        for query, found in scores.items()
    }
    return Run(next(iter(tags)), ordered)


def read_qrels(file: Path) -> dict[str, dict[str, int]]:
    """Query → document → grade. Raises `JudgementError`, naming file and line."""
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    for number, (query, _, document, grade) in _rows(file, "query 0 document grade"):
        _once(file, number, grades[query], query, document)
        try:
            grades[query][document] = int(grade)
        except ValueError as error:
            raise JudgementError(f"{file}, line {number}: the grade {grade!r} is not a whole number") from error
    return dict(grades)


def read_topics(file: Path) -> dict[str, str]:
    """Query → question, from lines of an id, a TAB and the question. Raises `JudgementError`, naming file and line."""
    questions: dict[str, str] = {}
    for number, line in _lines(file):
        query, _, question = (part.strip() for part in line.partition("\t"))
        if not query or not question:
            raise JudgementError(f"{file}, line {number}: not an id, a TAB and a question")
        if decode(query) in questions:
            raise JudgementError(f"{file}, line {number}: {query} has a question already: leave one")
        questions[decode(query)] = question
    return questions


def _rows(file: Path, columns: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and decoded columns."""
    for number, line in _lines(file):
        row = line.split()
        if len(row) != len(columns.split()):
            raise JudgementError(f"{file}, line {number}: {len(row)} columns, where «{columns}» was expected")
        yield number, [decode(column) for column in row]


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, with their numbers."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise JudgementError(f"{file}: cannot be read ({error}): name a text file in UTF-8") from error
    if not text.strip():
        raise JudgementError(f"{file}: is empty: nothing to measure with")
    yield from ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())


def _once(file: Path, number: int, found: Mapping[str, object], query: str, document: str) -> None:
    if document in found:
        raise JudgementError(f"{file}, line {number}: {document} stands there already for {query}: leave one")


def _score(file: Path, number: int, text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise JudgementError(f"{file}, line {number}: the score {text!r} is not a number to sort by")
    return score
