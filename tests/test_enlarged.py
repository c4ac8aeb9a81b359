"""An index that was enlarged holds what it is said to hold, and so does one whose making was ended at any moment."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import enlarged, mixing, questions
from benchmarks.enlarged import Enlarged, build
from benchmarks.mixing import Mixture
from pincite import Searcher, Settings, reading
from pincite.embedding import Embedder
from pincite.evaluation import Collection, index
from pincite.evaluation.index import open_index
from pincite.storage import Catalog, Generation, IndexFolder, SegmentReader, dense
from pincite.storage.dense import DenseIndex
from pincite.storage.generation import open_generation

ROOT = Path(__file__).parents[1]
ARTICLES = 4
BLOCK = 100
BLOCKS = 2
"""Of mixed passages with records of their own."""
MIXED = 490
"""The last block is not full, nor is its last document."""
WHOLE = 300
SHORTLIST = 40
SMALL = f"""
import sys
from pathlib import Path
from benchmarks import enlarged, mixing
from pincite import Settings
from pincite.evaluation import Collection
from pincite.storage import dense
mixing.BLOCK, enlarged.RECORDS, dense.WHOLE, dense._SHORTLIST = {BLOCK}, int(sys.argv[3]), {WHOLE}, {SHORTLIST}
enlarged.build(Collection(Path(sys.argv[1])), int(sys.argv[2]), Settings())
"""
"""An index on a smaller scale."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Everything on a smaller scale, and in a folder of its own in place of the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        for module in (enlarged, index):
            patch.setattr(module, "cache_folder", lambda: folder)
        patch.setattr(mixing, "BLOCK", BLOCK)
        patch.setattr(dense, "WHOLE", WHOLE)
        patch.setattr(dense, "_SHORTLIST", SHORTLIST)
        yield folder


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """The sections of some sample articles in BEIR layout."""
    folder = tmp_path_factory.mktemp("collections") / "articles"
    folder.mkdir()
    rows = []
    for path in sorted((ROOT / "corpus").rglob("*.md"))[:ARTICLES]:
        given = reading.read(path, path.name)
        for number, text in enumerate(given.text.split("\n## ")):
            rows.append({"_id": f"{given.source}/{number}", "title": given.title, "text": text})
    asked = [{"_id": str(number), "text": f"What is said of {row['text'][:40]}?"} for number, row in enumerate(rows)]
    for name, lines in (("corpus", rows), ("queries", asked)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    qrels = [f"{number}\t{row['_id']}\t1" for number, row in enumerate(rows)]
    (folder / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *qrels]) + "\n", encoding="utf-8")
    return Collection(folder)


@pytest.fixture(scope="module")
def mixture(cache: Path, collection: Collection) -> Mixture:
    own = IndexFolder(open_index(Settings(), collection).settings.index)
    with Catalog(own.path) as catalog:
        records = catalog.counts()["passages"] + BLOCKS * BLOCK
    return Mixture(own, records)


@pytest.fixture(scope="module")
def made(cache: Path, collection: Collection, mixture: Mixture) -> Settings:
    """An index of all that the collection has, and of mixed passages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(enlarged, "RECORDS", len(mixture.own) + BLOCKS * BLOCK)
        folder = build(collection, len(mixture.own) + MIXED, Settings())
    return Settings(corpus=collection.folder, index=folder)


def opened(settings: Settings) -> Generation:
    with Catalog(settings.index) as catalog:
        return open_generation(IndexFolder(settings.index).generation(catalog.generation))


def test_a_mixed_passage_is_half_of_each(mixture: Mixture) -> None:
    for pair in mixture.pairs(0)[:20]:
        one, other = (mixture.own[row] for row in pair)
        first, last = one.passage.sentences[0], other.passage.sentences[-1]
        text, sentences = mixture.mixed_text(pair)
        assert len(sentences) == -(-one.sentence_count // 2) + max(1, other.sentence_count // 2)
        assert text[slice(*sentences[0])] == one.text[slice(*first)]
        assert text[slice(*sentences[-1])] == other.text[slice(*last)]
        assert " ".join(text[start:end] for start, end in sentences) == text
        vector = mixture.vectors[pair[0]]
        record = mixture.mixed_record(pair, bytes(32), vector)
        assert len(record.sentences) == len(sentences)
        for mixed, own, row in ((record.sentences[0], one, 0), (record.sentences[-1], other, -1)):
            whole = mixture.record(mixture.own.index(own))
            assert np.array_equal(record.tokens[slice(*mixed)], whole.tokens[slice(*whole.sentences[row])])


def test_mixed_vectors_are_nearer_to_the_first_of_the_two_and_all_differ(mixture: Mixture) -> None:
    pairs, vectors = mixture.pairs(0), mixture.mixed_vectors(0)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    to_first, to_second = (np.einsum("ij,ij->i", vectors, mixture.vectors[pairs[:, side]]) for side in (0, 1))
    assert to_first.mean() > to_second.mean() + 0.1
    assert np.array_equal(vectors, mixture.mixed_vectors(0))
    assert len(np.unique(np.concatenate([vectors, mixture.mixed_vectors(1)]).round(4), axis=0)) == 2 * BLOCK


def test_where_records_come_again_they_are_for_other_words_in_as_many_sentences(mixture: Mixture) -> None:
    for block in range(BLOCKS):
        before, again = mixture.pairs(block), mixture.pairs(block + BLOCKS)
        texts = [[mixture.mixed_text(pair) for pair in pairs] for pairs in (before, again)]
        assert all(len(one[1]) == len(other[1]) for one, other in zip(*texts, strict=True))
        assert np.mean([one[0] == other[0] for one, other in zip(*texts, strict=True)]) < 0.1


def test_every_passage_stands_in_its_document_and_has_its_record(made: Settings, mixture: Mixture) -> None:
    keys, records = set(), 0
    first_again = len(mixture.own) + BLOCKS * BLOCK
    reader = SegmentReader(IndexFolder(made.index).vectors)
    with Catalog(made.index) as catalog:
        for stored in catalog.all_passages():
            document = catalog.document(stored.source)
            assert document
            has_text = stored.id <= first_again or not stored.source.startswith("mixed/")
            assert document.text[stored.start : stored.end] == (stored.text if has_text else "")
            assert stored.is_sound
            assert stored.location
            assert len(reader.read(stored.location, stored.key).sentences) == stored.sentence_count
            if stored.source.startswith("mixed/"):
                keys.add(stored.key)
                records += 1
    reader.close()
    assert len(keys) <= BLOCKS * BLOCK < records <= MIXED


def test_codes_a_small_part_and_dead_ids_are_there_and_agree_with_the_catalog(made: Settings) -> None:
    generation = opened(made)
    layout = generation.manifest.dense
    assert layout.dead > 0
    assert [len(part.files) for part in layout.parts] == [2, 1]
    with Catalog(made.index) as catalog:
        ids = [one.id for one in catalog.all_passages()]
        assert generation.dense.ids.tolist() == ids
        assert len(generation.lexical) == len(ids) == generation.manifest.passages
        sources = set(catalog.files())
    assert {source.rpartition("/")[2] for source in sources if not source.startswith("mixed/")} >= {"turned"}
    assert not (made.index / "making").exists()


def test_vectors_of_the_base_are_those_of_the_records_until_these_come_again(
    made: Settings, mixture: Mixture, collection: Collection
) -> None:
    everything = Enlarged(collection, mixture, len(mixture.own) + MIXED)
    first_again = len(mixture.own) + BLOCKS * BLOCK
    reader = SegmentReader(IndexFolder(made.index).vectors)
    with Catalog(made.index) as catalog:
        stored = [one for one in catalog.all_passages() if one.id <= everything.passages]
        recorded = np.stack([reader.read(one.location, one.key).vector for one in stored if one.location])
    reader.close()
    ids = np.array([one.id for one in stored])
    given = everything.vectors(ids).astype(np.float16).astype(np.float32)
    own = ids <= first_again
    assert np.array_equal(given[own], recorded[own])
    assert (np.abs(given[~own] - recorded[~own]).max(axis=1) > 0.01).all()


def test_recall_is_what_a_look_at_every_vector_says(
    made: Settings, mixture: Mixture, collection: Collection, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation = opened(made)
    layout = generation.manifest.dense
    ids = generation.dense.ids
    everything = Enlarged(collection, mixture, len(mixture.own) + MIXED)
    reader = SegmentReader(IndexFolder(made.index).vectors)
    with Catalog(made.index) as catalog:
        added = catalog.passages(ids[ids > everything.passages].tolist())
        later = {one.id: reader.read(one.location, one.key).vector for one in added if one.location}
    reader.close()
    old = everything.vectors(ids[ids <= everything.passages]).astype(np.float16).astype(np.float32)
    vectors = np.concatenate([old, np.stack([later[id_] for id_ in sorted(later)])])
    monkeypatch.setattr(dense, "_FOR_EACH", 1)
    folder = IndexFolder(made.index).generation(generation.manifest.generation) / "dense"
    hasty = replace(generation, dense=DenseIndex(folder, layout.model_copy(update={"shortlist": 1})))
    asked = [embedder.embed_query(text).vector for text in collection.questions().values()]
    nearest = [set(ids[np.argsort(-(vectors @ vector))[:10]].tolist()) for vector in asked]
    shares = [len(true & set(hasty.dense.search(vector, 10))) / 10 for true, vector in zip(nearest, asked, strict=True)]
    assert questions.recall(made.index, hasty, asked)["recall@10"] == pytest.approx(np.mean(shares), abs=1e-4)
    assert np.mean(shares) < 1


def test_the_benchmark_says_what_an_index_costs(
    made: Settings, collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "result.json"
    monkeypatch.setattr(questions, "COLD", 1)
    monkeypatch.chdir(ROOT)
    command = ["questions", str(collection.folder), "--index", str(made.index), "--json", str(file)]
    monkeypatch.setattr(sys, "argv", command)
    questions.main()
    (found,) = json.loads(file.read_text(encoding="utf-8"))["sizes"]
    layout = opened(made).manifest.dense
    assert found["passages"] == layout.passages
    assert found["dead"] == layout.dead
    assert found["parts"] == [[part.passages, len(part.files) > 1] for part in layout.parts]
    assert found["shortlist"] == layout.shortlist
    assert 0 < found["milliseconds"]["p50"] <= found["milliseconds"]["p95"] <= found["milliseconds"]["p99"]
    assert next(iter(found["stages"])) == "opening"
    assert found["cold_seconds"]["median"] > 0
    parts = found["disk_mib"]
    assert sum(parts.values()) - parts["all"] == pytest.approx(parts["all"], abs=0.5)


def test_making_that_is_killed_goes_on_where_it_stopped(
    made: Settings, mixture: Mixture, collection: Collection, tmp_path: Path
) -> None:
    """Killed among the passages, after the words and after the vectors: the same index comes of it."""
    records, passages = len(mixture.own) + BLOCKS * BLOCK, len(mixture.own) + MIXED
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SMALL, str(collection.folder), str(passages), str(records)]
    index = tmp_path / "pincite" / "benchmarks" / made.index.name

    def passages_there() -> bool:
        return index.with_suffix(".json").is_file() and "passages" in index.with_suffix(".json").read_text()

    moments: list[Callable[[], bool]] = [
        passages_there,
        (index / "making" / "lexical.json").is_file,
        (index / "making" / "dense.json").is_file,
    ]
    for moment in moments:
        with subprocess.Popen(command, env=environment) as process:
            while not moment() and process.poll() is None:
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
    subprocess.run(command, env=environment, check=True)
    again = Settings(corpus=collection.folder, index=index)
    assert everything_in(again) == everything_in(made)
    asked = next(iter(collection.questions().values()))
    hits = [[(hit.citation, hit.score) for hit in Searcher(one).search(asked).hits] for one in (again, made)]
    assert hits[0] == hits[1]


def everything_in(settings: Settings) -> list[tuple]:
    reader = SegmentReader(IndexFolder(settings.index).vectors)
    with Catalog(settings.index) as catalog:
        found = [
            (one.id, one.source, one.start, one.text, one.key, one.location and reader.read_bytes(one.location))
            for one in catalog.all_passages()
        ]
    reader.close()
    return found
