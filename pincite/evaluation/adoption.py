"""A sheet that was filled in → judgements, at exact places of the indexed texts."""

import datetime
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice

from pincite.errors import QuestionError
from pincite.evaluation import sheet
from pincite.evaluation.judgements import JudgedPlace, Judgement, identity
from pincite.evaluation.sheet import Asked, Block, Complaint, Line
from pincite.query import plain
from pincite.types import Place, Span

GRADES = ("0", "1", "2")

Texts = Callable[[str], str | None]
"""Source → the text that is indexed; None where the source is not."""


@dataclass(slots=True)
class Adoption:
    """What a sheet gave."""

    judgements: list[Judgement] = field(default_factory=list)
    passages: dict[str, list[Place]] = field(default_factory=dict)
    """Id of a question → the passages that were judged."""
    unmarked: int = 0
    """Questions that nobody judged."""
    left_out: int = 0
    """Questions with a complaint. A question is taken whole or not at all: half a judgement would count wrongly."""
    complaints: list[Complaint] = field(default_factory=list)
    """In order of line."""

    def onto(self, known: Mapping[str, Judgement]) -> Iterator[Judgement]:
        """The judgements, with what is known of other passages of the same questions, unless nothing answers."""
        for new in self.judgements:
            before = known[new.id].places if new.id in known else ()
            kept = [
                place
                for place in before
                if not (new.unanswerable and place.grade) and not any(map(place.overlaps, self.passages[new.id]))
            ]
            yield new.model_copy(update={"places": _ordered([*new.places, *kept])})


def adopt(text: str, texts: Texts) -> Adoption:
    """The judgements of a sheet's text. Every quote is what the indexed text has at its place."""
    asked, complaints = sheet.read(text)
    found = Adoption(complaints=complaints)
    seen: dict[str, int] = {}
    for question in asked:
        if not question.is_marked and not question.complaints:
            found.unmarked += 1
            continue
        passages, places = _places(question, texts)
        question.complaints += list(_contradictions(question, places, seen))
        if question.complaints:
            found.left_out += 1
            found.complaints += question.complaints
        else:
            found.judgements.append(judgement := _judgement(question, places))
            found.passages[judgement.id] = passages
    found.complaints.sort(key=lambda complaint: complaint.number)
    return found


def _judgement(question: Asked, places: Sequence[JudgedPlace]) -> Judgement:
    return Judgement(
        id=identity(question.question),
        question=question.question,
        places=_ordered(places),
        unanswerable=bool(question.unanswerable),
        by="person",
        at=datetime.date.today().isoformat(),
    )


def _ordered(places: Iterable[JudgedPlace]) -> tuple[JudgedPlace, ...]:
    return tuple(sorted(places, key=lambda place: (-place.grade, place.source, place.start)))


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


def _places(question: Asked, texts: Texts) -> tuple[list[Place], list[JudgedPlace]]:
    """The passages that were judged, and the places in them. What cannot be taken is added to the question's
    complaints."""
    passages: list[Place] = []
    found: dict[tuple[str, int, str], JudgedPlace] = {}
    for block in filter(lambda block: block.is_marked, question.blocks):
        try:
            passage, places = _judged(block, texts)
            passages.append(passage)
            for place in places:
                known = found.setdefault((place.source, place.start, place.quote), place)
                if known.grade != place.grade:
                    raise _Misjudged(block.number, f"judged [{known.grade}] above and [{place.grade}] here: judge once")
        except _Misjudged as wrong:
            question.complaints.append(Complaint(*wrong.args))
    return passages, list(found.values())


def _judged(block: Block, texts: Texts) -> tuple[Place, list[JudgedPlace]]:
    """A block's passage, and its marked words, or all of it."""
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
    spans = _find(lines, text, block)
    return Place(source, spans[0][0], spans[-1][1]), [
        JudgedPlace.from_text(source, text, *span, grade=int(block.mark)) for span in _answering(lines, spans)
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
