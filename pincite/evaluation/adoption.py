"""A sheet that was filled in → judgements, at exact places of the indexed texts."""

import datetime
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice

from pincite.errors import QuestionError
from pincite.evaluation import sheet
from pincite.evaluation.judgements import JudgedPlace, Judgement, identity
from pincite.evaluation.sheet import Asked, Block, Complaint, Line
from pincite.query import plain
from pincite.types import Span

AROUND = 32
"""Characters kept before and after a quote."""
GRADES = ("0", "1", "2")

Texts = Callable[[str], str | None]
"""Source → the text that is indexed; None where the source is not."""


@dataclass(slots=True)
class Adoption:
    """What a sheet gave."""

    judgements: list[Judgement] = field(default_factory=list)
    unmarked: int = 0
    """Questions that nobody judged."""
    left_out: int = 0
    """Questions with a complaint. A question is taken whole or not at all: half a judgement would count wrongly."""
    complaints: list[Complaint] = field(default_factory=list)
    """In order of line."""


def adopt(text: str, texts: Texts) -> Adoption:
    """The judgements of a sheet's text. Every quote is what the indexed text has at its place."""
    asked, complaints = sheet.read(text)
    found = Adoption(complaints=complaints)
    seen: dict[str, int] = {}
    for question in asked:
        if not question.is_marked and not question.complaints:
            found.unmarked += 1
            continue
        places = _places(question, texts)
        question.complaints += list(_contradictions(question, places, seen))
        if question.complaints:
            found.left_out += 1
            found.complaints += question.complaints
        else:
            found.judgements.append(_judgement(question, places))
    found.complaints.sort(key=lambda complaint: complaint.number)
    return found


def _judgement(question: Asked, places: Sequence[JudgedPlace]) -> Judgement:
    return Judgement(
        id=identity(question.question),
        question=question.question,
        places=tuple(sorted(places, key=lambda place: (-place.grade, place.source, place.start))),
        unanswerable=bool(question.unanswerable),
        by="person",
        at=datetime.date.today().isoformat(),
    )


def _contradictions(question: Asked, places: Sequence[JudgedPlace], seen: dict[str, int]) -> Iterator[Complaint]:
    """What is wrong with a question as a whole. `seen`: id → line of the questions before."""
    number = question.number
    try:
        plain(question.question)
    except QuestionError as error:
        yield Complaint(number, str(error))
    if seen.setdefault(identity(question.question), number) != number:
        yield Complaint(number, f"the question of line {seen[identity(question.question)]} again: judge it once")
    if question.unanswerable and question.unanswerable.casefold() != "x":
        yield Complaint(number, f"[{question.unanswerable}] before unanswerable: put x, or nothing")
    answers = any(place.grade for place in places)
    if question.unanswerable and answers:
        yield Complaint(number, "marked unanswerable, and a passage as answering: take one of them back")
    if not question.unanswerable and not answers and not question.complaints:
        yield Complaint(number, "nothing judged here answers: mark the question unanswerable, or empty its brackets")


class _Misjudged(Exception):
    """A block cannot be taken: line and reason."""


def _places(question: Asked, texts: Texts) -> list[JudgedPlace]:
    """The places that were judged. What cannot be taken is added to the question's complaints."""
    found: dict[tuple[str, int, str], JudgedPlace] = {}
    for block in filter(lambda block: block.is_marked, question.blocks):
        try:
            for place in _judged(block, texts):
                known = found.setdefault((place.source, place.start, place.quote), place)
                if known.grade != place.grade:
                    raise _Misjudged(block.number, f"judged [{known.grade}] above and [{place.grade}] here: judge once")
        except _Misjudged as wrong:
            question.complaints.append(Complaint(*wrong.args))
    return list(found.values())


def _judged(block: Block, texts: Texts) -> list[JudgedPlace]:
    """The marked words of a block, or all of it."""
    source, lines = block.place.source, [line for line in block.lines if line.text]
    if not block.mark:
        raise _Misjudged(block.number, "words are marked with > and the brackets are empty: put 2, 1 or 0")
    if block.mark not in GRADES:
        raise _Misjudged(block.number, f"[{block.mark}] is no grade: put 2, 1, 0 or nothing")
    if not lines:
        raise _Misjudged(block.number, "no words of the passage below: put them back, each line behind a |")
    text = texts(source)
    if text is None:
        raise _Misjudged(block.number, f"{source} is not in the index: empty the brackets, or draft again")
    spans = _answering(lines, _find(lines, text, block))
    return [
        JudgedPlace(
            source=source,
            quote=text[start:end],
            prefix=text[max(0, start - AROUND) : start],
            suffix=text[end : end + AROUND],
            start=start,
            grade=int(block.mark),
        )
        for start, end in spans
    ]


def _find(lines: Sequence[Line], text: str, block: Block) -> list[Span]:
    """Where each line stands: where it was drafted, else at the one place that has these words."""
    pattern = _pattern(lines)
    drafted = pattern.match(text, block.place.start)
    everywhere = [drafted] if drafted else list(islice(pattern.finditer(text), 2))
    if len(everywhere) > 1:
        raise _Misjudged(
            block.number, f"stands at several places of {block.place.source}, and not where it was drafted: draft again"
        )
    if not everywhere:
        right = [n for n in range(1, len(lines)) if _pattern(lines[:n]).match(text, block.place.start)]
        raise _Misjudged(
            lines[max(right, default=0)].number,
            f"not what {block.place.source} says there: put the line back, or draft again if the document has changed",
        )
    return [everywhere[0].span(group) for group in range(1, len(lines) + 1)]


def _pattern(lines: Sequence[Line]) -> re.Pattern[str]:
    """Finds these lines one after the other, a group each, whatever white space stands between characters."""
    groups = (r"\s*".join(re.escape(c) for c in line.text if not c.isspace()) for line in lines)
    return re.compile(r"\s*".join(f"({group})" for group in groups))


def _answering(lines: Sequence[Line], spans: Sequence[Span]) -> list[Span]:
    """The marked lines, those that follow one another as one; without any, the whole."""
    if not any(line.answers for line in lines):
        return [(spans[0][0], spans[-1][1])]
    runs = groupby(zip(lines, spans, strict=True), key=lambda pair: pair[0].answers)
    marked = [[span for _, span in run] for answers, run in runs if answers]
    return [(run[0][0], run[-1][1]) for run in marked]
