"""Public test collections in BEIR layout (Thakur et al. 2021, arXiv:2104.08663)."""

import csv
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pincite.errors import JudgementError
from pincite.evaluation.judgements import JudgedQuery, join
from pincite.types import Document, Place, Section

_KINDS = {str: "text", int: "a number"}
_NEEDED = ("corpus.jsonl", "queries.jsonl", "qrels.tsv")


@dataclass(frozen=True, slots=True)
class Collection:
    """A folder with `corpus.jsonl`, `queries.jsonl`, `qrels.tsv` and perhaps `answers.jsonl`."""

    folder: Path

    @property
    def name(self) -> str:
        """What it is called."""
        return self.folder.resolve().name

    def __post_init__(self) -> None:
        """Raise `JudgementError` for a folder that lacks a file."""
        missing = [name for name in _NEEDED if not (self.folder / name).is_file()]
        if missing:
            raise JudgementError(f"{self.folder}: not a collection in BEIR layout: {', '.join(missing)} missing")

    def sha256(self) -> str:
        """Of the documents."""
        with (self.folder / "corpus.jsonl").open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def documents(self) -> Iterator[Document]:
        """Every document, its `_id` as source; one without a text is its title."""
        for row in self._rows("corpus.jsonl", _id=str, text=str):
            yield document(row["_id"], row.get("title") or "", row["text"])

    def queries(self) -> list[JudgedQuery]:
        """Every query with at least one relevant document, in the order of the file."""
        return join(self.questions(), self.grades(), self.places())[0]

    def questions(self) -> dict[str, str]:
        """Query → question, in the order of the file."""
        return {row["_id"]: row["text"] for row in self._rows("queries.jsonl", _id=str, text=str)}

    def places(self) -> dict[str, dict[Place, int]]:
        """Query → the exact places that answer it, where the collection has any."""
        places: dict[str, dict[Place, int]] = defaultdict(dict)
        if (self.folder / "answers.jsonl").is_file():
            wanted = {"query-id": str, "corpus-id": str, "start": int, "end": int}
            for row in self._rows("answers.jsonl", **wanted):
                place = Place(row["corpus-id"], row["start"], row["end"])
                places[row["query-id"]][place] = 1
        return places

    def grades(self) -> dict[str, dict[str, int]]:
        """Query → document → grade."""
        found: dict[str, dict[str, int]] = defaultdict(dict)
        file = self.folder / "qrels.tsv"
        number = 1
        try:
            for number, row in enumerate(csv.reader(_lines(file), delimiter="\t"), start=1):
                if number > 1:
                    query, document, grade = row
                    found[query][document] = int(grade)
        except (ValueError, csv.Error) as error:
            raise JudgementError(f"{file}, line {number}: not query, document and grade") from error
        return found

    def _rows(self, name: str, **wanted: type) -> Iterator[dict[str, Any]]:
        """What each line says, with these keys."""
        file = self.folder / name
        for number, line in enumerate(_lines(file), start=1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise JudgementError(f"{file}, line {number}: not JSON ({error})") from error
            if not isinstance(row, dict) or not all(isinstance(row.get(key), kind) for key, kind in wanted.items()):
                kinds = ", ".join(f"{key} ({_KINDS[kind]})" for key, kind in wanted.items())
                raise JudgementError(f"{file}, line {number}: not an object with {kinds}")
            yield row


def _lines(file: Path) -> Iterator[str]:
    """Of a file in UTF-8. Raises `JudgementError`."""
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            yield from opened
    except UnicodeDecodeError as error:
        raise JudgementError(f"{file}: not in UTF-8") from error
    except OSError as error:
        raise JudgementError(f"{file}: cannot be read ({error.strerror})") from error


def document(id_: str, title: str, text: str) -> Document:
    """A document of a collection; one without a text is its title."""
    digest = hashlib.sha256(f"{title}\0{text}".encode()).hexdigest()
    if not text.strip():
        title, text = "", title
    return Document(id_, title, "text/plain", digest, text, (Section(0, ()),))


def draw(queries: list[JudgedQuery], count: int | None) -> list[JudgedQuery]:
    """`count` queries without replacement, by numpy's `default_rng(0)`, in the order of the file."""
    if count is None or count >= len(queries):
        return queries
    drawn = np.random.default_rng(0).choice(len(queries), count, replace=False)
    return [queries[number] for number in np.sort(drawn)]
