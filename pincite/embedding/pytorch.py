"""The reference engine: sentence-transformers on PyTorch, on a GPU where there is one."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pincite.embedding.engine import ON_PROCESSOR, Batch, Engine, Forward
from pincite.embedding.model import ModelFiles
from pincite.errors import ModelError

_ON_GPU = 256
"""Texts a batch: enough to fill it, and at 256 tokens of 384 components in half precision 50 MB."""


class _Running(NamedTuple):
    """A batch that a GPU may still be busy with."""

    batch: Batch
    texts: Any
    tokens: Any
    done: Any
    """The event that follows its copy to the host; None where nothing runs ahead."""


class PyTorchEngine(Engine):
    """Runs the model as sentence-transformers does; half precision on a GPU."""

    name = "pytorch"

    def __init__(self, files: ModelFiles) -> None:
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        self._torch = torch
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers'
        try:
            self.module = SentenceTransformer(str(files.folder), local_files_only=True).eval()
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"{files.folder}: sentence-transformers cannot load it ({reason})") from error
        self.on_gpu = self.module.device.type != "cpu"
        if self.module.device.type == "cuda":
            self.module.half()
        self._lock = threading.Lock()

    @property
    def batch(self) -> int:
        """Texts that it runs best at once."""
        return _ON_GPU if self.on_gpu else ON_PROCESSOR

    def forward(self, batches: Iterable[Batch]) -> Iterator[Forward]:
        """Run batches one after the other. A GPU has begun the next before one is given back."""
        ahead = 1 if self.on_gpu else 0
        running: deque[_Running] = deque()
        for batch in batches:
            running.append(self._start(batch))
            if len(running) > ahead:
                yield _finish(running.popleft())
        while running:
            yield _finish(running.popleft())

    def _start(self, batch: Batch) -> _Running:
        ids, mask = batch.arrays()
        with self._lock, self._torch.inference_mode():
            device = self.module.device
            features = self.module(
                {
                    "input_ids": self._torch.from_numpy(ids).to(device),
                    "attention_mask": self._torch.from_numpy(mask).to(device),
                }
            )
            is_cuda = device.type == "cuda"  # as it is, in half the bytes; elsewhere a copy waits for what it copies
            texts = features["sentence_embedding"].to("cpu", non_blocking=is_cuda)
            tokens = features["token_embeddings"].to("cpu", non_blocking=is_cuda)
            done = self._torch.cuda.Event() if is_cuda else None  # type: ignore[no-untyped-call]  # PyTorch's
            if done is not None:
                done.record()
        return _Running(batch, texts, tokens, done)


def _finish(running: _Running) -> Forward:
    if running.done is not None:
        running.done.synchronize()
    return Forward(running.batch, running.texts.float().numpy(), running.tokens.float().numpy())
