"""The benchmarks measure what the product does: their figures are those of `evaluate`."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import fit_relevance, gathering, quality
from benchmarks.gathering import FEATURES, TRAINING, Gathered, gather
from pincite import reading, relevance
from pincite.evaluation import Collection, evaluate, index
from pincite.evaluation.index import open_index
from pincite.search import Searcher
from pincite.settings import Settings

ROOT = Path(__file__).parents[1]
TOKENS = Settings().passages.tokens


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Indexes and gathered figures go to a folder of their own, not to the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        for module in (gathering, index):
            patch.setattr(module, "cache_folder", lambda: folder)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six collections in BEIR layout, of a few sample articles each, called as the training ones are."""
    folder = tmp_path_factory.mktemp("collections")
    lines = (ROOT / "judgments" / "answerable.jsonl").read_text(encoding="utf-8").splitlines()
    judged = [json.loads(line) for line in lines]
    by_source = defaultdict(list)
    for judgement in judged:
        if len({place["source"] for place in judgement["places"]}) == 1:
            by_source[judgement["places"][0]["source"]].append(judgement)
    sources = sorted(by_source, key=lambda source: -len(by_source[source]))
    for number, name in enumerate(TRAINING):
        write_collection(folder / name, {source: by_source[source] for source in sources[number::6][:3]})
    return folder


def write_collection(folder: Path, judged: dict[str, list[dict]]) -> None:
    folder.mkdir()
    corpus, queries, qrels, answers = [], [], ["query-id\tcorpus-id\tscore"], []
    for source, judgements in judged.items():
        document = reading.read(ROOT / "corpus" / source, source)
        corpus.append({"_id": source, "title": document.title, "text": document.text})
        for judgement in judgements:
            queries.append({"_id": judgement["id"], "text": judgement["question"]})
            qrels.append(f"{judgement['id']}\t{source}\t1")
            for place in judgement["places"]:
                end = place["start"] + len(place["quote"])
                row = {"query-id": judgement["id"], "corpus-id": source, "start": place["start"], "end": end}
                answers.append(row | {"text": place["quote"]})
    for name, rows in (("corpus", corpus), ("queries", queries), ("answers", answers)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "qrels.tsv").write_text("\n".join(qrels) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def gathered(folder: Path) -> list[Gathered]:
    return [gather(folder, name, TOKENS) for name in TRAINING]


def test_every_method_measures_as_evaluate_does(folder: Path, gathered: list[Gathered]) -> None:
    model = relevance.load()
    for collection in gathered:
        searcher = open_index(Settings(), Collection(folder / collection.name))
        assert collection.queries == Collection(folder / collection.name).queries()
        for method, order in quality.orders(collection, model).items():
            found = evaluate(searcher, collection.queries, method)
            assert quality.documents(collection, order) == pytest.approx(found.values("measures")["nDCG@10"])
            success, recall = quality.passages(collection, order)
            assert success == found.values("passage_measures")["Success@1"]
            assert recall == pytest.approx(found.values("passage_measures")["R@5"])


def test_scores_and_features_are_those_of_a_search(folder: Path, gathered: list[Gathered]) -> None:
    model = relevance.load()
    for collection in gathered[:2]:
        searcher = open_index(Settings(), Collection(folder / collection.name))
        scores = quality.scores(collection, collection.asked, model)
        for query, asked, score in zip(collection.queries, collection.asked, scores, strict=True):
            answer = searcher.search(query.question, 1)
            first = quality.ranked(collection, asked, np.array(list(model.order.weights.values())))[0]
            assert answer.hits[0].score == pytest.approx(score, abs=1e-5)
            assert list(answer.hits[0].features) == list(FEATURES)
            assert list(answer.hits[0].features.values()) == pytest.approx(asked.features[first].tolist(), abs=1e-5)


def test_what_was_gathered_is_kept_and_read_again(folder: Path, gathered: list[Gathered]) -> None:
    again = gather(folder, TRAINING[0], TOKENS)
    for one, other in zip(gathered[0].asked, again.asked, strict=True):
        assert np.array_equal(one.features, other.features)
        assert one.sources.tolist() == other.sources.tolist()
    assert [len(c.foreign) > 0 for c in gathered] == [True] * 6
    assert all(origin != c.name for c in gathered for origin, _ in c.foreign)


def test_a_collection_left_out_has_no_part_in_its_weights(gathered: list[Gathered]) -> None:
    """Its questions may be turned upside down, and the weights stay as they are."""
    name = TRAINING[0]
    before = fit_relevance.leave_out(gathered, name)

    def spoiled(collection: Gathered) -> Gathered:
        def worse(asked: gathering.Asked) -> gathering.Asked:
            return replace(asked, features=-asked.features, answers=~asked.answers)

        if collection.name == name:
            return replace(collection, asked=[worse(one) for one in collection.asked])
        foreign = [(origin, worse(one) if origin == name else one) for origin, one in collection.foreign]
        return replace(collection, foreign=foreign)

    assert fit_relevance.leave_out([spoiled(c) for c in gathered], name) == before
    assert fit_relevance.leave_out([spoiled(c) for c in gathered], TRAINING[1]) != before


def test_the_softmax_fit_finds_the_feature_that_tells() -> None:
    """Of two features the first alone tells which of three candidates answers: it gets the weight."""
    rng = np.random.default_rng(0)
    questions = []
    for _ in range(50):
        features = rng.random((3, 2))
        questions.append((features, features[:, 0] == features[:, 0].max(), 1.0))
    first, second = fit_relevance.fit_softmax(questions)
    assert first > 10 * abs(second)


def test_other_weights_change_the_order_of_a_search(folder: Path) -> None:
    searcher = open_index(Settings(), Collection(folder / TRAINING[0]))
    question = Collection(folder / TRAINING[0]).queries()[0].question
    worst = relevance.Relevance(
        relevance.Weights(0.0, {"cosine": -1.0}), relevance.Weights(0.0, {"cosine": 1.0}), 0.9, 0.5
    )
    cosines = [
        hit.features["cosine"] for hit in Searcher(searcher.settings, searcher.embedder, worst).search(question).hits
    ]
    assert cosines == sorted(cosines)
