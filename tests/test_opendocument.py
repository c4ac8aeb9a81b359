"""OpenDocument texts, written by hand as the standard has them."""

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pincite.errors import Unreadable
from pincite.reading import opendocument
from pincite.reading.content import Content
from pincite.types import Table

NAMESPACES = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for prefix, name in [
        ("office", "office"), ("text", "text"), ("table", "table"), ("style", "style"), ("draw", "drawing"),
        ("manifest", "manifest"), ("svg", "svg-compatible"),
    ]
)  # fmt: skip
DC = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'


def document(body: str, automatic: str = "") -> str:
    return (
        f"<office:document-content {NAMESPACES} {DC}><office:automatic-styles>{automatic}</office:automatic-styles>"
        f"<office:body><office:text>{body}</office:text></office:body></office:document-content>"
    )


def packed(content: str | bytes | None, **others: str) -> bytes:
    """A file with this content; the others by name, `manifest` and `mimetype` among them."""
    members: dict[str, str | bytes] = {"mimetype": others.pop("mimetype", "application/vnd.oasis.opendocument.text")}
    if content is not None:
        members["content.xml"] = content
    if "manifest" in others:
        members["META-INF/manifest.xml"] = others.pop("manifest")
    members |= {f"{name}.xml": xml for name, xml in others.items()}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def written(body: str, automatic: str = "", **others: str) -> Content:
    return opendocument.read(packed(document(body, automatic), **others))


def parts(content: Content) -> list[tuple[int, str]]:
    assert {part.name for part in content.parts} <= {"paragraph"}
    return [(part.number, content.text[part.start : part.end]) for part in content.parts]


def reason(data: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        opendocument.read(data)
    return str(caught.value)


def cells(*texts: str) -> str:
    filled = "".join(f"<table:table-cell><text:p>{text}</text:p></table:table-cell>" for text in texts)
    return f"<table:table-row>{filled}</table:table-row>"


ARTICLE = (
    "<text:sequence-decls/>"
    "<text:p text:style-name='P1'>Ferries</text:p><text:p>They sail daily.</text:p>"
    "<text:h text:outline-level='1'>Fares</text:h><text:p>A car costs 40.</text:p>"
    f"<table:table><table:table-column/><table:table-header-rows>{cells('2022', '2023')}</table:table-header-rows>"
    f"{cells('40', '45')}<table:table-row><table:table-cell><text:p>free</text:p><text:p>of charge</text:p>"
    "</table:table-cell><table:covered-table-cell><text:p>covered</text:p></table:covered-table-cell></table:table-row>"
    "</table:table>"
    "<text:h text:outline-level='2'>In winter</text:h>"
    "<text:list><text:list-header><text:p>Sailings</text:p></text:list-header><text:list-item><text:p>First</text:p>"
    "<text:list><text:list-item><text:p>on Monday</text:p></text:list-item></text:list></text:list-item></text:list>"
    "<text:p/><text:section><text:p>Snow is rare.</text:p></text:section>"
)
TITLE = "<style:style style:name='P1' style:family='paragraph' style:parent-style-name='Title'/>"
STYLES = (
    f"<office:document-styles {NAMESPACES}><office:styles><style:style style:name='Title' style:family='paragraph'/>"
    "<style:style style:name='Secret' style:family='text'><style:text-properties text:display='none'/></style:style>"
    "</office:styles><office:master-styles><style:master-page><style:header><text:p>Ferries Ltd</text:p></style:header>"
    "<style:footer><text:p/></style:footer></style:master-page></office:master-styles></office:document-styles>"
)


def test_a_document_is_read_in_the_order_of_its_body() -> None:
    content = written(ARTICLE, TITLE, styles=STYLES)
    assert content.text == (
        "Ferries\n\nThey sail daily.\n\nFares\n\nA car costs 40.\n\n2022\t2023\n40\t45\nfree of charge\n\nIn winter\n\n"
        "Sailings\nFirst\non Monday\n\nSnow is rare."
    )
    assert content.title == "Ferries"
    assert [of.heading for of in content.sections] == [
        ("Ferries",), ("Ferries", "Fares"), ("Ferries", "Fares", "In winter"),
    ]  # fmt: skip
    assert [content.text[of.start :].split("\n")[0] for of in content.sections] == ["Ferries", "Fares", "In winter"]
    assert [text for _, text in parts(content)] == [line for line in content.text.split("\n") if line]
    assert [number for number, _ in parts(content)] == list(range(1, 13))
    start = content.text.index("40\t45")
    assert content.tables == (Table(start, start + len("40\t45\nfree of charge"), "2022 | 2023"),)
    assert content.coverage.left_out == (("headers and footers", 1),)


@pytest.mark.parametrize(
    ("inline", "text"),
    [
        ("  one\n  <text:span>two </text:span> three ", "one two three"),
        ("one<text:s text:c='3'/>two<text:s/>three", "one   two three"),
        ("one<text:tab/>two<text:line-break/>three", "one\ttwo\nthree"),
        ("<text:a>a link</text:a>, <text:page-number>7</text:page-number>", "a link, 7"),
        ("soft\u00adening<text:soft-page-break/>s", "softenings"),
        ("one<text:bookmark-start/> two<text:bookmark-end/>", "one two"),
        ("one<text:s text:c='99999999999'/>two<text:s text:c='-1'/>three", "one two three"),
    ],
    ids=["white space", "spaces", "breaks", "link and field", "soft hyphen", "bookmark", "wrong counts"],
)
def test_the_words_of_a_paragraph_are_those_that_are_shown(inline: str, text: str) -> None:
    assert written(f"<text:p>{inline}</text:p>").text == text


@hypothesis_settings(deadline=None, max_examples=100)
@given(st.text(st.sampled_from("ab <&\u00a0\ue000é😀"), max_size=30).map(lambda text: f"a{text}b"))
def test_any_text_comes_back_with_its_white_space_folded(text: str) -> None:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    folded = " ".join(piece for piece in text.split(" ") if piece)
    assert written(f"<text:p>{escaped}</text:p>").text == folded
    assert written(f"<text:p>{escaped.replace(' ', '<text:s/>')}</text:p>").text == text


def test_notes_and_boxes_follow_their_paragraph_and_belong_to_it() -> None:
    content = written(
        "<text:p>Dogs are free.<text:note><text:note-citation>1</text:note-citation><text:note-body>"
        "<text:p>With a lead.</text:p></text:note-body></text:note> Cats too.<draw:frame><svg:title>no</svg:title>"
        "<draw:text-box><text:p>In a box</text:p></draw:text-box></draw:frame></text:p><text:p>Next.</text:p>"
    )
    assert parts(content) == [(1, "Dogs are free. Cats too.\n\nWith a lead.\n\nIn a box"), (2, "Next.")]


def test_what_is_left_out_is_counted() -> None:
    content = written(
        "<text:tracked-changes><text:changed-region><text:deletion><text:p>30</text:p></text:deletion>"
        "</text:changed-region><text:changed-region><text:insertion/></text:changed-region></text:tracked-changes>"
        "<text:p>It costs <text:change/><text:change-start/>40<text:change-end/>"
        "<office:annotation><dc:creator>A</dc:creator><text:p>Really?</text:p></office:annotation> pounds"
        "<text:span text:style-name='T1'> and </text:span><text:span text:style-name='T1'>more</text:span>."
        "<text:ruby><text:ruby-base>漢字</text:ruby-base><text:ruby-text>かんじ</text:ruby-text></text:ruby>"
        "<draw:frame><draw:image><office:binary-data>QUFB</office:binary-data></draw:image></draw:frame>"
        "<draw:frame><draw:object/><draw:image/></draw:frame></text:p>"
        "<text:section text:display='none'><text:p>hidden</text:p></text:section>",
        "<style:style style:name='T1' style:family='text' style:parent-style-name='Secret'/>",
        styles=STYLES,
    )
    assert content.text == "It costs 40 pounds.漢字"
    assert content.coverage.left_out == (
        ("comments", 1), ("embedded objects", 1), ("headers and footers", 1), ("hidden passages", 2), ("pictures", 1),
        ("readings above characters", 1), ("tracked deletions", 1),
    )  # fmt: skip
    assert content.remarks == ("tracked changes are read as if accepted",)


def test_tables_that_hold_tables_are_read_cell_by_cell() -> None:
    inner = (
        f"<table:table><table:table-rows>{cells('Who', 'Price')}{cells('Car', '40')}</table:table-rows></table:table>"
    )
    content = written(
        "<table:table><table:table-row><table:table-cell><text:p>left</text:p></table:table-cell>"
        f"<table:table-cell>{inner}</table:table-cell></table:table-row></table:table>"
    )
    assert content.text == "left\n\nWho\tPrice\nCar\t40"
    assert [(content.text[of.start : of.end], of.header) for of in content.tables] == [("Car\t40", "Who | Price")]


@pytest.mark.parametrize(("stated", "title"), [("All fares", "All fares"), ("Untitled 1", "Chapter")])
def test_the_title_in_the_properties_counts_if_it_stands_in_the_text(stated: str, title: str) -> None:
    meta = f"<office:document-meta {NAMESPACES} {DC}><office:meta><dc:title>{stated}</dc:title></office:meta>"
    body = "<text:h text:outline-level='1'>Chapter</text:h><text:p>All fares.</text:p>"
    assert written(body, meta=f"{meta}</office:document-meta>").title == title


def test_what_cannot_be_read_says_why() -> None:
    good = document(ARTICLE)
    manifest = f"<manifest:manifest {NAMESPACES}><manifest:encryption-data/></manifest:manifest>"
    laughs = "<!DOCTYPE a [<!ENTITY e0 'ha'>" + "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10}'>" for n in range(1, 10))
    assert reason(b"") == "empty"
    assert reason(b"text") == "not of this format"
    assert reason(packed(good)[:-80]) == "damaged: incomplete or overwritten"
    assert reason(packed(None)) == "damaged: content.xml is missing"
    assert reason(packed(good[:-9])) == "damaged: content.xml is not well-formed XML"
    assert reason(packed(good, mimetype="application/vnd.oasis.opendocument.spreadsheet")) == "not an OpenDocument text"
    assert reason(packed("<office/>")) == "not an OpenDocument text"
    assert reason(packed(b"\x00" * 50, manifest=manifest)) == "protected by a password: save a copy without one"
    assert reason(packed(f"{laughs}]><a>&e9;</a>")) == "damaged: content.xml is not well-formed XML"


def test_what_nests_as_deep_as_the_parser_allows_is_read() -> None:
    for name in ("text:section", "text:span"):
        inner = f"{f'<{name}>' * 240}%s{f'</{name}>' * 240}"
        body = inner % "<text:p>deep</text:p>" if name == "text:section" else f"<text:p>{inner % 'deep'}</text:p>"
        assert written(body).text == "deep"


@hypothesis_settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(b'<>/"0 9:\x00\xff')), max_size=4))
def test_changed_bytes_are_read_or_refused(changes: list[tuple[float, int]]) -> None:
    """Bytes of the XML, which no checksum guards once it was packed."""
    xml = bytearray(document(ARTICLE, TITLE).encode())
    for place, value in changes:
        xml[int(place * len(xml))] = value
    try:
        content = opendocument.read(packed(bytes(xml), styles=STYLES))
    except Unreadable:
        return
    for part in content.parts:
        assert content.text[part.start : part.end].strip()
