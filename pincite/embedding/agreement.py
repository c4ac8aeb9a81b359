"""Whether a converted model says the same as the original, on 64 texts of all lengths."""

from itertools import islice
from typing import Any

import numpy as np

from pincite.embedding.engine import Batch, Engine
from pincite.embedding.model import ModelFiles
from pincite.embedding.tokens import Tokenizer, Tokens

TEXT_COSINE = 0.999
TOKEN_COSINE = 0.99

_SENTENCES = (
    "Yes.",
    "What does it cost?",
    "The ferry leaves at 06:40 and takes three hours.",
    "She signed the lease on 3 May 2019, six weeks before the flood.",
    "Water boils at a lower temperature on a mountain, because the pressure there is lower.",
    "def area(radius): return 3.14159 * radius ** 2",
    "Ein Zug hat Verspätung; der nächste fährt von Gleis 7.",
    "El contrato se renueva cada año salvo aviso por escrito.",
    "Das ist ja toll!!! 😀🎉",
    "東京は日本の首都です。",
    "Подпись ставится внизу страницы.",
    "التقرير متاح على الموقع.",
    "| year | units | price |\n| 2021 | 1,204 | 3.5 % |",
    "Adults over 65 were given half the usual amount, and their blood pressure was taken every ten minutes.",
    "Section 14(b) does not apply where the tenant has given notice in writing, unless the landlord agreed otherwise.",
    "https://example.org/a/b?c=d#e or info@example.org",
)


def samples() -> list[str]:
    """Each sentence alone, then runs of 2, 5 and 9 sentences, beginning at each."""
    count = len(_SENTENCES)
    return [
        " ".join(_SENTENCES[(first + step) % count] for step in range(length))
        for length in (1, 2, 5, 9)
        for first in range(count)
    ]


def compare(files: ModelFiles, reference: Engine, engine: Engine) -> dict[str, Any]:
    """The lowest cosines between two engines, and whether they are high enough."""
    tokens = [limited(t, files.max_tokens) for t in Tokenizer(files.tokenizer).encode(samples())]
    rows = iter(sorted(range(len(tokens)), key=lambda row: len(tokens[row])))
    batches = []
    while chunk := tuple(islice(rows, 5)):
        batches.append(Batch(chunk, tuple(tokens[row] for row in chunk)))
    text_cosines: list[float] = []
    token_cosines: list[float] = []
    for ours, theirs in zip(engine.forward(batches), reference.forward(batches), strict=True):
        text_cosines.extend(cosines(ours.texts, theirs.texts))
        for row, length in enumerate(map(len, ours.batch.tokens)):
            token_cosines.extend(cosines(ours.tokens[row, :length], theirs.tokens[row, :length]))
    lowest_text, lowest_token = float(np.min(text_cosines)), float(np.min(token_cosines))  # NaN if any is
    return {
        "texts": len(tokens),
        "lowest_text_cosine": lowest_text,
        "lowest_token_cosine": lowest_token,
        "agrees": lowest_text >= TEXT_COSINE and lowest_token >= TOKEN_COSINE,
    }


def limited(tokens: Tokens, limit: int) -> Tokens:
    """The first `limit` of them."""
    return Tokens(tokens.ids[:limit], tokens.spans[:limit])


def cosines(a: np.ndarray, b: np.ndarray) -> list[float]:
    """Of vectors along the last axis."""
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return [float(cosine) for cosine in np.sum(a * b, axis=-1) / lengths]
