"""Over a real connection to a server that speaks Milvus' protocol, everything is as it is over the index folder."""

import html
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from benchmarks import milvus_lite
from pincite.doctor import examine
from pincite.embedding import Embedder
from pincite.errors import IndexMismatch, IndexMissing, OtherCorpus, PinciteError, StorageError
from pincite.evaluation import evaluate
from pincite.evaluation.judgements import JudgedQuery, load, project
from pincite.filters import Filters
from pincite.search import Searcher
from pincite.settings import Engine, Passages, Settings
from pincite.storage import Catalog, lexical
from pincite.storage.milvus import rows
from pincite.storage.milvus.cluster import ALIVE, LONGEST, Cluster, Published
from pincite.storage.milvus.expression import alive
from pincite.sync import sync
from pincite.types import Answer
from pincite.why import explain
from tests.api_server import answering

ROOT = Path(__file__).parents[1]
QUESTIONS = [
    "can ketamine damage your bladder",
    "best tyres for winter",
    "Is esketamine approved by regulators?",
    "What does a microdose of psilocybin do to sleep?",
    "Who should not take it because of heart disease?",
]
_numbers = itertools.count()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with milvus_lite.serving(tmp_path_factory.mktemp("milvus") / "data") as address:
        yield address


def test_who_asks_a_server_that_does_not_answer_waits_once(
    sample: Settings, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pincite.storage.milvus.cluster._CONNECT_SECONDS", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        engine = Engine(url=f"http://127.0.0.1:{silent.getsockname()[1]}")
        searcher = Searcher(sample.model_copy(update={"engine": engine}), embedder)
        refused: list[str] = []

        def ask() -> None:
            with pytest.raises(StorageError) as caught:
                searcher.search(QUESTIONS[0])
            refused.append(str(caught.value))

        threads = [threading.Thread(target=ask) for _ in range(5)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - began < 8  # one after another they would take ten
    assert len(set(refused)) == 1
    assert refused[0].startswith(f"{engine.url}: Milvus does not do what it is asked")


def on(url: str, settings: Settings, **other: Any) -> Settings:
    """The same index on the cluster, under a name of its own."""
    return settings.model_copy(update={"engine": Engine(url=url, name=f"test{next(_numbers)}"), **other})


@pytest.fixture(scope="module")
def published(sample: Settings, url: str, embedder: Embedder, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The sample index, moved to the cluster. Not to be written to."""
    index = tmp_path_factory.mktemp("published") / "index"
    shutil.copytree(sample.index, index)
    settings = on(url, sample, index=index)
    assert sync(settings, embedder=embedder).embedded == 0
    return settings


@pytest.fixture(scope="module")
def folder(sample: Settings, embedder: Embedder) -> Searcher:
    return Searcher(sample, embedder)


@pytest.fixture(scope="module")
def cluster(published: Settings, embedder: Embedder) -> Searcher:
    return Searcher(published, embedder)


def judged(settings: Settings, count: int) -> list[JudgedQuery]:
    with Catalog(settings.index) as catalog:
        texts = {source: document.text for source in catalog.files() if (document := catalog.document(source))}
    return project(load(ROOT / "judgments")[:count], texts)[0]


def put(settings: Settings, name: str, text: str) -> None:
    path = settings.corpus / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def assert_alike(one: Answer, other: Answer) -> None:
    assert [hit.citation for hit in one.hits] == [hit.citation for hit in other.hits]
    for hit, same in zip(one.hits, other.hits, strict=True):
        assert (hit.passage, hit.marks, hit.also, hit.sha256, hit.band) == (
            same.passage,
            same.marks,
            same.also,
            same.sha256,
            same.band,
        )
        assert hit.features == pytest.approx(same.features, abs=1e-6)
        assert hit.score == pytest.approx(same.score, abs=1e-6)


def state(settings: Settings) -> tuple[Cluster, Published]:
    cluster = Cluster(settings.engine)
    found = cluster.published()
    assert found is not None
    return cluster, found


def assert_whole(settings: Settings) -> None:
    """What is alive on the cluster is, passage by passage and term by term, what the catalog holds."""
    cluster, found = state(settings)
    with Catalog(settings.index) as catalog:
        assert found.generation == catalog.generation
        stored = {one.id: one for one in catalog.all_passages()}
        times = {source: at.modified for source, at in catalog.files().items()}
    held = list(cluster.rows(found.collection, alive(found.generation), rows.WHOLE))
    assert sorted(row["id"] for row in held) == sorted(stored)
    for row in held:
        there, own = rows.stored_passage(row), stored[row["id"]]
        assert there.passage == own.passage
        assert (there.sha256, there.is_sound, row["modified"]) == (own.sha256, True, times[own.source])
    counted = Counter(rows.encoded(t) for one in stored.values() for t in set(lexical.terms(one.passage.indexed_text)))
    terms = cluster.rows(found.terms, alive(found.generation), ["term", "passages"])
    assert {row["term"]: row["passages"] for row in terms if row["passages"]} == counted


# Questions


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_gets_the_same_hits_with_the_same_features(
    folder: Searcher, cluster: Searcher, question: str
) -> None:
    assert_alike(folder.search(question, 20), cluster.search(question, 20))


@pytest.mark.parametrize(
    "filters",
    [
        Filters(within=("ketamine/",)),
        Filters(within=("ketamine/legality.md", "choosing/ptsd.md")),
        Filters(outside=("ketamine/", "choosing/ptsd.md")),
        Filters(types=("html", "txt")),
        Filters(no_types=("md",)),
        Filters(titles=("dependence", "long term")),
        Filters(titles=("…",)),
        Filters(no_titles=("side effects", "ketamine")),
        Filters(phrases=("ketamine cystitis",)),
        Filters(phrases=("of the", "bladder")),
        Filters(phrases=("nowhere to be found",)),
        Filters(no_phrases=("urinary tract", "low-dose")),
        Filters(no_words=("bladder", "doses")),
        Filters(no_words=("long-term", "e.g")),
        Filters(after=datetime.now(UTC).date() - timedelta(days=20_000)),
        Filters(before=datetime.now(UTC).date() - timedelta(days=20_000)),
        Filters(within=("ketamine/",), types=("md",), no_words=("nasal",), phrases=("ketamine",)),
        Filters(within=('a "quoted" \\ folder/',)),
    ],
    ids=str,
)
def test_filters_leave_the_same_passages(folder: Searcher, cluster: Searcher, filters: Filters) -> None:
    for question in ("how does ketamine harm the bladder in the long term", "is a low dose safe?"):
        assert_alike(folder.search(question, 1000, filters), cluster.search(question, 1000, filters))


def test_all_passages_of_an_index_can_be_asked_for(folder: Searcher, cluster: Searcher) -> None:
    assert_alike(folder.search("ketamine", 1000), cluster.search("ketamine", 1000))


def test_why_tells_the_same(folder: Searcher, cluster: Searcher) -> None:
    place = ("ketamine/low-dose-ketamine.md", 4763, 5112)
    one, other = (explain(searcher, QUESTIONS[0], *place) for searcher in (folder, cluster))
    assert (one.first, [t.rank for t in one.traces]) == (other.first, [t.rank for t in other.traces])
    assert [t.by_vector for t in one.traces] == [t.by_vector for t in other.traces]
    for trace, same in zip(one.traces, other.traces, strict=True):
        assert [r.gap for r in trace.reasons] == pytest.approx([r.gap for r in same.reasons], abs=1e-6)


def test_an_evaluation_comes_to_the_same(sample: Settings, folder: Searcher, cluster: Searcher) -> None:
    queries = judged(sample, 12)
    for method in ("pincite", "dense"):
        one, other = (evaluate(searcher, queries, method) for searcher in (folder, cluster))
        assert {query: found[:10] for query, found in one.run.items()} == {
            query: found[:10] for query, found in other.run.items()
        }
        assert one.as_json()["measures"]["nDCG@10"] == other.as_json()["measures"]["nDCG@10"]
        assert (one.passages, [row["expected"] for row in one.rows]) == (
            other.passages,
            [row["expected"] for row in other.rows],
        )


def test_all_is_as_it_should_be(published: Settings) -> None:
    assert examine(published).problems == []
    assert_whole(published)


def test_the_command_line_and_another_machine_need_nothing_but_the_settings(
    published: Settings, folder: Searcher, tmp_path: Path
) -> None:
    name_engine(tmp_path, published)
    first = folder.search(QUESTIONS[0]).hits[0].citation
    assert f"1. {first} " in pincite(tmp_path, "search", QUESTIONS[0], "-k", "1")
    told = pincite(tmp_path, "why", QUESTIONS[0], "--expected", "ketamine/low-dose-ketamine.md:4763-5112")
    assert f"first is {first}\n" in told
    assert pincite(tmp_path, "doctor") == "pincite: elsewhere: no index here: run python ingest.py\n"
    assert not (tmp_path / "elsewhere").exists()


def name_engine(folder: Path, settings: Settings, index: str | Path = "elsewhere") -> None:
    engine = f'[engine]\nurl = "{settings.engine.url}"\nname = "{settings.engine.name}"\n'
    (folder / "pincite.toml").write_text(f"index = '{index}'\ncorpus = '{settings.corpus}'\n{engine}", encoding="utf-8")


def pincite(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pincite", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


def test_the_page_shows_the_same(
    published: Settings, folder: Searcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_engine(tmp_path, published, published.index)
    monkeypatch.chdir(tmp_path)
    st.cache_resource.clear()
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    page.text_input(key="q").set_value(QUESTIONS[0]).run()
    st.cache_resource.clear()
    assert not page.exception
    shown = " ".join(element.proto.body for element in page.get("html"))
    assert html.escape(folder.search(QUESTIONS[0]).hits[0].citation) in shown
    assert "<mark>" in shown


def test_what_needs_documents_says_where_they_are(published: Settings, embedder: Embedder, tmp_path: Path) -> None:
    elsewhere = Searcher(published.model_copy(update={"index": tmp_path / "none"}), embedder)
    with pytest.raises(IndexMissing, match="none: the documents are on the machine that syncs"):
        evaluate(elsewhere, judged(published, 1), "pincite")


# Syncs


def test_a_sync_writes_what_changed(settings: Settings, url: str, embedder: Embedder) -> None:
    there = on(url, settings, index=settings.corpus.parent / "there")
    one, other = Searcher(settings, embedder), Searcher(there, embedder)

    def both() -> None:
        reports = [sync(which, embedder=embedder, allow_removals=True) for which in (settings, there)]
        assert [r.difference.as_json() for r in reports[:1]] == [r.difference.as_json() for r in reports[1:]]
        for question in ("high water at the lighthouse", "sourdough bread", '"granite tower"', "crême brûlée -oven"):
            assert_alike(one.search(question), other.search(question))
        assert_whole(there)
        assert examine(there).problems == []

    put(settings, "tides.md", "# Tides\n\nHigh water comes every twelve hours.\n\n## Range\n\nLargest at full moon.\n")
    put(settings, "bread.md", "# Bread\n\nSourdough rises slowly in a warm oven.\n")
    put(settings, "copy.md", "# Tides\n\nHigh water comes every twelve hours.\n")
    put(settings, "sub/empty words.md", "… ––– !!!\n\nभारत में crême brûlée 東京タワー\n")
    both()
    born = Counter(row["born"] for row in every(there))
    assert [*born] == [1]
    put(settings, "tower.md", "# Lighthouse\n\nA granite tower was built in 1812.\n")
    put(settings, "bread.md", "# Bread\n\nSourdough rises in a day.\n")
    both()
    assert Counter(row["born"] for row in every(there) if row["died"] == ALIVE) == {1: born[1] - 1, 2: 2}
    assert Counter(row["died"] for row in every(there)) == {ALIVE: born[1] + 1, 2: 1}
    (settings.corpus / "tides.md").rename(settings.corpus / "sub" / "moved.md")
    (settings.corpus / "copy.md").unlink()
    both()
    assert {row["died"] for row in every(there)} <= {3, ALIVE}  # what died before went with this sync
    os.utime(settings.corpus / "tower.md", (1_000_000_000, 1_000_000_000))
    sync(there, embedder=embedder)
    assert_whole(there)
    old = Filters(before=datetime(2002, 1, 1, tzinfo=UTC).date())
    assert [hit.passage.source for hit in other.search("lighthouse", filters=old).hits] == ["tower.md"]
    assert sync(there, embedder=embedder).generation == 4  # nothing has changed


def every(settings: Settings) -> list[dict[str, Any]]:
    cluster, found = state(settings)
    return list(cluster.rows(found.collection, "id >= 0", ["id", "born", "died"]))


def test_a_rebuild_moves_to_another_collection(settings: Settings, url: str, embedder: Embedder) -> None:
    there = on(url, settings)
    put(settings, "tides.md", "High water comes every twelve hours.")
    sync(there, embedder=embedder)
    cluster, before = state(there)
    assert sync(there, embedder=embedder, rebuild=True).embedded == 0
    _, after = state(there)
    assert before.collection != after.collection
    assert [cluster.holds(name) for name in (before.collection, before.terms, after.collection)] == [False, False, True]
    assert cluster.count(there.engine.name, "id >= 0") == 1  # by the alias
    assert_whole(there)


def test_an_index_moves_to_a_cluster_and_back(settings: Settings, url: str, embedder: Embedder) -> None:
    there = on(url, settings)
    put(settings, "tides.md", "High water comes every twelve hours.")
    assert sync(settings, embedder=embedder).embedded == 1
    question = "when is high water"
    first = Searcher(settings, embedder).search(question)
    put(settings, "bread.md", "Sourdough rises slowly.")
    assert sync(there, embedder=embedder).embedded == 1
    assert not list((settings.index / "generations").iterdir())
    put(settings, "tower.md", "The tower is of granite.")
    assert sync(settings, embedder=embedder).embedded == 1
    assert [path.name for path in (settings.index / "generations").iterdir()] == ["000003"]
    back = Searcher(settings, embedder).search(question)
    assert back.hits[0].passage == first.hits[0].passage
    assert sync(there, embedder=embedder).embedded == 0  # what the cluster held was of an earlier state
    assert_whole(there)
    assert_alike(back, Searcher(there, embedder).search(question))


def test_a_lost_collection_is_published_again(settings: Settings, url: str, embedder: Embedder) -> None:
    there = on(url, settings)
    put(settings, "tides.md", "High water comes every twelve hours.")
    sync(there, embedder=embedder)
    cluster, found = state(there)
    cluster._client.drop_alias(there.engine.name)
    cluster._client.drop_collection(found.collection)
    with pytest.raises(StorageError, match=r"^http://127\.0\.0\.1:\d+: Milvus does not do what it is asked \(.*\): "):
        Searcher(there, embedder).search("high water")
    assert examine(there).problems != []
    assert sync(there, embedder=embedder).embedded == 0
    assert_whole(there)
    assert len(Searcher(there, embedder).search("high water").hits) == 1


def test_an_older_copy_of_the_folder_publishes_all_of_it(settings: Settings, url: str, embedder: Embedder) -> None:
    there = on(url, settings)
    for number in range(3):
        put(settings, f"{number}.md", f"The lighthouse number {number} is painted red.")
    sync(there, embedder=embedder)
    copy = settings.index.with_name("copy")
    shutil.copytree(settings.index, copy)
    for colour in ("green", "blue"):
        put(settings, "0.md", f"The lighthouse number 0 is painted {colour}.")
        sync(there, embedder=embedder)
    shutil.rmtree(settings.index)
    copy.rename(settings.index)
    (settings.corpus / "2.md").unlink()
    sync(there, embedder=embedder)
    assert_whole(there)
    assert {hit.passage.text.split()[-1] for hit in Searcher(there, embedder).search("lighthouse").hits} == {
        "blue.",
        "red.",
    }


def test_a_server_on_another_machine_answers_from_the_cluster_alone(
    published: Settings, folder: Searcher, tmp_path: Path
) -> None:
    name_engine(tmp_path, published)
    with answering(tmp_path) as server:
        assert server.get("/health").table == {"status": "ok"}
        hits = server.post("/v1/search", {"question": QUESTIONS[0]}).table["hits"]
        assert [hit["citation"] for hit in hits] == [hit.citation for hit in folder.search(QUESTIONS[0]).hits]
        refused = server.get("/v1/passage", source=hits[0]["source"], start=0, end=9)
        assert refused.detail.endswith("elsewhere: the documents are on the machine that syncs: ask there")


def test_nobody_who_names_no_engine_loads_its_client() -> None:
    code = "import sys, pincite.search, pincite.sync, pincite.doctor, pincite.why; print('pymilvus' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout == "False\n"


CRASH = """
import os, signal, sys
from pathlib import Path
from pincite.settings import Engine, Settings
from pincite.storage.milvus.cluster import Cluster
from pincite.storage.milvus.writer import ClusterWriter
from pincite.sync import sync

folder, url, name, where = sys.argv[1:]
home, what = {"marked": (ClusterWriter, "_born"), "written": (ClusterWriter, "_count"), "counted": (Path, "chmod"),
              "committed": (ClusterWriter, "publish"), "published": (Cluster, "drop_others")}[where]
if where == "counted":
    build = ClusterWriter.build
    home, what = ClusterWriter, "build"
    def die(*given):
        build(*given)
        os.kill(os.getpid(), signal.SIGKILL)
else:
    def die(*given):
        os.kill(os.getpid(), signal.SIGKILL)
setattr(home, what, die)
sync(Settings(corpus=Path(folder) / "corpus", index=Path(folder) / "index", engine=Engine(url=url, name=name)))
"""


@pytest.mark.parametrize("where", ["marked", "written", "counted", "committed", "published"])
def test_a_sync_that_is_killed_changes_nothing_or_everything(
    settings: Settings, url: str, embedder: Embedder, where: str
) -> None:
    there = on(url, settings)
    for number in range(4):
        put(settings, f"{number}.md", f"The lighthouse number {number} is painted red.")
    sync(there, embedder=embedder)
    searcher = Searcher(there, embedder)
    before = searcher.search("lighthouse red")
    put(settings, "0.md", "The lighthouse number 0 is painted green.")
    (settings.corpus / "1.md").unlink()
    (settings.corpus / "2.md").rename(settings.corpus / "moved.md")
    died = subprocess.run(
        [sys.executable, "-c", CRASH, str(settings.corpus.parent), url, there.engine.name, where], cwd=ROOT, check=False
    )
    assert died.returncode == -signal.SIGKILL
    after = searcher.search("lighthouse red")
    if where == "published":
        assert {hit.passage.source for hit in after.hits} == {"0.md", "3.md", "moved.md"}
    else:
        assert_alike(before, after)
    put(settings, "4.md", "The lighthouse number 4 is painted blue.")
    sync(there, embedder=embedder)
    assert_whole(there)
    assert {hit.passage.source for hit in searcher.search("lighthouse red").hits} == {
        "0.md",
        "3.md",
        "4.md",
        "moved.md",
    }
    assert {row["died"] for row in every(there)} <= {ALIVE, state(there)[1].generation}


def test_no_answer_is_of_two_generations(settings: Settings, url: str, embedder: Embedder) -> None:
    """Every document says in each generation which one it is; an answer holds all of them."""
    there = on(url, settings)
    documents, colours = 12, ["red", "green", "blue", "white", "black", "yellow", "brown", "violet"]
    seen: list[Answer | PinciteError] = []
    colour_of: dict[int, str] = {}
    done = threading.Event()

    def write(colour: str) -> None:
        for number in range(documents):
            put(settings, f"{number}.md", f"The lighthouse number {number} is painted {colour}.")
        colour_of[sync(there, embedder=embedder).generation] = colour

    def ask(searcher: Searcher) -> None:
        while not done.is_set():
            try:
                seen.append(searcher.search("which lighthouse is painted", documents))
            except PinciteError as error:
                seen.append(error)

    write(colours[0])
    searcher = Searcher(there, embedder)
    threads = [threading.Thread(target=ask, args=(searcher,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for colour in colours[1:]:
        write(colour)
    done.set()
    for thread in threads:
        thread.join()
    assert len(seen) > 20
    for answer in seen:
        assert isinstance(answer, Answer), answer
        assert len(answer.hits) == documents
        assert {hit.passage.text.split()[-1] for hit in answer.hits} == {f"{colour_of[answer.generation]}."}
    assert len({answer.generation for answer in seen if isinstance(answer, Answer)}) > 3


# What is refused


def test_a_server_that_is_not_there_is_named(settings: Settings, embedder: Embedder) -> None:
    there = settings.model_copy(update={"engine": Engine(url=f"http://127.0.0.1:{milvus_lite.free_port()}")})
    put(settings, "tides.md", "High water comes every twelve hours.")
    for act in (lambda: sync(there, embedder=embedder), lambda: Searcher(there, embedder).search("water")):
        with pytest.raises(StorageError, match=r"^http://127\.0\.0\.1:\d+: Milvus does not do what it is asked \(.*\)"):
            act()


def test_an_index_that_is_not_there_yet_is_named(settings: Settings, url: str, embedder: Embedder) -> None:
    there = on(url, settings)
    with pytest.raises(IndexMissing, match=f"^{url}: holds no index {there.engine.name} yet: run python ingest.py$"):
        Searcher(there, embedder).search("high water")


def test_another_corpus_is_not_written_over(settings: Settings, url: str, embedder: Embedder, tmp_path: Path) -> None:
    there = on(url, settings)
    put(settings, "tides.md", "High water comes every twelve hours.")
    sync(there, embedder=embedder)
    (tmp_path / "other").mkdir()
    other = there.model_copy(update={"corpus": tmp_path / "other", "index": tmp_path / "second"})
    put(other, "bread.md", "Sourdough rises slowly.")
    with pytest.raises(OtherCorpus, match=rf"is that of {settings.corpus}, not of {other.corpus}: give this one anot"):
        sync(other, embedder=embedder)
    assert_whole(there)
    settings.corpus.rename(tmp_path / "renamed")
    moved = there.model_copy(update={"corpus": tmp_path / "renamed"})
    sync(moved, embedder=embedder, move_corpus=True)
    assert_whole(moved)


def test_another_name_is_another_index(settings: Settings, url: str, embedder: Embedder) -> None:
    there = on(url, settings)
    put(settings, "tides.md", "High water comes every twelve hours.")
    sync(there, embedder=embedder)
    renamed = on(url, settings)
    assert sync(renamed, embedder=embedder).embedded == 0
    assert_whole(renamed)
    assert state(renamed)[1].collection != state(there)[1].collection
    assert len(Searcher(there, embedder).search("high water").hits) == 1


def test_another_recipe_is_refused(settings: Settings, url: str, embedder: Embedder) -> None:
    there = on(url, settings)
    put(settings, "tides.md", "High water comes every twelve hours.")
    sync(there, embedder=embedder)
    other = there.model_copy(update={"passages": Passages(tokens=64)})
    with pytest.raises(IndexMismatch, match=rf"^{url}, index {there.engine.name}: built with passage_tokens 128, the"):
        Searcher(other, embedder).search("high water")


# Rows


@pytest.mark.parametrize(
    ("source", "expected"),
    [("a/b.PDF", ["pdf"]), ("x.tar.GZ", ["tar.gz", "gz"]), ("none", []), ("É.É", ["É"]), ("a.b/c", ["b/c"])],
)
def test_endings_are_what_filters_ask_for(source: str, expected: list[str]) -> None:
    assert rows.endings(source) == expected


def test_terms_are_words_that_every_tokenizer_leaves_whole() -> None:
    assert rows.joined(lexical.terms("Crème brûlée, हिन्दी costs 7")) == "creme brule " + " ".join(
        [*(f"utf8x{term.encode().hex()}" for term in lexical.terms("हिन्दी")), "cost", "7"]
    )
    assert rows.joined([]) == "utf8x"
    assert rows.joined(["word"] * 20_000) == " ".join(["word"] * 13_107)
    assert len(rows.joined(["word"] * 20_000)) <= LONGEST
