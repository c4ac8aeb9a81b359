"""Hop 1: files → documents, for every format and for what is not one."""

import codecs
import hashlib
import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pincite import reading
from pincite.errors import Inaccessible, Unreadable
from pincite.reading import READERS, html, markdown, plain
from pincite.reading.content import decode
from pincite.types import Document, Section

GERMAN = "Die Fähre fährt um 6:40 Uhr ab und braucht drei Stunden. Größere Schiffe müssen länger warten."
ENGLISH = "The patient’s “mood” improved – it doesn’t last, says the café’s résumé of 5 µg for £3."
RUSSIAN = "Паром отходит без двадцати семь и идёт три часа. Большие суда должны ждать дольше."

MARKDOWN_PARTS = [
    "# A\n", "B\n===\n", "C\r\n---\r\n", "text\n", "\r\n", "\r", "```\n", "> # q\n", "---\n", "title: T\n",
    "é 😀 ", "<div>\n", "\u2028", "\x0b", "    code\n", "[x]: y\n", "&amp;\n", "\\", "`", "*",
    "a|b\n-|-\n", "c|d\n", "| x |", "+++\n", "title = 'T'\n",
]  # fmt: skip
HTML_PARTS = [
    "<p>", "</p>", "<h1>", "</h1>", "<h2>", "<h3>T</h3>", "<div>", "</div>", "<pre>", "</pre>", "<table>", "<tr>",
    "<td>", "<ul><li>", "<br>", "<nav>", "</nav>", "<p hidden>", "<script>", "</script>", "<main>", "<article>",
    "<form>", "<template>", "<svg>", "</svg>", "<!--", "-->", "&amp;", "&#0;", "word", " a b ", "\r\n", "é😀", "<",
    "<code>", "</code>", "<title>", "</title>", "<select>", "<b>", "</i>", "<th>", "<thead>", "<caption>", "</table>",
    "<p style='display:none'>", "<div role=banner>", "<aside>", "</aside>", "<button>", "<math>", "<dl><dt>", "<dd>",
    "</ul>", "<tr hidden>", "</p>",
]  # fmt: skip


def headings(content: reading.Content) -> list[tuple[int, tuple[str, ...]]]:
    return [(section.start, section.heading) for section in content.sections]


def named(content: reading.Content) -> list[tuple[str, tuple[str, ...]]]:
    """The first line at each section's start, and the section's heading path."""
    return [(content.text[s.start :].splitlines()[0], s.heading) for s in content.sections]


def tables(content: reading.Content) -> list[tuple[str, str]]:
    return [(table.header, content.text[table.start : table.end]) for table in content.tables]


def page(body: str, head: str = "") -> reading.Content:
    return html.read(f"<!doctype html><html><head>{head}</head><body>{body}</body></html>".encode())


# Bytes → text


@pytest.mark.parametrize(
    ("data", "text", "remarks"),
    [
        (GERMAN.encode(), GERMAN, ()),
        (codecs.BOM_UTF8 + GERMAN.encode(), GERMAN, ()),
        (b"one\r\n\r\ntwo\rthree\n", "one\r\n\r\ntwo\rthree\n", ()),
        (codecs.BOM_UTF16_LE + GERMAN.encode("utf-16-le"), GERMAN, ("decoded from UTF-16",)),
        (codecs.BOM_UTF16_BE + GERMAN.encode("utf-16-be"), GERMAN, ("decoded from UTF-16",)),
        (GERMAN.encode("utf-16-le"), GERMAN, ("decoded from UTF-16",)),
        (GERMAN.encode("utf-16-be"), GERMAN, ("decoded from UTF-16",)),
        (codecs.BOM_UTF16_LE + RUSSIAN.encode("utf-16-le"), RUSSIAN, ("decoded from UTF-16",)),
        (codecs.BOM_UTF32_LE + GERMAN.encode("utf-32-le"), GERMAN, ("decoded from UTF-32",)),
        (codecs.BOM_UTF32_BE + GERMAN.encode("utf-32-be"), GERMAN, ("decoded from UTF-32",)),
        (GERMAN.encode("cp1252"), GERMAN, ("decoded from Windows-1252",)),
        (ENGLISH.encode("cp1252"), ENGLISH, ("decoded from Windows-1252",)),
        ("Il a été arrêté ; c’est très cher.".encode("cp1252"), "Il a été arrêté ; c’est très cher.",
         ("decoded from Windows-1252",)),
        (RUSSIAN.encode("cp1251"), RUSSIAN, ("decoded from cp1251",)),
    ],
    ids=[
        "utf-8", "utf-8 with mark", "line ends", "utf-16-le", "utf-16-be", "utf-16-le without mark",
        "utf-16-be without mark", "utf-16 Russian", "utf-32-le", "utf-32-be", "Windows-1252 German",
        "Windows-1252 English", "Windows-1252 French", "Windows-1251",
    ],
)  # fmt: skip
def test_bytes_become_exactly_the_text_that_was_written(data: bytes, text: str, remarks: tuple[str, ...]) -> None:
    assert decode(data) == (text, remarks)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1250", "Leczenie trwa około czterdziestu minut; należy kontrolować ciśnienie. Większość badań była mała."),
        ("cp1250", "A kezelés körülbelül negyven percig tart; ez idő alatt ellenőrizni kell a vérnyomást."),
        ("cp1250", "Léčba trvá přibližně čtyřicet minut; během této doby je třeba sledovat krevní tlak."),
        ("cp1254", "Tedavi yaklaşık kırk dakika sürer; bu süre içinde kan basıncı izlenmelidir. Ağır şüphe var."),
        ("cp1254", "Vapur sabah altıda kalkar ve üç saat sürer. Büyük gemiler daha uzun beklemelidir."),
        ("cp1257", "Gydymas trunka apie keturiasdešimt minučių; tuo metu reikia stebėti kraujospūdį."),
        ("cp1257", "Šiandien žmonės dažnai klausia, kiek kainuoja bilietas į laivą."),
        ("cp1257", "Ārstēšana ilgst aptuveni četrdesmit minūtes; šajā laikā jākontrolē asinsspiediens."),
        ("cp1257", "Täna küsivad inimesed sageli, kui palju maksab šokolaad õpilasele."),
        ("cp874", "การรักษาใช้เวลาประมาณสี่สิบนาที ในระหว่างนี้ควรตรวจวัดความดันโลหิต"),
        ("cp1253", "Η θεραπεία διαρκεί περίπου σαράντα λεπτά και πρέπει να παρακολουθείται η πίεση."),
        ("koi8_r", RUSSIAN),
        ("cp932", "治療は約四十分かかります。その間、血圧を確認する必要があります。"),
        ("gb18030", "治疗大约需要四十分钟。在此期间需要监测血压。目前还没有大型研究。"),
        ("cp1252", "La seduta è durata più di un’ora; perché non c’è ancora una prova così solida?"),
        ("cp1252", "Hoito kestää noin neljäkymmentä minuuttia; verenpainetta täytyy seurata."),
        ("cp1252", "A sessão durou mais de uma hora e não há ainda provas; a pressão subiu depois."),
    ],
)
def test_other_old_encodings_are_told_by_the_language_written_in_them(encoding: str, text: str) -> None:
    decoded, remarks = decode(text.encode(encoding))
    assert decoded == text
    assert remarks == (f"decoded from {'Windows-1252' if encoding == 'cp1252' else encoding}",)


@pytest.mark.parametrize(
    "text",
    [
        f"“{ENGLISH}”",
        GERMAN,
        RUSSIAN,
        "治疗大约需要四十分钟。",
        "Leczenie trwa około czterdziestu minut; należy czekać.",
    ],
)
def test_a_damaged_byte_costs_one_character_and_not_all(text: str) -> None:
    told = ("decoded from UTF-8 with 1 damaged character",)
    front, back = text[: len(text) // 2], text[len(text) // 2 :]
    for damage in (b"\xff", b"\x93"):
        assert decode(front.encode() + damage + back.encode()) == (f"{front}\ufffd{back}", told)
    last = max(at for at, sign in enumerate(text) if not sign.isascii())
    cut_off = text[:last].encode() + text[last].encode()[:-1]
    assert decode(cut_off) == (f"{text[:last]}\ufffd", told)


def test_a_page_that_says_it_is_utf_8_is_though_a_byte_is_not() -> None:
    data = "<meta charset=utf-8><p>Fähre".encode() + b"\xfc</p>"
    content = html.read(data)
    assert (content.text, content.remarks) == ("Fähre\ufffd", ("decoded from UTF-8 with 1 damaged character",))
    assert html.read(data.replace("ä".encode(), b"\xe4")).text == "Fähreü"  # it says so, and none is


@hypothesis_settings(deadline=None, max_examples=200)
@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(lambda text: f"Text: {text}"))
def test_any_text_comes_back_from_every_unicode_encoding(text: str) -> None:
    assert decode(text.encode()) == (text, ())
    for mark, codec, name in [
        (codecs.BOM_UTF8, "utf-8", None),
        (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
        (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
        (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    ]:
        assert decode(mark + text.encode(codec)) == (text, (f"decoded from {name}",) if name else ())


@hypothesis_settings(deadline=None, max_examples=200)
@given(data=st.binary(min_size=1, max_size=300), declared=st.sampled_from([None, "utf-7", "undefined", "cp037", "x"]))
def test_any_bytes_are_text_without_lone_surrogates_or_are_refused(data: bytes, declared: str | None) -> None:
    try:
        text, _ = decode(data, declared)
    except Unreadable:
        return
    assert text.encode().decode() == text


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256)) * 8, "not text"),
        (b"\x7fELF\x02\x01\x01" + bytes(2000), "not text"),
        (b"PK\x03\x04\x14\x00\x06\x00\x08\x00" + os.urandom(4000), "not text"),
        (b"\x01\x02\x03\x04 some words \x05\x06\x07\x08", "not text"),
        (codecs.BOM_UTF8 + b"caf\xe9", "not valid UTF-8 (byte 3)"),
        (codecs.BOM_UTF16_LE + "Hi".encode("utf-16-le") + b"\x00", "not valid UTF-16 (byte 4)"),
        (codecs.BOM_UTF16_LE + b"\x00\xd8a\x00", "not valid UTF-16 (byte 0)"),
    ],
    ids=["empty", "png", "elf", "zip", "controls", "bad utf-8", "odd utf-16", "lone surrogate"],
)
def test_what_is_not_text_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        decode(data)
    assert str(caught.value) == reason


def test_a_stray_control_character_is_kept_not_refused() -> None:
    text = "A page ends here.\x0c\nA bell \x07 rings.\n"
    assert decode(text.encode()) == (text, ())


# Files


def write(folder: Path, source: str, data: bytes) -> Document:
    path = folder / source
    path.write_bytes(data)
    return reading.read(path, source)


def test_a_markdown_file_becomes_a_document_with_nothing_changed(tmp_path: Path) -> None:
    data = codecs.BOM_UTF8 + "# Ferries\r\n\r\nThey sail — daily.\r\n".encode()
    text = "# Ferries\r\n\r\nThey sail — daily.\r\n"
    assert write(tmp_path, "a.md", data) == Document(
        source="a.md",
        title="Ferries",
        media_type="text/markdown",
        sha256=hashlib.sha256(data).hexdigest(),
        text=text,
        sections=(Section(0, ("Ferries",)),),
        reader="markdown/3",
    )


@pytest.mark.parametrize(
    ("source", "media_type"),
    [
        ("a.txt", "text/plain"),
        ("a.text", "text/plain"),
        ("a.md", "text/markdown"),
        ("a.MARKDOWN", "text/markdown"),
        ("a.html", "text/html"),
        ("a.HTM", "text/html"),
    ],
)
def test_the_ending_decides_how_a_file_is_read(tmp_path: Path, source: str, media_type: str) -> None:
    document = write(tmp_path, source, b"They sail daily.")
    assert (document.media_type, document.text, document.title) == (media_type, "They sail daily.", "")
    assert Path(source).suffix.lower() in READERS


@pytest.mark.parametrize(
    ("source", "data", "reason"),
    [
        ("a.xyz", b"%PDF-1.7", "no reader for .xyz"),
        ("a.pdf", b"%PDF-1.7", "not a PDF file, or damaged"),
        ("README", b"text", "no reader for files without an ending"),
        ("a.txt", b"", "empty"),
        ("a.txt", b" \r\n\t\n", "holds no text"),
        ("a.txt", codecs.BOM_UTF8, "holds no text"),
        ("a.html", b"<script>x()</script><nav>Home</nav>", "holds no text"),
        ("a.md", b"\x00\x01\x02\x03" * 100, "not text"),
    ],
)
def test_a_file_that_cannot_be_a_document_says_why(tmp_path: Path, source: str, data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        write(tmp_path, source, data)
    assert str(caught.value) == reason
    assert not isinstance(caught.value, Inaccessible)


def test_a_fifo_in_place_of_a_file_does_not_hold_up_the_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")
    caught: list[Exception] = []

    def read() -> None:
        try:
            reading.read(tmp_path / "a.txt", "a.txt")
        except Unreadable as error:
            caught.append(error)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(timeout=10)
    assert not reader.is_alive()
    assert [str(error) for error in caught] == ["not a regular file"]


def test_a_folder_or_device_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(Unreadable, match="not a regular file"):
        reading.read(tmp_path / "a.txt", "a.txt")
    (tmp_path / "null.txt").symlink_to("/dev/null")
    with pytest.raises(Unreadable, match="not a regular file"):
        reading.read(tmp_path / "null.txt", "null.txt")


def test_a_file_that_is_gone_is_inaccessible_with_the_systems_reason(tmp_path: Path) -> None:
    with pytest.raises(Inaccessible) as caught:
        reading.read(tmp_path / "a.txt", "a.txt")
    assert str(caught.value) == "cannot be opened (No such file or directory)"


def test_a_heading_longer_than_anyone_would_cite_is_shortened_but_stays_in_the_text(tmp_path: Path) -> None:
    line = "word " * 10_000
    document = write(tmp_path, "a.md", f"# {line}\n\nText.\n".encode())
    assert document.title == ("word " * 40)[:199] + "…"
    assert document.sections == (Section(0, (document.title,)),)
    assert document.text == f"# {line}\n\nText.\n"


# Plain text


def test_the_first_short_line_of_plain_text_is_its_title() -> None:
    content = plain.read(b"Ketamine Therapy\nAlternative treatments are gaining traction. They differ.\n")
    assert content.title == "Ketamine Therapy"
    assert headings(content) == [(0, ("Ketamine Therapy",))]


def test_short_lines_on_their_own_before_a_longer_block_are_headings() -> None:
    text = (
        "\n  Ferries\n\nThey sail daily.\n\nPrices in winter\n\nA car costs 40 pounds, a person 12.\n\n"
        "Dogs travel free.\n\nTimes:\n\nThe first leaves at 06:40 and the last at 22:15.\n"
    )
    content = plain.read(text.encode())
    assert content.text == text
    assert content.title == "Ferries"
    assert headings(content) == [
        (0, ()),
        (3, ("Ferries",)),
        (text.index("Prices"), ("Ferries", "Prices in winter")),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "It was dark. Then it rained.\nMore of it.\n",
        "lower case starts no title\nMore of it.\n",
        "Only one line",
        "Ketamine was first made in 1962 and has been used in\nhospitals ever since, mostly for pain.\n",
        "1962, 1970\nYears and numbers.",
        "A" + " word" * 20 + "\nIt has 101 characters.",
    ],
    ids=["sentence", "lower case", "alone", "wrapped paragraph", "numbers", "long"],
)
def test_a_first_line_that_reads_as_text_is_no_title(text: str) -> None:
    content = plain.read(text.encode())
    assert (content.title, headings(content)) == ("", [(0, ())])


def test_windows_line_ends_change_nothing_about_headings() -> None:
    unix = "Ferries\n\nThey sail daily.\n\nPrices\n\nA car costs 40 pounds.\n"
    windows = plain.read(unix.replace("\n", "\r\n").encode())
    assert named(windows) == named(plain.read(unix.encode()))
    assert named(windows) == [("Ferries", ("Ferries",)), ("Prices", ("Ferries", "Prices"))]


def test_a_long_stretch_of_white_space_is_read_in_no_time() -> None:
    started = time.process_time()
    content = plain.read(b"Title\n\n" + b" " * 200_000 + b"x\n" + b" " * 200_000 + b"\n\nText.")
    assert time.process_time() - started < 2
    assert content.title == "Title"


# Markdown


def test_markdown_headings_carry_the_path_they_stand_under() -> None:
    text = "intro\n\n# A\n\ntext\n\n### A.0.1\n\n## A.1\n\n### A.1.1 ###\n\ntext\n\n# B\n"
    content = markdown.read(text.encode())
    assert content.title == "A"
    assert named(content) == [
        ("intro", ()),
        ("# A", ("A",)),
        ("### A.0.1", ("A", "A.0.1")),
        ("## A.1", ("A", "A.1")),
        ("### A.1.1 ###", ("A", "A.1", "A.1.1")),
        ("# B", ("B",)),
    ]


def test_setext_headings_are_headings() -> None:
    content = markdown.read(b"Ferries\n=======\n\nThey sail.\n\nPrices and\nrebates\n------\nA car: 40.\n")
    assert content.title == "Ferries"
    assert named(content) == [("Ferries", ("Ferries",)), ("Prices and", ("Ferries", "Prices and rebates"))]


def test_what_looks_like_a_heading_in_code_quotes_and_lists_is_none() -> None:
    code = "```sh\n# not one\n```\n\n    # nor this\n\n~~~\n## nor this\n~~~\n\n"
    content = markdown.read(f"# A\n\n{code}> # quoted\n\n- # listed\n\n#tag\n\n\\# no\n".encode())
    assert named(content) == [("# A", ("A",))]


def test_the_markup_of_a_heading_is_left_out_of_its_words() -> None:
    text = "# What's *new* in **K**etamine, [here](https://example.org)?\n\n## `code` <a id='x'></a>and &amp; more\n"
    content = markdown.read(text.encode())
    assert content.text == text
    assert content.title == "What's new in Ketamine, here?"
    assert content.sections[1].heading == (content.title, "code and & more")


def test_front_matter_gives_the_title_and_no_headings() -> None:
    text = '---\ntitle: "Ferries: a guide"\ntags:\n# a comment, not a heading\n---\n# Sailing\n\nDaily.\n'
    content = markdown.read(text.encode())
    assert content.text == text
    assert content.title == "Ferries: a guide"
    assert named(content) == [("---", ()), ("# Sailing", ("Sailing",))]


def test_front_matter_without_a_title_leaves_it_to_the_first_heading() -> None:
    assert markdown.read(b"---\nlang: en\n---\n\n# Sailing\n").title == "Sailing"
    assert markdown.read(b"---\n---\n# Sailing\n").title == "Sailing"


def test_a_rule_at_the_top_is_not_front_matter() -> None:
    content = markdown.read(b"---\n\n# Sailing\n\ntext\n\n---\n\nmore\n")
    assert content.title == "Sailing"
    assert named(content) == [("---", ()), ("# Sailing", ("Sailing",))]


@pytest.mark.parametrize(
    ("front", "title"),
    [
        ("---\ntitle: It's a guide # for now\n---\n", "It's a guide"),
        ("---\n# about\n\ntitle: 'Ferries' # for now\n---\n", "Ferries"),
        ("---\ntitle: >-\n  Ferries\n  and trains\nlang: en\n---\n", "Ferries and trains"),
        ("---\ntitle:\nlang: en\n---\n", "Sailing"),
        ('+++\n# about\ntitle = "Ferries \\u2013 a guide"\n+++\n', "Ferries – a guide"),
        ("+++\r\ndraft = true\r\n+++\r\n", "Sailing"),
    ],
)
def test_a_title_in_yaml_or_toml_wins_over_headings(front: str, title: str) -> None:
    content = markdown.read(f"{front}# Sailing\n".encode())
    assert content.text == f"{front}# Sailing\n"
    assert content.title == title
    assert headings(content) == [(0, ()), (len(front), ("Sailing",))]


@pytest.mark.parametrize("front", ["---\nIt is a rule.\n# Sailing\n---\n", "+++\nno toml\n# Sailing\n+++\n"])
def test_prose_between_two_rules_is_no_front_matter(front: str) -> None:
    content = markdown.read(front.encode())
    assert content.title == "Sailing"
    assert named(content)[1] == ("# Sailing", ("Sailing",))


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_the_rows_of_a_markdown_table_are_known_with_the_names_of_its_columns(newline: str) -> None:
    text = (
        "---\ntitle: T\n---\n"
        * (newline == "\n")
        + "Fares:\n\n| Who | *Price* in [£](x) |\n|:----|--:|\n| Car | 40 |\n| Dog \\| cat | `0` |\n\nend | of\n\n"
        "> a|b\n> -|-\n> c|d\n\n```\na|b\n-|-\nc|d\n```\n\n| no | rows |\n|-|-|\n\n<!-- a|b -->\n\ne|f\n-|-\ng|h"
    ).replace("\n", newline)
    content = markdown.read(text.encode())
    assert content.text == text
    assert tables(content) == [
        ("Who | Price in £", f"| Car | 40 |{newline}| Dog \\| cat | `0` |"),
        ("a | b", "> c|d"),
        ("e | f", "g|h"),
    ]


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_headings_are_found_at_their_place_whatever_ends_a_line(newline: str) -> None:
    unix = "# A\n\ntext\n\nB\n===\n\n```\n# no\n```\n\n## C\ntext\n"
    content = markdown.read(unix.replace("\n", newline).encode())
    assert content.text == unix.replace("\n", newline)
    assert named(content) == [("# A", ("A",)), ("B", ("B",)), ("## C", ("B", "C"))]


def test_crlf_front_matter_is_front_matter() -> None:
    content = markdown.read(b"---\r\ntitle: Ferries\r\n---\r\n\r\n## Daily\r\n\r\ntext\r\n")
    assert content.title == "Ferries"
    assert named(content) == [("---", ()), ("## Daily", ("Daily",))]


@hypothesis_settings(deadline=None, max_examples=150)
@given(text=st.lists(st.sampled_from(MARKDOWN_PARTS), max_size=25).map("".join))
def test_markdown_is_never_changed_and_its_sections_are_in_order(text: str) -> None:
    data = f"x{text}".encode()
    content = markdown.read(data)
    assert content.text.encode() == data
    starts = [section.start for section in content.sections]
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    assert starts[-1] < len(content.text)
    places = [place for table in content.tables for place in (table.start, table.end)]
    assert places == sorted(set(places))
    assert all(content.text[table.start - 1] in "\r\n" for table in content.tables)


# HTML


def test_only_what_a_reader_would_read_is_left_of_a_page() -> None:
    content = page(
        "<header><h1>Site</h1></header><nav><ul><li>Home<nav>Deeper</nav></li></ul></nav>"
        "<main><h1>Ferries</h1><p>They sail <b>daily</b>.<script>track()</script></p>"
        "<p hidden>secret</p><p style='display: none'>secret</p><div aria-hidden=true>icon<p hidden>twice</p></div>"
        "<style>p {}</style><template><p>later</p></template><noscript>enable</noscript><!-- note -->"
        "<button>Buy</button><select><option>one</select><nav>Related</nav>"
        "<article><header>By Ann</header><p>And return.</p></article></main><footer>Imprint</footer>",
        head="<title>Ferries | Site</title><style>body {}</style>",
    )
    assert content.text == "Ferries\n\nThey sail daily.\n\nBy Ann\n\nAnd return."
    assert content.title == "Ferries"
    assert headings(content) == [(0, ("Ferries",))]


def test_a_page_that_is_one_form_keeps_its_text() -> None:
    content = page("<form action='/'><h1>Ferries</h1><p>They sail daily.</p><input value=x><button>Go</button></form>")
    assert content.text == "Ferries\n\nThey sail daily."


def test_an_empty_main_element_does_not_hide_the_rest() -> None:
    assert page("<main></main><p>They sail daily.</p>").text == "They sail daily."


def test_one_article_is_the_page_and_several_are_parts_of_it() -> None:
    assert page("<p>before</p><article>one longer</article>").text == "one longer"
    assert page("<p>before this</p><article>one</article>").text == "before this\n\none"
    assert page("<p>before</p><article>one</article><article>two</article>").text == "before\n\none\n\ntwo"


def test_without_a_first_heading_the_page_title_is_the_title() -> None:
    assert page("<h2>Prices</h2><p>text</p>", head="<title>Ferry\n  prices</title>").title == "Ferry prices"
    assert page("<svg><title>Logo</title></svg><p>text</p>").title == ""


def test_headings_become_sections_at_their_exact_place() -> None:
    content = page("<p>intro</p><h1>A &amp; <i>b</i></h1><p>one</p><div><h3>Sub<br>ject</h3></div><p>two</p><h2></h2>")
    assert content.text == "intro\n\nA & b\n\none\n\nSub ject\n\ntwo"
    assert headings(content) == [(0, ()), (7, ("A & b",)), (19, ("A & b", "Sub ject"))]
    assert content.title == "A & b"


def test_tables_and_lists_keep_their_rows_and_cells_apart() -> None:
    content = page(
        "<table><caption>Fares</caption><thead><tr><th>Who</th><th>Price</th></tr></thead>"
        "<tbody><tr><td>Car</td><td>40<br>pounds</td></tr><tr><td>Dog</td><td></td></tr></tbody></table>"
        "<ul><li>one</li><li>two<ol><li>deep</li></ol></li></ul><dl><dt>Term</dt><dd>Meaning</dd></dl>"
    )
    assert content.text == "Fares\n\nWho\tPrice\nCar\t40 pounds\nDog\n\none\ntwo\ndeep\n\nTerm\nMeaning"
    assert tables(content) == [("Who | Price", "Car\t40 pounds\nDog")]


def test_entities_are_the_characters_they_stand_for() -> None:
    content = page("<p>a &lt;b&gt; &amp; caf&eacute; &#8212; &#x1F600; &copy &nbsp;&nbsp; end &#xD800;</p>")
    assert content.text == "a <b> & café — 😀 © end �"


def test_readings_of_ruby_do_not_stand_within_the_words() -> None:
    content = page("<p><ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp>字<rt>じ</rt></ruby>です</p>")
    assert content.text == "漢字です"
    assert content.coverage.left_out == (("readings above characters", 2),)


def test_white_space_is_folded_but_words_are_neither_joined_nor_split() -> None:
    content = page("<p>\n  one <b>two</b>three\n<i> four </i>\tfive<wbr>six<a>seven</a> <span></span>eight</p>")
    assert content.text == "one twothree four fivesixseven eight"


def test_preformatted_text_keeps_its_lines_and_indents() -> None:
    content = page(
        "<p>Run:</p><pre><code><span class=k>def</span> f():\n    <span class=k>return</span> 1\n\n"
        "<span>f</span>()\n<b>x</b></code></pre><p>Then  stop.</p>"
    )
    assert content.text == "Run:\n\ndef f():\n    return 1\n\nf()\nx\n\nThen stop."


@pytest.mark.parametrize(
    ("body", "text", "left_out"),
    [
        ("<p>a</p><p style='color:red; Display :\tNONE!important'>b</p>", "a", [("hidden elements", 1)]),
        ("<p>a</p><p style='visibility:hidden'>b</p><dialog>c</dialog>", "a", [("hidden elements", 2)]),
        ("<p>a</p><p hidden='until-found'>b</p><dialog open>c</dialog>", "a\n\nb\n\nc", []),
        ("<p>a</p><p style='x-display:none-such'>b</p><p style='background:url(none)'>c</p>", "a\n\nb\n\nc", []),
        ("<div aria-hidden=true><main>behind a dialog</main></div>", "behind a dialog", []),
        ("<details><summary>More</summary><p>It is closed.</p></details>", "More\n\nIt is closed.", []),
        ("<p>a</p><div role=Navigation>b</div><div role=search>c</div>", "a", [("navigation and page furniture", 2)]),
        ("<div><div role=banner>a</div><p>b</p><footer>c</footer></div>", "b", [("navigation and page furniture", 2)]),
        ("<header><h1>Ferries</h1></header><p>a</p>", "Ferries\n\na", []),
        ("<blockquote>a<footer>Ann</footer></blockquote>", "a\n\nAnn", []),
        ("<main>a<aside>A note on a.</aside></main><aside>b</aside>", "a\n\nA note on a.",
         [("navigation and page furniture", 1)]),
        ("<p>a</p><div class='x cookie-banner'>b</div>", "a", [("navigation and page furniture", 1)]),
        ("<div class='cookie-banner'><h1>What a cookie banner is</h1></div>", "What a cookie banner is", []),
        ("<h3><button>How long?</button></h3><p>a</p><button>Buy</button>", "How long?\n\na",
         [("navigation and page furniture", 1)]),
        ("<p>a</p>b<nav></nav>c<nav>Home</nav>d", "a\n\nb\n\nc\n\nd", [("navigation and page furniture", 1)]),
        ("<p>a</p><main>b</main>c<p><i></i></p>", "b", [("navigation and page furniture", 2)]),
        ("<p>a</p><svg><title>x</title><text>b</text></svg><svg><path></svg>", "a", [("drawings with text", 1)]),
        ("<p>E = <math><mi>m</mi><msup><mi>c</mi><mn>2</mn></msup><annotation>mc^2</annotation></math>", "E = mc2", []),
    ],
)  # fmt: skip
def test_what_is_left_out_of_a_page_is_counted_and_nothing_else_is(
    body: str, text: str, left_out: list[tuple[str, int]]
) -> None:
    content = page(body)
    assert (content.text, list(content.coverage.left_out)) == (text, left_out)


def test_coverage_is_the_share_of_the_characters_that_a_person_sees() -> None:
    content = page("<nav>ten chars, <b>six</b></nav><p>four and five</p><p hidden>none</p><script>none</script>")
    assert content.text == "four and five"
    assert content.coverage.searchable == 11 / (11 + 12)


def test_the_rows_below_a_header_are_a_table_and_empty_cells_keep_their_column() -> None:
    content = page(
        "<p>intro</p><table><tr><td><th>2020<th>2021</tr><tr><th>Cars<td><td><p>4</p>\n<p>5</p></tr>"
        "<tr><td></td></tr><tr><td hidden>0<td>Dogs<td>6</table><p>end</p>"
    )
    assert content.text == "intro\n\n\t2020\t2021\nCars\t\t4 5\nDogs\t6\n\nend"
    assert tables(content) == [("2020 | 2021", "Cars\t\t4 5\nDogs\t6")]
    assert content.coverage.left_out == (("hidden elements", 1),)


def test_a_table_without_a_header_has_rows_and_no_table() -> None:
    content = page("<table><tr><td>a<td>b<tr><td>c<td>d</table><table><thead><tr><td>e<td>f</table>")
    assert (content.text, tables(content)) == ("a\tb\nc\td\n\ne\tf", [])


def test_a_table_that_lays_out_a_page_is_no_table() -> None:
    content = page(
        "<table><tr><td>Menu</td><td><h1>Ferries</h1><p>They sail.</p><table><tr><th>Who<th>Price<tr><td>Car<td>40"
        "</table></td></tr></table><table role=presentation><tr><td>a<td>b</table><table><tr><td>One column</table>"
    )
    assert content.text == "Menu\n\nFerries\n\nThey sail.\n\nWho\tPrice\nCar\t40\n\na\n\nb\n\nOne column"
    assert tables(content) == [("Who | Price", "Car\t40")]
    assert named(content) == [("Menu", ()), ("Ferries", ("Ferries",))]


def test_one_line_break_is_a_line_and_two_are_a_paragraph() -> None:
    assert page("one<br>two<br> <br/>three").text == "one\ntwo\n\nthree"


def test_xhtml_is_read_as_xml_so_that_an_empty_title_does_not_swallow_the_page() -> None:
    content = html.read(
        b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/><script src="x"/></head>'
        b"<body><p>a<br/>b</p><p><![CDATA[1 < 2]]></p></body></html>"
    )
    assert content.text == "a\nb\n\n1 < 2"


def test_deep_and_open_markup_takes_no_time_and_no_memory() -> None:
    started = time.process_time()
    fonts = "".join(f"<font color={number}>" for number in range(3_000))
    assert html.read(f"<div>{fonts}</div>{'<p>x</p>' * 3_000}".encode()).text == "\n\n".join("x" * 3_000)
    content = html.read(("<div>x" * 100_000 + "<!-- </div> --><title>a <b>" + "</div>" * 100_000).encode())
    assert content.text.count("x") == 100_000
    assert time.process_time() - started < 15


def test_what_is_not_deep_is_parsed_as_it_stands() -> None:
    pages = ["<p>x</b>" * 5_000, "<svg>" + "<path/>" * 1_000 + "</svg>", "<li><div>a</div>" * 1_000, "<b>a</b>" * 100]
    assert [html._flattened(markup) for markup in pages] == pages


@pytest.mark.parametrize(
    ("tag", "levels"),
    [("span", 50_000), ("code", 50_000), ("section", 50_000), ("div", 50_000), ("blockquote", 50_000), ("b", 50_000)],
)
def test_pages_that_nest_very_deep_are_read(tag: str, levels: int) -> None:
    content = html.read((f"<{tag}>" * levels + "deep" + f"</{tag}>" * levels + "<p>end</p>").encode())
    assert content.text == "deep\n\nend"


def test_headings_within_headings_are_one() -> None:
    content = html.read(("<h1><div>" * 3_000 + "deep").encode())
    assert (content.text, content.title, headings(content)) == ("deep", "deep", [(0, ("deep",))])


@pytest.mark.parametrize(
    ("declared", "remark"),
    [
        ("<meta charset='windows-1251'>", "decoded from windows-1251"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=windows-1251">', "decoded from windows-1251"),
        ("<META CHARSET=CP1251>", "decoded from CP1251"),
    ],
)
def test_a_declared_encoding_is_believed(declared: str, remark: str) -> None:
    word = "Да"  # too short to guess from
    content = html.read(f"<head>{declared}</head><p>{word}</p>".encode("cp1251"))
    assert (content.text, content.remarks) == (word, (remark,))


def test_a_page_that_declares_latin_1_is_windows_1252_as_in_browsers() -> None:
    content = html.read("<meta charset=iso-8859-1><p>“It’s a café”</p>".encode("cp1252"))
    assert (content.text, content.remarks) == ("“It’s a café”", ("decoded from Windows-1252",))


def test_utf_8_wins_over_a_wrong_declaration() -> None:
    content = html.read("<meta charset=iso-8859-1><p>“It’s a café”</p>".encode())
    assert (content.text, content.remarks) == ("“It’s a café”", ())


@pytest.mark.parametrize(
    "charset", ["undefined", "utf-16", "utf-7", "idna", "hex", "unicode_escape", "cp037", "nonsense"]
)
def test_a_declaration_that_cannot_be_true_is_passed_over(charset: str) -> None:
    content = html.read(f"<meta charset={charset}><p>{ENGLISH}</p>".encode("cp1252"))
    assert (content.text, content.remarks) == (ENGLISH, ("decoded from Windows-1252",))


@hypothesis_settings(deadline=None, max_examples=150)
@given(body=st.lists(st.sampled_from(HTML_PARTS), max_size=40).map("".join))
def test_any_markup_gives_sections_that_begin_with_their_heading(body: str) -> None:
    content = html.read(body.encode() + b"x")
    starts = [section.start for section in content.sections]
    assert starts[0] == 0
    assert starts == sorted(starts)
    for section in content.sections:
        if section.heading:
            words = " ".join(content.text[section.start :].split())
            assert words.startswith(section.heading[-1])
    assert 0 <= content.coverage.searchable <= 1
    ends = [place for table in content.tables for place in (table.start, table.end)]
    assert ends == sorted(set(ends))
    lines = {0, len(content.text), *(place for place, sign in enumerate(content.text) if sign == "\n")}
    assert all(table.end in lines and {table.start, table.start - 1} & lines for table in content.tables)


@pytest.mark.parametrize("declared", ["utf\x008", "no such encoding", "rot13", "a" * 10_000])
def test_an_encoding_that_cannot_be_is_not_believed(declared: str) -> None:
    data = "“It’s a café”".encode("cp1252")
    assert decode(data, declared) == ("“It’s a café”", ("decoded from Windows-1252",))
