"""Passages and questions → unit vectors."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from pincite.embedding import codes
from pincite.embedding.engine import ON_PROCESSOR, Batch, Engine, Forward
from pincite.embedding.model import ModelFiles
from pincite.embedding.tokens import Tokenizer, Tokens
from pincite.errors import ModelError, QuestionError
from pincite.types import Passage

if TYPE_CHECKING:
    from pincite.embedding.pytorch import PyTorchEngine

WINDOW = 512
"""Passages sorted by length before they are cut into batches, or more where batches are large."""
BATCHES = 16

_Read = tuple[Passage, str]
"""A passage, and what the model read in front of it."""


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

    def __init__(self, files: ModelFiles, engine: Engine, passage_engine: Engine | None = None) -> None:
        """`passage_engine` embeds passages in place of `engine`, whose vectors its own can be compared with."""
        self.files = files
        self.engine = engine
        self._passage_engine = passage_engine or engine
        self.tokenizer = Tokenizer(files.tokenizer)
        self.projection = codes.Projection(files.sha256)

    def embed_query(self, question: str) -> QueryEmbedding:
        """The vectors of a question. Raises `QuestionError` where the model cannot read it whole."""
        return self.begin_query(question)()

    def begin_query(self, question: str) -> Callable[[], QueryEmbedding]:
        """The same, to be waited for while something else is done."""
        prompt = self.files.prompts["query"]
        (tokens,) = self.tokenizer.encode([prompt + question])
        if len(tokens) > self.files.max_tokens:
            raise QuestionError(
                f"the question has {len(tokens)} tokens and the model reads {self.files.max_tokens}: shorten it"
            )
        started = self.engine.start(Batch((0,), (tokens,)))

        def finish() -> QueryEmbedding:
            forward = started()
            own = _own_tokens(tokens, len(prompt))
            vector = _unit(forward.texts[0])
            return QueryEmbedding(vector, self.projection(forward.tokens[0][own]), tokens.spans[own] - len(prompt))

        return finish

    def embed_passages(self, passages: Iterable[Passage]) -> Iterator[tuple[int, Embedding]]:
        """(number of the passage, its embedding), in no given order, as they are made."""
        waiting: dict[int, _Read] = {}
        for forward in self._passage_engine.forward(self._batches(passages, waiting)):
            yield from self._embeddings(forward, waiting)

    def _batches(self, passages: Iterable[Passage], waiting: dict[int, _Read]) -> Iterator[Batch]:
        """One stream of batches over all windows: the next is tokenised while the engine is busy with the one before.

        What is needed again once a batch is done goes into `waiting`, by number.
        """
        size = self._passage_engine.batch
        numbered = enumerate(passages)
        while window := list(islice(numbered, max(WINDOW, BATCHES * size))):
            numbers = [number for number, _ in window]
            read = self._read([passage for _, passage in window])
            waiting |= {number: (passage, prefix) for number, (passage, prefix, _) in zip(numbers, read, strict=True)}
            for batch in batches([tokens for _, _, tokens in read], size):
                yield Batch(tuple(numbers[row] for row in batch.rows), batch.tokens)

    def _read(self, passages: Sequence[Passage]) -> list[tuple[Passage, str, Tokens]]:
        """Each passage with what stands in front of it, as the model reads both."""
        prefixes = [self._prefix(passage) for passage in passages]
        texts = [prefix + passage.text for prefix, passage in zip(prefixes, passages, strict=True)]
        encoded = self.tokenizer.encode(texts)
        for row, passage in enumerate(passages):
            if len(encoded[row]) > self.files.max_tokens and self._is_oversized(prefixes[row]):
                prefixes[row] = self.files.prompts["document"]
                (encoded[row],) = self.tokenizer.encode([prefixes[row] + passage.text])
            if len(encoded[row]) > self.files.max_tokens:
                raise ModelError(
                    f"{passage.source}, characters {passage.start}–{passage.end}: {len(encoded[row])} tokens, and"
                    f" the model reads {self.files.max_tokens}: lower passages.tokens in pincite.toml"
                )
        return list(zip(passages, prefixes, encoded, strict=True))

    def _embeddings(self, forward: Forward, waiting: dict[int, _Read]) -> Iterator[tuple[int, Embedding]]:
        batch = forward.batch
        own = [_own_tokens(tokens, len(self.files.prompts["document"])) for tokens in batch.tokens]
        owners = np.repeat(np.arange(len(own)), [len(rows) for rows in own])
        coded = codes.encode(self.projection(forward.tokens[owners, np.concatenate(own)]))
        ends = np.cumsum([len(rows) for rows in own])
        vectors = codes.unit(forward.texts)
        for row, (number, tokens) in enumerate(zip(batch.rows, batch.tokens, strict=True)):
            passage, prefix = waiting.pop(number)
            sentences = _ranges(tokens.spans[own[row]] - len(prefix), passage)
            yield number, Embedding(vectors[row], coded[ends[row] - len(own[row]) : ends[row]], sentences)

    def _prefix(self, passage: Passage) -> str:
        return self.files.prompts["document"] + (passage.context + "\n" if passage.context else "")

    def _is_oversized(self, prefix: str) -> bool:
        """Whether a context line takes most of what the model reads: then the text goes without it."""
        return self.tokenizer.count([prefix])[0] * 2 > self.files.max_tokens


def batches(encoded: Sequence[Tokens], size: int = ON_PROCESSOR) -> Iterator[Batch]:
    """Texts of like length together, `size` a batch, the longest first, so that little is padded."""
    order = iter(sorted(range(len(encoded)), key=lambda row: -len(encoded[row])))
    while rows := tuple(islice(order, size)):
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


def open_embedder(
    files: ModelFiles, engine: Literal["auto", "openvino", "pytorch"] = "auto", streams: int | None = None
) -> Embedder:
    """The embedder for a model. `auto` takes PyTorch where there is a GPU, else OpenVINO.

    OpenVINO is checked against PyTorch once; where it disagrees, PyTorch is used with a warning. It runs `streams`
    batches at once, as many as cores where it is not said.
    """
    if engine == "pytorch" or (engine == "auto" and _has_gpu()):
        reference = _pytorch(files)
        if engine == "pytorch" or reference.on_gpu:  # a GPU that PyTorch was not built for is none
            return Embedder(files, reference)
    from pincite.embedding.openvino import open_engine

    if (converted := open_engine(files, streams)) is not None:
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
