"""The PDF reader: on pages drawn here, whose words and places are known, and on real reports."""

import hashlib
import io
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pypdf
import pypdf.annotations
import pypdfium2 as pdfium
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from pincite import reading
from pincite.errors import Unreadable
from pincite.reading import pdf
from pincite.reading.content import Content
from pincite.types import Document, Page, Table

WORDS = """
    the ferry leaves its harbour at dawn and crosses a narrow sound where porpoises follow the wake until grey
    cliffs rise from the morning haze so that travellers on deck put down their cups and count gulls
""".split()  # noqa: SIM905 - a list of words is read as words


def drawn(draw: Callable[[Canvas], None], **options: object) -> bytes:
    """A file of what `draw` puts on its pages, each 400 by 600 points."""
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=(400, 600), **options)
    draw(canvas)
    canvas.save()
    return file.getvalue()


def put(canvas: Canvas, x: float, y: float, lines: list[str], font: str = "Helvetica", size: float = 10) -> float:
    """Lines below each other from the baseline `y` on; where the next would stand."""
    canvas.setFont(font, size)
    for line in lines:
        canvas.drawString(x, y, line)
        y -= 1.2 * size
    return y


def prose(seed: int, lines: int, width: float = 320, indent: float = 0) -> list[str]:
    """Lines that fill a width, of one sentence."""
    chance = random.Random(seed)
    found = [""]
    while True:
        word = chance.choice(WORDS)
        longer = f"{found[-1]} {word}".strip()
        if stringWidth(longer, "Helvetica", 10) > width - (indent if len(found) == 1 else 0):
            if len(found) == lines:
                found[-1] += "."
                return [found[0].capitalize(), *found[1:]]
            found.append(word)
        else:
            found[-1] = longer


def as_document(data: bytes) -> Document:
    content = pdf.read(data)
    return Document(
        "a.pdf", content.title, "application/pdf", hashlib.sha256(data).hexdigest(), content.text, pages=content.pages
    )


def named(content: Content) -> list[tuple[str, tuple[str, ...]]]:
    return [(content.text[s.start :].split("\n\n")[0], s.heading) for s in content.sections]


def page_texts(content: Content) -> list[str]:
    return [content.text[page.start : page.end] for page in content.pages]


# Reading order


def test_lines_are_joined_and_paragraphs_kept_apart() -> None:
    one, two = prose(1, 4), prose(2, 3)

    def draw(canvas: Canvas) -> None:
        put(canvas, 40, 500, two)  # drawn before what stands above it
        put(canvas, 40, 560, one)

    assert pdf.read(drawn(draw)).text == " ".join(one) + "\n\n" + " ".join(two)


def test_indented_paragraphs_without_space_between_them_are_kept_apart() -> None:
    one, two = prose(1, 4, width=300, indent=15), prose(2, 4, width=300, indent=15)

    def draw(canvas: Canvas) -> None:
        y = 560.0
        for lines in (one, two):
            put(canvas, 55, y, lines[:1])
            y = put(canvas, 40, y - 12, lines[1:])

    assert pdf.read(drawn(draw)).text == " ".join(one) + "\n\n" + " ".join(two)


@pytest.mark.parametrize("offset", [0.0, 5.0], ids=["on the same baselines", "on others"])
def test_columns_are_read_one_after_the_other_and_what_crosses_them_keeps_its_place(offset: float) -> None:
    blocks = [prose(seed, 6, width=150) for seed in range(4)]
    across = prose(9, 2)

    def draw(canvas: Canvas) -> None:
        put(canvas, 40, 560, ["A heading that crosses both of the columns"], size=16)
        for x, block in ((40, blocks[0]), (210, blocks[1])):
            put(canvas, x, 530 - (offset if x > 40 else 0), block)
        put(canvas, 40, 440, across)
        for x, block in ((40, blocks[2]), (210, blocks[3])):
            put(canvas, x, 400 - (offset if x > 40 else 0), block)

    text = pdf.read(drawn(draw)).text
    assert text == "\n\n".join(
        [
            "A heading that crosses both of the columns",
            *(" ".join(b) for b in (blocks[0], blocks[1], across, *blocks[2:])),
        ]
    )


def test_characters_drawn_one_by_one_in_any_order_are_still_words() -> None:
    line = "Porpoises follow the wake."
    places = [(40 + stringWidth(line[:n], "Helvetica", 10), sign) for n, sign in enumerate(line) if sign != " "]
    random.Random(0).shuffle(places)

    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 10)
        for x, sign in places:
            canvas.drawString(x, 500, sign)

    assert pdf.read(drawn(draw)).text == line


def test_a_raised_sign_stays_in_its_line() -> None:
    def draw(canvas: Canvas) -> None:
        put(canvas, 40, 500, ["The ferry leaves"])
        put(canvas, 40 + stringWidth("The ferry leaves", "Helvetica", 10), 504, ["2"], size=6)
        put(canvas, 45 + stringWidth("The ferry leaves", "Helvetica", 10), 500, ["at dawn."])

    assert pdf.read(drawn(draw)).text == "The ferry leaves2 at dawn."


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_rotated_page_is_read_as_it_is_shown(rotation: int) -> None:
    """Drawn so that it is upright once the page is turned; ReportLab swaps the sides of what it turns."""
    lines = prose(3, 4)

    def draw(canvas: Canvas) -> None:
        canvas.setPageRotation(rotation)
        canvas.translate(*{0: (0, 0), 90: (600, 0), 180: (400, 600), 270: (0, 400)}[rotation])
        canvas.rotate(rotation)
        put(canvas, 40, 550, lines)

    data = drawn(draw)
    document = as_document(data)
    assert document.text == " ".join(lines)
    (first,) = pdf.boxes(data, document, 0, len(lines[0]))
    assert (first.left, first.right) == (
        pytest.approx(40, abs=0.1),
        pytest.approx(40 + stringWidth(lines[0], "Helvetica", 10), abs=0.1),
    )
    assert first.bottom < 550 < first.top


def test_text_in_other_directions_comes_after_the_text_of_the_page() -> None:
    lines = prose(3, 4)

    def draw(canvas: Canvas) -> None:
        canvas.saveState()
        canvas.translate(20, 200)
        canvas.rotate(90)
        put(canvas, 0, 0, ["Printed in the margin"])
        canvas.restoreState()
        put(canvas, 40, 560, lines)
        canvas.translate(100, 100)
        canvas.rotate(37)
        put(canvas, 0, 0, ["Aslant on the page"])

    assert pdf.read(drawn(draw)).text == " ".join(lines) + "\n\nPrinted in the margin\n\nAslant on the page"


def test_lists_have_a_line_for_each_item() -> None:
    def draw(canvas: Canvas) -> None:
        put(canvas, 40, 560, ["Bring the following:"])
        for number, item in enumerate(["a coat", "a ticket that is valid on the day of the crossing and", "food"]):
            y = 540 - 14 * number - (12 if number == 2 else 0)
            put(canvas, 50, y, ["•"])
            put(canvas, 70, y, [item])
        put(canvas, 70, 540 - 26, ["no other"])

    text = pdf.read(drawn(draw)).text
    assert text == (
        "Bring the following:\n\n• a coat\n• a ticket that is valid on the day of the crossing and no other\n• food"
    )


# Words across the ends of lines


@pytest.mark.parametrize(
    ("elsewhere", "ends", "joined"),
    [
        ("", ("infor-", "mation"), "information"),
        ("It is a long-term plan.", ("a long-", "term lease"), "a long-term lease"),
        ("Such information helps in a formation.", ("in-", "formation"), "information"),
        ("The data were driven home.", ("a data-", "driven test"), "a data-driven test"),
        ("", ("Form 10-", "Q"), "Form 10-Q"),
        ("", ("the Anglo-", "Saxon king"), "the Anglo-Saxon king"),
        ("", ("a pause -", "then more"), "a pause - then more"),
    ],
)
def test_a_hyphen_at_a_lines_end_goes_or_stays_as_the_document_says(
    elsewhere: str, ends: tuple[str, str], joined: str
) -> None:
    def draw(canvas: Canvas) -> None:
        put(canvas, 40, 560, [elsewhere])
        filler = "So it was said at "
        while stringWidth(f"{filler}x {ends[0]}", "Helvetica", 10) < 300:
            filler += "x"
        put(canvas, 40, 500, [f"{filler} {ends[0]}", f"{ends[1]} and so on and on and on."])

    assert f" {joined} and so on" in pdf.read(drawn(draw)).text


def test_a_paragraph_goes_on_over_a_page_and_over_a_hyphen_there() -> None:
    one, two = prose(4, 5), prose(5, 4, indent=40)
    one[-1] = " ".join(one[-1].split()[:4]) + " infor-"

    def draw(canvas: Canvas) -> None:
        put(canvas, 40, 560, one)
        canvas.showPage()
        put(canvas, 40, 560, ["mation " + two[0].lower(), *two[1:]])

    content = pdf.read(drawn(draw))
    whole = " ".join(one)[:-1] + "mation " + two[0].lower() + " " + " ".join(two[1:])
    assert content.text == whole
    first, second = content.pages
    assert (first.end, second.start) == (whole.index("mation "), whole.index("mation "))
    assert (first.start, second.end) == (0, len(whole))


def test_a_paragraph_that_ends_with_its_page_is_not_joined_with_the_next() -> None:
    one, two = prose(4, 5), prose(5, 4)

    def draw(canvas: Canvas) -> None:
        put(canvas, 40, 560, one)
        canvas.showPage()
        put(canvas, 40, 560, two)

    content = pdf.read(drawn(draw))
    assert page_texts(content) == [" ".join(one), " ".join(two)]
    assert content.text == " ".join(one) + "\n\n" + " ".join(two)


# Running headers, footers, page numbers


def running_pages(canvas: Canvas, pages: int, footer: Callable[[int], str]) -> None:
    for number in range(1, pages + 1):
        put(canvas, 40, 580, ["The Ferryman’s Gazette" if number % 2 else "Tides and Harbours"], size=8)
        put(canvas, 40, 540, [f"Own line of page {number * number}", *prose(number, 5)])
        canvas.drawCentredString(200, 20, footer(number))
        canvas.showPage()


@pytest.mark.parametrize(
    ("footer", "counted"),
    [
        (lambda number: str(number + 6), (("running headers and footers", 6), ("page numbers", 6))),
        (lambda number: f"Page {number} of 6", (("running headers and footers", 6), ("page numbers", 6))),
        (lambda number: ["i", "ii", "iii", "iv", "v", "vi"][number - 1],
         (("running headers and footers", 6), ("page numbers", 6))),
        (lambda number: f"Gazette | Summer 2022 | {number}", (("running headers and footers", 12),)),
    ],
    ids=["number", "of", "roman", "with words"],
)  # fmt: skip
def test_running_headers_and_footers_are_left_out_and_counted(
    footer: Callable[[int], str], counted: tuple[tuple[str, int], ...]
) -> None:
    content = pdf.read(drawn(lambda canvas: running_pages(canvas, 6, footer)))
    assert page_texts(content) == [
        f"Own line of page {number * number}\n" + " ".join(prose(number, 5)) for number in range(1, 7)
    ]
    assert content.coverage.left_out == counted


def test_a_line_that_stands_on_one_page_only_is_never_left_out() -> None:
    own = ["First edition", "Second printing", "Errata follow", "Corrected later"]

    def draw(canvas: Canvas) -> None:
        for words in own:
            put(canvas, 40, 580, [words], size=8)
            put(canvas, 40, 540, prose(len(words), 5))
            put(canvas, 40, 20, [f"Note: {words.lower()}"], size=8)
            canvas.showPage()

    content = pdf.read(drawn(draw))
    assert content.coverage.left_out == ()
    assert [text.split("\n")[0] for text in page_texts(content)] == own
    assert [text.split("\n")[-1] for text in page_texts(content)] == [f"Note: {words.lower()}" for words in own]


def test_numbers_that_do_not_grow_with_the_pages_are_text() -> None:
    def draw(canvas: Canvas) -> None:
        for number in (17, 4, 256, 31):
            put(canvas, 40, 540, prose(number, 5))
            put(canvas, 40, 20, [f"Total {number}"])
            canvas.showPage()

    content = pdf.read(drawn(draw))
    assert [text.split("\n")[-1] for text in page_texts(content)] == ["Total 17", "Total 4", "Total 256", "Total 31"]


# Pages


def test_pages_have_physical_numbers_and_labels_where_these_differ() -> None:
    def draw(canvas: Canvas) -> None:
        for words in ("One", "Two", "Three"):
            put(canvas, 40, 500, [words])
            canvas.showPage()

    writer = pypdf.PdfWriter(io.BytesIO(drawn(draw)))
    writer.set_page_label(0, 1, style="/r")
    writer.set_page_label(2, 2, style="/D", start=3)
    file = io.BytesIO()
    writer.write(file)
    content = pdf.read(file.getvalue())
    assert content.text == "One\n\nTwo\n\nThree"
    assert content.pages == (Page(1, 0, 3, "i"), Page(2, 5, 8, "ii"), Page(3, 10, 15))


def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8))


def test_blank_pages_and_pages_of_images_are_told_apart(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")

    def draw(canvas: Canvas) -> None:
        put(canvas, 40, 500, ["Words"])
        canvas.showPage()
        canvas.showPage()
        canvas.drawImage(str(tmp_path / "a.png"), 40, 40, 300, 300)
        canvas.showPage()

    content = pdf.read(drawn(draw))
    assert [page.number for page in content.pages] == [1]
    assert content.coverage.blank_pages == (2, 3)
    assert content.coverage.searchable == 0.5  # of pages 1 and 3; there is nothing on page 2


def test_a_file_without_text_says_why(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")

    def images(canvas: Canvas) -> None:
        for _ in range(3):
            canvas.drawImage(str(tmp_path / "a.png"), 40, 40, 300, 300)
            canvas.showPage()

    def one_of_two(canvas: Canvas) -> None:
        canvas.drawImage(str(tmp_path / "a.png"), 40, 40, 300, 300)
        canvas.showPage()
        canvas.showPage()

    for draw, reason in [
        (images, "no text on any of its 3 pages: they are images; switch sync.ocr on"),
        (one_of_two, "no text on any of its 2 pages: 1 is an image; switch sync.ocr on"),
        (
            lambda canvas: canvas.rect(10, 10, 50, 50),
            "no text on its only page: it is a drawing; switch sync.ocr on",
        ),
        (lambda canvas: canvas.showPage(), "no text on its only page: nothing is shown there"),
    ]:
        with pytest.raises(Unreadable) as caught:
            pdf.read(drawn(draw))
        assert str(caught.value) == reason


def test_what_nobody_sees_is_left_out_and_counted() -> None:
    def draw(canvas: Canvas) -> None:
        put(canvas, 40, 500, ["Seen"])
        put(canvas, -200, 400, ["Outside"])
        text = canvas.beginText(40, 300)
        text.setTextRenderMode(3)
        text.textOut("Invisible")
        canvas.drawText(text)

    content = pdf.read(drawn(draw))
    assert content.text == "Seen"
    assert content.coverage.left_out == (("characters outside the page", 7), ("invisible characters", 9))


def test_text_that_lies_unseen_over_a_scan_is_read_as_recognised(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")

    def draw(canvas: Canvas) -> None:
        canvas.drawImage(str(tmp_path / "a.png"), 0, 0, 400, 600)
        text = canvas.beginText(40, 300)
        text.setTextRenderMode(3)
        text.textOut("Scanned words")
        canvas.drawText(text)

    content = pdf.read(drawn(draw))
    assert content.text == "Scanned words"
    assert content.pages == (Page(1, 0, 13, is_recognised=True),)
    assert content.remarks == ("1 page recognised from images by the program that made the file",)


def test_fields_of_forms_are_read_and_attached_files_and_comments_counted() -> None:
    def draw(canvas: Canvas) -> None:
        put(canvas, 40, 500, ["Name of the boat:"])
        canvas.acroForm.textfield(value="Seagull", x=150, y=495, width=120, height=16, fontSize=10, borderWidth=0)

    writer = pypdf.PdfWriter(io.BytesIO(drawn(draw)))
    writer.add_attachment("a.txt", b"attached")
    writer.add_annotation(0, pypdf.annotations.Text(text="A comment", rect=(300, 300, 320, 320)))
    file = io.BytesIO()
    writer.write(file)
    content = pdf.read(file.getvalue())
    assert content.text == "Name of the boat: Seagull"
    assert content.coverage.left_out == (("attached files", 1), ("comments", 1))


# Headings and titles


def outlined(canvas: Canvas) -> None:
    for key, title, level in (("a", "Harbours", 0), ("b", "Of the north", 1), ("c", "Not on the page", 1)):
        canvas.bookmarkPage(key)
        canvas.addOutlineEntry(title, key, level)
        put(canvas, 40, 560, [title if key != "c" else "Tides"], size=14 if key == "b" else 10)
        put(canvas, 40, 530, prose(len(title), 5))
        canvas.showPage()


def test_the_outline_names_the_headings() -> None:
    assert named(pdf.read(drawn(outlined))) == [
        ("Harbours", ("Harbours",)),
        ("Of the north", ("Harbours", "Of the north")),
    ]


def test_without_an_outline_size_and_weight_make_headings() -> None:
    def draw(canvas: Canvas) -> None:
        put(canvas, 40, 560, ["Ferries of the", "northern isles"], size=20)
        put(canvas, 40, 500, ["Harbours"], size=14)
        put(canvas, 40, 480, prose(1, 5))
        put(canvas, 40, 400, ["Moorings"], font="Helvetica-Bold")
        put(canvas, 40, 380, prose(2, 5))
        put(canvas, 40, 300, ["Tides"], size=14)
        put(canvas, 40, 280, prose(3, 5))
        put(canvas, 40, 200, ["Bold, but a sentence as any other."], font="Helvetica-Bold")

    content = pdf.read(drawn(draw))
    title = "Ferries of the northern isles"
    assert content.title == title
    assert [section.heading for section in content.sections] == [
        (title,),
        (title, "Harbours"),
        (title, "Harbours", "Moorings"),
        (title, "Tides"),
    ]
    for section in content.sections:
        assert content.text[section.start :].replace("\n", " ").startswith(section.heading[-1])


def test_a_described_title_counts_where_the_first_page_has_it() -> None:
    def draw(title: str) -> Callable[[Canvas], None]:
        def on(canvas: Canvas) -> None:
            canvas.setTitle(title)
            put(canvas, 40, 560, ["A Guide to Ferries"], size=12)
            put(canvas, 40, 500, prose(1, 5))

        return on

    assert pdf.read(drawn(draw("A guide to ferries"))).title == "A guide to ferries"
    assert pdf.read(drawn(draw("Microsoft Word - draft7.doc"))).title == "A Guide to Ferries"
    assert pdf.read(drawn(lambda canvas: put(canvas, 40, 500, prose(1, 5)))).title == ""


# Tables


def table(canvas: Canvas, x: float, y: float, rows: list[list[str]], columns: list[float]) -> None:
    """The first column to the left, the others to the right."""
    canvas.setFont("Helvetica", 10)
    for row in rows:
        canvas.drawString(x, y, row[0])
        for place, cell in zip(columns, row[1:], strict=False):
            canvas.drawRightString(x + place, y, cell)
        y -= 14


def test_tables_are_read_row_by_row_and_their_columns_named() -> None:
    rows = [
        ["Route", "2021", "2022"],
        ["North sound", "1,204", "1,377"],
        ["Grey cliffs by night", "88", "—"],
        ["Total", "$ 1,292", "$ 1,377"],
    ]
    before, after = prose(1, 3), prose(2, 3)

    def draw(canvas: Canvas) -> None:
        put(canvas, 40, 560, before)
        table(canvas, 40, 500, rows, [200, 280])
        put(canvas, 40, 420, after)

    content = pdf.read(drawn(draw))
    lines = ["\t".join(row) for row in rows]
    assert content.text == "\n\n".join([" ".join(before), "\n".join(lines), " ".join(after)])
    start = content.text.index("North sound")
    assert content.tables == (Table(start, content.text.index("\n\n" + after[0]), "Route | 2021 | 2022"),)


def test_names_over_several_columns_and_lines_name_each_column() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica-Bold", 10)
        canvas.drawCentredString(190, 528, "Winter")
        canvas.drawCentredString(310, 528, "Summer")
        for x, words in ((160, "Cars"), (220, "Dogs"), (280, "Cars"), (340, "Dogs")):
            canvas.drawCentredString(x, 514, words)
        table(canvas, 40, 500, [["North", "12", "40", "31", "7"], ["South", "5", "6", "70", "8"]], [130, 190, 250, 310])

    content = pdf.read(drawn(draw))
    assert content.text == "Winter\tSummer\nCars\tDogs\tCars\tDogs\nNorth\t12\t40\t31\t7\nSouth\t5\t6\t70\t8"
    assert [(content.text[t.start : t.end], t.header) for t in content.tables] == [
        ("North\t12\t40\t31\t7\nSouth\t5\t6\t70\t8", "Winter Cars | Winter Dogs | Summer Cars | Summer Dogs")
    ]


# Places


def ink(image: np.ndarray) -> int:
    return int((image < 128).sum())


def shown(data: bytes, number: int, scale: float) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(pdf.render(data, number, scale))).convert("L"))


def test_every_box_lies_over_its_word_and_over_no_other() -> None:
    """Each word's box holds ink; all the boxes together hold all ink of the pages."""
    lines = [*prose(1, 6), *prose(2, 5, width=200)]

    def draw(canvas: Canvas) -> None:
        put(canvas, 40, 560, lines[:6])
        canvas.showPage()
        canvas.setPageRotation(90)
        put(canvas, 40, 360, lines[6:])

    data = drawn(draw)
    document = as_document(data)
    scale = 3.0
    images = {page.number: shown(data, page.number, scale).copy() for page in document.pages}
    untouched = {number: image.copy() for number, image in images.items()}
    for match in re.finditer(r"\S+", document.text):
        (box,) = pdf.boxes(data, document, match.start(), match.end())
        image = images[box.page]
        x0, x1 = round(box.left * scale), round(box.right * scale)
        y0, y1 = round(image.shape[0] - box.top * scale), round(image.shape[0] - box.bottom * scale)
        crop = untouched[box.page][y0:y1, x0:x1]
        assert ink(crop) > 20, match[0]
        assert ink(image[y0:y1, x0:x1]) > 0.8 * ink(crop), f"{match[0]} was under another word's box"
        image[y0:y1, x0:x1] = 255
    assert [ink(image) for image in images.values()] == [0, 0]


def test_a_stretch_over_lines_and_pages_has_a_box_for_each_line() -> None:
    one, two = prose(4, 3), prose(5, 3)
    one[-1] = " ".join(one[-1].split()[:4]) + " infor-"

    def draw(canvas: Canvas) -> None:
        for number, lines in enumerate((one, ["mation " + two[0].lower(), *two[1:]])):
            put(canvas, 40, 580, ["The Gazette"], size=8)
            put(canvas, 40, 540, lines)
            put(canvas, 40, 20, [str(number + 1)], size=8)
            canvas.showPage()

    data = drawn(draw)
    document = as_document(data)
    start = document.text.index(one[1])
    found = pdf.boxes(data, document, start, document.text.index("mation") + 6)
    assert [
        (box.page, round(box.left), box.bottom < y < box.top) for box, y in zip(found, (528, 516, 540), strict=True)
    ] == [
        (1, 40, True),
        (1, 40, True),
        (2, 40, True),
    ]
    assert found[2].right == pytest.approx(40 + stringWidth("mation", "Helvetica", 10), abs=0.5)


def test_a_changed_file_has_no_boxes() -> None:
    data = drawn(lambda canvas: put(canvas, 40, 500, ["Words"]))
    with pytest.raises(Unreadable, match="changed since it was indexed"):
        pdf.boxes(data + b"\n", as_document(data), 0, 5)


@hypothesis_settings(deadline=None, max_examples=25)
@given(st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join), min_size=1, max_size=12))
def test_all_words_come_back_in_order_and_each_character_has_its_place(lines: list[str]) -> None:
    data = drawn(lambda canvas: put(canvas, 30, 580, lines, size=9))
    document = as_document(data)
    assert document.text.split() == " ".join(lines).split()
    found = pdf.boxes(data, document, 0, len(document.text))
    assert [round(box.bottom + box.top) for box in found] == sorted(
        (round(b.bottom + b.top) for b in found), reverse=True
    )
    assert len(found) == len(lines)


# Files that are protected, damaged or hostile


def test_a_password_is_asked_for_only_where_there_is_one() -> None:
    def words(canvas: Canvas) -> None:
        put(canvas, 40, 500, ["Words"])

    with pytest.raises(Unreadable) as caught:
        pdf.read(drawn(words, encrypt=StandardEncryption("secret", strength=128)))
    assert str(caught.value) == "protected by a password: save a copy without one"
    assert pdf.read(drawn(words, encrypt=StandardEncryption("", "owner", canPrint=0, strength=128))).text == "Words"


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7", b"not a PDF at all", b"%PDF-1.7\n" + bytes(5000)])
def test_what_is_no_pdf_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable, match="not a PDF file, or damaged"):
        pdf.read(data)


def test_a_file_without_pages_is_refused() -> None:
    writer = pypdf.PdfWriter()
    file = io.BytesIO()
    writer.write(file)
    with pytest.raises(Unreadable):
        pdf.read(file.getvalue())


def test_an_outline_beyond_all_measure_is_cut_and_remarked_on() -> None:
    def draw(canvas: Canvas) -> None:
        put(canvas, 40, 500, ["Entry 3", *prose(1, 3)])
        for number in range(10_050):
            canvas.bookmarkPage(str(number))
            canvas.addOutlineEntry(f"Entry {number}", str(number), 0)

    content = pdf.read(drawn(draw))
    assert content.remarks == ("its outline is longer than 10,000 entries; the rest is not used",)
    assert [section.heading for section in content.sections] == [("Entry 3",)]


def test_an_outline_that_loops_ends() -> None:
    data = drawn(outlined)
    entries = re.findall(rb"/Next (\d+) 0 R", data)
    assert entries
    first = re.search(rb"/First (\d+) 0 R", data)
    assert first
    looped = re.sub(rb"/Next \d+ 0 R", b"/Next " + first[1] + b" 0 R", data)
    assert pdf.read(looped).text == pdf.read(data).text


SMALL = drawn(lambda canvas: running_pages(canvas, 2, str), pageCompression=0)


@hypothesis_settings(deadline=None, max_examples=1500)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(SMALL) - 1), st.binary(min_size=1, max_size=6)), min_size=1, max_size=12
    ),
    end=st.integers(len(SMALL) // 2, len(SMALL) * 3),
)
def test_a_damaged_file_is_read_or_refused_and_nothing_else(changes: list[tuple[int, bytes]], end: int) -> None:
    data = bytearray(SMALL)
    for place, put_there in changes:
        data[place : place + len(put_there)] = put_there
    try:
        content = pdf.read(bytes(data[:end]))
    except Unreadable:
        return
    assert content.text.encode()
    assert all(page.start <= page.end <= len(content.text) for page in content.pages)


# Real reports


@pytest.fixture(scope="module")
def reports(shared: Path) -> Iterator[dict[Path, Document]]:
    folder = shared / "files" / "sec-10-q"
    if not folder.is_dir():
        pytest.skip(f"the reports are not there: {folder}")
    with pypdf.apply_configuration(array_maximum_element_count=10_000_000):  # some have large fonts
        yield {path: reading.read(path, path.name) for path in sorted(folder.glob("*.pdf"))}


def letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


@pytest.mark.slow
def test_no_page_of_the_reports_is_lost(reports: dict[Path, Document]) -> None:
    assert len(reports) == 20
    for path, document in reports.items():
        count = len(pypdf.PdfReader(path).pages)
        assert {page.number for page in document.pages} | set(document.coverage.blank_pages) == set(range(1, count + 1))
        assert document.coverage.searchable > 0.95


@pytest.mark.slow
def test_stretches_of_the_reports_stand_on_their_pages_as_another_library_reads_them(
    reports: dict[Path, Document],
) -> None:
    """A stretch is found if its letters and digits stand on the page in a row, or, since libraries order
    the cells of tables differently, if each of its lines' cells does."""
    chance = random.Random(0)
    found, tried = 0, 0
    lost = []
    readers = {path: pypdf.PdfReader(path) for path in reports}
    for _ in range(50):
        path = chance.choice(list(reports))
        document = reports[path]
        page = chance.choice([page for page in document.pages if page.end - page.start > 450])
        start = chance.randrange(page.start, page.end - 400)
        stretch = document.text[start : start + chance.randint(120, 400)]
        theirs = letters(readers[path].pages[page.number - 1].extract_text())
        tried += 1
        if letters(stretch) in theirs or all(letters(cell) in theirs for cell in re.split(r"[\t\n]", stretch)):
            found += 1
        else:
            lost.append((path.name, page.number, stretch))
    assert found >= 0.98 * tried, lost


@pytest.mark.slow
def test_boxes_in_the_reports_lie_where_another_reading_of_the_page_has_the_words(
    reports: dict[Path, Document],
) -> None:
    """What PDFium's own search for text within a box says, letters and digits compared."""
    chance = random.Random(1)
    for path in list(reports)[::4]:
        document, data = reports[path], path.read_bytes()
        with pdfium.PdfDocument(data) as file:
            for _ in range(10):
                page = chance.choice(document.pages)
                word = chance.choice(list(re.finditer(r"\S{3,}", document.text[page.start : page.end])))
                (box, *_) = pdf.boxes(data, document, page.start + word.start(), page.start + word.end())
                assert box.page == page.number
                inside = file[page.number - 1].get_textpage().get_text_bounded(box.left, box.bottom, box.right, box.top)
                assert letters(word[0])[:3] in letters(inside)
