"""A page of a PDF as an image, with the passage drawn where its words stand."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reportlab.pdfgen.canvas import Canvas

from pincite import reading
from pincite.errors import Unreadable
from pincite.reading.picture import SCALE, picture
from pincite.settings import Sync
from pincite.types import Document

LIMITS = Sync(reader_seconds=30, reader_megabytes=1024)


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """Two pages of 400 × 300 points; the baseline of each line is known."""
    file = tmp_path / "report.pdf"
    canvas = Canvas(str(file), pagesize=(400, 300))
    canvas.drawString(50, 250, "The harbour office closes at nine.")
    canvas.drawString(50, 150, "Boats are moored by length.")
    canvas.showPage()
    canvas.drawString(50, 200, "A keel keeps a boat from drifting.")
    canvas.save()
    return file


def drawn(file: Path, document: Document, page: int, words: str, mark: str = "") -> np.ndarray:
    """Red, green and blue of each pixel."""
    start = document.text.index(words)
    marked = (document.text.index(mark), document.text.index(mark) + len(mark)) if mark else (0, 0)
    png = picture(file, document, page, (start, start + len(words)), marked, LIMITS)
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def tinted(pixels: np.ndarray, what: str) -> tuple[float, float, float, float]:
    """Left, right, lowest and highest point with the colour of a passage (greenish) or of a mark (yellowish)."""
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    found = (green > red + 5) if what == "passage" else (red > blue + 40)
    rows, columns = np.nonzero(found)
    height = pixels.shape[0]
    return (
        columns.min() / SCALE,
        (columns.max() + 1) / SCALE,
        (height - rows.max() - 1) / SCALE,
        (height - rows.min()) / SCALE,
    )


def test_boxes_lie_over_the_words_and_nowhere_else(report: Path) -> None:
    document = reading.read(report, "report.pdf")
    width = Canvas("unused.pdf").stringWidth("Boats are moored by length.", "Helvetica", 12)
    pixels = drawn(report, document, 1, "Boats are moored by length.")
    assert pixels.shape == (600, 800, 3)
    left, right, low, high = tinted(pixels, "passage")
    assert left == pytest.approx(50, abs=2)
    assert right == pytest.approx(50 + width, abs=3)
    assert 143 < low < 151
    assert 156 < high < 166


def test_the_marked_sentence_has_a_colour_and_a_line_of_its_own(report: Path) -> None:
    document = reading.read(report, "report.pdf")
    words = document.text[: document.text.index("length.") + len("length.")]
    pixels = drawn(report, document, 1, words, "The harbour office closes at nine.")
    _, _, low, high = tinted(pixels, "mark")
    assert 240 < low < high < 268
    line = pixels[int((300 - low) * SCALE) - 1, int(60 * SCALE)]
    assert line.tolist() == [181, 137, 0]


def test_another_page_has_no_boxes(report: Path) -> None:
    document = reading.read(report, "report.pdf")
    pixels = drawn(report, document, 2, "Boats are moored by length.")
    assert (pixels.max(axis=2) - pixels.min(axis=2)).max() == 0  # black on white alone


def test_a_file_that_is_another_now_is_refused(report: Path) -> None:
    document = reading.read(report, "report.pdf")
    report.write_bytes(report.read_bytes() + b"\n% more\n")
    assert hashlib.sha256(report.read_bytes()).hexdigest() != document.sha256
    with pytest.raises(Unreadable, match="changed since it was indexed"):
        drawn(report, document, 1, "Boats are moored by length.")


def test_a_file_that_is_gone_or_too_slow_costs_one_line(report: Path) -> None:
    document = reading.read(report, "report.pdf")
    with pytest.raises(Unreadable, match=r"cannot be opened \(No such file"):
        picture(report.with_name("gone.pdf"), document, 1, (0, 1), (0, 0), LIMITS)
    with pytest.raises(Unreadable, match="the page cannot be drawn"):
        picture(report, document, 1, (0, 1), (0, 0), LIMITS.model_copy(update={"reader_megabytes": 20}))
