"""Presentations: what stands on each slide, in the order in which a person reads it."""

import io
import zipfile
from collections.abc import Callable

import pptx
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from lxml import etree
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.opc.package import Part
from pptx.opc.packuri import PackURI
from pptx.presentation import Presentation
from pptx.slide import Slide
from pptx.util import Inches

from pincite.errors import Unreadable
from pincite.reading import slides
from pincite.reading.content import Content
from pincite.types import Table

TITLE, BULLETS, TITLE_ONLY, BLANK = 0, 1, 5, 6
PIXEL = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00:~\x9bU\x00\x00\x00\nIDATx"
    b"\x9cc`\x00\x00\x00\x02\x00\x01H\xaf\xa4q\x00\x00\x00\x00IEND\xaeB`\x82"
)


def saved(presentation: Presentation) -> bytes:
    file = io.BytesIO()
    presentation.save(file)
    return file.getvalue()


def written(*layouts: int, write: Callable[..., object]) -> Content:
    """A deck with a slide of each layout; `write` is handed all of them."""
    presentation = pptx.Presentation()
    write(*(presentation.slides.add_slide(presentation.slide_layouts[layout]) for layout in layouts))
    return slides.read(saved(presentation))


def box(slide: Slide, text: str, left: float, top: float) -> None:
    slide.shapes.add_textbox(Inches(left), Inches(top), Inches(1), Inches(1)).text_frame.text = text


def changed(data: bytes, member: str, change: Callable[[bytes], bytes | None]) -> bytes:
    """The file with one member changed, or without it."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            content = change(before.read(name)) if name == member else before.read(name)
            if content is not None:
                after.writestr(name, content)
    return file.getvalue()


def parts(content: Content) -> list[tuple[int, str]]:
    assert {part.name for part in content.parts} <= {"slide"}
    return [(part.number, content.text[part.start : part.end]) for part in content.parts]


def reason(data: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        slides.read(data)
    return str(caught.value)


def talk(title: Slide, bullets: Slide, blank: Slide) -> None:
    title.shapes.title.text = "Ferries"
    title.placeholders[1].text = "A short talk"
    bullets.shapes.title.text = "Fares in\vwinter"
    bullets.placeholders[1].text = "A car costs 40\nA dog sails free"
    bullets.notes_slide.notes_text_frame.text = "Say that this changed.\nThen pause."
    box(blank, "No title here", 1, 1)


def test_each_slide_is_a_part_with_its_title_as_heading_and_its_notes_at_the_end() -> None:
    content = written(TITLE, BULLETS, BLANK, write=talk)
    assert parts(content) == [
        (1, "Ferries\n\nA short talk"),
        (2, "Fares in\nwinter\n\nA car costs 40\nA dog sails free\n\nSay that this changed.\nThen pause."),
        (3, "No title here"),
    ]
    assert content.text == "\n\n".join(text for _, text in parts(content))
    assert [(of.start, of.heading) for of in content.sections] == [
        (0, ("Ferries",)), (content.text.index("Fares"), ("Fares in winter",)), (content.text.index("No title"), ()),
    ]  # fmt: skip
    assert (content.title, content.pages, content.coverage.searchable) == ("Ferries", (), 1.0)
    assert content.coverage.left_out == ()


def test_shapes_are_read_from_top_to_bottom_and_from_left_to_right_with_the_title_first() -> None:
    def write(slide: Slide) -> None:
        box(slide, "four", 1, 4)
        box(slide, "two", 5, 2)
        box(slide, "one", 1, 2.1)
        box(slide, "three", 8, 2.2)
        slide.shapes.title.text = "Title"
        slide.shapes.title.top, slide.shapes.title.left = Inches(6), Inches(1)

    assert written(TITLE_ONLY, write=write).text == "Title\n\none\n\ntwo\n\nthree\n\nfour"


def test_a_placeholder_stands_where_its_layout_has_it() -> None:
    def write(slide: Slide) -> None:
        box(slide, "above", 1, 1)
        slide.placeholders[1].text = "body"
        box(slide, "below", 1, 7)

    assert written(BULLETS, write=write).text == "above\n\nbody\n\nbelow"


def test_a_group_is_read_whole_at_its_place() -> None:
    def write(slide: Slide) -> None:
        group = slide.shapes.add_group_shape()
        inner = group.shapes.add_group_shape()
        for shapes, text, top in ((group.shapes, "last", 5), (inner.shapes, "second", 4), (inner.shapes, "first", 3)):
            shapes.add_textbox(Inches(1), Inches(top), Inches(1), Inches(1)).text_frame.text = text
        box(slide, "beside", 4, 3.5)
        box(slide, "before", 1, 1)

    assert written(BLANK, write=write).text == "before\n\nfirst\n\nsecond\n\nlast\n\nbeside"


def test_a_table_is_read_row_by_row_below_its_header() -> None:
    def write(slide: Slide) -> None:
        table = slide.shapes.add_table(3, 3, Inches(1), Inches(1), Inches(5), Inches(2)).table
        for row, words in enumerate([("Who", "2022", "2023"), ("Car", "40\npounds", "45"), ("Dog", "free", "")]):
            for column, text in enumerate(words):
                table.cell(row, column).text = text
        table.cell(2, 1).merge(table.cell(2, 2))

    content = written(BLANK, write=write)
    assert content.text == "Who\t2022\t2023\nCar\t40 pounds\t45\nDog\tfree"
    assert content.tables == (Table(14, len(content.text), "Who | 2022 | 2023"),)
    assert parts(content) == [(1, content.text)]


def test_a_charts_title_series_and_categories_are_text() -> None:
    def write(slide: Slide) -> None:
        data = CategoryChartData()
        data.categories = ["Summer", "Winter"]
        data.add_series("Passengers", (5, 3))
        frame = slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, Inches(5), Inches(4), data)
        frame.chart.has_title = True
        frame.chart.chart_title.text_frame.text = "Sales by season"

    content = written(BLANK, write=write)
    assert content.text == "Sales by season\nPassengers\nSummer\nWinter"
    assert content.coverage.left_out == ()


def test_the_points_of_a_diagram_are_text() -> None:
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[BLANK])
    points = "".join(f"<d:pt><d:t><a:p><a:r><a:t>{text}</a:t></a:r></a:p></d:t></d:pt>" for text in ("Book", "Sail"))
    part = Part(PackURI("/ppt/diagrams/data1.xml"), "application/xml", presentation.part.package)
    part.blob = f"<d:dataModel xmlns:d='urn:d' xmlns:a='urn:a'><d:ptLst>{points}</d:ptLst></d:dataModel>".encode()
    reference = slide.part.relate_to(part, "urn:x/diagramData")
    slide.shapes.add_table(1, 1, 0, 0, 9, 9)
    data = slide.shapes[0]._element.graphic.graphicData
    data.replace(data.tbl, etree.fromstring(f"<d:relIds xmlns:d='urn:d' xmlns:r='urn:r' r:dm='{reference}'/>"))
    assert slides.read(saved(presentation)).text == "Book\nSail"


def test_a_hidden_slide_is_counted_and_the_others_keep_their_numbers() -> None:
    def write(first: Slide, hidden: Slide, picture: Slide, last: Slide) -> None:
        first.shapes.title.text = "One"
        hidden.shapes.title.text = "Two"
        hidden._element.set("show", "0")
        picture.shapes.add_picture(io.BytesIO(PIXEL), 0, 0)
        last.shapes.title.text = "Four"

    content = written(TITLE_ONLY, TITLE_ONLY, BLANK, TITLE_ONLY, write=write)
    assert parts(content) == [(1, "One"), (4, "Four")]
    assert content.coverage.searchable == 0.5
    assert content.coverage.left_out == (("hidden slides", 1), ("pictures", 1))


def test_an_untitled_slide_does_not_stand_under_the_title_before() -> None:
    def write(first: Slide, second: Slide) -> None:
        first.shapes.title.text = "One"
        box(second, "text", 1, 1)

    assert [of.heading for of in written(TITLE_ONLY, BLANK, write=write).sections] == [("One",), ()]


def test_hidden_shapes_footers_and_slide_numbers_are_counted() -> None:
    def write(slide: Slide) -> None:
        box(slide, "shown", 1, 1)
        for text, mark in (("hidden", None), ("Ferry company", "ftr"), ("7", "sldNum")):
            box(slide, text, 1, 2)
            shape = slide.shapes[-1]._element
            if mark is None:
                shape.nvSpPr.cNvPr.set("hidden", "1")
            else:
                shape.nvSpPr.nvPr._add_ph().set("type", mark)

    content = written(BLANK, write=write)
    assert content.text == "shown"
    assert content.coverage.left_out == (("footers, dates and slide numbers", 2), ("hidden shapes", 1))


def test_what_a_layout_puts_on_every_slide_is_counted() -> None:
    presentation = pptx.Presentation()
    layout = presentation.slide_layouts[BLANK]
    shown = presentation.slides.add_slide(layout)
    box(shown, "shown", 1, 1)
    layout._element.cSld.spTree.append(shown.shapes[0]._element.__copy__())
    content = slides.read(saved(presentation))
    assert (content.text, content.coverage.left_out) == ("shown", (("texts of layouts", 1),))


@hypothesis_settings(deadline=None, max_examples=25)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=30), max_size=5))
def test_any_text_comes_back_as_the_library_reads_it(texts: list[str]) -> None:
    presentation = pptx.Presentation()
    for text in texts:
        box(presentation.slides.add_slide(presentation.slide_layouts[BLANK]), text, 1, 1)
    data = saved(presentation)
    witness = [
        (number, slide.shapes[0].text_frame.text.replace("\xad", "").strip())
        for number, slide in enumerate(pptx.Presentation(io.BytesIO(data)).slides, 1)
    ]
    assert parts(slides.read(data)) == [(number, text) for number, text in witness if text]


@pytest.fixture(scope="module")
def good() -> bytes:
    presentation = pptx.Presentation()
    talk(*(presentation.slides.add_slide(presentation.slide_layouts[layout]) for layout in (TITLE, BULLETS, BLANK)))
    return saved(presentation)


def test_shows_templates_and_files_with_macros_are_read(good: bytes) -> None:
    usual = b"application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"
    for kind in (
        b"application/vnd.openxmlformats-officedocument.presentationml.slideshow.main+xml",
        b"application/vnd.openxmlformats-officedocument.presentationml.template.main+xml",
        b"application/vnd.ms-powerpoint.presentation.macroEnabled.main+xml",
    ):
        other = changed(good, "[Content_Types].xml", lambda xml, kind=kind: xml.replace(usual, kind))
        assert (other != good, slides.read(other)) == (True, slides.read(good))


def test_broken_files_say_what_is_wrong(good: bytes) -> None:
    assert reason(b"") == "empty"
    assert reason(good[: len(good) // 2]) == "damaged: incomplete or overwritten"
    assert reason(changed(good, "ppt/slides/slide2.xml", lambda _: None)) == "damaged: ppt/slides/slide2.xml is missing"
    assert reason(changed(good, "ppt/_rels/presentation.xml.rels", lambda _: None)) == "damaged: slide 1 is missing"
    assert reason(changed(good, "ppt/slides/slide2.xml", lambda xml: xml[:99])) == (
        "damaged: ppt/slides/slide2.xml is not well-formed XML"
    )
    assert reason(changed(good, "ppt/presentation.xml", lambda _: b"<document/>")) == "not a presentation"


@hypothesis_settings(deadline=None, max_examples=60)
@given(st.data())
def test_changed_bytes_are_read_or_refused(good: bytes, data: st.DataObject) -> None:
    member = data.draw(
        st.sampled_from(["", "ppt/presentation.xml", "ppt/slides/slide2.xml", "ppt/slides/_rels/slide2.xml.rels"])
    )

    def change(content: bytes) -> bytes:
        mutated = bytearray(content)
        for _ in range(data.draw(st.integers(1, 4))):
            place = data.draw(st.integers(0, len(mutated) - 1))
            mutated[place] = data.draw(st.sampled_from(b'<>/"0 9a:\x00\xff'))
        return bytes(mutated)

    try:
        content = slides.read(changed(good, member, change) if member else change(good))
    except Unreadable:
        return
    for part in content.parts:
        assert content.text[part.start : part.end].strip()
