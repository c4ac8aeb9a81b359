"""A page of a PDF as an image, with a passage and its marked sentence drawn on it.

Drawn in a process of its own, within the limits of reading: a poisonous file costs only its picture.
"""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from pydantic import TypeAdapter

from pincite.errors import Unreadable
from pincite.reading import pdf
from pincite.reading.worker import limit_memory
from pincite.settings import Sync
from pincite.types import Document, Page, Span

SCALE = 2.0
"""Pixels a point."""
_PASSAGE, _MARK, _LINE = (31, 111, 92, 40), (255, 200, 40, 90), (181, 137, 0, 255)
_TOLD = 3
"""Exit status where the last line on standard error is for a person."""
_DOCUMENT = TypeAdapter(Document)


def picture(path: Path, document: Document, number: int, passage: Span, mark: Span, limits: Sync) -> bytes:
    """The physical page `number` as PNG, with boxes where the two spans of the document's text stand on it.

    Raises `Unreadable` for a file that is not what was indexed, and where drawing takes too long or too much.
    """
    # No more than the page needs: a book's text would go through the pipe for each of its pages.
    page = next((page for page in document.pages if page.number == number), Page(number, 0, 0))
    length = page.end - page.start
    text, pages = document.text[page.start : page.end], (replace(page, start=0, end=length),)
    request = {
        "path": str(path),
        "document": asdict(replace(document, text=text, pages=pages, sections=(), tables=(), parts=())),
        "number": number,
        "spans": [[min(max(at - page.start, 0), length) for at in span] for span in (passage, mark)],
        "megabytes": limits.reader_megabytes,
    }
    package = str(Path(__file__).parents[2])
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "pincite.reading.picture"],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=limits.reader_seconds,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": package},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unreadable(f"took longer than {limits.reader_seconds:,} s (sync.reader_seconds)") from error
    if done.returncode:
        told = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise Unreadable(told[-1] if done.returncode == _TOLD and told else "the page cannot be drawn")
    return done.stdout


def draw(data: bytes, document: Document, number: int, passage: Span, mark: Span) -> bytes:
    """`picture` within this process, from the file's bytes."""
    if hashlib.sha256(data).hexdigest() != document.sha256:
        raise Unreadable("changed since it was indexed")
    sheet = Image.open(BytesIO(pdf.render(data, number, SCALE))).convert("RGBA")
    layer = Image.new("RGBA", sheet.size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(layer)
    for span, fill, line in ((passage, _PASSAGE, None), (mark, _MARK, _LINE)):
        for box in pdf.boxes(data, document, *span) if span[0] < span[1] else ():
            if box.page == number:
                top, bottom = sheet.height - box.top * SCALE, sheet.height - box.bottom * SCALE
                pen.rectangle((box.left * SCALE, top, box.right * SCALE, bottom), fill=fill)
                if line:  # so that the mark is not told by its colour alone
                    pen.line((box.left * SCALE, bottom, box.right * SCALE, bottom), fill=line, width=3)
    file = BytesIO()
    Image.alpha_composite(sheet, layer).convert("RGB").save(file, "PNG")
    return file.getvalue()


def _main() -> int:
    asked: dict[str, Any] = json.load(sys.stdin)
    limit_memory(asked["megabytes"])
    passage, mark = asked["spans"]
    try:
        document = _DOCUMENT.validate_python(asked["document"])
        png = draw(Path(asked["path"]).read_bytes(), document, asked["number"], tuple(passage), tuple(mark))
    except Unreadable as error:
        print(error, file=sys.stderr)
        return _TOLD
    except OSError as error:
        print(f"cannot be opened ({error.strerror})", file=sys.stderr)
        return _TOLD
    sys.stdout.buffer.write(png)
    return 0


if __name__ == "__main__":
    sys.exit(_main())
