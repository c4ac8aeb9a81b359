"""The optional reranker: a real cross-encoder, small enough to be made here, whose taste is known beforehand."""

import dataclasses
import json
import os
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pincite import Searcher, Settings, embedding, relevance
from pincite.embedding import Embedder, Reranker
from pincite.errors import ModelError, QuestionError, SettingsError
from pincite.relevance import Features
from pincite.search import RERANKED, as_json
from pincite.settings import Search
from pincite.storage import Recipe
from pincite.sync import sync
from pincite.types import Answer, Passage
from pincite.why import explain

ROOT = Path(__file__).parents[1]
WORDS = "the a of to in ferry ferries sail sails daily when do zebra".split()  # noqa: SIM905
READS = 64
"""Tokens that the small model reads."""
QUESTION = "When do ferries sail?"
WEIGHTS, SAVED = "model.safetensors", "config_sentence_transformers.json"
REMEDY = "name another reranker.model in pincite.toml"


def make(folder: Path, labels: int = 1) -> Path:
    """A cross-encoder to which a passage answers the better the larger the share of the word “zebra” in it.

    Every token attends to all alike, so the first one gets the mean of all; only “zebra” has anything
    in the first component, and the logit is that component's. With two labels the difference of
    their logits is the logit of the one.
    """
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    torch.manual_seed(0)
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    tokenizer = BertTokenizer(vocab={token: id_ for id_, token in enumerate(tokens)}, model_max_length=READS)
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=READS,
        num_labels=labels,
    )
    model = BertForSequenceClassification(config).eval()
    identity = torch.eye(32)
    with torch.no_grad():
        embeddings = model.bert.embeddings
        embeddings.word_embeddings.weight[:, 0] = 0
        embeddings.word_embeddings.weight[tokens.index("zebra")] = 10 * identity[0]
        embeddings.position_embeddings.weight[:, 0] = 0
        embeddings.token_type_embeddings.weight[:, 0] = 0
        for layer in model.bert.encoder.layer:
            layer.attention.self.query.weight.zero_()
            layer.attention.self.value.weight.copy_(identity)
            layer.attention.output.dense.weight.copy_(identity)
            layer.output.dense.weight.zero_()
        model.bert.pooler.dense.weight.copy_(2 * identity)
        if labels == 1:
            model.classifier.weight.copy_(60 * identity[:1])
        elif labels == 2:
            model.classifier.weight.copy_(torch.stack([-30 * identity[0], 30 * identity[0]]))
    base = folder / "base"
    model.save_pretrained(base)
    tokenizer.save_pretrained(base)
    CrossEncoder(str(base), device="cpu").save_pretrained(str(folder / "model"))
    return folder / "model"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("reranker"))


@pytest.fixture(scope="module")
def original(model: Path):
    """The same model in sentence-transformers."""
    from sentence_transformers import CrossEncoder

    return CrossEncoder(str(model), device="cpu")


@pytest.fixture
def reranker(model: Path) -> Reranker:
    return embedding.open_reranker(str(model))


def passage(text: str, title: str = "") -> Passage:
    return Passage("a.txt", 0, len(text), text, title, sentences=((0, len(text)),))


def with_reranker(settings: Settings, model: Path | str) -> Settings:
    return settings.model_copy(update={"reranker": settings.reranker.model_copy(update={"model": str(model)})})


def indexed(settings: Settings, embedder: Embedder, files: dict[str, str]) -> None:
    for source, text in files.items():
        (settings.corpus / source).write_text(text, encoding="utf-8")
    sync(settings, embedder=embedder)


def sources(answer: Answer) -> list[str]:
    return [hit.passage.source for hit in answer.hits]


TEXTS = {
    "ferries.txt": "The ferries sail daily.",
    "zebra.txt": "Of a zebra in the zoo.",
    "boats.txt": "A boat goes every morning.",
    "more.txt": "Two zebras: zebra, zebra, zebra.",
}


@pytest.fixture
def animals(settings: Settings, embedder: Embedder) -> Settings:
    indexed(settings, embedder, TEXTS)
    return settings


# The scores


def test_scores_are_the_logits_of_the_cross_encoder_in_the_order_given(reranker: Reranker, original) -> None:
    import torch

    passages = [passage(text) for text in TEXTS.values()] + [passage("Sails daily.", title="Zebra › ferry")]
    scores = reranker.score(QUESTION, passages)
    pairs = [(QUESTION, text) for text in [*TEXTS.values(), "Zebra › ferry\nSails daily."]]
    assert scores.dtype == np.float32
    assert scores == pytest.approx(original.predict(pairs, activation_fn=torch.nn.Identity()), abs=1e-3)
    probabilities = original.predict(pairs)  # by default it gives the logistic function of them
    assert 1 / (1 + np.exp(-scores)) == pytest.approx(probabilities, abs=1e-3)
    ferries, zebra, boats, more, titled = scores
    assert more > zebra > max(ferries, boats) + 1
    assert titled > ferries + 1  # the context line is read


def test_two_labels_give_the_difference_of_their_logits(tmp_path: Path, reranker: Reranker) -> None:
    two = embedding.open_reranker(str(make(tmp_path, labels=2)))
    passages = [passage(text) for text in TEXTS.values()]
    assert two.score(QUESTION, passages) == pytest.approx(reranker.score(QUESTION, passages), abs=1e-3)


def test_no_passages_get_no_scores(reranker: Reranker) -> None:
    assert reranker.score(QUESTION, []).tolist() == []


def test_threads_that_share_a_reranker_get_what_each_gets_alone(model: Path, reranker: Reranker) -> None:
    passages = [passage(text) for text in TEXTS.values()] + [passage("zebra " * 150)]
    expected = reranker.score(QUESTION, passages)
    shared, found = embedding.open_reranker(str(model)), []

    def ask() -> None:
        for _ in range(3):
            found.append(shared.score(QUESTION, passages))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 12
    for scores in found:
        assert scores == pytest.approx(expected, abs=1e-3)


# What is too long


def test_a_long_passage_has_the_score_of_its_best_window(reranker: Reranker, original) -> None:
    import torch

    # The question is 5 tokens with its mark, and 3 are special: 56 of 64 are left. The passage has 130 of
    # 6 characters with their space, so 2 · 130 / 56 − 1 = 3.6 → 4 windows of two fifths, 312 of 780 characters.
    text = "sails " * 124 + "zebra " * 6
    assert len(text) == 780
    windows = [text[start : start + 312] for start in (0, 156, 312, 468)]
    scores = original.predict([(QUESTION, window) for window in windows], activation_fn=torch.nn.Identity())
    (found,) = reranker.score(QUESTION, [passage(text)])
    assert found == pytest.approx(scores.max(), abs=1e-3)
    assert scores.argmax() == 3
    (cut,) = original.predict([(QUESTION, text)], activation_fn=torch.nn.Identity())
    assert found > cut + 1  # the library would read the beginning alone


@pytest.mark.parametrize("at", range(0, 400, 25))
def test_wherever_a_word_stands_in_a_long_passage_it_is_read(reranker: Reranker, at: int) -> None:
    words = ["sails"] * 400
    without, found = reranker.score(QUESTION, [passage(" ".join(words)), passage(" ".join([*words[:at], "zebra"]))])
    (inside,) = reranker.score(QUESTION, [passage(" ".join([*words[:at], "zebra", *words[at + 1 :]]))])
    assert min(found, inside) > without + 0.5


def test_text_without_spaces_and_of_uneven_length_is_read_in_windows_too(reranker: Reranker) -> None:
    chinese, emoji = "東京は日本の首都です" * 60, "🎉\u0301" * 300
    plain, last, mixed = reranker.score(
        QUESTION, [passage(chinese), passage(chinese + " zebra"), passage(emoji + " sails " * 200 + chinese + " zebra")]
    )
    assert min(last, mixed) > plain + 0.5


def test_the_context_line_stands_before_every_window_unless_it_leaves_no_room(reranker: Reranker) -> None:
    text = "sails " * 200
    none, short, oversized = reranker.score(
        QUESTION, [passage(text), passage(text, "zebra zebra"), passage(text, "zebra " * 60)]
    )
    assert short > none + 1
    assert oversized == pytest.approx(none, abs=1e-3)


def test_a_question_that_leaves_no_room_is_refused_not_cut(reranker: Reranker) -> None:
    # 48 tokens of 64 may be the question's, three of them special.
    reranker.score("ferry " * 45, [passage("sails " * 100)])
    with pytest.raises(QuestionError) as caught:
        reranker.score("ferry " * 46, [passage("sails " * 100)])
    assert str(caught.value) == "the question has 49 tokens and the reranker reads 64 in all: shorten it"


# What is shown


def test_the_reranker_lifts_what_it_prefers_and_the_hit_says_so(
    animals: Settings, embedder: Embedder, model: Path
) -> None:
    before = Searcher(animals, embedder).search(QUESTION)
    after = Searcher(with_reranker(animals, model), embedder).search(QUESTION)
    assert sources(before)[0] == "ferries.txt"
    scores = embedding.open_reranker(str(model)).score(QUESTION, [hit.passage for hit in before.hits])
    weights = relevance.load().order_weights(4)
    order = relevance.Weights(0.0, weights)
    expected = sorted(
        zip(before.hits, scores, strict=True), key=lambda pair: -order(Features(**pair[0].features)) - pair[1]
    )
    assert sources(after) == [hit.passage.source for hit, _ in expected]
    assert sources(after) != sources(before)
    for hit, (old, score) in zip(after.hits, expected, strict=True):
        assert hit.features == {**old.features, "reranker": pytest.approx(score, abs=1e-3)}
        assert (hit.citation, hit.marks) == (old.citation, old.marks)
    printed = as_json(after)["hits"]
    assert [hit["features"]["reranker"] for hit in printed] == [pytest.approx(score, abs=1e-3) for _, score in expected]


def test_probabilities_and_the_verdict_are_those_of_the_fitted_model(
    animals: Settings, embedder: Embedder, model: Path
) -> None:
    for question in (QUESTION, "zebra", "How tall is Mount Everest?"):
        before = Searcher(animals, embedder).search(question)
        after = Searcher(with_reranker(animals, model), embedder).search(question)
        assert [(hit.rank, hit.score, hit.band) for hit in after.hits] == [
            (hit.rank, hit.score, hit.band) for hit in before.hits
        ]
        assert after.answer == before.answer


def test_without_a_reranker_nothing_is_different(animals: Settings, embedder: Embedder) -> None:
    assert Searcher(animals, embedder).reranker is None
    answer = Searcher(animals, embedder).search(QUESTION)
    explicit = Searcher(with_reranker(animals, ""), embedder).search(QUESTION)
    assert dataclasses.replace(answer, milliseconds=0) == dataclasses.replace(explicit, milliseconds=0)
    assert all("reranker" not in hit.features for hit in answer.hits)
    order = relevance.Weights(0.0, relevance.load().order_weights(4))
    orders = [order(Features(**hit.features)) for hit in answer.hits]
    assert orders == sorted(orders, reverse=True)


def many(count: int) -> dict[str, str]:
    return {f"{number:03}.txt": f"Ferries sail to island {number} and back." for number in range(count)}


def test_only_the_best_are_read_and_the_rest_stays_below_them(
    settings: Settings, embedder: Embedder, model: Path
) -> None:
    # All answer but the last, which the reranker would like best and nobody shows it.
    indexed(settings, embedder, many(RERANKED + 10) | {"zzz.txt": "A zebra, zebra, zebra of bread and wine."})
    before = Searcher(settings, embedder).search(QUESTION, 100)
    after = Searcher(with_reranker(settings, model), embedder).search(QUESTION, 100)
    assert sources(before)[-1] == "zzz.txt"
    assert len(after.hits) == RERANKED + 11
    assert sources(after)[RERANKED:] == sources(before)[RERANKED:]
    assert sorted(sources(after)[:RERANKED]) == sorted(sources(before)[:RERANKED])
    assert ["reranker" in hit.features for hit in after.hits] == [True] * RERANKED + [False] * 11
    assert all(first.score >= second.score for first, second in pairwise(after.hits))
    three = Searcher(with_reranker(settings, model), embedder).search(QUESTION, 3)
    assert sources(three) == sources(after)[:3]


def test_copies_count_once_among_those_that_are_read(settings: Settings, embedder: Embedder, model: Path) -> None:
    copies = {f"{number:03}.txt": "Ferries sail daily." for number in range(RERANKED + 10)}
    indexed(settings, embedder, copies | {"zzz.txt": "Of the ferries: zebra, zebra, zebra."})
    answer = Searcher(with_reranker(settings, model), embedder).search(QUESTION)
    assert sources(answer) == ["zzz.txt", "000.txt"]
    assert len(answer.hits[1].also) == RERANKED + 9


# Why


def test_why_adds_up_to_the_lead_with_the_reranker_among_the_reasons(
    animals: Settings, embedder: Embedder, model: Path
) -> None:
    searcher = Searcher(with_reranker(animals, model), embedder)
    hits = searcher.search(QUESTION).hits
    told = explain(searcher, QUESTION, hits[-1].passage.source, None, None)
    (trace,) = told.traces
    order = relevance.Weights(0.0, {**relevance.load().order_weights(4), "reranker": 1.0})
    lead = order(Features(**hits[0].features)) - order(Features(**hits[-1].features))
    assert trace.rank == 4
    assert not trace.is_below_reranked
    assert sum(reason.gap for reason in trace.reasons) == pytest.approx(lead, abs=1e-3)
    (reason,) = [reason for reason in trace.reasons if reason.feature == "reranker"]
    assert reason.gap == pytest.approx(hits[0].features["reranker"] - hits[-1].features["reranker"], abs=1e-3)
    assert "reranker" in told.text()
    assert trace.score == hits[-1].score or trace.score > hits[-1].score  # before it is kept from rising
    (plain,) = explain(Searcher(animals, embedder), QUESTION, "zebra.txt", None, None).traces
    assert {reason.feature for reason in plain.reasons} == set(relevance.load().order.weights)
    assert not plain.is_below_reranked


def test_why_says_what_the_reranker_did_not_read(settings: Settings, embedder: Embedder, model: Path) -> None:
    indexed(settings, embedder, many(RERANKED + 10) | {"zzz.txt": "A zebra, zebra, zebra of bread and wine."})
    wide = with_reranker(settings, model).model_copy(update={"search": Search(candidates=100)})
    told = explain(Searcher(wide, embedder), QUESTION, "zzz.txt", None, None)
    (trace,) = told.traces
    assert (trace.rank, trace.is_below_reranked) == (RERANKED + 11, True)
    assert "  below the 50 hits that the reranker reads\n" in told.text()
    assert "reranker" not in {reason.feature for reason in trace.reasons}


def test_why_gives_a_copy_the_reranker_s_score_of_its_hit(settings: Settings, embedder: Embedder, model: Path) -> None:
    indexed(
        settings, embedder, {"a.txt": TEXTS["ferries.txt"], "b.txt": TEXTS["ferries.txt"], "c.txt": TEXTS["more.txt"]}
    )
    searcher = Searcher(with_reranker(settings, model), embedder)
    first, second = searcher.search(QUESTION).hits
    assert (first.passage.source, second.passage.source) == ("c.txt", "a.txt")
    (trace,) = explain(searcher, QUESTION, "b.txt", None, None).traces
    (reason,) = [reason for reason in trace.reasons if reason.feature == "reranker"]
    assert (reason.expected, reason.first) == (
        pytest.approx(second.features["reranker"], abs=1e-3),
        pytest.approx(first.features["reranker"], abs=1e-3),
    )


# What it leaves alone


def test_an_index_knows_nothing_of_the_reranker(animals: Settings, embedder: Embedder, model: Path) -> None:
    reranked = with_reranker(animals, model)
    assert Recipe.of(reranked) == Recipe.of(animals)
    report = sync(reranked, embedder=embedder)
    assert report.difference.is_empty()
    assert (report.passages, report.embedded, report.generation) == (4, 0, 1)


# Settings


def test_the_settings_name_the_model_in_a_table_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "pincite.toml"
    file.write_text('[reranker]\nmodel = "some/cross-encoder"\n')
    assert Settings.load(file).reranker.model == "some/cross-encoder"
    assert Settings().reranker.model == ""
    file.write_text("[reranker]\ndepth = 20\n")
    with pytest.raises(SettingsError, match=r"reranker\.depth: unknown key"):
        Settings.load(file)


# What is refused


def refusal(name: Path | str, question: str = QUESTION) -> str:
    """The one line that says why no score comes."""
    with pytest.raises(ModelError) as caught:
        embedding.open_reranker(str(name)).score(question, [passage("Ferries sail daily.")])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def copied(model: Path, folder: Path, changed: dict[str, bytes | None]) -> Path:
    """A copy of the model with files changed, or left out where there is None."""
    folder.mkdir()
    for file in model.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    for name, content in changed.items():
        (folder / name).unlink()
        if content is not None:
            (folder / name).write_bytes(content)
    return folder


def test_what_is_no_cross_encoder_is_refused_before_any_question(animals: Settings, tmp_path: Path) -> None:
    packaged = embedding.find("all-MiniLM-L6-v2").folder
    for name, folder in [("all-MiniLM-L6-v2", packaged), (str(packaged), packaged), (str(tmp_path), tmp_path)]:
        with pytest.raises(ModelError) as caught:
            Searcher(with_reranker(animals, name))
        assert str(caught.value) == f"{folder}: not a cross-encoder: {REMEDY}"


def test_a_saved_embedding_model_is_refused_whatever_its_architecture(model: Path, tmp_path: Path) -> None:
    folder = copied(model, tmp_path / "bi", {SAVED: b'{"model_type": "SentenceTransformer"}'})
    assert refusal(folder) == f"{folder}: not a cross-encoder: {REMEDY}"
    folder = copied(model, tmp_path / "plain", {SAVED: None, "modules.json": None})  # by transformers alone
    zebra, ferries = embedding.open_reranker(str(folder)).score(QUESTION, [passage("zebra"), passage("Ferries sail.")])
    assert zebra > ferries + 1


def test_a_configuration_that_is_no_json_is_named(model: Path, tmp_path: Path) -> None:
    folder = copied(model, tmp_path / "model", {"config.json": b"{"})
    assert refusal(folder).startswith(f"{folder / 'config.json'}: cannot be read (Expecting property name")
    folder = copied(model, tmp_path / "list", {"config.json": b"[]", "modules.json": None, SAVED: None})
    assert refusal(folder) == f"{folder}: not a cross-encoder: {REMEDY}"


def test_damaged_weights_are_refused(model: Path, tmp_path: Path) -> None:
    data = (model / WEIGHTS).read_bytes()
    for number, bad in enumerate([data[:-100], data[:5], b"", b"\xff" * 100]):
        folder = copied(model, tmp_path / str(number), {WEIGHTS: bad})
        message = refusal(folder)
        assert message.startswith(f"{folder}: cannot be loaded (")
        assert message.endswith(f"): {REMEDY}")


def altered(model: Path, folder: Path, name: str, value: np.ndarray | None) -> Path:
    """A copy of the model in which one array of the weights is another, or is missing."""
    from safetensors.numpy import load, save

    weights = load((model / WEIGHTS).read_bytes())
    assert name in weights
    if value is None:
        del weights[name]
    else:
        weights[name] = value
    return copied(model, folder, {WEIGHTS: save(weights, metadata={"format": "pt"})})


def test_weights_that_are_no_numbers_are_refused(model: Path, tmp_path: Path) -> None:
    folder = altered(model, tmp_path / "nan", "classifier.bias", np.full(1, np.nan, dtype=np.float32))
    assert refusal(folder) == f"{folder}: its scores are no numbers, so its weights are damaged: {REMEDY}"


def test_weights_that_lack_the_score_are_refused_not_drawn_at_random(model: Path, tmp_path: Path) -> None:
    folder = altered(model, tmp_path / "headless", "classifier.weight", None)
    assert refusal(folder) == f"{folder}: its weights lack classifier.weight: {REMEDY}"


def test_weights_of_another_shape_are_refused(model: Path, tmp_path: Path) -> None:
    folder = altered(model, tmp_path / "shape", "classifier.weight", np.zeros((1, 16), dtype=np.float32))
    assert refusal(folder).startswith(f"{folder}: cannot be loaded (")


def test_weights_in_a_format_that_can_hold_code_are_not_read(model: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.numpy import load

    weights = load((model / WEIGHTS).read_bytes())
    folder = copied(model, tmp_path / "pickled", {WEIGHTS: None})
    torch.save({name: torch.from_numpy(array.copy()) for name, array in weights.items()}, folder / "pytorch_model.bin")
    assert refusal(folder).startswith(f"{folder}: cannot be loaded (")


def test_code_that_comes_with_a_model_is_not_run(model: Path, tmp_path: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    classes = {"AutoConfig": "own.Own", "AutoModelForSequenceClassification": "own.Own"}
    config |= {"model_type": "own", "auto_map": classes}
    of_transformers = copied(model, tmp_path / "config", {"config.json": json.dumps(config).encode()})
    modules = b'[{"name": "0", "path": "", "type": "own.Own"}]'
    of_modules = copied(model, tmp_path / "modules", {"modules.json": modules})
    for folder in (of_transformers, of_modules):
        (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
        assert refusal(folder).startswith(f"{folder}: cannot be loaded (The ")
    assert not (tmp_path / "ran").exists()


def test_three_labels_are_refused(tmp_path: Path) -> None:
    folder = make(tmp_path, labels=3)
    assert refusal(folder) == (f"{folder}: gives 3 labels, and one or two say whether a passage answers: {REMEDY}")


# From outside


@pytest.fixture
def project(animals: Settings, model: Path, tmp_path: Path) -> Path:
    """A folder with a pincite.toml that names the model by a relative path."""
    (tmp_path / "models").symlink_to(model.parent)
    (tmp_path / "pincite.toml").write_text('[reranker]\nmodel = "models/model"\n')
    return tmp_path


def run(project: Path, *command: str, status: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == status, done.stderr
    return done


def test_the_command_reranks_prints_nothing_else_and_asks_nobody(project: Path) -> None:
    (project / "guard").mkdir()
    (project / "guard" / "sitecustomize.py").write_text(
        "import sys\n"
        "def refuse(event, arguments):\n"
        "    if event in ('socket.getaddrinfo', 'socket.connect'):\n"
        "        raise PermissionError(f'no network: {event} {arguments}')\n"
        "sys.addaudithook(refuse)\n"
    )
    path = f"{project / 'guard'}{os.pathsep}{ROOT}"
    done = run(project, "-m", "pincite", "search", QUESTION, "--json", PYTHONPATH=path)
    assert done.stderr == ""
    hits = json.loads(done.stdout)["hits"]
    assert hits[0]["source"] == "more.txt"
    assert list(hits[0]["features"])[-1] == "reranker"
    assert hits[0]["features"]["reranker"] > 1
    told = run(project, "-m", "pincite", "why", QUESTION, "--expected", "ferries.txt")
    assert "    reranker " in told.stdout
    assert told.stderr == ""


def test_pytorch_waits_for_a_question_that_needs_it(project: Path) -> None:
    code = """
import sys
from pincite import Searcher, Settings
searcher = Searcher(Settings.load())
print(searcher.embedder.engine.name, "torch" in sys.modules)
searcher.search("When do ferries sail?")
print("torch" in sys.modules)
"""
    reranked = run(project, "-c", code).stdout.split()
    (project / "pincite.toml").unlink()
    plain = run(project, "-c", code).stdout.split()
    if plain[0] != "openvino":
        pytest.skip("there is a GPU here, or OpenVINO disagrees: PyTorch answers")
    assert (reranked, plain) == (["openvino", "False", "True"], ["openvino", "False", "False"])


def test_evaluation_measures_what_the_reranker_ranks(project: Path) -> None:
    (project / "judgments").mkdir()
    judgement = {
        "id": "1",
        "question": QUESTION,
        "places": [{"source": "more.txt", "quote": TEXTS["more.txt"], "start": 0, "grade": 2}],
        "unanswerable": False,
        "by": "test",
        "at": "2026-01-01",
    }
    (project / "judgments" / "own.jsonl").write_text(json.dumps(judgement) + "\n")
    evaluate = [str(ROOT / "evaluate.py"), "--json"]
    run(project, *evaluate, "with.json", "--report", "report")
    assert "models/model" in (project / "report" / "report.html").read_text(encoding="utf-8")
    (project / "pincite.toml").unlink()
    run(project, *evaluate, "without.json")
    reranked, plain = (json.loads((project / name).read_text()) for name in ("with.json", "without.json"))
    assert reranked["measures"]["RR@10"] == 1
    assert plain["measures"]["RR@10"] < 1


PAGE = """
from streamlit.testing.v1 import AppTest
page = AppTest.from_file({app!r}, default_timeout=120).run()
page.text_input(key="q").set_value("When do ferries sail?").run()
assert not page.exception, page.exception
print([element.proto.body for element in page.get("html") if "more.txt" in element.proto.body][0])
"""


def test_the_page_shows_the_reranked_order(project: Path) -> None:
    shown = run(project, "-c", PAGE.format(app=str(ROOT / "app.py"))).stdout
    assert "1. more.txt" in shown


def test_what_is_wrong_with_the_model_is_one_line_of_the_command(project: Path) -> None:
    (project / "pincite.toml").write_text('[reranker]\nmodel = "nobody/no-such-model"\n')
    done = run(project, "-m", "pincite", "search", QUESTION, status=1, HF_HUB_OFFLINE="1", HF_HOME=str(project / "hub"))
    assert done.stdout == ""
    assert done.stderr.startswith("pincite: model 'nobody/no-such-model' is neither a folder nor to be had (")
    assert done.stderr.endswith(f"): {REMEDY}\n")
    assert done.stderr.count("\n") == 1
