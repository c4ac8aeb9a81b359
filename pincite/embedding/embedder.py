"""Passages and questions → unit vectors."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from pincite.embedding import codes
from pincite.embedding.engine import Batch, Engine
from pincite.embedding.model import ModelFiles
from pincite.embedding.tokens import Tokenizer, Tokens
from pincite.errors import ModelError, QuestionError
from pincite.types import Passage

if TYPE_CHECKING:
    from pincite.embedding.pytorch import PyTorchEngine

BATCH = 8
"""Texts a batch: small ones stay in the processor's cache."""
WINDOW = 512
"""Passages sorted by length before they are cut into batches."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """One passage, all from one pass of the model."""

    vector: np.ndarray
    """Float32, unit, shape (dim,)."""
    tokens: np.ndarray
    """Codes of its tokens in order, those of the context line first: uint8, shape (tokens, codes.BYTES)."""
    sentences: np.ndarray
    """Where each sentence's tokens begin and end among them: uint16, shape (sentences, 2)."""


@dataclass(frozen=True, slots=True)
class QueryEmbedding:
    """One question."""

    vector: np.ndarray
    """Float32, unit, shape (dim,)."""
    tokens: np.ndarray
    """Float32, unit, shape (tokens, codes.COMPONENTS)."""
    spans: np.ndarray
    """Where the tokens stand in the question, shape (tokens, 2)."""


class Embedder:
    """A model, its tokenizer and the engine that runs it. Safe to share between threads."""

    def __init__(self, files: ModelFiles, engine: Engine) -> None:
        self.files = files
        self.engine = engine
        self.tokenizer = Tokenizer(files.tokenizer)
        self.projection = codes.Projection(files.sha256)

    def embed_query(self, question: str) -> QueryEmbedding:
        """The vectors of a question. Raises `QuestionError` where the model cannot read it whole."""
        prompt = self.files.prompts["query"]
        (tokens,) = self.tokenizer.encode([prompt + question])
        if len(tokens) > self.files.max_tokens:
            raise QuestionError(
                f"the question has {len(tokens)} tokens and the model reads {self.files.max_tokens}: shorten it"
            )
        (forward,) = self.engine.forward([Batch((0,), (tokens,))])
        own = _own_tokens(tokens, len(prompt))
        vector = _unit(forward.texts[0])
        return QueryEmbedding(vector, self.projection(forward.tokens[0][own]), tokens.spans[own] - len(prompt))

    def embed_passages(self, passages: Iterable[Passage]) -> Iterator[tuple[int, Embedding]]:
        """(number of the passage, its embedding), in no given order, as they are made."""
        numbered = enumerate(passages)
        while window := list(islice(numbered, WINDOW)):
            yield from self._embed_window(window)

    def _embed_window(self, window: list[tuple[int, Passage]]) -> Iterator[tuple[int, Embedding]]:
        prefixes = [self._prefix(passage) for _, passage in window]
        texts = [prefix + passage.text for prefix, (_, passage) in zip(prefixes, window, strict=True)]
        encoded = self.tokenizer.encode(texts)
        for number, (_, passage) in enumerate(window):
            if len(encoded[number]) > self.files.max_tokens and self._is_oversized(prefixes[number]):
                prefixes[number] = self.files.prompts["document"]
                (encoded[number],) = self.tokenizer.encode([prefixes[number] + passage.text])
            if len(encoded[number]) > self.files.max_tokens:
                raise ModelError(
                    f"{passage.source}, characters {passage.start}–{passage.end}: {len(encoded[number])} tokens, and"
                    f" the model reads {self.files.max_tokens}: lower passages.tokens in pincite.toml"
                )
        for forward in self.engine.forward(batches(encoded)):
            batch = forward.batch
            own = [_own_tokens(tokens, len(self.files.prompts["document"])) for tokens in batch.tokens]
            owners = np.repeat(np.arange(len(own)), [len(rows) for rows in own])
            coded = codes.encode(self.projection(forward.tokens[owners, np.concatenate(own)]))
            ends = np.cumsum([len(rows) for rows in own])
            vectors = codes.unit(forward.texts)
            for row, (number, tokens) in enumerate(zip(batch.rows, batch.tokens, strict=True)):
                position, passage = window[number]
                sentences = _ranges(tokens.spans[own[row]] - len(prefixes[number]), passage)
                yield position, Embedding(vectors[row], coded[ends[row] - len(own[row]) : ends[row]], sentences)

    def _prefix(self, passage: Passage) -> str:
        return self.files.prompts["document"] + (passage.context + "\n" if passage.context else "")

    def _is_oversized(self, prefix: str) -> bool:
        """Whether a context line takes most of what the model reads: then the text goes without it."""
        return self.tokenizer.count([prefix])[0] * 2 > self.files.max_tokens


def batches(encoded: Sequence[Tokens]) -> Iterator[Batch]:
    """Texts of like length together, the longest first, so that little is padded."""
    order = iter(sorted(range(len(encoded)), key=lambda row: -len(encoded[row])))
    while rows := tuple(islice(order, BATCH)):
        yield Batch(rows, tuple(encoded[row] for row in rows))


def _own_tokens(tokens: Tokens, prompt: int) -> np.ndarray:
    """Rows of the tokens that stand for a text's own characters: no special ones, none of the prompt."""
    starts, ends = tokens.spans[:, 0], tokens.spans[:, 1]
    return np.flatnonzero((ends > starts) & (starts >= prompt))


def _ranges(spans: np.ndarray, passage: Passage) -> np.ndarray:
    """First token and the one after the last of each sentence; both 0 where the tokenizer left nothing."""
    ranges = np.zeros((len(passage.sentences), 2), dtype=np.uint16)
    for row, (start, end) in enumerate(passage.sentences):
        inside = np.flatnonzero((spans[:, 0] >= start) & (spans[:, 1] <= end))
        if len(inside):
            ranges[row] = inside[0], inside[-1] + 1
    return ranges


def _unit(vector: np.ndarray) -> np.ndarray:
    vector = np.array(vector, dtype=np.float32)
    return vector / max(float(np.linalg.norm(vector)), 1e-12)


def open_embedder(files: ModelFiles, engine: Literal["auto", "openvino", "pytorch"] = "auto") -> Embedder:
    """The embedder for a model. `auto` takes PyTorch where there is a GPU, else OpenVINO.

    OpenVINO is checked against PyTorch once; where it disagrees, PyTorch is used with a warning.
    """
    if engine == "pytorch" or (engine == "auto" and _has_gpu()):
        reference = _pytorch(files)
        if engine == "pytorch" or reference.on_gpu:  # a GPU that PyTorch was not built for is none
            return Embedder(files, reference)
    from pincite.embedding.openvino import open_engine

    if (converted := open_engine(files)) is not None:
        return Embedder(files, converted)
    if engine == "openvino":
        raise ModelError(f'{files.name}: OpenVINO disagrees with the original: set model.engine = "pytorch"')
    warnings.warn(f"{files.name}: OpenVINO disagrees with the original; PyTorch is used, slower", stacklevel=2)
    return Embedder(files, _pytorch(files))


def _pytorch(files: ModelFiles) -> "PyTorchEngine":
    from pincite.embedding.pytorch import PyTorchEngine

    return PyTorchEngine(files)


def _has_gpu() -> bool:
    """Told from the driver's devices (NVIDIA, AMD, WSL): asking PyTorch would take longer than a question."""
    return any(Path(device).exists() for device in ("/dev/nvidia0", "/dev/kfd", "/dev/dxg"))
