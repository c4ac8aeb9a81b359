"""Text recognised in images of pages."""

import io
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont
from reportlab.pdfgen.canvas import Canvas

from pincite import reading
from pincite.errors import Unreadable

LINES = ["The ferry leaves at dawn", "and returns in the evening."]


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A page of text, a page that is an image of text, and a page with nothing on it."""
    image = Image.new("RGB", (1000, 400), "white")
    for number, line in enumerate(LINES):
        ImageDraw.Draw(image).text((60, 80 + 70 * number), line, fill="black", font=ImageFont.load_default(48))
    image.save(tmp_path / "scan.png")
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=(500, 200))
    canvas.drawString(40, 100, "A page of text.")
    canvas.showPage()
    canvas.drawImage(str(tmp_path / "scan.png"), 0, 0, 500, 200)
    canvas.showPage()
    canvas.showPage()
    canvas.save()
    (tmp_path / "a.pdf").write_bytes(file.getvalue())
    return tmp_path / "a.pdf"


@pytest.mark.skipif(find_spec("rapidocr") is None, reason="requirements-ocr.txt is not installed")
@pytest.mark.filterwarnings("default")
def test_only_pages_without_text_are_recognised_and_it_says_so(scan: Path) -> None:
    plain = reading.read(scan, "a.pdf")
    assert (plain.coverage.blank_pages, plain.coverage.searchable, plain.reader) == ((2, 3), 0.5, "pdf/1")
    document = reading.read(scan, "a.pdf", ocr=True)
    first, second = document.pages
    assert document.text[first.start : first.end] == "A page of text."
    assert " ".join(document.text[second.start : second.end].split()) == " ".join(LINES)
    assert (first.is_recognised, second.is_recognised) == (False, True)
    assert (document.coverage.blank_pages, document.coverage.searchable) == ((3,), 1.0)
    assert (document.reader, document.remarks) == ("pdf/1+ocr", ("1 page recognised from images",))


@pytest.mark.skipif(find_spec("rapidocr") is not None, reason="requirements-ocr.txt is installed")
def test_without_the_extra_it_says_what_to_install(scan: Path) -> None:
    with pytest.raises(Unreadable) as caught:
        reading.read(scan, "a.pdf", ocr=True)
    assert str(caught.value).endswith("pip install -r requirements-ocr.txt")
