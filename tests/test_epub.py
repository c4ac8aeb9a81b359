"""E-books: the chapters in reading order, and what is no chapter left out and counted."""

import io
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pincite import reading
from pincite.errors import Unreadable
from pincite.reading import epub
from pincite.reading.content import Content

CONTAINER = (
    '<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
NAV = '<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>'
NCX = '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'


def chapter(body: str) -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml" '
        f'xmlns:epub="http://www.idpf.org/2007/ops"><head><title/><link href="x.css"/></head><body>{body}</body></html>'
    )


def packed(files: Mapping[str, str | bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def book(
    chapters: Mapping[str, str | bytes],
    spine: str = "",
    items: str = "",
    title: str = "The Sea Roads",
    more: Mapping[str, str | bytes] | None = None,
) -> bytes:
    """An e-book with these chapters in this order, unless `spine` says otherwise."""
    listed = "".join(
        f'<item id="{name}" href="text/{name}%2Exhtml" media-type="application/xhtml+xml"/>' for name in chapters
    )
    references = "".join(f'<itemref idref="{name}"/>' for name in chapters)
    spine = spine or f"<spine>{references}</spine>"
    package = (
        '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>\n{title}</dc:title></metadata>'
        f"<manifest>{listed}{items}</manifest>{spine}</package>"
    )
    return packed(
        {
            "META-INF/container.xml": CONTAINER,
            "OEBPS/book.opf": package,
            **{f"OEBPS/text/{name}.xhtml": content for name, content in chapters.items()},
            **(more or {}),
        }
    )


def named(content: Content) -> list[tuple[str, tuple[str, ...]]]:
    return [(content.text[s.start :].splitlines()[0], s.heading) for s in content.sections]


def parts(content: Content) -> list[tuple[str, int, str]]:
    return [(part.name, part.number, content.text[part.start : part.end]) for part in content.parts]


CHAPTERS = {
    "one": chapter("<h1>Setting out</h1><p>The ferry sails<br/>at dawn.</p><h2>Fares</h2><p>A car&#160;costs 40.</p>"),
    "two": chapter(
        "<h1>Harbours</h1><table><tr><th>Port</th><th>Depth</th></tr><tr><td>Oban</td><td>9 m</td></tr></table>"
    ),
}


def test_a_book_is_its_chapters_in_order_each_with_its_place() -> None:
    content = epub.read(book(CHAPTERS))
    assert content.title == "The Sea Roads"
    assert parts(content) == [
        ("chapter", 1, "Setting out\n\nThe ferry sails\nat dawn.\n\nFares\n\nA car costs 40."),
        ("chapter", 2, "Harbours\n\nPort\tDepth\nOban\t9 m"),
    ]
    assert content.text == "\n\n".join(text for _, _, text in parts(content))
    assert named(content) == [
        ("Setting out", ("Setting out",)),
        ("Fares", ("Setting out", "Fares")),
        ("Harbours", ("Harbours",)),
    ]
    assert [(t.header, content.text[t.start : t.end]) for t in content.tables] == [("Port | Depth", "Oban\t9 m")]
    assert (content.coverage.searchable, content.coverage.left_out, content.remarks) == (1.0, (), ())


def test_a_book_becomes_a_document(tmp_path: Path) -> None:
    (tmp_path / "a.epub").write_bytes(book(CHAPTERS))
    document = reading.read(tmp_path / "a.epub", "a.epub")
    assert (document.media_type, document.reader, len(document.parts)) == ("application/epub+zip", "epub/2", 2)


@pytest.mark.parametrize(
    ("items", "spine", "more"),
    [
        (
            NAV,
            "",
            {
                "OEBPS/nav.xhtml": chapter(
                    '<nav epub:type="landmarks"><a href="text/one.xhtml">Start</a></nav><nav epub:type="toc"><ol>'
                    '<li><a href="text/one.xhtml#p2">A place in it</a></li><li><a href="text/one.xhtml">Chapter <i>1'
                    '</i></a></li><li><a href="text/three.xhtml#x">Chapter 3</a></li></ol></nav>'
                )
            },
        ),
        (
            NCX,
            '<spine toc="ncx"><itemref idref="one"/><itemref idref="two"/><itemref idref="three"/></spine>',
            {
                "OEBPS/toc.ncx": '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>'
                'Chapter\n1</text></navLabel><content src="text/one.xhtml"/><navPoint><navLabel><text>A place in it'
                '</text></navLabel><content src="text/one.xhtml#p2"/></navPoint></navPoint><navPoint><navLabel><text>'
                'Chapter 3</text></navLabel><content src="text/three.xhtml#x"/></navPoint></navMap></ncx>'
            },
        ),
    ],
    ids=["nav", "ncx"],
)
def test_a_chapter_without_a_heading_has_it_from_the_table_of_contents(
    items: str, spine: str, more: Mapping[str, str]
) -> None:
    chapters = {
        "one": chapter("<p>It was dark.</p>"),
        "two": chapter("<p>It went on.</p>"),
        "three": chapter("<p>A motto.</p><h2>Morning</h2><p>It dawned.</p>"),
    }
    content = epub.read(book(chapters, spine, items, more=more))
    assert content.text == "It was dark.\n\nIt went on.\n\nA motto.\n\nMorning\n\nIt dawned."
    assert named(content) == [
        ("It was dark.", ("Chapter 1",)),
        ("A motto.", ("Chapter 3",)),
        ("Morning", ("Chapter 3", "Morning")),
    ]


def test_what_stands_outside_the_reading_order_is_left_out_and_counted() -> None:
    spine = (
        '<spine><itemref idref="cover"/><itemref idref="nav"/><itemref idref="one"/><itemref idref="two" linear="no"/>'
        '<itemref idref="one"/><itemref idref="pic"/><itemref idref="lost"/><itemref/></spine>'
    )
    items = f'{NAV}<item id="pic" href="a.svg" media-type="image/svg+xml"/><item id="lost" href="b.xhtml"/>'
    chapters = {
        "cover": chapter('<img src="cover.png" alt="A ship"/>'),
        "one": chapter("<p>It was dark.</p><p hidden=''>x</p><aside>A note.</aside>"),
        "two": chapter("<p>An answer.</p>"),
    }
    content = epub.read(book(chapters, spine, items, more={"OEBPS/nav.xhtml": chapter("<p>Contents</p>")}))
    assert parts(content) == [("chapter", 1, "It was dark.\n\nA note.")]
    assert dict(content.coverage.left_out) == {
        "tables of contents": 1,
        "hidden elements": 1,
        "chapters outside the reading order": 1,
        "chapters named twice": 1,
        "chapters that are pictures": 1,
        "chapters that cannot be read": 2,
    }
    assert content.coverage.searchable == 1 / 3
    assert content.remarks == ("damaged: OEBPS/b.xhtml is missing", "damaged: a chapter is named and not there")


def test_a_chapter_that_is_no_xml_is_read_as_a_page_of_the_web() -> None:
    chapters = {
        "one": "<meta charset=windows-1252><p>Caf\xe9 <b>at&nbsp;sea".encode("cp1252"),
        "two": chapter("<p>Two</p>"),
    }
    assert epub.read(book(chapters)).text == "Café at sea\n\nTwo"


def encryption(*methods: str) -> dict[str, str]:
    data = "".join(
        f'<enc:EncryptedData xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptionMethod Algorithm="{method}"/>'
        '<enc:CipherData><enc:CipherReference URI="OEBPS/x"/></enc:CipherData></enc:EncryptedData>'
        for method in methods
    )
    return {
        "META-INF/encryption.xml": '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
        f"{data}</encryption>"
    }


def test_a_protected_book_is_refused_and_one_with_obfuscated_fonts_is_not() -> None:
    fonts = encryption("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
    assert epub.read(book(CHAPTERS, more=fonts)).parts
    with pytest.raises(Unreadable, match=r"^protected against copying \(DRM\): get a copy without it$"):
        epub.read(book(CHAPTERS, more=encryption("http://www.w3.org/2001/04/xmlenc#aes256-cbc")))


LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "ha">'
    + "".join(f"<!ENTITY {b} '{10 * ('&' + a + ';')}'>" for a, b in zip("abcdefghi", "bcdefghij", strict=True))
    + "]>"
)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"%PDF-1.7 not a book", "not of this format"),
        (packed({"word/document.xml": "<w/>"}), "not of this format"),
        (book(CHAPTERS)[:-200], "damaged: incomplete or overwritten"),
        (packed({"META-INF/container.xml": "<container/>"}), "damaged: names no package"),
        (packed({"META-INF/container.xml": CONTAINER}), "damaged: OEBPS/book.opf is missing"),
        (packed({"META-INF/container.xml": CONTAINER, "OEBPS/book.opf": "<package>"}),
         "damaged: OEBPS/book.opf is not well-formed XML"),
        (packed({"META-INF/container.xml": CONTAINER, "OEBPS/book.opf": f"{LAUGHS}<package>&j;</package>"}),
         "damaged: OEBPS/book.opf is not well-formed XML"),
        (packed({"META-INF/container.xml": CONTAINER, "OEBPS/book.opf": "<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"}),
         "OEBPS/book.opf declares entities, as no document needs to"),
        (packed({"META-INF/container.xml": CONTAINER, "OEBPS/book.opf": "<package/>"}), "damaged: names no chapters"),
        (book({"one": b"\x00\x01\x02\x03" * 100}), "not text"),
        (book({}, '<spine><itemref idref="x"/></spine>'), "damaged: a chapter is named and not there"),
        (book({}, '<spine><itemref idref="x"/></spine>', '<item id="x" href="../../../etc/passwd"/>'),
         "damaged: ../../etc/passwd is missing"),
    ],
    ids=[
        "empty", "pdf", "docx", "truncated", "no package named", "no package", "broken package", "billion laughs",
        "entity", "no spine", "not text", "missing item", "outside",
    ],
)  # fmt: skip
def test_what_is_no_readable_book_says_why(data: bytes, reason: str) -> None:
    started = time.process_time()
    with pytest.raises(Unreadable) as caught:
        epub.read(data)
    assert str(caught.value) == reason
    assert time.process_time() - started < 2


def test_a_book_that_unpacks_to_far_too_much_is_not_unpacked() -> None:
    bomb = book({"one": b" " * (60 * 2**20)})
    started = time.process_time()
    with pytest.raises(Unreadable, match=r"^unpacks to 60 MB, too much for its size$"):
        epub.read(bomb)
    assert time.process_time() - started < 0.5


def test_entities_of_a_chapter_are_not_expanded() -> None:
    content = epub.read(book({"one": chapter("<p>&j;</p>").replace("<!DOCTYPE html>", LAUGHS.replace("x", "html", 1))}))
    assert len(content.text) < 1_000


WHOLE = book(CHAPTERS, items=NAV, more={"OEBPS/nav.xhtml": chapter("<nav><a href='text/one.xhtml'>One</a></nav>")})
STORED = io.BytesIO()
with zipfile.ZipFile(io.BytesIO(WHOLE)) as source, zipfile.ZipFile(STORED, "w") as target:
    for member in source.namelist():
        target.writestr(member, source.read(member))


@hypothesis_settings(deadline=None, max_examples=300)
@given(
    data=st.sampled_from([WHOLE, STORED.getvalue()]),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8),
    cut=st.one_of(st.none(), st.integers(0, 10_000)),
)
def test_a_damaged_book_is_read_or_refused(data: bytes, changes: list[tuple[int, int]], cut: int | None) -> None:
    damaged = bytearray(data)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    try:
        content = epub.read(bytes(damaged[:cut]))
    except Unreadable:
        return
    assert "\n\n".join(text for _, _, text in parts(content)) == content.text


@hypothesis_settings(deadline=None, max_examples=300)
@given(
    name=st.sampled_from(["META-INF/container.xml", "OEBPS/book.opf", "OEBPS/nav.xhtml", "OEBPS/text/one.xhtml"]),
    start=st.integers(0, 2_000),
    length=st.integers(0, 200),
    put=st.binary(max_size=20) | st.sampled_from([b"<", b"]]>", b'"', b"\x00", b"&x;", b"%00", b"http://a[b]c/", b"#"]),
)
def test_a_book_with_a_spoiled_member_is_read_or_refused(name: str, start: int, length: int, put: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(WHOLE)) as archive:
        files = {member: archive.read(member) for member in archive.namelist() if member != "mimetype"}
    start %= len(files[name])
    files[name] = files[name][:start] + put + files[name][start + length :]
    try:
        content = epub.read(packed(files))
    except Unreadable:
        return
    assert "\n\n".join(text for _, _, text in parts(content)) == content.text
