"""Records: every evaluation of the index is kept beside the judgements, so that any two can be compared."""

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pincite.durable import flush, flush_open
from pincite.errors import IndexMissing, OutputError
from pincite.evaluation.evaluator import Evaluation
from pincite.evaluation.sets import JudgementSet
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.storage import Contents

FOLDER = "runs"
"""In the folder of the judgements."""
_KEPT_OPEN = 64


class Measured(BaseModel):
    """Which state of an index was measured. A number alone does not tell: an index made anew counts from 1 again."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    generation: int
    built_at: datetime
    documents: int
    passages: int
    recipe: dict[str, Any]

    @classmethod
    def of(cls, contents: Contents) -> "Measured":
        """The state that says this of itself."""
        return cls(**contents.model_dump(include={"generation", "built_at", "documents", "passages", "recipe"}))

    @classmethod
    def now(cls, searcher: Searcher) -> "Measured":
        """The state that is current. Raises `IndexMissing`, also for an index without documents."""
        with searcher.snapshot() as snapshot:
            contents = snapshot.contents
        if not contents.passages:
            raise IndexMissing(f"{searcher.settings.index}: no document is indexed: run python ingest.py")
        return cls.of(contents)


class Record(BaseModel):
    """One evaluation: of which index, with which settings and judgements, when, and all that came out."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: Literal[1] = 1
    made_at: datetime
    judgements: str
    """The name of their set."""
    judgements_sha256: str
    index: Measured
    settings: dict[str, Any]
    evaluation: dict[str, Any]
    """What `evaluate.py --json` writes."""

    @classmethod
    def of(cls, found: Evaluation, judged: JudgementSet, index: Measured, settings: Settings) -> "Record":
        """What was found now."""
        return cls(
            made_at=datetime.now(UTC),
            judgements=judged.name,
            judgements_sha256=judged.sha256,
            index=index,
            settings=settings.model_dump(mode="json", exclude={"api"}),  # which measures nothing, and has keys
            evaluation=found.as_json(),
        )

    @property
    def name(self) -> str:
        """Of its file, without the ending; later records have later names."""
        return f"{self.made_at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"

    @property
    def questions(self) -> set[str]:
        """The ids of what was asked."""
        return {row["id"] for row in self.evaluation["rows"]}


def remark_on_changes(found: Evaluation, before: Measured, searcher: Searcher) -> None:
    """Say so where the index was not in one state for all of its questions."""
    if Measured.now(searcher) != before:
        found.remarks.append("The index was brought up to date while it was measured: measure again")


def keep(record: Record, folder: Path) -> Path:
    """Write a record, whole or not at all. Raises `OutputError`."""
    file = folder / f"{record.name}.json"
    draft = folder / f".{record.name}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with draft.open("w", encoding="utf-8") as out:
            json.dump(record.model_dump(mode="json"), out, ensure_ascii=False)
            out.flush()
            flush_open(out.fileno())
        draft.replace(file)
        flush(folder)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise OutputError(f"{file}: cannot be written ({error.strerror}): see that the folder can be") from error
    return file


def kept(folder: Path) -> tuple[list[Record], list[str]]:
    """The records of a folder, the last first, and a line for each file that is none."""
    found, complaints = [], []
    for file in sorted(folder.glob("*.json"), reverse=True):
        try:
            stat = file.stat()
            found.append(_read(file, stat.st_mtime_ns, stat.st_size))
        except (OSError, ValidationError, KeyError):
            complaints.append(f"{file}: is no record of an evaluation, or is damaged: delete it")
    return sorted(found, key=lambda record: record.made_at, reverse=True), complaints


@lru_cache(maxsize=_KEPT_OPEN)
def _read(file: Path, _mtime: int, _size: int) -> Record:
    record = Record.model_validate_json(file.read_bytes())
    _ = record.questions, record.evaluation["measures"], record.evaluation["method"]
    return record


def before(record: Record, records: Iterable[Record]) -> Record | None:
    """The last record of an earlier state of the index, by the same method, that shares a question.

    One over the same judgements is taken before any other.
    """
    earlier: Sequence[Record] = [
        other
        for other in records
        if other.made_at < record.made_at
        and other.index != record.index
        and other.evaluation["method"] == record.evaluation["method"]
        and other.questions & record.questions
    ]
    return max(
        earlier,
        key=lambda other: (other.judgements_sha256 == record.judgements_sha256, other.made_at),
        default=None,
    )
