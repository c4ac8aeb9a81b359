"""Int8 for passages: post-training quantisation by NNCF, from words of the corpus, checked before it is used.

Questions keep the precision of the model: one takes no time that int8 would save, and its vector is compared
with passages that were embedded within a tolerance of the same model's.
"""

import contextlib
import hashlib
import io
import json
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from pincite.embedding import agreement
from pincite.embedding.embedder import Embedder, batches
from pincite.embedding.engine import Engine
from pincite.embedding.openvino import OpenVinoEngine, folder_of, making
from pincite.embedding.tokens import Tokens
from pincite.errors import ModelError

CALIBRATION = 128
"""Passages that the ranges of activations are taken from."""
TRIAL = 64
"""Others that are compared."""
TEXT_COSINE = 0.98
"""The lowest that any passage may have with what the unquantised model makes of it."""
TOKEN_COSINE = 0.98
"""The same, of tokens on the mean: those of function words stray, and mean little."""


def calibrate(embedder: Embedder, texts: Sequence[str]) -> str:
    """Quantise the model with these texts; returns the name to `open_quantised` it by.

    They are put in an order of their own, so the first of them need not be typical. Where there are few, texts of all
    kinds that come with the package are added. Raises `ModelError` where NNCF is not installed, or where another
    engine than OpenVINO runs the model.
    """
    chosen = sorted(set(texts), key=lambda text: hashlib.sha256(text.encode("utf-8")).digest())[: CALIBRATION + TRIAL]
    if len(chosen) < TRIAL:
        chosen += agreement.samples()
    name = hashlib.sha256("\0".join(chosen).encode("utf-8")).hexdigest()[:16]
    folder = folder_of(embedder.files, f"int8-{name}")
    if embedder.engine.name != "openvino":
        raise ModelError('model.precision = "int8" runs on OpenVINO: set model.engine = "openvino"')
    if not (folder / "agreement.json").is_file():
        tokens = [agreement.limited(t, embedder.files.max_tokens) for t in embedder.tokenizer.encode(chosen)]
        trial = tokens[:TRIAL] if len(tokens) > CALIBRATION else tokens
        calibration = tokens[TRIAL:] if len(tokens) > CALIBRATION else tokens
        with making(folder) as made:
            _quantise(folder_of(embedder.files) / "model.xml", calibration, made / "model.xml")
            found = _compare(embedder.engine, OpenVinoEngine(made / "model.xml"), trial)
            (made / "agreement.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    return name


def open_quantised(embedder: Embedder, name: str) -> Embedder | None:
    """The embedder with int8 for passages; None where int8 strays too far from the model.

    Raises `FileNotFoundError` where nothing of that name is kept any more.
    """
    folder = folder_of(embedder.files, f"int8-{name}")
    found = json.loads((folder / "agreement.json").read_text(encoding="utf-8"))
    if not found["agrees"]:
        return None
    return Embedder(embedder.files, embedder.engine, OpenVinoEngine(folder / "model.xml"))


def disagreement(embedder: Embedder) -> ModelError:
    """Where int8 was used and cannot be any more."""
    return ModelError(
        f"{embedder.files.name}: int8 strays too far from the model, and the index was made with it: take"
        " model.precision out of pincite.toml and run python ingest.py --rebuild"
    )


def _quantise(model: Any, calibration: Sequence[Tokens], target: Any) -> None:
    try:
        import nncf  # finds no usage reports to send: pincite.embedding.openvino has seen to that
    except ImportError as error:
        raise ModelError('model.precision = "int8" needs pip install -r requirements-int8.txt') from error
    import openvino

    nncf.set_log_level(logging.ERROR)
    inputs = [dict(zip(("input_ids", "attention_mask"), b.arrays(), strict=True)) for b in batches(calibration, 1)]
    with contextlib.redirect_stdout(io.StringIO()):  # it draws progress bars
        quantised = nncf.quantize(
            openvino.Core().read_model(str(model)),
            nncf.Dataset(inputs),
            subset_size=len(inputs),
            model_type=nncf.ModelType.TRANSFORMER,
        )
    openvino.save_model(quantised, target, compress_to_fp16=False)


def _compare(reference: Engine, engine: Engine, trial: Sequence[Tokens]) -> dict[str, Any]:
    """How near the quantised model comes, and whether that is near enough."""
    texts: list[float] = []
    tokens: list[float] = []
    for ours, theirs in zip(engine.forward(batches(trial, 1)), reference.forward(batches(trial, 1)), strict=True):
        texts.extend(agreement.cosines(ours.texts, theirs.texts))
        tokens.extend(agreement.cosines(ours.tokens[0], theirs.tokens[0]))
    lowest, mean = float(np.min(texts)), float(np.mean(tokens))  # NaN if any is
    return {
        "texts": len(trial),
        "lowest_text_cosine": lowest,
        "mean_token_cosine": mean,
        "agrees": lowest >= TEXT_COSINE and mean >= TOKEN_COSINE,
    }
