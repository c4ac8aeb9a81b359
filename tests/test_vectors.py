"""Vector segments: what goes in comes out, and what is damaged is noticed."""

import os
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pincite.storage import vectors
from pincite.storage.vectors import CorruptRecord, Location, Record, SegmentReader, SegmentWriter


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    vectors = rng.standard_normal(shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def record(seed: int, sentences: int = 3, dim: int = 16) -> Record:
    rng = np.random.default_rng(seed)
    return Record(rng.bytes(32), unit(rng, dim), unit(rng, sentences, dim))


def records() -> st.SearchStrategy[Record]:
    return st.builds(record, st.integers(0, 2**32), st.integers(0, 9), st.sampled_from([1, 2, 7, 384]))


def write(folder: Path, many: list[Record], committed: dict[int, int] | None = None) -> list[Location]:
    writer = SegmentWriter(folder, committed or {})
    places = [writer.append(one) for one in many]
    writer.close()
    return places


def ends(places: list[Location]) -> dict[int, int]:
    return {place.segment: place.offset + place.length for place in places}


def assert_is(found: Record, written: Record) -> None:
    """The vector to the nearest float16, each sentence to half a step of int8."""
    assert found.key == written.key
    assert np.array_equal(found.vector, written.vector.astype(np.float16).astype(np.float32))
    # 127 steps up to the largest coordinate of a sentence, so half a step is its 254th part.
    half = np.abs(written.sentences).max(axis=1, initial=0) / 254
    assert np.all(np.abs(found.sentences - written.sentences) <= half[:, None] * 1.0001)
    assert found.sentences.shape == written.sentences.shape


@given(records())
@hypothesis_settings(deadline=None, max_examples=200)
def test_a_record_comes_back_to_the_stated_precision(written: Record) -> None:
    found = vectors.decode(vectors.encode(written))
    assert_is(found, written)
    assert (found.vector.dtype, found.sentences.dtype) == (np.float32, np.float32)


def test_a_record_is_laid_out_as_the_module_says() -> None:
    written = Record(b"k" * 32, np.array([0.6, -0.8], np.float32), np.array([[1.0, -0.5]], np.float32))

    data = vectors.encode(written)

    # magic 4, payload length 4, key 32, dim 2, sentences 2, payload, checksum 4
    assert data[:4] == b"VREC"
    assert data[4:8] == (10).to_bytes(4, "little")  # 2 float16, 1 float32, 2 int8
    assert data[8:40] == b"k" * 32
    assert data[40:44] == bytes([2, 0, 1, 0])
    assert data[44:48] == np.array([0.6, -0.8], "<f2").tobytes()
    assert data[48:52] == np.array([1 / 127], "<f4").tobytes()
    assert data[52:54] == bytes([127, 256 - 64])  # -0.5 is 63.5 steps down: to the even one, 64
    assert len(data) == 58


def test_a_sentence_of_zeros_stays_one() -> None:
    written = Record(b"z" * 32, np.zeros(4, np.float32), np.zeros((2, 4), np.float32))
    found = vectors.decode(vectors.encode(written))
    assert np.array_equal(found.sentences, written.sentences)
    assert np.array_equal(found.vector, written.vector)


@given(records(), st.data())
@hypothesis_settings(deadline=None, max_examples=300)
def test_any_flipped_byte_is_noticed(written: Record, data: st.DataObject) -> None:
    stored = bytearray(vectors.encode(written))
    stored[data.draw(st.integers(0, len(stored) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CorruptRecord):
        vectors.decode(bytes(stored))


def test_any_truncation_is_noticed() -> None:
    stored = vectors.encode(record(1))
    for length in range(len(stored)):
        with pytest.raises(CorruptRecord):
            vectors.decode(stored[:length])


def test_a_record_is_read_where_it_was_written(tmp_path: Path) -> None:
    many = [record(seed, sentences=seed % 4) for seed in range(20)]
    places = write(tmp_path / "v", many)

    reader = SegmentReader(tmp_path / "v")
    for place, written in zip(places, many, strict=True):
        assert_is(reader.read(place, written.key), written)
    reader.close()

    assert places[0] == Location(1, 8, len(vectors.encode(many[0])))
    assert vectors.segment_path(tmp_path / "v", 1).read_bytes()[:8] == vectors.SEGMENT_MAGIC


def test_another_ones_record_a_missing_segment_and_a_place_past_the_end_are_refused(tmp_path: Path) -> None:
    one, two = record(1), record(2)
    places = write(tmp_path / "v", [one, two])
    reader = SegmentReader(tmp_path / "v")
    wrong = [
        (places[0], two.key),
        (Location(9, 8, places[0].length), one.key),
        (Location(1, 10**6, places[0].length), one.key),
        (places[0]._replace(length=places[0].length - 1), one.key),
    ]
    for place, key in wrong:
        with pytest.raises(CorruptRecord):
            reader.read(place, key)
    reader.close()


def test_a_reader_closes_every_file_it_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "_FULL", 400)
    many = [record(seed) for seed in range(6)]
    places = write(tmp_path / "v", many)
    assert len({place.segment for place in places}) > 1
    before = len(os.listdir("/dev/fd"))

    reader = SegmentReader(tmp_path / "v")
    for place, written in zip(places, many, strict=True):
        reader.read(place, written.key)
    assert len(os.listdir("/dev/fd")) == before + len({place.segment for place in places})
    reader.close()

    assert len(os.listdir("/dev/fd")) == before


def scanned(folder: Path) -> list[tuple[bytes, Location]]:
    return [found for number in vectors.segment_numbers(folder) for found in vectors.scan(folder, number)]


@given(
    st.lists(records(), min_size=1, max_size=6, unique_by=lambda one: one.key),
    st.sets(st.integers(0, 5)),
    st.randoms(use_true_random=False),
)
@hypothesis_settings(deadline=None, max_examples=150)
def test_a_scan_finds_every_sound_record_and_no_damaged_one(
    tmp_path_factory: pytest.TempPathFactory, many: list[Record], damaged: set[int], chance: Random
) -> None:
    folder = tmp_path_factory.mktemp("scan") / "v"
    folder.parent.mkdir(exist_ok=True)
    places = write(folder, many)
    path = vectors.segment_path(folder, 1)
    data = bytearray(path.read_bytes())
    for number in damaged & set(range(len(many))):
        place = places[number]
        data[place.offset + chance.randrange(place.length)] ^= chance.randrange(1, 256)
    path.write_bytes(data)

    sound = [(many[number].key, places[number]) for number in range(len(many)) if number not in damaged]
    assert scanned(folder) == sound


def test_a_scan_stops_at_a_record_cut_off_and_is_not_led_astray_by_a_key(tmp_path: Path) -> None:
    many = [record(1)._replace(key=b"VREC" * 8), record(2), record(3)]
    places = write(tmp_path / "v", many)
    path = vectors.segment_path(tmp_path / "v", 1)
    os.truncate(path, path.stat().st_size - 1)
    assert scanned(tmp_path / "v") == [(b"VREC" * 8, places[0]), (many[1].key, places[1])]

    data = bytearray(path.read_bytes())
    data[places[0].offset] ^= 1  # the first record's own mark: those in its key are not records
    path.write_bytes(data)
    assert scanned(tmp_path / "v") == [(many[1].key, places[1])]


def test_a_dead_runs_bytes_are_cut_off(tmp_path: Path) -> None:
    folder = tmp_path / "v"
    many = [record(seed) for seed in range(4)]
    places = write(folder, many)
    path = vectors.segment_path(folder, 1)
    whole = path.read_bytes()
    committed = ends(places[:2])

    vectors.trim(folder, committed)
    assert path.read_bytes() == whole[: committed[1]]

    vectors.trim(folder, committed)  # nothing more to cut
    assert path.read_bytes() == whole[: committed[1]]

    more = write(folder, many[2:], committed)
    assert more == places[2:]
    assert path.read_bytes() == whole


def test_of_a_segment_that_was_never_committed_its_mark_alone_stays(tmp_path: Path) -> None:
    write(tmp_path / "v", [record(1)])
    vectors.trim(tmp_path / "v", {})
    assert vectors.segment_path(tmp_path / "v", 1).read_bytes() == vectors.SEGMENT_MAGIC


def test_a_segment_that_only_an_older_state_names_is_left_to_its_readers(tmp_path: Path) -> None:
    folder = tmp_path / "v"
    (place,) = write(folder, [record(1)])
    writer = SegmentWriter(folder, ends([place]))
    writer.begin_segment()
    later = writer.append(record(2))
    writer.close()
    before = vectors.segment_path(folder, 1).read_bytes()
    vectors.trim(folder, ends([later]))
    assert vectors.segment_path(folder, 1).read_bytes() == before


@pytest.mark.parametrize("length", range(8))
def test_a_segment_whose_mark_was_cut_off_is_begun_again(tmp_path: Path, length: int) -> None:
    folder = tmp_path / "v"
    folder.mkdir()
    vectors.segment_path(folder, 1).write_bytes(vectors.SEGMENT_MAGIC[:length])
    vectors.trim(folder, {})
    (place,) = write(folder, [record(1)])
    assert place.offset == 8
    assert scanned(folder) == [(record(1).key, place)]


def test_a_segment_shorter_than_was_committed_is_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "v"
    places = write(folder, [record(1), record(2)])
    path = vectors.segment_path(folder, 1)
    os.truncate(path, ends(places)[1] - 10)
    before = path.read_bytes()

    vectors.trim(folder, ends(places))
    (place,) = write(folder, [record(3)], ends(places))

    assert path.read_bytes() == before
    assert (place.segment, place.offset) == (2, 8)


def test_the_number_of_a_missing_segment_is_not_used_again(tmp_path: Path) -> None:
    folder = tmp_path / "v"
    places = write(folder, [record(1)])
    vectors.segment_path(folder, 1).unlink()
    assert write(folder, [record(2)], ends(places))[0].segment == 2


def test_full_segments_are_closed_and_the_next_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "v"
    many = [record(seed) for seed in range(7)]
    size = len(vectors.encode(many[0]))
    monkeypatch.setattr(vectors, "_FULL", 8 + 3 * size)

    places = write(folder, many)

    assert [(place.segment, place.offset) for place in places] == [
        (1, 8),
        (1, 8 + size),
        (1, 8 + 2 * size),
        (2, 8),
        (2, 8 + size),
        (2, 8 + 2 * size),
        (3, 8),
    ]
    assert vectors.segment_numbers(folder) == [1, 2, 3]
    assert scanned(folder) == [(one.key, place) for one, place in zip(many, places, strict=True)]
    # The third has room, so it goes on there; the fourth would not fit into a full one.
    more = write(folder, [record(7), record(8), record(9)], ends(places))
    assert [(place.segment, place.offset) for place in more] == [(3, 8 + size), (3, 8 + 2 * size), (4, 8)]


def test_a_record_larger_than_a_segment_gets_one_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "_FULL", 100)
    many = [record(1), record(2)]
    places = write(tmp_path / "v", many)
    assert [(place.segment, place.offset) for place in places] == [(1, 8), (2, 8)]


def test_what_was_flushed_can_be_read_while_the_writer_is_open(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "v", {})
    written = record(1)
    place = writer.append(written)
    writer.flush()
    reader = SegmentReader(tmp_path / "v")
    assert_is(reader.read(place, written.key), written)
    reader.close()
    writer.close()
