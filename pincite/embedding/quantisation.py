"""Int8 for passages: post-training quantisation by NNCF, from words of the corpus, checked before it is used.

Questions keep the precision of the model: one takes no time that int8 would save, and its vector is compared
with passages that were embedded within a tolerance of the same model's.
"""

import contextlib
import hashlib
import io
import json
import logging
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pincite.embedding import agreement, codes
from pincite.embedding.embedder import Embedder, batches
from pincite.embedding.engine import Engine
from pincite.embedding.openvino import OpenVinoEngine, folder_of, making
from pincite.embedding.tokens import Tokens
from pincite.errors import ModelError

CALIBRATION = 128
"""Passages that the ranges of activations are taken from."""
TRIAL = 64
"""Others that are compared."""
TEXT_COSINE = 0.95
"""The lowest that any passage may have with what the unquantised model makes of it: texts of one word stray most."""
TOKEN_COSINE = 0.98
"""The same, of tokens on the mean: those of function words stray, and mean little."""
NDCG_LOSS = 0.01
"""The most that may be lost of nDCG@10 where words of each passage are to find it among all."""
_ASKED = 12
"""Words of a passage that make a question."""


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
        tokens, questions = _limited(embedder, chosen), _limited(embedder, map(_question, chosen))
        unseen = TRIAL if len(tokens) > CALIBRATION else 0  # few have to do for both
        with making(folder) as made:
            for is_narrow in (False, True):
                for file in made.glob("model.*"):  # a new file, for the one before may still be mapped
                    file.unlink()
                _quantise(folder_of(embedder.files) / "model.xml", tokens[unseen:], made / "model.xml", is_narrow)
                engine = OpenVinoEngine(made / "model.xml")
                found = _compare(embedder.engine, engine, tokens, questions, unseen or len(tokens))
                if found["agrees"]:
                    break
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


def _quantise(model: Any, calibration: Sequence[Tokens], target: Any, is_narrow: bool) -> None:
    """`is_narrow`: weights of 7 bits. Processors without VNNI add products up in 16 bits, which those of 8 overflow."""
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
            advanced_parameters=(
                nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE) if is_narrow else None
            ),
        )
    openvino.save_model(quantised, target, compress_to_fp16=False)


def _question(text: str) -> str:
    """Words from the middle of a text."""
    words = text.split()
    first = max(0, (len(words) - _ASKED) // 2)
    return " ".join(words[first : first + _ASKED])


def _limited(embedder: Embedder, texts: Iterable[str]) -> list[Tokens]:
    return [agreement.limited(t, embedder.files.max_tokens) for t in embedder.tokenizer.encode(list(texts))]


def _compare(
    reference: Engine, engine: Engine, tokens: Sequence[Tokens], questions: Sequence[Tokens], trial: int
) -> dict[str, Any]:
    """How near the quantised model comes, and whether that is near enough: cosines of the first `trial` texts,
    and what all of them lose of nDCG@10 when the model asks for each."""
    ours, theirs = _forward(engine, tokens), _forward(reference, tokens)
    pairs = list(zip(ours, theirs, strict=True))[:trial]
    texts = agreement.cosines(*(np.stack(some) for some in zip(*((a[0], b[0]) for a, b in pairs), strict=True)))
    means = np.concatenate([agreement.cosines(a[1], b[1]) for a, b in pairs])
    asked = np.stack([vector for vector, _ in _forward(reference, questions)])
    ndcg = {
        name: known_item_ndcg(asked, np.stack([vector for vector, _ in made]))
        for name, made in (("model", theirs), ("int8", ours))
    }
    lowest, mean = float(np.min(texts)), float(np.mean(means))  # NaN if any is
    is_near = lowest >= TEXT_COSINE and mean >= TOKEN_COSINE
    return {
        "texts": trial,
        "lowest_text_cosine": lowest,
        "mean_token_cosine": mean,
        "ndcg@10": ndcg,
        "agrees": is_near and ndcg["int8"] >= ndcg["model"] - NDCG_LOSS,
    }


def _forward(engine: Engine, tokens: Sequence[Tokens]) -> list[tuple[np.ndarray, np.ndarray]]:
    """The unit vector of each text and the vectors of its tokens, in order."""
    done = {
        forward.batch.rows[0]: (codes.unit(forward.texts)[0], forward.tokens[0].copy())  # an engine writes over them
        for forward in engine.forward(batches(tokens, 1))
    }
    return [done[row] for row in range(len(tokens))]


def known_item_ndcg(questions: np.ndarray, passages: np.ndarray) -> float:
    """nDCG@10 where the one passage that answers a question has its row; both of unit vectors, shape (n, dim).

    Its gain is 1 / log2(rank + 1) up to rank 10 (Järvelin and Kekäläinen 2002); of equal cosines it is the first.
    """
    cosines = questions @ passages.T
    before = (cosines > np.diagonal(cosines)[:, None]).sum(axis=1)
    return float(np.where(before < 10, 1 / np.log2(before + 2), 0).mean())
