"""Judging from what is on the screen: a grade for a passage becomes a line of the person's judgements, at once."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from pincite.errors import JudgementError
from pincite.evaluation.adoption import Texts
from pincite.evaluation.judgements import JudgedPlace, Judgement, identity, locate, read, update
from pincite.storage import Catalog
from pincite.types import Passage, Span


@dataclass(frozen=True, slots=True)
class Standing:
    """A judged place as it is now."""

    place: JudgedPlace
    change: str
    """What has become of it since it was judged, in words; empty where it stands as it stood."""


class OwnJudgements:
    """What a person judges: one file, appended to with each grade. Safe to share between sessions and processes."""

    def __init__(self, file: Path, texts: Texts) -> None:
        """`texts` says what is indexed of a source now."""
        self.file = file
        self.text_of = texts
        self._lock = threading.Lock()
        self._state: tuple[int, int, int] | None = None
        self._read: Mapping[str, Judgement] = MappingProxyType({})

    def all(self) -> Mapping[str, Judgement]:
        """Id → judgement, the file read anew only when it has changed. Raises `JudgementError`."""
        with self._lock:
            state = self._stat()
            if state != self._state:
                self._read = MappingProxyType({j.id: j for j in read([self.file] if state else [])})
                self._state = state
            return self._read

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            stat = self.file.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def of(self, question: str) -> Judgement | None:
        """What was judged of a question, whatever its case and white space. Raises `JudgementError`."""
        return self.all().get(identity(question))

    def grade_of(self, question: str, passage: Passage) -> int | None:
        """The best grade that a passage has for a question. Raises `JudgementError`."""
        judgement = self.of(question)
        grades = [place.grade for place in self._judged(judgement, passage)] if judgement else []
        return max(grades, default=None)

    def grade(self, question: str, passage: Passage, grade: int | None) -> None:
        """Save whether a passage answers (2), in part (1) or not (0); None takes back what was said before.

        A passage that answers makes its question answerable. Raises `JudgementError` where the
        passage is no longer what the index holds, or the file cannot be written.
        """
        added = [] if grade is None else [self._place(passage, grade)]

        def judged(judgement: Judgement) -> Judgement:
            kept = [place for place in judgement.places if place not in self._judged(judgement, passage)]
            places = sorted([*kept, *added], key=lambda place: (-place.grade, place.source, place.start))
            unanswerable = judgement.unanswerable and not any(place.grade for place in places)
            return judgement.model_copy(update={"places": tuple(places), "unanswerable": unanswerable})

        self._update(question, judged)

    def mark_unanswerable(self, question: str, unanswerable: bool = True) -> None:
        """Save that nothing in the documents answers, or take it back.

        Raises `JudgementError` where a passage was judged to answer.
        """

        def judged(judgement: Judgement) -> Judgement:
            if unanswerable and any(place.grade for place in judgement.places):
                raise JudgementError("A passage was judged to answer this: take that back first")
            return judgement.model_copy(update={"unanswerable": unanswerable})

        self._update(question, judged)

    def _update(self, question: str, judged: Callable[[Judgement], Judgement]) -> None:
        words = " ".join(question.split())

        def lines(known: Mapping[str, Judgement]) -> Iterator[Judgement]:
            before = known.get(identity(words), Judgement(id=identity(words), question=words))
            after = judged(before)
            if after != before:
                now = datetime.now(UTC).isoformat(timespec="seconds")
                yield after.model_copy(update={"by": "person", "at": now})

        update(lines, self.file)

    def _place(self, passage: Passage, grade: int) -> JudgedPlace:
        text = self.text_of(passage.source)
        if text is None or text[passage.start : passage.end] != passage.text:
            raise JudgementError(f"{passage.source}: has changed since it was shown: ask again, then judge")
        return JudgedPlace.from_text(passage.source, text, *quoted(passage), grade=grade)

    def _judged(self, judgement: Judgement, passage: Passage) -> Sequence[JudgedPlace]:
        """The judged places that lie in a passage; without one, those that share a character with it,
        for the documents may have been cut otherwise since."""
        spans = [(place, span) for place in judgement.places if (span := self._span(place, passage))]
        inside = [place for place, (start, end) in spans if passage.start <= start and end <= passage.end]
        return inside or [place for place, (start, end) in spans if start < passage.end and passage.start < end]

    def _span(self, place: JudgedPlace, passage: Passage) -> Span | None:
        """Where a place stands, if that may be in this passage. The document is read only if need be."""
        start, end = place.start, place.start + len(place.quote)
        if place.source != passage.source:
            return None
        if start >= passage.start and passage.text.startswith(place.quote, start - passage.start):
            return start, end
        if not (start < passage.end and passage.start < end) and place.quote not in passage.text:
            return None
        text = self.text_of(place.source)
        return locate(place, text) if text is not None else None


def indexed_texts(index: Path) -> Texts:
    """What an index holds of each source when it is asked."""

    def text(source: str) -> str | None:
        with Catalog(index) as catalog, catalog.reading():
            document = catalog.document(source)
        return document.text if document else None

    return text


def quoted(passage: Passage) -> Span:
    """The characters of a passage that a judgement quotes: its sentences, without the headings above them."""
    if not passage.sentences:
        return passage.start, passage.end
    return passage.start + passage.sentences[0][0], passage.start + passage.sentences[-1][1]


def standings(judgement: Judgement, texts: Texts) -> list[Standing]:
    """What has become of each place since it was judged."""
    return [Standing(place, _change(place, texts(place.source))) for place in judgement.places]


def _change(place: JudgedPlace, text: str | None) -> str:
    if text is None:
        return "the document is no longer in the index"
    span = locate(place, text)
    if span is None:
        return "stands in several places now" if place.quote in text else "is no longer in the document"
    return "" if span[0] == place.start else f"has moved: now at characters {span[0]}–{span[1]}"
