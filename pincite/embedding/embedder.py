"""Passages and questions → unit vectors."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from pincite.embedding.engine import Batch, Engine
from pincite.embedding.model import ModelFiles
from pincite.embedding.tokens import Tokenizer, Tokens, tokens_within
from pincite.errors import ModelError, QuestionError
from pincite.types import Passage, Span

if TYPE_CHECKING:
    from pincite.embedding.pytorch import PyTorchEngine

BATCH = 8
"""Texts a batch: small ones stay in the processor's cache."""
WINDOW = 512
"""Passages sorted by length before they are cut into batches."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """One passage: float32 unit vectors."""

    vector: np.ndarray
    """Shape (dim,)."""
    sentences: np.ndarray
    """Shape (sentences, dim): the mean of each sentence's token vectors, as the passage's own pass
    made them (late chunking; Günther et al. 2024, arXiv:2409.04701)."""


class Embedder:
    """A model, its tokenizer and the engine that runs it. Safe to share between threads."""

    def __init__(self, files: ModelFiles, engine: Engine) -> None:
        self.files = files
        self.engine = engine
        self.tokenizer = Tokenizer(files.tokenizer)

    def embed_query(self, question: str) -> np.ndarray:
        """A unit vector of shape (dim,). Raises `QuestionError` where the model cannot read it whole."""
        (tokens,) = self.tokenizer.encode([self.files.prompts["query"] + question])
        if len(tokens) > self.files.max_tokens:
            raise QuestionError(
                f"the question has {len(tokens)} tokens and the model reads {self.files.max_tokens}: shorten it"
            )
        (forward,) = self.engine.forward([Batch((0,), (tokens,))])
        return _unit(forward.texts[0])

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
        for forward in self.engine.forward(_batches(encoded)):
            for row, number, tokens in zip(
                range(len(forward.batch.rows)), forward.batch.rows, forward.batch.tokens, strict=True
            ):
                position, passage = window[number]
                vector = _unit(forward.texts[row])
                if self.files.pools_by_mean:
                    offset = len(prefixes[number])
                    sentences = _pool(forward.tokens[row], tokens, passage.sentences, offset, vector)
                else:
                    sentences = self._embed_apart(passage)
                yield position, Embedding(vector, sentences)

    def _prefix(self, passage: Passage) -> str:
        return self.files.prompts["document"] + (passage.context + "\n" if passage.context else "")

    def _is_oversized(self, prefix: str) -> bool:
        """Whether a context line takes most of what the model reads: then the text goes without it."""
        return self.tokenizer.count([prefix])[0] * 2 > self.files.max_tokens

    def _embed_apart(self, passage: Passage) -> np.ndarray:
        """Sentence vectors for models whose text vector is not the mean of its token vectors."""
        prompt = self.files.prompts["document"]
        tokens = self.tokenizer.encode([prompt + passage.text[start:end] for start, end in passage.sentences])
        vectors = np.empty((len(tokens), 0), dtype=np.float32)
        for forward in self.engine.forward(_batches(tokens)):
            if vectors.shape[1] == 0:
                vectors = np.empty((len(tokens), forward.texts.shape[1]), dtype=np.float32)
            vectors[list(forward.batch.rows)] = [_unit(text) for text in forward.texts]
        return vectors


def _batches(encoded: Sequence[Tokens]) -> Iterator[Batch]:
    """Texts of like length together, the longest first, so that little is padded."""
    order = iter(sorted(range(len(encoded)), key=lambda row: -len(encoded[row])))
    while rows := tuple(islice(order, BATCH)):
        yield Batch(rows, tuple(encoded[row] for row in rows))


def _pool(
    vectors: np.ndarray, tokens: Tokens, sentences: Sequence[Span], offset: int, fallback: np.ndarray
) -> np.ndarray:
    """One unit vector a sentence; `fallback` for one of which the tokenizer left nothing."""
    pooled = np.empty((len(sentences), vectors.shape[1]), dtype=np.float32)
    for row, sentence in enumerate(sentences):
        inside = tokens_within(tokens, sentence, offset)
        pooled[row] = _unit(vectors[inside].mean(axis=0)) if inside.stop > inside.start else fallback
    return pooled


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
