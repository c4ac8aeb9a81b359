"""Rich text, written by hand as the specification and the programs that write it have it."""

import re
import struct
import time

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from striprtf.striprtf import rtf_to_text

from pincite.errors import Unreadable
from pincite.reading import richtext
from pincite.reading.content import Content

FONTS = (
    r"{\fonttbl{\f0\froman\fcharset0\fprq2{\*\panose 02020603050405020304}Times New Roman;}"
    r"{\f1\fswiss\fcharset204 Arial Cyr{\*\falt Arial};}{\f2\froman\fcharset2 Symbol;}"
    r"{\f3\fmodern\fcharset128 MS Mincho;}{\f4\fnil\fcharset2 Wingdings;}}"
)
STYLES = (
    r"{\stylesheet{\ql \snext0 Normal;}{\s1\outlinelevel0 heading 1;}{\s2\b \sbasedon0 heading 2;}"
    r"{\s15\qc \'54itle;}{\s16\outlinelevel2 Mine;}{\*\cs10 \additive Default Paragraph Font;}{\s17 heading 12;}}"
)


def rtf(body: str, header: str = r"\rtf1\ansi\ansicpg1252\deff0") -> bytes:
    return ("{" + header + FONTS + STYLES + body + "}").encode("latin-1")


def written(body: str) -> Content:
    return richtext.read(rtf(body))


def parts(content: Content) -> list[tuple[int, str]]:
    assert {part.name for part in content.parts} <= {"paragraph"}
    return [(part.number, content.text[part.start : part.end]) for part in content.parts]


def tables(content: Content) -> list[tuple[str, str]]:
    return [(content.text[of.start : of.end], of.header) for of in content.tables]


def reason(data: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        richtext.read(data)
    return str(caught.value)


ARTICLE = (
    r"{\info{\title Another title}{\author Nobody}{\creatim\yr2024}}{\colortbl;\red0\green0\blue0;}"
    r"{\*\generator Riched20 10.0;}\viewkind4\uc1"
    "\n"
    r"\pard\plain\s15\qc Ferries\par\pard\plain They sail {\b da}"
    "\r\n"
    r"{\i ily}.\par\pard\s1 Fares\par\pard A car costs 40.\par"
    r"\trowd\trhdr\cellx1000\cellx2000\pard\intbl 2022\cell 2023\cell\row"
    r"\trowd\cellx1000\cellx2000\pard\intbl 40\cell free\par of charge\cell\row"
    r"\pard\par\pard\s2 In winter\par"
    r"\pard{\listtext\f2\'b7\tab}\ls1\ilvl0 First\par{\listtext\f2\'b7\tab}Last\par\pard\ls0 Snow is rare."
)


def test_a_document_is_read_in_the_order_of_the_file() -> None:
    content = written(ARTICLE)
    assert content.text == (
        "Ferries\n\nThey sail daily.\n\nFares\n\nA car costs 40.\n\n2022\t2023\n40\tfree of charge\n\nIn winter\n\n"
        "First\nLast\n\nSnow is rare."
    )
    assert content.title == "Ferries"
    assert [of.heading for of in content.sections] == [
        ("Ferries",), ("Ferries", "Fares"), ("Ferries", "Fares", "In winter"),
    ]  # fmt: skip
    assert [content.text[of.start :].split("\n")[0] for of in content.sections] == ["Ferries", "Fares", "In winter"]
    assert parts(content) == [
        (number, line) for number, line in enumerate((line for line in content.text.split("\n") if line), 1)
    ]
    assert tables(content) == [("40\tfree of charge", "2022 | 2023")]
    assert (content.coverage.left_out, content.remarks) == ((), ())


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (r"caf\'e9 \ldblquote quoted\rdblquote\emdash\~x\_y\-z \\ \{\}", "café “quoted”—\u00a0x-yz \\ {}"),
        (r"\u8364? \u-10179?\u-8704? \uc0\u945\u946 c {\uc2\u233\'81\'82}d", "€ 😀 αβc éd"),
        (r"{\f1\'cf\'e0\'f0\'ee\'ec} \'e9", "Паром é"),
        (r"{\f3\'8e\'a1\'97\'c3}", "治療"),
        (r"{\f3\'83\'5c\'83\'5c}", "ソソ"),
        (r"{\f2 abc \'b3}, {\f2\u-3999?}", "αβχ ≥, α"),
        (r"a{\field{\*\fldinst{HYPERLINK \\l x}}{\fldrslt{\ul link}}} b", "alink b"),
        (r"a\line b\tab c\softline d", "a\nb\tcd"),
        (r"one{\*\unknown{two}three} four{\*\bkmkstart x}", "one four"),
        (r"{\upr{old}{\*\ud{new \u945?}}}", "new α"),
        (r"a {\pict\pngblip\bin5 }}{{{b} c", "a  c"),
        (r"a\
b", "a\n\nb"),
        (r"a {\mmath{\*\moMath{\mr E=m}{\*\mctrlPr x}{\mfPr y}}} b", "a E=m b"),
        (r"{\object{\*\objdata 0102}{\result shown}}", "shown"),
        (r"a\'00b\u7?c", "abc"),
    ],
    ids=["signs", "unicode", "Cyrillic", "Japanese", "backslash in Japanese", "symbols", "field", "breaks", "starred",
         "unicode destination", "binary", "escaped line end", "formula", "object", "controls"],
)  # fmt: skip
def test_the_words_are_those_that_are_shown(body: str, text: str) -> None:
    assert written(body).text == text


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (r"\rtf1\ansi\ansicpg1251", "Да"), (r"\rtf1\ansi", "Äà"), (r"\rtf1\mac", "ƒ‡"), (r"\rtf1\pc", "─α"),
        (r"\rtf1\ansi\ansicpg99999", "Äà"),
    ],
)  # fmt: skip
def test_without_a_font_the_code_page_of_the_file_counts(header: str, text: str) -> None:
    assert richtext.read(("{" + header + r"\'c4\'e0}").encode()).text == text
    assert richtext.read(b"{" + header.encode() + b" \xc4\xe0}").text == text


def test_what_cannot_be_decoded_is_remarked_on() -> None:
    content = written(r"{\f3 a\'81\'01 b}")
    assert content.remarks == ("some characters are of no known encoding and stand as �",)


def test_hidden_and_deleted_words_comments_headers_and_pictures_are_counted() -> None:
    content = written(
        r"{\header\pard Ferry company {\b Ltd}\par more\par}{\footerf\pard\par}{\headerl again}It costs {\deleted 30}"
        r"{\revised 40}{\v hidden {\b words}} pounds{\v more}.{\*\atnid A}{\*\annotation{\*\atnref 1}Really?}"
        r"{\*\shppict{\pict 0102}}{\nonshppict{\pict 0102}}{\f4 \'fc}{\v\v0 shown}"
    )
    assert content.text == "It costs 40 pounds.shown"
    assert content.coverage.left_out == (
        ("comments", 1), ("headers and footers", 2), ("hidden passages", 2), ("pictures", 1),
        ("symbols of fonts that are not Unicode", 1), ("tracked deletions", 1),
    )  # fmt: skip
    assert content.remarks == ("tracked changes are read as if accepted",)


def test_notes_and_boxes_follow_their_paragraph_and_belong_to_it() -> None:
    content = written(
        r"Dogs are free.{\super\chftn{\footnote\pard\plain\s1{\super\chftn} With a lead.\par And {\i muzzle}.}}"
        r" Cats too.{\shp{\*\shpinst\shpleft0{\sp{\sn fill}{\sv 1}}{\shptxt\pard In a box\par}}"
        r"{\shprslt{\*\do{\dptxbxtext no}}}}"
        r"\par Next.\par"
    )
    assert parts(content) == [
        (1, "Dogs are free. Cats too.\n\nWith a lead.\n\nAnd muzzle.\n\nIn a box"),
        (2, "Next."),
    ]


def test_headings_are_told_by_style_or_outline_level() -> None:
    content = written(
        r"\s1 One\par\pard\s16 Mine\par\pard\outlinelevel1 Two\par\pard\s1\outlinelevel9 no\par\pard\s17 x"
    )
    assert [(content.text[of.start :].split("\n")[0], of.heading) for of in content.sections] == [
        ("One", ("One",)), ("Mine", ("One", "Mine")), ("Two", ("One", "Two")),
    ]  # fmt: skip
    assert content.title == "One"


def test_the_title_in_the_properties_counts_if_it_stands_in_the_text() -> None:
    assert written(r"{\info{\title Caf\'e9s}}\s1 One\par\pard Caf\'e9s.").title == "Cafés"
    assert written(r"{\info{\title Document1}}\s1 One\par\pard Caf\'e9s.").title == "One"


@pytest.mark.parametrize(
    ("table", "text", "rows"),
    [
        (r"\trowd a\cell b\cell\row\trowd c\cell d\cell\row\pard after", "a\tb\nc\td\n\nafter", [("c\td", "a | b")]),
        (r"{\trowd\intbl\b 1\cell 2\cell\row}\trowd\intbl 3\cell 4\cell\row", "1\t2\n3\t4", [("3\t4", "1 | 2")]),
        (r"\trowd\intbl 1\cell\cell 2\cell\row\trowd 3\cell\row", "1\t\t2\n3", []),
        (r"\trowd\intbl one\par two\cell\row", "one\n\ntwo", []),
        (
            r"\trowd\intbl left\cell\pard\intbl\itap2 a\nestcell{\nonesttables\par}b\nestcell{\*\nesttableprops\trowd"
            r"\nestrow}{\nonesttables\par}c\nestcell d\nestcell{\*\nesttableprops\trowd\nestrow}\pard\intbl below"
            r"\cell\row",
            "left\n\na\tb\nc\td\n\nbelow", [("c\td", "a | b")],
        ),
        (r"\trowd\intbl a\cell b\cell\row\pard\par\trowd\intbl c\cell d\cell\row", "a\tb\n\nc\td", []),
        (r"\trowd\intbl a\cell b", "a\tb", []),
        (r"\trowd a{\footnote e}\cell b\cell\row\trowd c\cell d\cell\row", "a\tb\nc\td\n\ne", [("c\td", "a | b")]),
    ],
    ids=["names", "bold", "gaps", "layout", "nested", "two tables", "cut", "note"],
)  # fmt: skip
def test_tables_are_read_row_by_row(table: str, text: str, rows: list[tuple[str, str]]) -> None:
    content = written(table)
    assert content.text == text
    assert tables(content) == rows


@hypothesis_settings(deadline=None, max_examples=200)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=30), max_size=6))
def test_any_paragraphs_come_back(texts: list[str]) -> None:
    def escaped(sign: str) -> str:
        units = sign.encode("utf-16-le")
        if sign.isascii():
            return re.sub(r"([\\{}])", r"\\\1", sign)
        return "".join(rf"\u{number}?" for number in struct.unpack(f"<{len(units) // 2}h", units))

    body = "".join("".join(map(escaped, text)) + r"\par " for text in texts)
    shown = [text.replace("\xad", "").strip() for text in texts]
    private = any(0xF000 <= ord(sign) <= 0xF0FF for text in texts for sign in text)
    if not private:
        assert [text for _, text in parts(written(body))] == [text for text in shown if text]
    if all(ord(sign) < 0x10000 for text in texts for sign in text):  # the witness knows no characters beyond
        assert rtf_to_text(rtf(body).decode()).split("\n")[:-1] == texts


def test_what_is_no_rich_text_says_why() -> None:
    assert reason(b"") == "empty"
    assert reason(b"plain text") == "not of this format"
    assert reason(b"PK\x03\x04") == "not of this format"


def test_a_file_that_was_cut_is_read_as_far_as_it_goes() -> None:
    content = richtext.read(rtf(r"\s1 One\par\pard Two and more")[:-6])
    assert (content.text, content.remarks) == ("One\n\nTwo and", ("the file ends before its text does",))
    assert richtext.read(rtf("One") + b"{ignored}").text == "One"


@pytest.mark.parametrize(
    "body",
    ["{" * 500_000 + "deep" + "}" * 500_000, "{" * 500_000, "}" * 500_000, r"\bin999999999 x", r"{\*" * 200_000,
     r"{\field{\*\fldinst HYPERLINK " * 50_000, r"{\footnote " * 100_000, r"\trowd\cell\row" * 50_000, "\\u" * 200_000,
     r"{\header " * 100_000 + "x", r"\'" * 200_000],
    ids=["deep", "open", "closed", "binary", "starred", "fields", "notes", "rows", "unicode", "headers", "codes"],
)  # fmt: skip
def test_a_bomb_ends(body: str) -> None:
    started = time.process_time()
    written("text " + body)
    assert time.process_time() - started < 10


@hypothesis_settings(deadline=None, max_examples=300)
@given(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=3)), max_size=6),
    st.floats(0, 1),
)
def test_changed_bytes_are_read_or_refused(changes: list[tuple[float, bytes]], cut: float) -> None:
    data = bytearray(rtf(ARTICLE + r"{\footnote a}{\shp{\*\shpinst{\shptxt b}}}{\f3\'8e\'a1}\u-10179?\u-8704?"))
    for place, value in changes:
        start = int(place * len(data))
        data[start : start + len(value)] = value
    try:
        content = richtext.read(bytes(data[: int(len(data) * (1 - cut / 4))]))
    except Unreadable:
        return
    assert content.text.encode().decode() == content.text
    for part in content.parts:
        assert content.text[part.start : part.end].strip()


PIECES = (  # noqa: SIM905
    r"{ } \par \cell \row \trowd \intbl \pard {\footnote {\header {\*\x {\shptxt {\stylesheet {\fonttbl \f1 \s1 \b \v "
    r"\nestcell \nestrow {\pict \'e9 \u233? \u-10179 a bc \line {\upr {\*\ud \uc3 \deleted \ls1 \outlinelevel0 ; "
    r"{\info {\title"
).split()


@hypothesis_settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join))
def test_any_order_of_control_words_gives_parts_and_sections_in_order(body: str) -> None:
    content = richtext.read(("{\\rtf1 " + body + "}").encode())
    ends = [0]
    for part in content.parts:
        assert ends[-1] <= part.start < part.end
        ends.append(part.end)
    for of in content.sections:
        if of.heading:
            assert " ".join(content.text[of.start :].split()).startswith(of.heading[-1])
    for table in content.tables:
        assert content.text[table.start - 1] == "\n"
        assert content.text[table.start : table.end].strip("\n") == content.text[table.start : table.end]
