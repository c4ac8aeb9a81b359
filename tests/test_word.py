"""Word documents: what a person reads in the body, each piece at its place."""

import io
import time
import zipfile
from collections.abc import Callable

import docx
import pytest
from docx.document import Document
from docx.oxml.ns import nsdecls
from docx.oxml.parser import parse_xml
from docx.text.paragraph import Paragraph
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pincite.errors import Unreadable
from pincite.reading import word
from pincite.reading.content import Content
from pincite.reading.symbols import symbol
from pincite.types import Section, Table

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
WORDPROCESSING = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def saved(document: Document) -> bytes:
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def written(write: Callable[[Document], object]) -> Content:
    document = docx.Document()
    write(document)
    return word.read(saved(document))


def body(xml: str) -> Content:
    """A document with this body, `w:` for its namespace."""

    def write(document: Document) -> None:
        root = parse_xml(f"<w:body {nsdecls('w', 'a', 'wp', 'm')} xmlns:v='urn:v' xmlns:mc='urn:mc'>{xml}</w:body>")
        for place, node in enumerate(list(root)):
            document.element.body.insert(place, node)

    return written(write)


def run(text: str, properties: str = "") -> str:
    return f"<w:r><w:rPr>{properties}</w:rPr><w:t xml:space='preserve'>{text}</w:t></w:r>"


def changed(data: bytes, member: str, change: Callable[[bytes], bytes | None]) -> bytes:
    """The file with one member changed, or without it."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            content = change(before.read(name)) if name == member else before.read(name)
            if content is not None:
                after.writestr(name, content)
    return file.getvalue()


def replaced(data: bytes, member: str, old: bytes, new: bytes) -> bytes:
    def change(content: bytes) -> bytes:
        assert old in content
        return content.replace(old, new)

    return changed(data, member, change)


def with_part(data: bytes, kind: str, xml: str) -> bytes:
    """The file with one more part, related to the document."""
    data = replaced(
        data,
        "word/_rels/document.xml.rels",
        b"</Relationships>",
        f'<Relationship Id="x{kind}" Type="{OFFICE}/{kind}" Target="{kind}.xml"/></Relationships>'.encode(),
    )
    file = io.BytesIO(data)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(f"word/{kind}.xml", xml)
    return file.getvalue()


def parts(content: Content) -> list[tuple[int, str]]:
    assert {part.name for part in content.parts} <= {"paragraph"}
    return [(part.number, content.text[part.start : part.end]) for part in content.parts]


def headings(content: Content) -> list[tuple[str, tuple[str, ...]]]:
    """The first line at each section's start, and the section's heading path."""
    return [(content.text[of.start :].split("\n")[0], of.heading) for of in content.sections]


def reason(data: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        word.read(data)
    return str(caught.value)


# Order and structure


def article(document: Document) -> None:
    document.add_paragraph("Ferries", style="Title")
    document.add_paragraph("They sail daily.")
    document.add_heading("Fares", 1)
    document.add_paragraph("A car costs 40.")
    table = document.add_table(3, 2)
    for row, words in zip(table.rows, [("Who", "Price"), ("Car", "40"), ("Dog", "free\nof charge")], strict=True):
        for cell, text in zip(row.cells, words, strict=True):
            cell.text = text
    document.add_heading("In winter", 2)
    for item in ("First crossing", "Last crossing"):
        document.add_paragraph(item, style="List Bullet")
    document.add_paragraph("")
    document.add_paragraph("Snow is rare.")


def test_a_document_is_read_in_the_order_of_its_body() -> None:
    content = written(article)
    assert content.text == (
        "Ferries\n\nThey sail daily.\n\nFares\n\nA car costs 40.\n\nWho\tPrice\nCar\t40\nDog\tfree of charge\n\n"
        "In winter\n\nFirst crossing\nLast crossing\n\nSnow is rare."
    )
    assert content.title == "Ferries"
    assert headings(content) == [
        ("Ferries", ("Ferries",)),
        ("Fares", ("Ferries", "Fares")),
        ("In winter", ("Ferries", "Fares", "In winter")),
    ]
    assert parts(content) == [
        (1, "Ferries"), (2, "They sail daily."), (3, "Fares"), (4, "A car costs 40."), (5, "Who\tPrice"),
        (6, "Car\t40"), (7, "Dog\tfree of charge"), (8, "In winter"), (9, "First crossing"), (10, "Last crossing"),
        (11, "Snow is rare."),
    ]  # fmt: skip
    assert content.pages == ()
    start = content.text.index("Car\t40")
    assert content.tables == (Table(start, content.text.index("\n\nIn winter"), "Who | Price"),)
    assert (content.coverage.searchable, content.coverage.left_out, content.remarks) == (1.0, (), ())


@hypothesis_settings(deadline=None, max_examples=40)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=40), max_size=8))
def test_any_paragraphs_come_back_as_the_library_reads_them(texts: list[str]) -> None:
    document = docx.Document()
    for text in texts:
        document.add_paragraph(text)
    data = saved(document)
    content = word.read(data)
    witness = [of.text.replace("\xad", "").strip() for of in docx.Document(io.BytesIO(data)).paragraphs]
    assert [text for _, text in parts(content)] == [text for text in witness if text]
    assert content.text == "\n\n".join(text for text in witness if text)


def test_headings_are_told_by_style_by_what_it_is_based_on_and_by_outline_level() -> None:
    def write(document: Document) -> None:
        chapter = document.styles.add_style("Kapitel", 1)
        chapter.base_style = document.styles["Heading 1"]
        own = document.styles.add_style("Eigenes", 1)
        own.element.get_or_add_pPr().append(parse_xml(f"<w:outlineLvl {nsdecls('w')} w:val='1'/>"))
        body_text = document.styles["TOC Heading"]
        assert body_text.base_style.name == "Heading 1"
        body_text.element.get_or_add_pPr().append(parse_xml(f"<w:outlineLvl {nsdecls('w')} w:val='9'/>"))
        document.add_paragraph("Contents", style="TOC Heading")
        document.add_paragraph("One", style="Kapitel")
        document.add_paragraph("Two", style="Eigenes")
        direct = document.add_paragraph("Three")
        direct._p.get_or_add_pPr().append(parse_xml(f"<w:outlineLvl {nsdecls('w')} w:val='2'/>"))
        document.add_paragraph("text")

    content = written(write)
    assert headings(content) == [
        ("Contents", ()), ("One", ("One",)), ("Two", ("One", "Two")), ("Three", ("One", "Two", "Three")),
    ]  # fmt: skip
    assert content.title == "One"


def test_a_german_word_names_its_styles_by_other_ids_and_is_read_the_same() -> None:
    data = saved(docx.Document())
    document = docx.Document(io.BytesIO(data))
    document.add_heading("Preise", 1)
    document.add_paragraph("text")
    german = saved(document)
    for member in ("word/document.xml", "word/styles.xml"):
        german = replaced(german, member, b'"Heading1"', b'"berschrift1"')
    assert word.read(german).sections == (Section(0, ("Preise",)),)


def test_styles_that_are_based_on_each_other_end() -> None:
    document = docx.Document()
    document.add_paragraph("text", style="Quote")
    data = replaced(saved(document), "word/styles.xml", b'<w:basedOn w:val="Normal"/>', b'<w:basedOn w:val="Quote"/>')
    assert word.read(data).text == "text"


@pytest.mark.parametrize(("property_title", "title"), [("All fares", "All fares"), ("Microsoft Word - x", "Chapter")])
def test_the_title_in_the_properties_counts_if_it_stands_in_the_text(property_title: str, title: str) -> None:
    def write(document: Document) -> None:
        document.core_properties.title = property_title
        document.add_heading("Chapter", 1)
        document.add_paragraph("This has all  fares. All\xa0fares.")

    assert written(write).title == title


# Words


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        (run("one ") + run("two") + run("three"), "one twothree"),
        ("<w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t></w:r>", "a\tb\nc"),
        ("<w:r><w:t>c</w:t><w:noBreakHyphen/><w:t>d\ne</w:t></w:r>", "c-d e"),
        ("<w:r><w:t>soft</w:t><w:softHyphen/><w:t>en\u00ading</w:t></w:r>", "softening"),
        ("<w:hyperlink>" + run("a link") + "</w:hyperlink>", "a link"),
        ("<w:smartTag>" + run("Lon") + "</w:smartTag>" + run("don"), "London"),
        ("<w:sdt><w:sdtPr><w:tag/></w:sdtPr><w:sdtContent>" + run("chosen") + "</w:sdtContent></w:sdt>", "chosen"),
        ("<w:fldSimple w:instr='PAGE'>" + run("7") + "</w:fldSimple>", "7"),
        ("<w:r><w:sym w:font='Symbol' w:char='F061'/></w:r>" + run("-blocker"), "α-blocker"),
        ("<w:r><w:ruby><w:rubyPr/><w:rt>" + run("かんじ") + "</w:rt><w:rubyBase>" + run("漢字")
         + "</w:rubyBase></w:ruby></w:r>" + run("です"), "漢字です"),
        ("<m:oMath><m:r><m:t>E=</m:t></m:r><m:f><m:num><m:r><m:t>m</m:t></m:r></m:num></m:f></m:oMath>", "E=m"),
        (
            "<w:r><w:fldChar w:fldCharType='begin'/></w:r><w:r><w:instrText>HYPERLINK x</w:instrText></w:r>"
            + "<w:r><w:fldChar w:fldCharType='begin'/></w:r><w:r><w:fldChar w:fldCharType='separate'/></w:r>"
            + run("inner") + "<w:r><w:fldChar w:fldCharType='end'/></w:r>"
            + "<w:r><w:fldChar w:fldCharType='separate'/></w:r>" + run("shown")
            + "<w:r><w:fldChar w:fldCharType='end'/></w:r>" + run(" after"), "shown after",
        ),
    ],
    ids=[
        "runs", "breaks", "hyphen", "soft hyphens", "link", "tag", "control", "result", "symbol", "ruby", "formula",
        "field",
    ],
)  # fmt: skip
def test_the_words_of_a_paragraph_are_those_that_are_shown(runs: str, text: str) -> None:
    assert body(f"<w:p><w:pPr><w:tabs><w:tab w:val='left' w:pos='1'/></w:tabs></w:pPr>{runs}</w:p>").text == text


def test_a_field_that_never_ends_does_not_swallow_the_document() -> None:
    content = body(
        "<w:p><w:r><w:fldChar w:fldCharType='begin'/></w:r>" + run("lost") + "</w:p><w:p>" + run("kept") + "</w:p>"
    )
    assert content.text == "kept"


def test_tracked_changes_are_read_as_if_accepted_and_counted() -> None:
    content = body(
        "<w:p>" + run("It costs ") + "<w:del><w:r><w:delText>30</w:delText></w:r></w:del>"
        "<w:del><w:r><w:delText>.5</w:delText></w:r></w:del><w:ins>" + run("40") + "</w:ins>" + run(" pounds.")
        + "<w:moveFrom>" + run("Moved away.") + "</w:moveFrom></w:p><w:p><w:moveTo>" + run("Moved here.")
        + "</w:moveTo></w:p><w:tbl><w:tr><w:tc><w:p>" + run("a") + "</w:p></w:tc><w:tc><w:p>" + run("b")
        + "</w:p></w:tc></w:tr><w:tr><w:trPr><w:del/></w:trPr><w:tc><w:p>" + run("c") + "</w:p></w:tc></w:tr></w:tbl>"
    )  # fmt: skip
    assert content.text == "It costs 40 pounds.\n\nMoved here.\n\na\tb"
    assert content.coverage.left_out == (("tracked deletions", 3),)
    assert content.remarks == ("tracked changes are read as if accepted",)


def test_hidden_text_is_left_out_and_counted_once_a_stretch() -> None:
    content = body(
        "<w:p>" + run("a ") + run("hid", "<w:vanish/>") + run("den", "<w:vanish/>") + run("b", "<w:vanish w:val='0'/>")
        + run("more", "<w:vanish/>") + "</w:p>"
    )  # fmt: skip
    assert content.text == "a b"
    assert content.coverage.left_out == (("hidden passages", 2),)


def test_text_that_a_style_hides_is_hidden_too() -> None:
    def write(document: Document) -> None:
        style = document.styles.add_style("Secret", 2)
        style.font.hidden = True
        document.add_paragraph("shown ").add_run("not shown", style="Secret")

    content = written(write)
    assert (content.text, content.coverage.left_out) == ("shown", (("hidden passages", 1),))


def test_comments_headers_footers_pictures_and_strange_symbols_are_counted() -> None:
    def write(document: Document) -> None:
        paragraph = document.add_paragraph("text")
        document.add_comment(paragraph.runs, "What does this mean?", author="A")
        document.sections[0].header.paragraphs[0].text = "Ferry company"
        document.sections[0].footer.paragraphs[0].text = "Confidential"
        paragraph._p.append(
            parse_xml(f"<w:r {nsdecls('w')}><w:sym w:font='Wingdings' w:char='F0FC'/><w:drawing><x:pic xmlns:x='x'/>"
                      "</w:drawing></w:r>")
        )  # fmt: skip

    content = written(write)
    assert content.text == "text"
    assert content.coverage.left_out == (
        ("comments", 1), ("headers and footers", 2), ("pictures", 1), ("symbols of fonts that are not Unicode", 1),
    )  # fmt: skip


def note(kind: str, number: int, text: str) -> str:
    return f"<w:{kind} w:id='{number}'><w:p><w:r><w:{kind}Ref/></w:r>{run(text)}</w:p></w:{kind}>"


def test_notes_follow_the_paragraph_that_cites_them_and_belong_to_it() -> None:
    document = docx.Document()
    for text, kind in (("Ferries sail.", "footnote"), ("Dogs are free.", "endnote"), ("The end.", "")):
        paragraph = document.add_paragraph(text)
        if kind:
            cite(paragraph, kind, 2)
    data = saved(document)
    for kind, text in (("footnote", "In summer."), ("endnote", "With a lead.")):
        xml = f"<w:{kind}s {nsdecls('w')}>{note(kind, 0, 'no')}{note(kind, 2, text)}</w:{kind}s>"
        data = with_part(data, f"{kind}s", xml)
    content = word.read(data)
    assert parts(content) == [
        (1, "Ferries sail.\n\nIn summer."),
        (2, "Dogs are free.\n\nWith a lead."),
        (3, "The end."),
    ]


def cite(paragraph: Paragraph, kind: str, number: int) -> None:
    paragraph._p.append(parse_xml(f"<w:r {nsdecls('w')}><w:{kind}Reference w:id='{number}'/></w:r>"))


def test_a_note_that_cites_itself_stands_once() -> None:
    document = docx.Document()
    cite(document.add_paragraph("a"), "footnote", 1)
    inner = f"<w:p>{run('b')}<w:r><w:footnoteReference w:id='1'/></w:r></w:p>"
    xml = f"<w:footnotes {nsdecls('w')}><w:footnote w:id='1'>{inner}</w:footnote></w:footnotes>"
    assert word.read(with_part(saved(document), "footnotes", xml)).text == "a\n\nb"


def test_a_text_box_is_read_once_after_the_paragraph_that_holds_it() -> None:
    box = "<w:txbxContent><w:p>" + run("In the box") + "</w:p><w:p>" + run("Its second line") + "</w:p></w:txbxContent>"
    content = body(
        f"<w:p>{run('Beside')}<w:r><mc:AlternateContent><mc:Choice><w:drawing>{box}</w:drawing></mc:Choice>"
        f"<mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict></mc:Fallback></mc:AlternateContent></w:r></w:p>"
        f"<w:p><w:r><w:pict>{box}</w:pict></w:r></w:p>"
    )
    boxed = "In the box\n\nIts second line"
    assert parts(content) == [(1, f"Beside\n\n{boxed}"), (2, boxed)]


# Tables


def table(*rows: str) -> str:
    return f"<w:tbl><w:tblPr/>{''.join(f'<w:tr>{row}</w:tr>' for row in rows)}</w:tbl>"


def cells(*texts: str, properties: str = "") -> str:
    return "".join(f"<w:tc><w:tcPr/><w:p>{run(text, properties)}</w:p></w:tc>" for text in texts)


@pytest.mark.parametrize(
    ("rows", "header"),
    [
        (("<w:trPr><w:tblHeader/></w:trPr>" + cells("2022", "2023"), cells("1", "2")), "2022 | 2023"),
        (
            ("<w:trPr><w:tblHeader/></w:trPr>" + cells("", "Price", "Price"),
             "<w:trPr><w:tblHeader/></w:trPr>" + cells("Who", "low", "high"), cells("Car", "4", "5")),
            "Who | Price low | Price high",
        ),
        ((cells("2022", "2023", properties="<w:b/>"), cells("1", "2")), "2022 | 2023"),
        ((cells("Who", "Price"), cells("Car", "40")), "Who | Price"),
        ((cells("2022", "2023"), cells("1", "2")), None),
        ((cells("Who", ""), cells("Car", "40")), None),
        ((cells("Who", "Price"),), None),
    ],
    ids=["marked", "two rows marked", "bold", "names", "numbers", "gap", "alone"],
)  # fmt: skip
def test_the_header_of_a_table_is_marked_or_stands_out(rows: tuple[str, ...], header: str | None) -> None:
    content = body(table(*rows))
    assert [of.header for of in content.tables] == ([] if header is None else [header])
    for of in content.tables:
        assert content.text[of.start : of.end] == content.text.splitlines()[-1]


def test_merged_cells_stand_once() -> None:
    def write(document: Document) -> None:
        made = document.add_table(3, 3)
        made.cell(0, 0).merge(made.cell(0, 1)).text = "wide"
        made.cell(0, 2).text = "c"
        made.cell(1, 0).merge(made.cell(2, 0)).text = "tall"
        made.cell(1, 1).text, made.cell(2, 1).text, made.cell(2, 2).text = "1", "2", "3"

    assert written(write).text == "wide\tc\ntall\t1\n\t2\t3"


def test_tables_that_hold_tables_are_read_cell_by_cell() -> None:
    inner = table(cells("Who", "Price"), cells("Car", "40"))
    content = body(
        table(f"<w:tc><w:p>{run('left')}</w:p></w:tc><w:tc>{inner}<w:p>{run('below')}</w:p></w:tc>")
        + "<w:p/>" + table(cells("framed"), cells("words"))
    )  # fmt: skip
    assert content.text == "left\n\nWho\tPrice\nCar\t40\n\nbelow\n\nframed\n\nwords"
    assert [content.text[of.start : of.end] for of in content.tables] == ["Car\t40"]
    assert [number for number, _ in parts(content)] == [1, 2, 3, 4, 5, 6]


def test_notes_in_a_table_follow_it_and_lie_outside_its_rows() -> None:
    document = docx.Document()
    made = document.add_table(2, 2)
    for cell, text in zip(made._cells, ("Who", "Price", "Car", "40"), strict=True):
        cell.text = text
    cite(made.cell(1, 1).paragraphs[0], "footnote", 1)
    xml = f"<w:footnotes {nsdecls('w')}>{note('footnote', 1, 'One way.')}</w:footnotes>"
    content = word.read(with_part(saved(document), "footnotes", xml))
    assert content.text == "Who\tPrice\nCar\t40\n\nOne way."
    assert [content.text[of.start : of.end] for of in content.tables] == ["Car\t40"]


# Variants of the format


@pytest.mark.parametrize(
    "kind", ["application/vnd.ms-word.document.macroEnabled.main+xml",
             "application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml"],
)  # fmt: skip
def test_documents_with_macros_and_templates_are_read(kind: str) -> None:
    document = docx.Document()
    document.add_paragraph("text")
    usual = b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    assert word.read(replaced(saved(document), "[Content_Types].xml", usual, kind.encode())).text == "text"


def test_the_strict_variant_differs_in_namespaces_only() -> None:
    document = docx.Document()
    article(document)
    data = saved(document)
    for member in ("word/document.xml", "word/styles.xml"):
        strict = b"http://purl.oclc.org/ooxml/wordprocessingml/main"
        data = replaced(data, member, WORDPROCESSING.encode(), strict)
    for member in ("_rels/.rels", "word/_rels/document.xml.rels"):
        data = replaced(data, member, OFFICE.encode(), b"http://purl.oclc.org/ooxml/officeDocument/relationships")
    assert word.read(data) == written(article)


# What cannot be read


@pytest.fixture(scope="module")
def good() -> bytes:
    document = docx.Document()
    article(document)
    return saved(document)


def test_broken_files_say_what_is_wrong(good: bytes) -> None:
    laughs = b"<!DOCTYPE a [<!ENTITY e 'ha'><!ENTITY f '&e;&e;'>]><w:document><w:body>&f;</w:body></w:document>"
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("inner.docx", good)
    assert reason(b"") == "empty"
    assert reason(b"plain text") == "not of this format"
    assert reason(good[:-100]) == "damaged: incomplete or overwritten"
    assert reason(zipped.getvalue()) == "not of this format"
    assert reason(changed(good, "word/document.xml", lambda _: None)) == "damaged: word/document.xml is missing"
    assert reason(changed(good, "word/styles.xml", lambda _: None)) == "damaged: word/styles.xml is missing"
    assert reason(changed(good, "word/document.xml", lambda xml: xml[:-50])) == (
        "damaged: word/document.xml is not well-formed XML"
    )
    assert reason(changed(good, "_rels/.rels", lambda _: b"<Relationships/>")) == "damaged: names no main part"
    assert reason(changed(good, "word/document.xml", lambda _: b"<presentation/>")) == "not a Word document"
    assert reason(changed(good, "word/document.xml", lambda _: laughs.replace(b"w:", b""))) == (
        "word/document.xml declares entities, as no document needs to"
    )


def test_very_many_entities_end_at_once(good: bytes) -> None:
    entities = b"<!ENTITY e0 'ha '>" + b"".join(
        b"<!ENTITY e%d '%s'>" % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 10)
    )
    started = time.process_time()
    xml = b"<!DOCTYPE a [" + entities + b"]><document><body><p><r><t>&e9;</t></r></p></body></document>"
    assert reason(changed(good, "word/document.xml", lambda _: xml)).startswith(
        "damaged: word/document.xml is not well"
    )
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("opening", "closing", "levels"),
    [
        ("<w:p><w:r><w:pict><w:txbxContent>", "</w:txbxContent></w:pict></w:r></w:p>", 60),
        ("<w:tbl><w:tr><w:tc>", "</w:tc></w:tr></w:tbl>", 80),
        ("<w:sdt>", "</w:sdt>", 240),
    ],
)
def test_what_nests_as_deep_as_the_parser_allows_is_read(opening: str, closing: str, levels: int) -> None:
    assert body(opening * levels + "<w:p>" + run("deep") + "</w:p>" + closing * levels).text == "deep"


@hypothesis_settings(deadline=None, max_examples=150)
@given(st.data())
def test_changed_bytes_are_read_or_refused(good: bytes, data: st.DataObject) -> None:
    """Bytes of the file, and bytes of the XML in it, which no checksum guards."""
    member = data.draw(st.sampled_from(["", "word/document.xml", "word/styles.xml", "word/_rels/document.xml.rels"]))

    def change(content: bytes) -> bytes:
        mutated = bytearray(content)
        for _ in range(data.draw(st.integers(1, 4))):
            place = data.draw(st.integers(0, len(mutated) - 1))
            mutated[place] = data.draw(st.sampled_from(b'<>/"0 9w:\x00\xff'))
        return bytes(mutated)

    try:
        content = word.read(changed(good, member, change) if member else change(good))
    except Unreadable:
        return
    for part in content.parts:
        assert content.text[part.start : part.end].strip()


@pytest.mark.parametrize(
    ("font", "code", "sign"),
    [("Symbol", "F061", "α"), ("symbol", "F0B3", "≥"), ("Symbol", "F0F2", "∫"), ("Symbol", "F0FE", ""),
     ("Wingdings", "F0FC", ""), ("Arial", "00B0", "°"), ("Segoe UI Symbol", "2610", "☐"), ("Symbol", "x", ""),
     ("Symbol", "D800", ""), ("Symbol", "", "")],
)  # fmt: skip
def test_symbols_become_the_characters_they_mean_where_that_can_be_told(font: str, code: str, sign: str) -> None:
    assert symbol(font, code) == sign
