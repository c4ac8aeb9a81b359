"""Zip files of unknown origin: what is in them comes out, and nothing else happens."""

import io
import time
import tracemalloc
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pincite.errors import Unreadable
from pincite.reading import archive
from pincite.reading.archive import Archive, parse

XML = "<?xml version='1.0' encoding='UTF-8'?><a><!-- no --><b c='1'>é &amp; 😀</b>  <d/></a>"


def packed(members: dict[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as packing:
        for name, data in members.items():
            packing.writestr(name, data)
    return file.getvalue()


def reason(data: bytes, member: str | None = None) -> str:
    """Why a file is refused, or one of its members."""
    try:
        opened = Archive(data)
        if member is not None:
            opened.xml(member)
    except Unreadable as error:
        return str(error)
    return "nothing"


def laughs(use: str) -> bytes:
    """A document of one kilobyte that comes to gigabytes once its entities are resolved."""
    entities = ["<!ENTITY e0 'ha '>"] + [f"<!ENTITY e{n} '{f'&e{n - 1};' * 10}'>" for n in range(1, 10)]
    return f"<!DOCTYPE a [{''.join(entities)}]><a>{use}</a>".encode()


def test_members_come_out_as_they_went_in() -> None:
    opened = Archive(packed({"a/one.xml": XML, "two": b"\x00\xff" * 1000}))
    assert opened.names == ("a/one.xml", "two")
    assert ("two" in opened, "three" in opened) == (True, False)
    assert opened.read("two") == b"\x00\xff" * 1000
    root = opened.xml("a/one.xml")
    assert [(node.tag, node.text) for node in root.iter()] == [("a", None), ("b", "é & 😀"), ("d", None)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty"),
        (b"%PDF-1.7", "not of this format"),
        (packed({"a": "text" * 100})[:-30], "damaged: incomplete or overwritten"),
        (packed({"a": "text" * 100})[:50], "damaged: incomplete or overwritten"),
        (archive._COMPOUND + bytes(2000),
         "a file of an old Office version under a new ending: save it in the format of its ending"),
        (archive._COMPOUND + bytes(500) + "EncryptedPackage".encode("utf-16-le"),
         "protected by a password: save a copy without one"),
        (packed({"a": "text"}, zipfile.ZIP_LZMA),
         "packed as no program packs documents: unpack it, pack it again with deflate"),
    ],
    ids=["empty", "another format", "cut at the end", "cut early", "old Office", "password", "lzma"],
)  # fmt: skip
def test_what_is_no_good_zip_file_says_what_it_is(data: bytes, expected: str) -> None:
    assert reason(data) == expected


def test_an_encrypted_member_is_told_from_its_flag() -> None:
    data = bytearray(packed({"a": "text"}))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert reason(bytes(data)) == "protected by a password: save a copy without one"


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"a.xml": bytes(60 * 2**20)}, "unpacks to 60 MB, too much for its size"),
        ({f"{n}.xml": bytes(6 * 2**20) for n in range(10)}, "unpacks to 60 MB, too much for its size"),
        ({str(n): b"" for n in range(20_001)}, "packs 20,001 files, more than the 20,000 that are read"),
    ],
    ids=["one large", "many large", "very many"],
)
def test_a_bomb_is_not_unpacked(members: dict[str, bytes | str], expected: str) -> None:
    data = packed(members)
    tracemalloc.start()
    assert reason(data) == expected
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30 * 2**20


def test_members_that_together_grow_by_too_much_are_refused_whatever_the_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    data = packed({"film.mp4": zlib.compress(b"x" * 1000) * 3000, "a.xml": b"ab" * 2**20})
    assert Archive(data).read("a.xml") == b"ab" * 2**20
    monkeypatch.setattr(archive, "MOST_GROWTH", 2**20)
    assert reason(data) == "unpacks to 2 MB, too much for its size"


def test_large_pictures_that_hardly_shrink_are_no_reason_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_GROWTH", 100)
    monkeypatch.setattr(archive, "SMALL", 1000)
    assert Archive(packed({"film.mp4": b"film" * 1000}, zipfile.ZIP_STORED)).read("film.mp4") == b"film" * 1000


def test_a_member_that_holds_more_than_it_declares_is_refused_before_it_is_unpacked() -> None:
    whole, declared = 40 * 2**20, 1000
    data = packed({"a.xml": bytes(whole)})
    lying = data.replace(whole.to_bytes(4, "little"), declared.to_bytes(4, "little"))
    assert lying != data
    tracemalloc.start()
    assert reason(lying, "a.xml") == "damaged: a.xml cannot be unpacked"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


def test_a_missing_and_a_damaged_member_are_named() -> None:
    data = packed({"a.xml": "text" * 1000})
    assert reason(data, "b.xml") == "damaged: b.xml is missing"
    assert reason(data.replace(data[40:48], bytes(8), 1), "a.xml") == "damaged: a.xml cannot be unpacked"
    assert reason(data, "a.xml") == "damaged: a.xml is not well-formed XML"


# XML


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "damaged: a.xml is not well-formed XML"),
        (b"<a><b></a>", "damaged: a.xml is not well-formed XML"),
        (b"<a>" * 100_000 + b"</a>" * 100_000, "damaged: a.xml is not well-formed XML"),
        (laughs("&e9;"), "damaged: a.xml is not well-formed XML"),
        (laughs("<b c='&e9;'/>"), "damaged: a.xml is not well-formed XML"),
        (laughs(""), "a.xml declares entities, as no document needs to"),
        (b"<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/hostname'>]><a>&e;</a>",
         "a.xml declares entities, as no document needs to"),
    ],
    ids=["empty", "open", "deep", "laughs in text", "laughs in an attribute", "laughs unused", "file"],
)  # fmt: skip
def test_xml_that_is_broken_or_an_attack_is_refused_at_once(data: bytes, expected: str) -> None:
    started = time.process_time()
    assert reason(packed({"a.xml": data}), "a.xml") == expected
    assert time.process_time() - started < 1


def test_a_doctype_is_not_fetched_and_its_entities_stay_unresolved() -> None:
    root = parse(b"<!DOCTYPE ncx SYSTEM 'http://localhost:9/a.dtd'><ncx>one&nbsp;two</ncx>", "a.xml")
    assert (root.text, root[0].tail) == ("one", "two")


def test_xml_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_XML", 2**20)
    with pytest.raises(Unreadable, match=r"^a\.xml has 1 MB, more than the 1 that are read$"):
        parse(b"<a>" + b" " * 2**20 + b"</a>", "a.xml")


GOOD = packed({"a.xml": XML, "b.xml": "<b>" + "text " * 50 + "</b>"})


@hypothesis_settings(deadline=None, max_examples=500)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_bytes_come_out_right_or_are_refused(changes: list[tuple[int, int]]) -> None:
    data = bytearray(GOOD)
    for place, value in changes:
        data[place] = value
    try:
        opened = Archive(bytes(data))
        for name in opened.names:
            opened.xml(name)
    except Unreadable:
        pass
