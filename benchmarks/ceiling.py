"""How near embedding comes to the processor's own rate of matrix products, or to the GPU's.

    python -m benchmarks.ceiling [FOLDER_OF_DOCUMENTS] [--passages 512] [--rounds 5] [--precision int8] [--json FILE]

The work is 2 × the multiply-adds of the model's matrix products on unpadded tokens, attention's included; the time is
that of embedding passages, tokenising and token codes included. The ceiling is the best rate of oneDNN (called by
PyTorch) and OpenVINO in products of the model's shapes alone, on all cores, in the same run and in the numbers that
the model is run in (bfloat16 where the processor has it): for oneDNN and for OpenVINO that of the best of several
numbers of rows. Where there is a GPU with CUDA, it embeds, and the ceiling is PyTorch's products on it in half
precision. All take turns, and medians are compared. On a busy machine the share by processor time says more than the
one by wall time, for it leaves out the time that others had; of a GPU it says nothing.

What the model's own time goes to is told by kind of operation, as OpenVINO counts it: what is no matrix product has no
part in the ceiling.
"""

import argparse
import json
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.embedding import passages_of
from benchmarks.machine import conditions, measured, peak_mib
from pincite import embedding
from pincite.embedding import Embedder, ModelFiles, quantisation
from pincite.embedding.embedder import batches
from pincite.embedding.engine import Batch
from pincite.embedding.openvino import floating_point, folder_of
from pincite.embedding.pytorch import PyTorchEngine
from pincite.processors import cores
from pincite.settings import Settings
from pincite.types import Passage

Precision = Literal["auto", "int8"]
ROWS = (256, 1024, 4096)
"""Tokens a product; a batch of 8 passages has up to 1,024."""
ROWS_ON_GPU = (1024, 8192, 65_536)
"""There a batch has 256 passages."""
_WORK = 20e9
"""Operations a turn of a ceiling, at least."""
_WORK_ON_GPU = 5e12


def shapes(files: ModelFiles) -> list[tuple[int, int]]:
    """(inputs, outputs) of the matrix products by weights in one layer: query, key, value, output, and the two of the
    feed-forward part."""
    config = json.loads((files.folder / "config.json").read_text(encoding="utf-8"))
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    return [(hidden, hidden)] * 4 + [(hidden, inner), (inner, hidden)]


def operations(files: ModelFiles, lengths: Sequence[int]) -> float:
    """2 × multiply-adds of texts of so many tokens: by weights, and tokens by tokens twice in attention."""
    config = json.loads((files.folder / "config.json").read_text(encoding="utf-8"))
    layers, hidden = config["num_hidden_layers"], config["hidden_size"]
    by_weights = sum(inputs * outputs for inputs, outputs in shapes(files))
    return 2.0 * layers * sum(length * by_weights + 2 * length * length * hidden for length in lengths)


def pytorch_products(
    files: ModelFiles, rows: int, precision: Precision, device: str = "cpu"
) -> tuple[Callable[[], None], float]:
    """One turn of products by PyTorch, which has oneDNN on a processor and cuBLAS on a GPU make them, and its
    operations."""
    import openvino
    import torch

    torch.set_num_threads(cores())
    once = 2.0 * rows * sum(inputs * outputs for inputs, outputs in shapes(files))
    turns = max(1, round((_WORK if device == "cpu" else _WORK_ON_GPU) / once))
    if device != "cpu":
        pairs = [(torch.rand(rows, n).to(device).half(), torch.rand(n, m).to(device).half()) for n, m in shapes(files)]
        multiply: Callable[..., Any] = torch.matmul
    elif precision == "int8":
        pairs = [(torch.ones(rows, n, dtype=torch.int8), torch.ones(n, m, dtype=torch.int8)) for n, m in shapes(files)]
        multiply = torch._int_mm
    else:
        kind = torch.bfloat16 if floating_point(openvino.Core()) == "bf16" else torch.float32
        pairs = [(torch.rand(rows, n).to(kind), torch.rand(n, m).to(kind)) for n, m in shapes(files)]
        multiply = torch.matmul

    def work() -> None:
        with torch.inference_mode():
            for _ in range(turns):
                for a, b in pairs:
                    multiply(a, b)
        if device != "cpu":
            torch.cuda.synchronize()

    return work, once * turns


def openvino_products(files: ModelFiles, rows: int, precision: Precision) -> tuple[Callable[[], None], float]:
    """One turn of a model that is nothing but six layers of such products, one request a core, and its operations."""
    import openvino
    from openvino import opset13 as ops

    rng = np.random.default_rng(0)
    x = y = ops.parameter([rows, shapes(files)[0][0]], np.float32)
    for _ in range(6):
        for n, m in shapes(files):
            y = ops.matmul(y, ops.constant((rng.random((n, m), dtype=np.float32) - 0.5) / n**0.5), False, False)
    model = openvino.Model([y], [x])
    data = rng.random((rows, shapes(files)[0][0]), dtype=np.float32)
    if precision == "int8":
        import nncf

        model = nncf.quantize(model, nncf.Dataset([data]), subset_size=1)
    core = openvino.Core()
    options = {
        "INFERENCE_PRECISION_HINT": floating_point(core),
        "NUM_STREAMS": cores(),
        "INFERENCE_NUM_THREADS": cores(),
        "ENABLE_CPU_PINNING": False,
    }
    compiled = core.compile_model(model, "CPU", options)
    queue = openvino.AsyncInferQueue(compiled, cores() + 1)
    once = 2.0 * 6 * rows * sum(inputs * outputs for inputs, outputs in shapes(files))
    turns = max(2 * cores(), round(_WORK / once))

    def work() -> None:
        for _ in range(turns):
            queue.start_async([data], share_inputs=True)
        queue.wait_all()

    return work, once * turns


def by_operation(model: Path, given: Sequence[Batch]) -> dict[str, float]:
    """Kind of operation, with the kernel that OpenVINO has for it → its share of the model's time on one core.

    The largest come first; below a hundredth they are left out.
    """
    import openvino

    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": floating_point(core), "INFERENCE_NUM_THREADS": 1, "PERF_COUNT": True}
    request = core.compile_model(str(model), "CPU", options).create_infer_request()
    seconds: Counter[str] = Counter()
    for batch in given:
        ids, mask = batch.arrays()
        for turn in range(2):  # the first of a length makes its kernels
            request.infer({"input_ids": ids, "attention_mask": mask})
            if turn:
                for node in request.get_profiling_info():
                    seconds[f"{node.node_type}, {node.exec_type}"] += node.real_time.total_seconds()
    shares = {kind: round(spent / seconds.total(), 3) for kind, spent in seconds.most_common()}
    return {kind: share for kind, share in shares.items() if share >= 0.01}


def embed(embedder: Embedder, passages: Sequence[Passage]) -> None:
    """All of them, and nothing kept."""
    for _ in embedder.embed_passages(passages):
        pass


def in_int8(embedder: Embedder, passages: Sequence[Passage]) -> tuple[Embedder, Path]:
    """Calibrated with the passages, and the folder of its model. Ends the run where it strays too far."""
    name = quantisation.calibrate(embedder, [passage.indexed_text for passage in passages])
    if (quantised := quantisation.open_quantised(embedder, name)) is None:
        raise SystemExit("int8 strays too far from the model")
    return quantised, folder_of(embedder.files, f"int8-{name}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("corpus"))
    parser.add_argument("--passages", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=("auto", "int8"), default="auto")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    import openvino

    files = embedding.find(Settings().model.name)
    embedder = embedding.open_embedder(files, "auto" if arguments.precision == "auto" else "openvino")
    on_gpu = isinstance(embedder.engine, PyTorchEngine) and embedder.engine.module.device.type == "cuda"
    passages = list(islice(passages_of(arguments.folder, embedder), arguments.passages))
    encoded = embedder.tokenizer.encode([passage.indexed_text for passage in passages])
    lengths = [len(tokens) for tokens in encoded]
    model = folder_of(files)
    if arguments.precision == "int8":
        embedder, model = in_int8(embedder, passages)
    contenders: dict[str, tuple[Callable[[], None], float]] = {
        "pincite": (partial(embed, embedder, passages), operations(files, lengths))
    }
    for rows in ROWS_ON_GPU if on_gpu else ():
        contenders[f"cuBLAS, {rows} rows"] = pytorch_products(files, rows, arguments.precision, "cuda")
    for rows in () if on_gpu else ROWS:
        contenders[f"oneDNN, {rows} rows"] = pytorch_products(files, rows, arguments.precision)
        contenders[f"OpenVINO, {rows} rows"] = openvino_products(files, rows, arguments.precision)

    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for number in range(arguments.rounds + 1):
        for name in contenders if number % 2 else reversed(contenders):
            work, done = contenders[name]
            with measured() as cost:
                work()
            if number:  # the first round warms them
                rates[name].append((done / cost.seconds / 1e9, done / cost.cpu_seconds / 1e9))

    median = {name: [statistics.median(column) for column in zip(*found, strict=True)] for name, found in rates.items()}
    best = [max(found[way] for name, found in median.items() if name != "pincite") for way in (0, 1)]
    precision = arguments.precision if arguments.precision == "int8" else floating_point(openvino.Core())
    result = {
        **conditions(("openvino", "torch", "numpy")),
        "precision": "f16 on a GPU" if on_gpu else precision,
        "passages": len(passages),
        "tokens": sum(lengths),
        "rounds": arguments.rounds,
        "gflop_per_second": {name: round(wall, 1) for name, (wall, _) in median.items()},
        "gflop_per_cpu_second": {name: round(cpu, 1) for name, (_, cpu) in median.items()},
        "share_of_ceiling": {
            "wall": round(median["pincite"][0] / best[0], 3),
            "cpu": round(median["pincite"][1] / best[1], 3),
        },
        "share_of_model_time": {} if on_gpu else by_operation(model / "model.xml", list(batches(encoded))),
        "peak_memory_mib": round(peak_mib()),  # with the products' own
    }
    print(json.dumps(result, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
