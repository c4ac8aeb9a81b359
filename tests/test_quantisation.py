"""Int8 for passages: near the model or not used, and never beside another precision in one index."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pincite import embedding
from pincite.embedding import Embedder, agreement, quantisation
from pincite.embedding.engine import Batch, Engine, Forward
from pincite.embedding.openvino import folder_of
from pincite.embedding.pytorch import PyTorchEngine
from pincite.errors import IndexMismatch, ModelError
from pincite.passages import cut
from pincite.reading import read
from pincite.search import Searcher
from pincite.settings import Model, Settings
from pincite.storage import Catalog, SegmentReader
from pincite.sync import precision, sync

pytest.importorskip("nncf", reason="requirements-int8.txt is not installed")

CORPUS = Path(__file__).parents[1] / "corpus"
INT8 = Model(precision="int8")


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedder]:
    """The default model on OpenVINO, in a cache of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield embedding.open_embedder(embedding.find("all-MiniLM-L6-v2"), "openvino")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Two documents to be indexed in int8, and no index yet."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "corpus").mkdir()
    (folder / "corpus" / "ferry.md").write_text("# Ferry\n\nThe ferry leaves at 06:40 and takes three hours.\n")
    (folder / "corpus" / "lease.md").write_text("# Lease\n\nShe signed the lease on 3 May, before the flood.\n")
    return Settings(corpus=folder / "corpus", index=folder / "index", model=INT8)


def vectors(settings: Settings) -> dict[str, np.ndarray]:
    """Source → the vector of its one passage, as it lies in the segments."""
    with Catalog(settings.index) as catalog:
        stored = list(catalog.all_passages())
    reader = SegmentReader(settings.index / "vectors")
    try:
        return {one.source: reader.read(one.location, one.key).vector for one in stored if one.location}
    finally:
        reader.close()


def recorded(settings: Settings) -> str:
    with Catalog(settings.index) as catalog:
        return catalog.meta(precision.META)


@pytest.mark.slow
def test_int8_is_near_the_model_and_not_the_same(embedder: Embedder) -> None:
    passages = []
    for path in sorted(CORPUS.rglob("*.md")):
        passages += cut(read(path, path.name), embedder.tokenizer.count, 128)
    name = quantisation.calibrate(embedder, [passage.indexed_text for passage in passages])
    quantised = quantisation.open_quantised(embedder, name)
    assert quantised is not None
    found = json.loads((folder_of(embedder.files, f"int8-{name}") / "agreement.json").read_text())
    assert found["texts"] == 64
    assert found["ndcg@10"]["int8"] >= found["ndcg@10"]["model"] - 0.01 > 0.5
    assert 0.98 <= found["lowest_text_cosine"] < 1
    assert 0.98 <= found["mean_token_cosine"] < 1
    unseen = passages[::9]
    ours, theirs = dict(quantised.embed_passages(unseen)), dict(embedder.embed_passages(unseen))
    cosines = [float(ours[n].vector @ theirs[n].vector) for n in range(len(unseen))]
    assert min(cosines) > 0.98
    assert max(cosines) < 0.99999
    # Questions are asked of the model as it is.
    question = "How long does the ferry take?"
    assert np.array_equal(quantised.embed_query(question).vector, embedder.embed_query(question).vector)


@pytest.mark.slow
def test_an_index_in_int8_goes_on_in_int8_and_says_so(embedder: Embedder, small: Settings) -> None:
    sync(small, embedder=embedder)
    assert recorded(small) == "int8"
    before = vectors(small)
    kept = list(folder_of(embedder.files).parent.glob("*-int8-*"))
    (small.corpus / "tides.md").write_text("# Tides\n\nThe water is highest twice a day.\n")
    assert sync(small, embedder=embedder).embedded == 1
    after = vectors(small)
    assert {name: after[name].tolist() for name in before} == {name: before[name].tolist() for name in before}
    assert list(folder_of(embedder.files).parent.glob("*-int8-*")) == kept  # calibrated once

    asked = Searcher(small, embedder).search("When does the ferry leave?")
    assert asked.hits[0].passage.source == "ferry.md"
    plain = small.model_copy(update={"model": Model()})
    with pytest.raises(IndexMismatch, match=r"built with precision int8, the settings ask for auto: run python ingest"):
        sync(plain, embedder=embedder)

    # Another precision is another vector: nothing is taken over.
    assert sync(plain, rebuild=True, embedder=embedder).embedded == 3
    full = vectors(plain)
    assert 0.98 < float(full["ferry.md"] @ before["ferry.md"]) / float(np.linalg.norm(full["ferry.md"])) < 0.99999


def test_where_int8_strays_too_far_the_index_is_made_without_and_stays_so(
    embedder: Embedder, small: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    strayed = folder_of(embedder.files, "int8-strayed")
    strayed.mkdir(parents=True)
    (strayed / "agreement.json").write_text(json.dumps({"agrees": False}))
    monkeypatch.setattr(quantisation, "calibrate", lambda _embedder, _texts: "strayed")
    settings = small.model_copy(update={"index": tmp_path / "index"})
    with pytest.warns(UserWarning, match="int8 strays too far from the model; passages go without it"):
        sync(settings, embedder=embedder)
    assert recorded(settings) == "auto"
    made = vectors(settings)
    expected = embedder.embed_query("Ferry\n# Ferry\n\nThe ferry leaves at 06:40 and takes three hours.").vector
    assert float(made["ferry.md"] @ expected) > 0.9995  # bfloat16, as without the setting
    (settings.corpus / "ferry.md").write_text("# Ferry\n\nThe ferry leaves at 07:10 and takes two hours.\n")
    sync(settings, embedder=embedder)  # and no second warning
    assert recorded(settings) == "auto"


def test_what_is_lost_of_ndcg_is_worked_out_by_rank() -> None:
    passages = np.eye(12, dtype=np.float32)
    questions = passages.copy()
    assert quantisation.known_item_ndcg(questions, passages) == 1
    questions[0] = 0.9 * passages[1] + 0.1 * passages[0]  # second: 1 / log2(3) = .63093
    questions[1] = -passages[1]  # the last of twelve: nothing
    # (10 + .63093) / 12 = .88591
    assert quantisation.known_item_ndcg(questions, passages) == pytest.approx(0.88591, abs=1e-5)


@pytest.mark.parametrize(("turned", "agrees"), [(0.0, True), (0.5, False)])
def test_an_engine_that_ranks_otherwise_does_not_agree(embedder: Embedder, turned: float, agrees: bool) -> None:
    class Turned(Engine):
        """The engine itself, its texts drawn towards that of another text in the batch before it."""

        name, batch = "openvino", embedder.engine.batch

        def forward(self, given: Iterable[Batch]) -> Iterator[Forward]:
            last = None
            for made in embedder.engine.forward(given):
                own = made.texts / np.linalg.norm(made.texts)
                yield Forward(made.batch, own if last is None else own + turned * last, made.tokens)
                last = own

    texts = agreement.samples()
    tokens = quantisation._limited(embedder, texts)
    questions = quantisation._limited(embedder, map(quantisation._question, texts))
    found = quantisation._compare(embedder.engine, Turned(), tokens, questions, len(tokens))
    assert found["agrees"] is agrees
    assert found["mean_token_cosine"] == pytest.approx(1, abs=1e-3)


def test_only_openvino_runs_int8() -> None:
    files = embedding.find("all-MiniLM-L6-v2")
    with pytest.raises(ModelError) as caught:
        quantisation.calibrate(Embedder(files, PyTorchEngine(files)), ["One.", "Two."])
    assert str(caught.value) == 'model.precision = "int8" runs on OpenVINO: set model.engine = "openvino"'


def test_without_nncf_it_is_said_what_to_install(tmp_path: Path) -> None:
    code = """
import sys
sys.modules["nncf"] = None
from pincite import embedding
from pincite.embedding import quantisation
from pincite.errors import ModelError
try:
    quantisation.calibrate(embedding.open_embedder(embedding.find("all-MiniLM-L6-v2"), "openvino"), ["Never seen."])
except ModelError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=True)
    assert ran.stdout == 'model.precision = "int8" needs pip install -r requirements-int8.txt\n'
