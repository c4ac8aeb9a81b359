"""Texts → the model's tokens, without `transformers`, and with nothing cut off."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Encoding
from tokenizers import Tokenizer as _Tokenizer

_LONG_RUN = re.compile(r"[^\s!-/:-@\[-`{-~\u2010-\u2027\u2030-\u205e\u3001-\u3003\u3008-\u3011]{33,}")
"""What tokenizers do not cut: anything but white space and punctuation, so symbols, marks and
characters without width too. WordPiece makes one unknown token of a run of over 100 characters,
counted after normalisation, which can make three of one (Hangul syllables): 32 is safe."""
_PIECE = 32


@dataclass(frozen=True, slots=True)
class Tokens:
    """One text as the model reads it, special tokens included."""

    ids: np.ndarray
    """int64, shape (n,)."""
    spans: np.ndarray
    """int64, shape (n, 2): offsets into the text; empty spans for special tokens."""

    def __len__(self) -> int:
        return len(self.ids)


class Tokenizer:
    """A `tokenizer.json` with its truncation and padding switched off."""

    def __init__(self, file: Path) -> None:
        self._tokenizer = _Tokenizer.from_file(str(file))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without special tokens."""
        broken = [_break_runs(text)[0] for text in texts]
        return [len(e.ids) for e in self._tokenizer.encode_batch_fast(broken, add_special_tokens=False)]

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """Each text whole, however long it is."""
        broken = [_break_runs(text) for text in texts]
        encodings = self._tokenizer.encode_batch([text for text, _ in broken])
        return [_tokens(e, breaks) for e, (_, breaks) in zip(encodings, broken, strict=True)]


def _break_runs(text: str) -> tuple[str, list[int]]:
    """The text with a space inside every long run, and where in the new text those spaces are."""
    if not _LONG_RUN.search(text):
        return text, []
    breaks: list[int] = []
    parts: list[str] = []
    position = 0
    for match in _LONG_RUN.finditer(text):
        cut = match.start() + _PIECE
        while cut < match.end():
            if unicodedata.category(text[cut]).startswith("M"):  # belongs to the character before it
                cut += 1
                continue
            parts.append(text[position:cut])
            breaks.append(cut + len(breaks))
            position = cut
            cut += _PIECE
    parts.append(text[position:])
    return " ".join(parts), breaks


def _tokens(encoding: Encoding, breaks: list[int]) -> Tokens:
    spans = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
    if breaks:
        places = np.array(breaks)
        spans = spans - np.searchsorted(places, spans, side="left")
    return Tokens(np.array(encoding.ids, dtype=np.int64), spans)
