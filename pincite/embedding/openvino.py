"""The fast engine on processors: OpenVINO, in bfloat16 where the processor has it."""

import json
import shutil
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pincite.embedding.engine import Batch, Engine, Forward
from pincite.embedding.model import ModelFiles, cache_folder
from pincite.errors import ModelError
from pincite.processors import cores

# Usage reports are decided when the library is first imported: without this module it sends none.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

_LAYOUT = 1
"""Raised when what is kept in the cache changes."""


class OpenVinoEngine(Engine):
    """Runs a converted model, each request on one core: that of a question leaves the others to what is done meanwhile,
    and is no slower for it.
    """

    name = "openvino"

    def __init__(self, model: Path, streams: int | None = None) -> None:
        """`streams`: requests that run at once, as many as cores where it is not said."""
        self._model = model
        self._streams = streams or cores()
        self._compiled = self._compile()
        self._idle: list[Any] = []
        """Requests for one batch that nobody uses."""
        self._lock = threading.Lock()

    def _compile(self) -> Any:
        import openvino

        core = openvino.Core()
        return core.compile_model(
            str(self._model),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": floating_point(core),
                "NUM_STREAMS": self._streams,
                "INFERENCE_NUM_THREADS": self._streams,
                "ENABLE_CPU_PINNING": False,
                "CACHE_DIR": str(self._model.parent / "compiled"),
            },
        )

    def forward(self, batches: Iterable[Batch]) -> Iterator[Forward]:
        """Run batches, a few at a time."""
        idle: list[Any] = []
        running: deque[tuple[Batch, Any]] = deque()
        for batch in batches:
            # More than streams: none waits while the next texts are tokenised.
            if len(running) == 2 * self._streams + 1:
                yield from self._finish(running, idle)
            request = idle.pop() if idle else self._compiled.create_infer_request()
            _start(request, batch)
            running.append((batch, request))
        while running:
            yield from self._finish(running, idle)

    @staticmethod
    def _finish(running: deque[tuple[Batch, Any]], idle: list[Any]) -> Iterator[Forward]:
        batch, request = running.popleft()
        request.wait()
        yield Forward(batch, request.get_output_tensor(0).data, request.get_output_tensor(1).data)
        idle.append(request)

    def start(self, batch: Batch) -> Callable[[], Forward]:
        """Begin with one batch."""
        with self._lock:
            request = self._idle.pop() if self._idle else self._compiled.create_infer_request()
        _start(request, batch)

        def finish() -> Forward:
            request.wait()
            made = Forward(batch, *(request.get_output_tensor(number).data.copy() for number in (0, 1)))
            self._idle.append(request)
            return made

        return finish


def floating_point(core: Any) -> str:
    """What a model is run in on this processor, as OpenVINO names it."""
    return "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


def _start(request: Any, batch: Batch) -> None:
    ids, mask = batch.arrays()
    request.start_async({"input_ids": ids, "attention_mask": mask})


def open_engine(files: ModelFiles, streams: int | None = None) -> OpenVinoEngine | None:
    """The engine of a model, converted on first use; None where OpenVINO disagrees with the original.

    `agreement.json` in the cache folder holds what the comparison found. What cannot be read there is
    made again. Raises `ModelError`.
    """
    folder = folder_of(files)
    try:
        return _open(files, folder, streams)
    except (RuntimeError, ValueError, KeyError):
        shutil.rmtree(folder, ignore_errors=True)
    try:
        return _open(files, folder, streams)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ModelError(f'{files.name}: OpenVINO cannot run it ({reason}): set model.engine = "pytorch"') from error


def folder_of(files: ModelFiles, variant: str = "") -> Path:
    """Where a converted model is kept: `openvino/<weights>-<version>-<layout>`, with a variant's name at the end."""
    name = f"{files.sha256[:16]}-{version('openvino')}-{_LAYOUT}"
    return cache_folder() / "openvino" / (f"{name}-{variant}" if variant else name)


def _open(files: ModelFiles, folder: Path, streams: int | None) -> OpenVinoEngine | None:
    if not (folder / "agreement.json").is_file():
        _convert(files, folder)
    agreement = json.loads((folder / "agreement.json").read_text(encoding="utf-8"))
    return OpenVinoEngine(folder / "model.xml", streams) if agreement["agrees"] else None


def _convert(files: ModelFiles, folder: Path) -> None:
    """Convert and compare."""
    from pincite.embedding.agreement import compare
    from pincite.embedding.pytorch import PyTorchEngine

    with making(folder) as made:
        reference = PyTorchEngine(files)
        _save(reference, made / "model.xml")
        agreement = compare(files, reference, OpenVinoEngine(made / "model.xml"))
        (made / "agreement.json").write_text(json.dumps(agreement, indent=1), encoding="utf-8")


@contextmanager
def making(folder: Path) -> Iterator[Path]:
    """A folder to make a model in, then moved to `folder` in one step. `agreement.json` is what makes it whole."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix="making-", dir=folder.parent))
    except OSError as error:
        raise ModelError(
            f"{folder.parent}: cannot be written ({error.strerror}), and the converted model is kept there: allow it,"
            ' or set model.engine = "pytorch"'
        ) from error
    try:
        yield made
        try:
            made.rename(folder)
        except OSError:  # another process was quicker, and what it made is as good; or one died over it
            if not (folder / "agreement.json").is_file():
                shutil.rmtree(folder, ignore_errors=True)
                made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _save(reference: Engine, file: Path) -> None:
    """Trace the sentence-transformers modules, pooling and normalisation included."""
    import logging
    import warnings

    import openvino
    import torch

    class Outputs(torch.nn.Module):
        def __init__(self, module: torch.nn.Module) -> None:
            super().__init__()
            self.module = module

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
            features = self.module({"input_ids": input_ids, "attention_mask": attention_mask})
            return features["sentence_embedding"], features["token_embeddings"]

    example = {
        "input_ids": torch.ones(2, 16, dtype=torch.long),
        "attention_mask": torch.ones(2, 16, dtype=torch.long),
    }
    logging.getLogger("transformers").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of branches on shapes; the comparison decides
        module = Outputs(reference.module.float().cpu())  # type: ignore[attr-defined]
        openvino.save_model(openvino.convert_model(module, example_input=example), file, compress_to_fp16=False)
