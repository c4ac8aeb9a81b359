"""What a row holds: a passage as it lies in the catalog, and the record of its vectors."""

import base64
import binascii
import json
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from pincite.errors import IndexDamaged
from pincite.storage import lexical, vectors
from pincite.storage.catalog import StoredPassage
from pincite.storage.milvus.cluster import ALIVE, LONGEST, Row
from pincite.storage.vectors import CorruptRecord, Held

PASSAGE = ("id", "passage", "record")
"""The fields that an answer needs."""
WHOLE = (
    *("key", "id", "born", "died", "vector", "words", "source", "endings", "titled", "modified", "passage", "record"),
)
_BYTES = ("sentences", "numbers", "key", "sha256")
_LONG, _MANY = 64, 16
"""Characters of an ending, and endings of a source, that can be asked for."""
_LEFT_OUT = ("segment", "offset", "length")
"""Where the record lies on the machine that syncs."""
_KINDS = {"id": int, "start": int, "end": int}
"""All other values are text."""
_OTHER = "utf8x"
"""Before the bytes of a term in hexadecimal that is more than ASCII: tokenizers part such words each in its own way."""


def row(stored: StoredPassage, record: bytes, modified: int, born: int) -> Row:
    """Of a passage that is alive from generation `born` on. Raises `CorruptRecord`."""
    held = vectors.held(record)
    if held.key != stored.key:
        raise CorruptRecord("another record's")
    passage = stored.passage
    name = PurePosixPath(stored.source).name
    return {
        "key": f"{stored.id}:{born}",
        "id": stored.id,
        "born": born,
        "died": ALIVE,
        "vector": np.frombuffer(held.vector, "<f2").astype(np.float32),
        "words": joined(lexical.terms(passage.indexed_text)),
        "source": stored.source,
        "endings": endings(stored.source),
        "titled": joined(dict.fromkeys(lexical.terms(passage.title or name))),
        "modified": modified,
        "passage": _pieces(_packed(stored)),
        "record": _pieces(base64.b64encode(record).decode("ascii")),
    }


def encoded(term: str) -> str:
    """A term as any tokenizer leaves it."""
    return term if term.isascii() else f"{_OTHER}{term.encode('utf-8').hex()}"


def joined(terms: Iterable[str]) -> str:
    """Terms as text, as many as a field takes; never empty, for nothing can be made of no words."""
    text = " ".join(map(encoded, terms)) or _OTHER
    return text if len(text) <= LONGEST else text[: LONGEST + 1].rpartition(" ")[0]


def endings(source: str) -> list[str]:
    """What stands behind each dot of a source, in small letters as SQLite has them: those of ASCII."""
    small = "".join(sign.lower() if sign.isascii() else sign for sign in source)
    found = [small[at + 1 :] for at, sign in enumerate(small) if sign == "."]
    return [ending for ending in found if len(ending) <= _LONG][-_MANY:]


def _packed(stored: StoredPassage) -> str:
    values: dict[str, Any] = {name: value for name, value in stored._asdict().items() if name not in _LEFT_OUT}
    values |= {name: base64.b64encode(values[name]).decode("ascii") for name in _BYTES}
    return json.dumps(values)


def _pieces(text: str) -> list[str]:
    """ASCII in pieces that a field takes."""
    return [text[at : at + LONGEST] for at in range(0, len(text), LONGEST)]


def stored_passage(found: Row) -> StoredPassage:
    """The passage of a row. Raises `IndexDamaged`."""
    try:
        values = json.loads("".join(found["passage"]))
        if not all(isinstance(value, _KINDS.get(name, str)) for name, value in values.items()):
            raise TypeError("a value is not of its kind")
        values |= {name: base64.b64decode(values[name], validate=True) for name in _BYTES}
        values |= dict.fromkeys(_LEFT_OUT)
        stored = StoredPassage(**values)
    except (ValueError, TypeError, KeyError, binascii.Error) as error:
        raise damaged(found) from error
    if stored.id != found["id"] or len(stored.numbers) % 4:
        raise damaged(found)
    return stored


def damaged(found: Row) -> IndexDamaged:
    """That a row is not what was written."""
    return IndexDamaged(f"passage {found.get('id')}: damaged on the cluster: run python ingest.py --rebuild")


def held(found: Row, stored: StoredPassage) -> Held | None:
    """The record of a row; None where it is damaged."""
    try:
        record = vectors.held(base64.b64decode("".join(found["record"]), validate=True))
    except (CorruptRecord, ValueError):
        return None
    return record if record.key == stored.key and record.sentence_count == stored.sentence_count else None
