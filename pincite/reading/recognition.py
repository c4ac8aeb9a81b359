"""Text in images of pages, for the pages of a PDF that have none of their own: an optional extra.

RapidOCR with the models that its package brings. Nothing is downloaded: the models are named by their files.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL.Image import Image

from pincite.errors import Inaccessible
from pincite.reading import pdf
from pincite.reading.content import Content
from pincite.reading.pdf.pdfium import Characters, spread

_MODELS = {"Det": "*_det_*.onnx", "Cls": "*_cls_*.onnx", "Rec": "*_rec_*.onnx"}


def read(data: bytes) -> Content:
    """What `pdf.read` gives, with pages of images recognised. Raises `Unreadable`."""
    return pdf.read_with(data, _lines)


def _lines(image: Image, scale: float) -> list[Characters]:
    """The lines in an image of `scale` pixels a point, in points from its lower left corner."""
    found = _engine()(np.asarray(image)[:, :, ::-1])
    if found.boxes is None or not found.txts:
        return []
    lines = []
    for corners, words in zip(found.boxes, found.txts, strict=True):
        (left, top), (right, bottom) = corners.min(axis=0) / scale, corners.max(axis=0) / scale
        height = image.height / scale
        if words := " ".join(words.split()):
            lines.append(spread(words, float(left), float(height - bottom), float(right), float(height - top)))
    return lines


@cache
def _engine() -> Any:
    try:
        import rapidocr
    except ImportError as error:
        raise Inaccessible(
            "has pages of images, and what recognises text in them is not installed: "
            "pip install -r requirements-ocr.txt"
        ) from error
    folder = Path(rapidocr.__file__).parent / "models"
    models = {f"{step}.model_path": next(map(str, sorted(folder.glob(name))), "") for step, name in _MODELS.items()}
    if not all(models.values()):
        raise Inaccessible(
            f"has pages of images, and models to recognise text are missing in {folder}: install them again"
        )
    return rapidocr.RapidOCR(params={**models, "Global.log_level": "error"})
