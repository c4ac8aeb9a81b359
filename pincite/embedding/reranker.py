"""A cross-encoder: question and passage read together, by whoever names one in the settings.

It runs on PyTorch whatever `model.engine` says, and PyTorch is imported with the first question.
"""

import json
import math
import threading
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from pincite.embedding.model import ModelFiles, find
from pincite.errors import ModelError, QuestionError
from pincite.types import Passage

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

LEAST = 4
"""At least one in so many of the tokens that the model reads are left to the passage's own words."""
_REMEDY = "name another reranker.model in pincite.toml"


class Reranker:
    """A sentence-transformers `CrossEncoder`, loaded with the first question. Safe to share between threads."""

    def __init__(self, files: ModelFiles) -> None:
        """Raises `ModelError` where the folder does not say that it holds a cross-encoder."""
        self.files = files
        self._lock = threading.Lock()
        if not _is_cross_encoder(files):
            raise ModelError(f"{files.folder}: not a cross-encoder: {_REMEDY}")

    def score(self, question: str, passages: Sequence[Passage]) -> np.ndarray:
        """Log-odds that each passage answers: float32, shape (passages,), in the order given.

        The context line is read in front. What is longer than the model reads is read in windows
        that overlap by half, and has the score of the best.
        Raises `ModelError`, and `QuestionError` where the question leaves no room for a passage.
        """
        if not passages:
            return np.empty(0, dtype=np.float32)
        with self._lock:
            try:
                windows = self._windows(question, passages)
                scores = self._log_odds([(question, text) for texts in windows for text in texts])
            except (IndexError, ValueError, RuntimeError) as error:
                raise ModelError(f"{self.files.folder}: cannot be run ({_first_line(error)}): {_REMEDY}") from error
        starts = np.cumsum([0, *map(len, windows[:-1])])
        return np.maximum.reduceat(scores, starts)

    @cached_property
    def _model(self) -> "CrossEncoder":
        """Raises `ModelError`. Only weights in safetensors are read: the older format can hold code."""
        from safetensors import SafetensorError
        from sentence_transformers import CrossEncoder
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        try:
            model: CrossEncoder = CrossEncoder(
                str(self.files.folder), local_files_only=True, model_kwargs={"use_safetensors": True}
            )
            missing = _missing_weights(model, self.files)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise ModelError(f"{self.files.folder}: cannot be loaded ({_first_line(error)}): {_REMEDY}") from error
        if missing:
            raise ModelError(f"{self.files.folder}: its weights lack {missing[0]}: {_REMEDY}")
        if model.num_labels > 2:
            raise ModelError(
                f"{self.files.folder}: gives {model.num_labels} labels, and one or two say whether a passage answers:"
                f" {_REMEDY}"
            )
        return model

    def _log_odds(self, pairs: list[tuple[str, str]]) -> np.ndarray:
        """The logit of one label, or by how much that of the second is above that of the first."""
        from torch.nn import Identity

        logits = self._model.predict(pairs, activation_fn=Identity(), show_progress_bar=False)
        scores: np.ndarray = np.asarray(logits, dtype=np.float32)
        if scores.ndim == 2:
            scores = scores[:, 1] - scores[:, 0]
        if not np.isfinite(scores).all():
            raise ModelError(f"{self.files.folder}: its scores are no numbers, so its weights are damaged: {_REMEDY}")
        return scores

    def _windows(self, question: str, passages: Sequence[Passage]) -> list[list[str]]:
        """What is read of each passage: all at once where that fits."""
        limit = self._model.max_seq_length or math.inf
        whole = [_prefix(passage) + passage.text for passage in passages]
        counts = self._tokens(question, whole)
        return [
            [text] if count <= limit else self._parts(question, passage, int(limit))
            for passage, text, count in zip(passages, whole, counts, strict=True)
        ]

    def _parts(self, question: str, passage: Passage, limit: int) -> list[str]:
        """Overlapping windows of a passage, each with the context line, as few as fit.

        A context line that leaves no room is left out, as the embedding model does.
        """
        prefix = _prefix(passage)
        alone, taken, whole = self._tokens(question, ["", prefix, prefix + passage.text])
        most = limit - limit // LEAST
        if alone > most:
            raise QuestionError(f"the question has {alone} tokens and the reranker reads {limit} in all: shorten it")
        if taken > most:
            prefix, whole, taken = "", whole - taken + alone, alone
        parts = max(1, math.ceil(2 * (whole - taken) / (limit - taken)) - 1)
        while parts <= len(passage.text):
            windows = [prefix + text for text in _overlapping(passage.text, parts)]
            if max(self._tokens(question, windows)) <= limit:
                return windows
            parts += 1 + parts // 4
        raise ModelError(f"{self.files.folder}: reads {limit} tokens, too few for a passage: {_REMEDY}")

    def _tokens(self, question: str, texts: Sequence[str]) -> list[int]:
        """How many the model would read of the question with each text, special ones included."""
        model = self._model
        features = model.preprocess(
            [(question, text) for text in texts],
            prompt=model.prompts.get(model.default_prompt_name or ""),
            processing_kwargs={"text": {"truncation": False}},
        )
        counts: list[int] = features["attention_mask"].sum(dim=1).tolist()
        return counts


def open_reranker(name: str) -> Reranker:
    """The cross-encoder of this name or path, found as an embedding model is. Raises `ModelError`."""
    try:
        files = find(name)
    except ModelError as error:
        raise ModelError(f"{error}: {_REMEDY}") from error
    return Reranker(files)


def _prefix(passage: Passage) -> str:
    return passage.context + "\n" if passage.context else ""


def _overlapping(text: str, parts: int) -> list[str]:
    """So many windows of one length, each beginning in the middle of the one before."""
    edges = [len(text) * part // (parts + 1) for part in range(parts + 2)]
    return [text[start:end] for start, end in zip(edges, edges[2:], strict=False)]


def _is_cross_encoder(files: ModelFiles) -> bool:
    """By what its configuration says: the library makes a cross-encoder of any model, with random weights."""
    config, saved = _json(files, "config.json"), _json(files, "config_sentence_transformers.json")
    if (files.folder / "modules.json").is_file() or "model_type" in saved:
        return saved.get("model_type") == "CrossEncoder"
    return "ForSequenceClassification" in str(config.get("architectures"))


def _json(files: ModelFiles, name: str) -> dict[str, Any]:
    """A configuration file; empty where there is none. Raises `ModelError` where it cannot be read."""
    try:
        table = json.loads((files.folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(f"{files.folder / name}: cannot be read ({error}): {_REMEDY}") from error
    return table if isinstance(table, dict) else {}


def _missing_weights(model: "CrossEncoder", files: ModelFiles) -> list[str]:
    """Weights of the layers that make the score that no file holds: the library draws those at random."""
    from safetensors import safe_open

    inner = model.transformers_model
    if inner is None or not type(inner).__name__.endswith("ForSequenceClassification"):
        return []  # its head is a module of the library's own, which loads it or fails
    held: set[str] = set()
    for file in files.folder.glob("*.safetensors"):
        with safe_open(file, framework="numpy") as weights:
            held.update(weights.keys())
    head = [name for name in inner.state_dict() if not name.startswith(f"{inner.base_model_prefix}.")]
    return [name for name in head if not any(key.endswith(name) for key in held)]


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
