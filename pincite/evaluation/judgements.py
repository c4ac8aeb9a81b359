"""Judgements: questions and the places that answer them, by quote, so that they survive any re-cutting."""

import fcntl
import hashlib
import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pincite.durable import flush, flush_open
from pincite.errors import JudgementError
from pincite.quotation import Quotation
from pincite.quotation import locate as locate
from pincite.types import Place


class JudgedPlace(Quotation):
    """A place as it was judged."""

    grade: int = Field(2, ge=0, le=2)
    """0 does not answer, 1 in part, 2 by itself."""


class Judgement(BaseModel):
    """One line of a judgements file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    question: str
    places: tuple[JudgedPlace, ...] = ()
    unanswerable: bool = False
    by: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """A question with what is right, as it is found in one index."""

    id: str
    question: str
    grades: Mapping[str, int]
    """Source → grade; empty where nothing answers."""
    places: Mapping[Place, int] = field(default_factory=dict)
    """Exact places → grade; empty where only documents were judged."""
    unanswerable: bool = False


def load(path: Path) -> list[Judgement]:
    """The judgements of a file, or of all `.jsonl` files of a folder, in order.

    A later line with the same id replaces the earlier. Raises `JudgementError`, naming file and
    line, for one that cannot be read, and for a path without judgements.
    """
    found = read(sorted(path.glob("*.jsonl")) if path.is_dir() else [path])
    if not found:
        raise JudgementError(f"{path}: holds no judgements: name a .jsonl file or a folder of them")
    return found


def read(files: Iterable[Path]) -> list[Judgement]:
    """The same for these files; none where they hold none."""
    found: dict[str, Judgement] = {}
    for file in files:
        try:
            found |= _latest(file, file.read_bytes())
        except OSError as error:
            raise JudgementError(f"{file}: cannot be read ({error})") from error
    return list(found.values())


def _latest(file: Path, data: bytes) -> dict[str, Judgement]:
    """Id → the last line that has it, in the order of the first."""
    return {judgement.id: judgement for judgement in _lines(file, data)}


def _lines(file: Path, data: bytes) -> Iterator[Judgement]:
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError as error:
        raise JudgementError(f"{file}: cannot be read ({error})") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield Judgement.model_validate_json(line)
            except ValidationError as error:
                first = error.errors()[0]
                key = ".".join(str(part) for part in first["loc"])
                raise JudgementError(
                    f"{file}, line {number}: {f'{key}: ' if key else ''}{first['msg']}: mend the line"
                ) from error


def documents(judgements: Iterable[Judgement]) -> list[JudgedQuery]:
    """Judged queries by document alone, for what is measured without an index."""
    return [JudgedQuery(j.id, j.question, _grades(j), {}, j.unanswerable) for j in judgements]


def _grades(judgement: Judgement) -> dict[str, int]:
    """Source → the best grade of its places."""
    grades: dict[str, int] = {}
    for place in judgement.places:
        grades[place.source] = max(grades.get(place.source, place.grade), place.grade)
    return grades


def join(
    questions: Mapping[str, str],
    grades: Mapping[str, Mapping[str, int]],
    places: Mapping[str, Mapping[Place, int]] = MappingProxyType({}),
) -> tuple[list[JudgedQuery], list[str]]:
    """Every question with at least one relevant document, and a line for each judged query that has
    no question or no relevant document: nothing can be measured with it.
    """
    relevant = {query: any(grade > 0 for grade in judged.values()) for query, judged in grades.items()}
    queries = [
        JudgedQuery(query, question, grades[query], places.get(query, {}))
        for query, question in questions.items()
        if relevant.get(query)
    ]
    left_out = [
        f"{query}: is judged, but has no {'question' if query not in questions else 'relevant document'}: left out"
        for query in grades
        if query not in questions or not relevant[query]
    ]
    return queries, left_out


def absent(queries: Iterable[JudgedQuery], sources: Container[str]) -> list[str]:
    """A line for each judged document that is not among the sources."""
    return [
        f"{query.id}: {source}: the document is not in the index"
        for query in queries
        for source in query.grades
        if source not in sources
    ]


def project(judgements: Iterable[Judgement], texts: Mapping[str, str | None]) -> tuple[list[JudgedQuery], list[str]]:
    """Judged queries over the indexed texts, and a line for each place that is no longer there."""
    queries, lost = [], []
    for judgement in judgements:
        places: dict[Place, int] = {}
        for place in judgement.places:
            text = texts.get(place.source)
            span = locate(place, text) if text is not None else None
            if span is None:
                what = "its quote is not there once" if text is not None else "the document is not in the index"
                lost.append(
                    f"{judgement.id}: {place.source}: {what}: {json.dumps(place.quote[:60], ensure_ascii=False)}"
                )
            else:
                places[Place(place.source, *span)] = place.grade
        queries.append(
            JudgedQuery(judgement.id, judgement.question, _grades(judgement), places, judgement.unanswerable)
        )
    return queries, lost


def identity(question: str) -> str:
    """An id for a person's question, from its words alone, whatever their white space and case."""
    return f"own-{hashlib.sha256(' '.join(question.casefold().split()).encode()).hexdigest()[:12]}"


def measurable(judgements: Iterable[Judgement]) -> tuple[list[Judgement], list[str]]:
    """The judgements that say what is right, and a line for each that only says what is not.

    One that was taken back altogether says nothing, and gets no line.
    """
    found, left_out = [], []
    for judgement in judgements:
        if judgement.unanswerable or any(place.grade for place in judgement.places):
            found.append(judgement)
        elif judgement.places:
            left_out.append(f"{judgement.id}: no place judged answers, and it is not marked unanswerable: left out")
    return found, left_out


def update(judge: Callable[[Mapping[str, Judgement]], Iterable[Judgement]], file: Path) -> int:
    """Append to a judgements file what `judge` makes of those in it, by id, as far as it does not say so yet.

    Nobody else writes to it meanwhile. What differs only in when it was judged is not said again. Returns how many
    lines were flushed to the disk. Raises `JudgementError` for a file that is no judgements file or cannot be written.
    """
    if file.is_dir():
        raise JudgementError(f"{file}: is a folder: name a .jsonl file in it")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a+b", buffering=0) as out:  # what cannot be written is not kept for when it is closed
            fcntl.flock(out, fcntl.LOCK_EX)  # given back when the file is closed, or its process dies
            out.seek(0)
            before = out.read()
            known = _latest(file, before)
            new = [j for j in judge(known) if j.id not in known or known[j.id].model_copy(update={"at": j.at}) != j]
            lines = [json.dumps(judgement.model_dump(mode="json"), ensure_ascii=False) + "\n" for judgement in new]
            first = "\n" if lines and before and not before.endswith(b"\n") else ""
            data = (first + "".join(lines)).encode()
            if out.write(data) < len(data):
                out.truncate(len(before))  # half a line would keep all others from being read
                raise JudgementError(f"{file}: cannot be written (no room for a line): see to the disk")
            flush_open(out.fileno())
            if not before:
                flush(file.parent)  # the name of a new file must last as long as what is in it
    except OSError as error:
        raise JudgementError(f"{file}: cannot be written ({error.strerror})") from error
    return len(new)
