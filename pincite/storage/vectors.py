"""Segments: append-only files of vector records. The expensive part of an index, kept once.

A segment begins with 8 bytes that name its format. A record is

    magic 4 · payload length 4 · key 32 · dim 2 · tokens 2 · bytes a token 2 · sentences 2 · payload · CRC-32 4

little-endian, the checksum over everything before it. The payload is the passage's unit vector in
float16, then where each sentence's tokens begin and end in uint16, then the codes of the tokens as
they were given. The key is a hash of what was embedded and by which model.
"""

import mmap
import os
import struct
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pincite.durable import flush, flush_open

SEGMENT_MAGIC = b"PINCSEG2"
_RECORD_MAGIC = b"VREC"
_HEADER = struct.Struct("<4sI32sHHHH")
_CHECKSUM = struct.Struct("<I")
_FULL = 256 * 2**20
"""A segment that has grown past this is closed and the next one begun."""


class Location(NamedTuple):
    """Where a record lies."""

    segment: int
    offset: int
    length: int


class Record(NamedTuple):
    """A passage's vectors."""

    key: bytes
    vector: np.ndarray
    """Float32, shape (dim,)."""
    tokens: np.ndarray
    """Codes, uint8, shape (tokens, bytes a token)."""
    sentences: np.ndarray
    """Where each sentence's tokens begin and end, uint16, shape (sentences, 2)."""


class Records(NamedTuple):
    """The vectors of several passages, end to end: many small arrays would take longer than what is done with them."""

    vectors: np.ndarray
    """Float32, shape (passages, dim)."""
    tokens: np.ndarray
    """Codes, uint8, shape (tokens of all, bytes a token)."""
    token_counts: np.ndarray
    """How many of them each passage has, int64, shape (passages,)."""
    sentences: np.ndarray
    """Where each sentence's tokens begin and end among its passage's, uint16, shape (sentences of all, 2)."""
    sentence_counts: np.ndarray
    """How many of them each passage has, int64, shape (passages,)."""


class CorruptRecord(Exception):
    """A record that is not what was written; it is embedded again."""


def encode(record: Record) -> bytes:
    """The bytes of a record."""
    payload = record.vector.astype("<f2").tobytes() + record.sentences.astype("<u2").tobytes() + record.tokens.tobytes()
    sizes = (len(record.vector), *record.tokens.shape, len(record.sentences))
    header = _HEADER.pack(_RECORD_MAGIC, len(payload), record.key, *sizes)
    return header + payload + _CHECKSUM.pack(zlib.crc32(header + payload))


class Held(NamedTuple):
    """A record that was checked, as it lies there."""

    key: bytes
    vector: memoryview
    sentences: memoryview
    tokens: memoryview
    dim: int
    token_count: int
    token_bytes: int
    sentence_count: int


def held(data: bytes | memoryview) -> Held:
    """The record in `data`. Raises `CorruptRecord` unless every byte is as it was written."""
    if len(data) < _HEADER.size + _CHECKSUM.size:
        raise CorruptRecord("too short")
    view = memoryview(data)
    body = view[: -_CHECKSUM.size]
    if zlib.crc32(body) != _CHECKSUM.unpack(view[-_CHECKSUM.size :])[0]:
        raise CorruptRecord("checksum differs")
    magic, length, key, dim, tokens, width, sentences = _HEADER.unpack_from(body)
    if magic != _RECORD_MAGIC or not length == len(body) - _HEADER.size == 2 * dim + 4 * sentences + tokens * width:
        raise CorruptRecord("not a record")
    first = _HEADER.size + 2 * dim
    second = first + 4 * sentences
    return Held(key, body[_HEADER.size : first], body[first:second], body[second:], dim, tokens, width, sentences)


def decode(data: bytes | memoryview) -> Record:
    """The record in `data`. Raises `CorruptRecord` unless every byte is as it was written."""
    record = held(data)
    together = decode_all([record])
    return Record(record.key, together.vectors[0], together.tokens, together.sentences)


def decode_all(records: Sequence[Held]) -> Records:
    """What these hold, which are of one model; one at least."""
    keys, vectors, sentences, tokens, dims, token_counts, widths, sentence_counts = zip(*records, strict=True)
    del keys
    counts = np.array(token_counts, dtype=np.int64)
    return Records(
        np.frombuffer(b"".join(vectors), "<f2").astype(np.float32).reshape(-1, dims[0]),
        np.frombuffer(b"".join(tokens), np.uint8).reshape(counts.sum(), widths[0]),
        counts,
        np.frombuffer(b"".join(sentences), "<u2").reshape(-1, 2),
        np.array(sentence_counts, dtype=np.int64),
    )


def joined(parts: Sequence[Records]) -> Records:
    """The passages of all of these, in order."""
    return parts[0] if len(parts) == 1 else Records(*map(np.concatenate, zip(*parts, strict=True)))


AT_A_TIME = 2
"""Maps that are enough for whoever goes through all records, more or less in the order in which they lie."""


class SegmentReader:
    """Reads records through memory maps. Safe to share between threads; keeps them open until closed.

    What is committed is never cut off or overwritten, so what a reader looks at stays mapped. A map that
    records still look into goes with the last of them.
    """

    def __init__(self, folder: Path, most: int = sys.maxsize) -> None:
        """`most`: maps that are open at a time. What was looked at of a map counts as memory of the process."""
        self._folder = folder
        self._most = most
        self._maps: dict[int, memoryview] = {}

    def read(self, location: Location, key: bytes) -> Record:
        """Raises `CorruptRecord` where the record is missing, damaged or another one's."""
        (vector, *_), tokens, _, sentences, _ = decode_all([self.hold(location, key)])
        return Record(key, vector, tokens, sentences)

    def hold(self, location: Location, key: bytes) -> Held:
        """The same for `decode_all`."""
        record = held(self._view(location))
        if record.key != key:
            raise CorruptRecord("another record's")
        return record

    def read_bytes(self, location: Location) -> bytes:
        """The record as it lies there, unchecked. Raises `CorruptRecord` where there is none."""
        return bytes(self._view(location))

    def _view(self, location: Location) -> memoryview:
        mapped = self._maps.get(location.segment)
        end = location.offset + location.length
        if mapped is None or len(mapped) < end:  # it may have grown since
            try:
                with segment_path(self._folder, location.segment).open("rb") as file:
                    mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            except (OSError, ValueError) as error:  # an empty file cannot be mapped
                raise CorruptRecord(str(error)) from error
            while len(self._maps) >= self._most:
                del self._maps[next(iter(self._maps))]
            self._maps[location.segment] = mapped
        return mapped[location.offset : end]

    def close(self) -> None:
        """Let go of every map."""
        self._maps.clear()


def trim(folder: Path, committed: Mapping[int, int]) -> None:
    """Cut off what lies past the last committed record of each segment: a dead run's.

    `committed`: segment → end of its last committed record. One that is not in it was emptied by compaction, and a
    reader of an older state may still need it, or it is a dead run's, which only begins what is the last.
    """
    numbers = segment_numbers(folder)
    for number in numbers:
        if number not in committed and number < numbers[-1]:
            continue
        path = segment_path(folder, number)
        size = path.stat().st_size
        if size < len(SEGMENT_MAGIC):  # died before it had named its format: begun again when it is next opened
            os.truncate(path, 0)
        elif size > (end := max(committed.get(number, 0), len(SEGMENT_MAGIC))):
            os.truncate(path, end)


class SegmentWriter:
    """Appends records to trimmed segments. One at a time, by the writer's lock."""

    def __init__(self, folder: Path, committed: Mapping[int, int]) -> None:
        """A last segment that is missing, full or shorter than was committed is not appended to."""
        if not folder.is_dir():
            folder.mkdir()
            flush(folder.parent)
        self._folder = folder
        self._number = max({*segment_numbers(folder), *committed}, default=1)
        path = segment_path(folder, self._number)
        size = path.stat().st_size if path.is_file() else 0
        if size >= _FULL or size < committed.get(self._number, 0):
            self._number += 1
        self._open()

    def _open(self) -> None:
        self._file = segment_path(self._folder, self._number).open("ab")
        if self._file.tell() == 0:
            self._file.write(SEGMENT_MAGIC)
            flush(self._folder)  # the name of a new segment must last as long as what is in it

    def append(self, record: Record) -> Location:
        """Write a record after the last one; it counts once `flush` has returned."""
        return self.append_bytes(encode(record))

    def append_bytes(self, data: bytes) -> Location:
        """The same for a record as it was read."""
        if self._file.tell() + len(data) > _FULL and self._file.tell() > len(SEGMENT_MAGIC):
            self.begin_segment()
        location = Location(self._number, self._file.tell(), len(data))
        self._file.write(data)
        return location

    def begin_segment(self) -> int:
        """Close the segment and begin the next; returns its number."""
        self.close()
        self._number += 1
        self._open()
        return self._number

    def flush(self) -> None:
        """Everything appended is on the disk when this returns."""
        self._file.flush()
        flush_open(self._file.fileno())

    def close(self) -> None:
        """Flush and close."""
        try:
            self.flush()
        finally:
            self._file.close()


def segment_path(folder: Path, number: int) -> Path:
    """`000001.seg` and so on."""
    return folder / f"{number:06}.seg"


def segment_numbers(folder: Path) -> list[int]:
    """The segments that are there, in order."""
    return sorted(int(path.stem) for path in folder.glob("*.seg") if path.stem.isdigit())


def scan(folder: Path, number: int) -> Iterator[tuple[bytes, Location]]:
    """Key and place of every sound record, from the file alone: for an index that lost its catalog.

    After a damaged record it goes on at whatever next looks like the beginning of one.
    """
    data = segment_path(folder, number).read_bytes()
    position = 0
    while (position := data.find(_RECORD_MAGIC, position)) >= 0 and position + _HEADER.size <= len(data):
        _, length, key, *_ = _HEADER.unpack_from(data, position)
        end = position + _HEADER.size + length + _CHECKSUM.size
        try:
            if end > len(data):
                raise CorruptRecord("too short")
            decode(data[position:end])
        except CorruptRecord:
            position += len(_RECORD_MAGIC)
        else:
            yield key, Location(number, position, end - position)
            position = end
