"""What the benchmarks of speed count, by hand; and that they run."""

import json
import os
import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import ceiling, compare, ingest, load, peers, scale, shortlists
from benchmarks import sync as syncs
from benchmarks.machine import disk_mib, measured
from pincite import embedding
from pincite.embedding import Embedder
from pincite.embedding import openvino as openvino_engine
from pincite.embedding.engine import Batch
from pincite.settings import Settings
from pincite.types import Document, Section

CORPUS = Path(__file__).parents[1] / "corpus"
FILES = embedding.find("all-MiniLM-L6-v2")


def test_the_operations_of_the_model_are_those_of_its_matrices() -> None:
    # A layer: four matrices of 384 × 384, and two of 384 × 1536. 12 × 384² = 1,769,472 multiply-adds a token.
    assert ceiling.shapes(FILES) == [(384, 384)] * 4 + [(384, 1536), (1536, 384)]
    # Attention multiplies every token with every one, for the weights and again for the values: 2 × 10² × 384.
    assert ceiling.operations(FILES, [10]) == 2 * 6 * (10 * 1_769_472 + 2 * 100 * 384)
    assert ceiling.operations(FILES, [10, 10]) == 2 * ceiling.operations(FILES, [10])
    # All weights of the encoder once for each token: 21.2 million operations.
    assert ceiling.operations(FILES, [1]) == pytest.approx(21.2e6, rel=0.01)


def test_most_of_a_models_time_goes_to_its_matrix_products(embedder: Embedder) -> None:
    if embedder.engine.name != "openvino":
        pytest.skip("OpenVINO does not run the model on this machine")
    tokens = embedder.tokenizer.encode(["The ferry sails daily, and comes back at five. " * 10] * 8)
    model = openvino_engine.folder_of(FILES) / "model.xml"
    shares = ceiling.by_operation(model, [Batch(tuple(range(8)), tuple(tokens))])
    largest = next(iter(shares))
    assert largest.startswith("FullyConnected, ")
    assert 0.3 < shares[largest] < 1
    assert all(share >= 0.01 for share in shares.values())
    assert 0.8 < sum(shares.values()) < 1.01


def test_work_done_by_the_processor_is_counted() -> None:
    with measured() as cost:
        sum(number * number for number in range(300_000))
    assert cost.cpu_seconds > 0
    assert 0 < cost.seconds < 60


def test_a_file_with_two_names_takes_its_place_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(os.urandom(2 << 20))
    once = disk_mib(tmp_path)
    assert once == pytest.approx(2, abs=0.1)
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    assert disk_mib(tmp_path) == once


@given(
    ids=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20), unique=True)
)
def test_a_files_name_gives_the_documents_id_back(ids: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("files") / "corpus"
    peers.write_files([Document(id_, "", "text/plain", "", "Text.", (Section(0, ()),)) for id_ in ids], folder)
    assert sorted(peers.id_of(path.name) for path in folder.iterdir()) == sorted(ids)


def test_a_corpus_is_made_to_measure_and_the_same_each_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        ingest.make_corpus(CORPUS, tmp_path / name, 0.2)
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert one == two
    assert 200_000 <= sum(map(len, one.values())) < 270_000


@pytest.mark.alone
def test_ingest_is_measured_with_a_model_that_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "corpus").mkdir()
    for number in range(3):
        (tmp_path / "corpus" / f"{number}.md").write_text(f"# Note {number}\n\nThe ferry leaves at 06:4{number}.\n")
    file = tmp_path / "result.json"
    monkeypatch.setattr(sys, "argv", ["ingest", str(tmp_path / "corpus"), "--free", "--json", str(file)])
    ingest.main()
    result = json.loads(file.read_text())
    assert json.loads(capsys.readouterr().out) == result
    assert (result["model"], result["documents"], result["passages"]) == ("free", 3, 3)
    assert {"read", "embed", "commit", "answer"} <= set(result["seconds_by_stage"])
    assert sum(result["seconds_by_stage"].values()) == pytest.approx(result["seconds"], abs=0.5)
    assert result["index_mib"] > 0


@pytest.mark.slow
def test_syncs_are_measured_in_a_folder_of_their_own_and_no_other_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(folder: str, passages: int) -> dict[str, Any]:
        options = ["--passages", str(passages), "--a-file", "5", "--rounds", "2", "--json", "result.json"]
        monkeypatch.setattr(sys, "argv", ["sync", folder, *options])
        syncs.main()
        found: dict[str, Any] = json.loads(Path("result.json").read_text())
        return found

    def refusal(folder: str, passages: int) -> str:
        with pytest.raises(SystemExit) as refused:
            run(folder, passages)
        assert refused.value.code == 2
        return capsys.readouterr().err

    monkeypatch.syspath_prepend(CORPUS.parent)
    (tmp_path / "corpus").symlink_to(CORPUS)  # whose passages are drawn
    monkeypatch.chdir(tmp_path)
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "one.md").write_text("Dear reader")
    assert "letters: holds something else" in refusal("letters", 100)
    assert (tmp_path / "letters" / "one.md").read_text() == "Dear reader"

    first = run("made", 100)
    assert (first["passages"], first["files"], len(list((tmp_path / "made" / "corpus").rglob("*.md")))) == (100, 20, 20)
    for entry in (*first["no_change"], *first["one_document"]):
        assert sum(entry["seconds_by_stage"].values()) == pytest.approx(entry["seconds"], abs=0.05)
    assert list(first["one_document"][0]["seconds_by_stage"])[-1] == "answer"
    assert "made: holds 10" in refusal("made", 200)
    assert "build" not in run("made", 100)


def test_two_results_are_compared_number_by_number() -> None:
    def result(load: float, first: float, *rounds: float) -> dict[str, Any]:
        sizes = [{"passages": 10, "p50": first}, {"passages": 1000, "p50": 3.0, "stages": {"words": 0.0}}]
        given = {"machine": "A", "load": [load], "versions": {"numpy": "2.0"}, "passages": 5}
        return {**given, "sizes": sizes, "no_change": [{"seconds": one, "note": "x"} for one in rounds]}

    before, after = result(0.5, 4.0, 1.0, 9.0, 2.0), result(2.5, 5.0, 3.0, 3.0)
    after["versions"]["numpy"], after["new"] = "2.1", 7
    assert [" ".join(line.split()) for line in compare.compared(before, after)] == [
        "load: 0.5 → 2.5",
        "versions › numpy: 2.0 → 2.1",
        "new: not there → 7",
        "sizes › 10 › passages 10.000 10.000 1.00×",
        "sizes › 10 › p50 4.000 5.000 1.25×",
        "sizes › 1000 › passages 1,000.000 1,000.000 1.00×",
        "sizes › 1000 › p50 3.000 3.000 1.00×",
        "sizes › 1000 › stages › words 0.000 0.000",
        "no_change › seconds 2.000 3.000 1.50×",
    ]


@pytest.mark.slow
def test_a_load_is_held_and_every_answer_compared(sample: Settings, tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="requirements-api.txt is not installed")
    (tmp_path / "pincite.toml").write_text(f'corpus = "{sample.corpus}"\nindex = "{sample.index}"\n')
    endless = load.calls(sample.index, 500)
    first = list(islice(endless, 2500))
    assert Counter(call.kind for call in first) == {"search": 500, "passage": 1250, "state": 375, "health": 375}
    assert len({call.body for call in first if call.kind == "search"}) == 500
    wrong = load.Call("passage", "GET", first[1].target, text="other")
    with load.serving(tmp_path) as (port, process):
        load.hold(port, process, endless, 5, 1)
        run = load.hold(port, process, iter([*first[:19], wrong]), 5, 4)
        assert (run.sent, run.failures) == (20, {"passage: other words": 1})
        assert {kind: len(taken) for kind, taken in run.milliseconds.items()} == {
            "search": 4,
            "passage": 9,
            "state": 3,
            "health": 3,
        }
        assert 3.5 < run.seconds < 60
        assert not run.is_good


# Machines for many passages

# 1,000 bytes of memory, 10,000 of a row, 5,000 of the catalog; 20 ms of a core, 0.5 of the writer, 16 of the front.
PER = scale.Measured(1000, 10_000, 5000, 0.020, 0.0005, 0.016)


def test_machines_are_reckoned_from_what_a_passage_takes() -> None:
    found = scale.machines(PER, 100_000_000, cores=16, memory=128, changed=0.01, rate=200)
    assert found == {
        "passages": 100_000_000,
        "machines_that_search": 2,  # 10¹¹ bytes; a machine holds .7 × 128 × 2³⁰ = 9.6 × 10¹⁰
        "of_them_for_memory": 2,
        "machines_in_front": 1,  # 200 × .016 = 3.2 cores of .7 × 16
        "gib_in_memory": 93,
        "gib_of_rows": 931,
        "gib_of_the_catalog": 466,
        "full_sync": {
            "hours_of_cores": 556,  # 2 × 10⁶ s
            "workers_that_keep_the_writer_busy": 3,  # it takes 2,000 a second, a worker makes 800
            "hours_with_them": 13.9,
            "hours_with_one": 34.7,
        },
        "daily_sync": {"passages": 1_000_000, "hours_of_cores": 5.6, "hours_of_the_writer": 0.3},
    }


def test_servers_take_what_waits_in_turn() -> None:
    two = scale.Servers(2)
    # Both are free; the third waits for the first of them, the fourth comes when one has long been free.
    assert [two.serve(at, 10.0) for at in (0.0, 1.0, 2.0, 30.0)] == [10.0, 11.0, 20.0, 40.0]


def test_questions_wait_where_more_come_than_can_be_answered() -> None:
    quiet = scale.asked(PER, searching=2, front=1, cores=16, rate=1)
    # Alone: the front's 16 ms, two messages of 1 ms, and the slower of two searches of 4 ms at the median.
    assert 22 < quiet["p50"] < 25
    most = scale.most(PER, front=1, cores=16)
    assert most == pytest.approx(16 / 0.016 / 1.1331, rel=1e-3)  # e to the power of .5² / 2
    assert scale.asked(PER, 2, 1, 16, 0.5 * most)["p50"] == pytest.approx(quiet["p50"], rel=0.05)
    assert scale.asked(PER, 2, 1, 16, 1.2 * most)["p50"] > 10 * quiet["p50"]


def test_workers_embed_until_the_writer_is_busy() -> None:
    hour = 3600 * 800  # what one worker of 16 cores makes in an hour
    assert scale.embedded(PER, 1, 16, hour)["hours"] == pytest.approx(1, rel=0.02)
    assert scale.embedded(PER, 2, 16, hour)["hours"] == pytest.approx(0.5, rel=0.02)
    assert scale.embedded(PER, 40, 16, hour)["hours"] == pytest.approx(800 / 2000, rel=0.02)  # the writer's rate


def test_a_shortlist_is_as_long_as_the_place_of_nearly_all_that_are_wanted() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((1000, 8)).astype(np.float16)
    asked = rng.standard_normal((5, 8)).astype(np.float32)
    by_hand = np.argsort(-(asked @ vectors.astype(np.float32).T), axis=1)
    wanted = shortlists.nearest(asked, vectors)
    assert np.sort(wanted).tolist() == np.sort(by_hand[:, :10]).tolist()
    exact = faiss.IndexFlatIP(8)
    exact.add(vectors.astype(np.float32))
    # Of 50 places that .99 are to be within, all must be: 49 of 50 are .98.
    assert shortlists.shortlist(exact, asked, wanted) == 10
    wanted[3, 4] = by_hand[3, 776]
    assert shortlists.shortlist(exact, asked, wanted) == 777
    wanted[0, 0] = 5000
    assert shortlists.shortlist(exact, asked, wanted) is None


def test_lists_hold_what_lies_around_their_centroids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortlists, "LISTS", 4)
    corners = np.eye(4, 8)
    noise = 0.01 * np.random.default_rng(1).standard_normal((400, 8))
    vectors = (corners.repeat(100, axis=0) + noise).astype(np.float16)
    asked = {"one corner": corners[:1].astype(np.float32)}
    wanted = {"one corner": np.arange(10)[None, :]}
    found = shortlists.lists(vectors, asked, wanted)
    assert found == {"lists": 4, "share_of_passages": {"one corner": 0.25}}


def test_a_graph_finds_what_lies_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortlists, "BREADTHS", (10, 300))
    vectors = np.random.default_rng(0).standard_normal((300, 16)).astype(np.float16)
    asked = {"passages": vectors[:40].astype(np.float32)}
    wanted = {"passages": np.arange(40)[:, None]}
    found = shortlists.graph(vectors, vectors.astype(np.float32), asked, wanted)
    narrow, broad = found["searches"]
    # A number in 8 bits for each of 8 directions, and the numbers of 64 neighbours.
    assert found["bytes"] == 8 + 4 * 64
    assert (narrow["breadth"], broad["breadth"]) == (10, 300)
    # Each lies nearest to itself, and a search as broad as there are vectors looks at all.
    assert broad["found"] == {"passages": 1.0}
    assert 0.9 < narrow["found"]["passages"] <= 1.0
    # Of what is not there nothing is found.
    nowhere = shortlists.graph(vectors, vectors.astype(np.float32), asked, {"passages": np.full((40, 1), 300)})
    assert [search["found"] for search in nowhere["searches"]] == [{"passages": 0.0}, {"passages": 0.0}]
