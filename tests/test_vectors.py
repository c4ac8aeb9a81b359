"""Vector segments: what goes in comes out, and what is damaged is noticed."""

import os
import struct
import threading
import zlib
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pincite.settings import Settings
from pincite.storage import Catalog, IndexFolder, vectors
from pincite.storage.vectors import CorruptRecord, Location, Record, SegmentReader, SegmentWriter


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    vectors = rng.standard_normal(shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def record(seed: int, sentences: int = 3, dim: int = 16, tokens: int = 12, width: int = 5) -> Record:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (tokens, width), dtype=np.uint8)
    return Record(rng.bytes(32), unit(rng, dim), codes, rng.integers(0, 65536, (sentences, 2), dtype=np.uint16))


def records() -> st.SearchStrategy[Record]:
    return st.builds(
        record,
        st.integers(0, 2**32),
        st.integers(0, 9),
        st.sampled_from([1, 2, 7, 384]),
        st.sampled_from([0, 1, 3, 128]),
        st.sampled_from([1, 5, 40]),
    )


def write(folder: Path, many: list[Record], committed: dict[int, int] | None = None) -> list[Location]:
    writer = SegmentWriter(folder, committed or {})
    places = [writer.append(one) for one in many]
    writer.close()
    return places


def ends(places: list[Location]) -> dict[int, int]:
    return {place.segment: place.offset + place.length for place in places}


def assert_is(found: Record, written: Record) -> None:
    """The vector to the nearest float16, tokens and sentences as they were given."""
    assert found.key == written.key
    assert np.array_equal(found.vector, written.vector.astype(np.float16).astype(np.float32))
    assert found.tokens.shape == written.tokens.shape
    assert found.tokens.tobytes() == written.tokens.tobytes()
    assert found.sentences.tolist() == written.sentences.tolist()
    assert found.sentences.shape == written.sentences.shape


@given(records())
@hypothesis_settings(deadline=None, max_examples=200)
def test_a_record_comes_back_to_the_stated_precision(written: Record) -> None:
    found = vectors.decode(vectors.encode(written))
    assert_is(found, written)
    assert (found.vector.dtype, found.tokens.dtype, found.sentences.dtype) == (np.float32, np.uint8, np.uint16)


def test_a_record_is_laid_out_as_the_module_says() -> None:
    tokens = np.array([[1, 2, 3], [250, 251, 252]], np.uint8)
    sentences = np.array([[0, 1], [1, 258]], np.uint16)
    written = Record(b"k" * 32, np.array([0.6, -0.8], np.float32), tokens, sentences)

    data = vectors.encode(written)

    # magic 4, payload length 4, key 32, dim 2, tokens 2, bytes a token 2, sentences 2, payload, checksum 4
    assert data[:4] == b"VREC"
    assert data[4:8] == (18).to_bytes(4, "little")  # 2 float16, 2 · 2 uint16, 2 · 3 bytes
    assert data[8:40] == b"k" * 32
    assert data[40:48] == bytes([2, 0, 2, 0, 3, 0, 2, 0])
    # .6 is 1.2001953125 · 2⁻¹: exponent 14, fraction 205 of 1024, 0x38CD; −.8 is 0xBA66.
    assert data[48:52] == bytes([0xCD, 0x38, 0x66, 0xBA])
    assert data[52:60] == bytes([0, 0, 1, 0, 1, 0, 2, 1])  # 258 is 2 + 256
    assert data[60:66] == bytes([1, 2, 3, 250, 251, 252])
    assert data[66:] == zlib.crc32(data[:66]).to_bytes(4, "little")


def test_a_passage_without_tokens_or_sentences_is_a_record_too() -> None:
    empty = Record(b"z" * 32, np.zeros(4, np.float32), np.empty((0, 40), np.uint8), np.empty((0, 2), np.uint16))
    found = vectors.decode(vectors.encode(empty))
    assert_is(found, empty)
    assert (found.tokens.shape, found.sentences.shape) == ((0, 40), (0, 2))


def test_tokens_and_sentences_of_any_layout_in_memory_are_written_row_by_row() -> None:
    plain = record(1)
    turned = plain._replace(tokens=np.asfortranarray(plain.tokens), sentences=plain.sentences.astype(np.int64))
    assert vectors.encode(turned) == vectors.encode(plain)


@given(records(), st.data())
@hypothesis_settings(deadline=None, max_examples=300)
def test_any_flipped_byte_is_noticed(written: Record, data: st.DataObject) -> None:
    stored = bytearray(vectors.encode(written))
    stored[data.draw(st.integers(0, len(stored) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CorruptRecord):
        vectors.decode(bytes(stored))


@given(st.integers(0, 2**32), st.integers(0, 3), st.integers(1, 65535))
@hypothesis_settings(deadline=None, max_examples=200)
def test_sizes_that_do_not_add_up_are_noticed_whatever_the_checksum_says(seed: int, which: int, more: int) -> None:
    stored = bytearray(vectors.encode(record(seed)))
    place = 40 + 2 * which  # dim, tokens, bytes a token, sentences
    (size,) = struct.unpack_from("<H", stored, place)
    struct.pack_into("<H", stored, place, (size + more) % 2**16)
    stored[-4:] = zlib.crc32(stored[:-4]).to_bytes(4, "little")
    with pytest.raises(CorruptRecord, match="not a record"):
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
        (places[0]._replace(length=places[0].length + 1), one.key),
        # Places that cannot be, as a damaged catalog may name them.
        (places[0]._replace(offset=-8), one.key),
        (places[0]._replace(offset=2**63 - 1), one.key),
        (places[0]._replace(length=0), one.key),
        (places[0]._replace(length=-1), one.key),
        (places[1]._replace(length=2**63 - 1, offset=places[1].offset - 1), two.key),
        (places[0]._replace(segment=-1), one.key),
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


def test_one_who_reads_everything_holds_no_more_maps_than_are_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [record(seed) for seed in range(40)]
    monkeypatch.setattr(vectors, "_FULL", 1_000)
    places = write(tmp_path, many)
    assert len({place.segment for place in places}) > 5
    mapped = Path("/proc/self/maps")
    if not mapped.exists():
        pytest.skip("only Linux says what a process has mapped")
    reader = SegmentReader(tmp_path, 2)
    for one, place in [*zip(many, places, strict=True), *zip(many[::-7], places[::-7], strict=True)]:
        assert_is(reader.read(place, one.key), one)
        assert 1 <= mapped.read_text().count(str(tmp_path)) <= 2
    reader.close()
    assert str(tmp_path) not in mapped.read_text()


def test_a_record_outlives_the_reader_that_read_it(tmp_path: Path) -> None:
    written = record(1)
    (place,) = write(tmp_path / "v", [written])
    reader = SegmentReader(tmp_path / "v")
    found = reader.read(place, written.key)
    reader.close()
    vectors.segment_path(tmp_path / "v", 1).unlink()
    assert_is(found, written)
    reader.close()  # once more does no harm


def test_a_segment_without_a_byte_cannot_be_mapped_and_is_read_once_it_is_filled(tmp_path: Path) -> None:
    written = record(1)
    (place,) = write(tmp_path / "v", [written])
    path = vectors.segment_path(tmp_path / "v", 1)
    whole = path.read_bytes()
    reader = SegmentReader(tmp_path / "v")
    os.truncate(path, 0)
    with pytest.raises(CorruptRecord):
        reader.read(place, written.key)
    path.write_bytes(whole)
    assert_is(reader.read(place, written.key), written)
    reader.close()


@pytest.mark.parametrize("missing", [1, 4, 100, "all but one byte"])
def test_a_segment_that_ends_before_the_place_is_refused_and_the_rest_of_it_read(
    tmp_path: Path, missing: int | str
) -> None:
    one, two = record(1), record(2)
    places = write(tmp_path / "v", [one, two])
    cut = places[1].length - 1 if isinstance(missing, str) else missing
    os.truncate(vectors.segment_path(tmp_path / "v", 1), ends(places)[1] - cut)
    reader = SegmentReader(tmp_path / "v")
    assert_is(reader.read(places[0], one.key), one)
    with pytest.raises(CorruptRecord):
        reader.read(places[1], two.key)
    reader.close()


@pytest.mark.parametrize("kind", ["folder", "nothing"])
def test_a_segment_that_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "v").mkdir()
    if kind == "folder":
        vectors.segment_path(tmp_path / "v", 1).mkdir()
    reader = SegmentReader(tmp_path / "v")
    with pytest.raises(CorruptRecord):
        reader.read(Location(1, 8, 100), b"k" * 32)
    reader.close()


def test_threads_that_share_a_reader_each_get_the_record_they_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "_FULL", 1_000)  # several segments, so that several are mapped at once
    many = [record(seed) for seed in range(60)]
    places = write(tmp_path / "v", many)
    reader = SegmentReader(tmp_path / "v")
    wrong: list[object] = []

    def read(first: int) -> None:
        try:
            for step in range(300):
                number = (first + 7 * step) % len(many)
                assert_is(reader.read(places[number], many[number].key), many[number])
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=read, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reader.close()
    assert wrong == []


# Records of the format before: a vector in float16, then a float32 scale and int8 steps for each sentence


def old_record(seed: int, sentences: int, dim: int) -> bytes:
    rng = np.random.default_rng(seed)
    rows = b"".join(struct.pack("<f", 0.01) + rng.bytes(dim) for _ in range(sentences))
    payload = unit(rng, dim).astype("<f2").tobytes() + rows
    body = struct.pack("<4sI32sHH", b"VREC", len(payload), rng.bytes(32), dim, sentences) + payload
    return body + struct.pack("<I", zlib.crc32(body))


@given(st.integers(0, 2**32), st.integers(0, 12), st.integers(1, 400))
@hypothesis_settings(deadline=None, max_examples=200)
def test_a_record_of_the_format_before_is_not_taken_for_one(seed: int, sentences: int, dim: int) -> None:
    with pytest.raises(CorruptRecord):
        vectors.decode(old_record(seed, sentences, dim))


def test_a_segment_of_the_format_before_holds_no_records_for_a_scan(tmp_path: Path) -> None:
    folder = tmp_path / "v"
    folder.mkdir()
    old = b"PINCSEG1" + b"".join(old_record(seed, seed % 5, 384) for seed in range(20))
    vectors.segment_path(folder, 1).write_bytes(old)
    assert vectors.SEGMENT_MAGIC == b"PINCSEG2"
    assert scanned(folder) == []
    # What a new one holds is found, though it lies behind the old.
    new = record(1)
    vectors.segment_path(folder, 1).write_bytes(old + vectors.encode(new))
    assert scanned(folder) == [(new.key, Location(1, len(old), len(vectors.encode(new))))]


def test_the_token_codes_of_a_passage_of_the_sample_corpus_take_4_kib_at_most(sample: Settings) -> None:
    reader = SegmentReader(IndexFolder(sample.index).vectors)
    with Catalog(sample.index) as catalog:
        stored = list(catalog.all_passages())
        found = [reader.read(one.location, one.key) for one in stored if one.location]
    reader.close()
    assert len(found) == len(stored) > 200
    assert {one.tokens.shape[1] for one in found} == {40}
    assert np.mean([one.tokens.nbytes for one in found]) <= 4096
    assert max(len(one.tokens) for one in found) <= 128  # the budget of a passage
    assert [len(one.sentences) for one in found] == [len(one.passage.sentences) for one in stored]


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
