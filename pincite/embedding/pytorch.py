"""The reference engine: sentence-transformers on PyTorch, on a GPU where there is one."""

import threading
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from pincite.embedding.engine import Batch, Forward
from pincite.embedding.model import ModelFiles
from pincite.errors import ModelError


class PyTorchEngine:
    """Runs the model as sentence-transformers does; half precision on a GPU."""

    name = "pytorch"

    def __init__(self, files: ModelFiles) -> None:
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        self._torch = torch
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            self.module = SentenceTransformer(str(files.folder), local_files_only=True).eval()
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"{files.folder}: sentence-transformers cannot load it ({reason})") from error
        self.on_gpu = self.module.device.type != "cpu"
        if self.module.device.type == "cuda":
            self.module.half()
        self._lock = threading.Lock()

    def forward(self, batches: Iterable[Batch]) -> Iterator[Forward]:
        """Run batches one after the other."""
        for batch in batches:
            ids, mask = batch.arrays()
            with self._lock, self._torch.inference_mode():
                device = self.module.device
                features = self.module(
                    {
                        "input_ids": self._torch.from_numpy(ids).to(device),
                        "attention_mask": self._torch.from_numpy(mask).to(device),
                    }
                )
            yield Forward(batch, _array(features["sentence_embedding"]), _array(features["token_embeddings"]))


def _array(tensor: Any) -> np.ndarray:
    array: np.ndarray = tensor.float().cpu().numpy()
    return array
