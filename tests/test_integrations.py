"""Retrievers for LangChain, LlamaIndex and Haystack, in the packages themselves."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_offline import GUARD

from pincite.embedding import Embedder
from pincite.errors import IndexMissing, QuestionError
from pincite.search import Searcher
from pincite.settings import Search, Settings
from pincite.sync import sync
from pincite.types import Hit

ROOT = Path(__file__).parents[1]
QUESTION = "can ketamine damage your bladder"
FIRST = "ketamine/dependence-and-long-term-use.md › Bladder damage › characters 1695–2049"


@pytest.fixture(scope="module")
def articles(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder) -> Settings:
    """Two articles of the sample, indexed. Not to be written to."""
    folder = tmp_path_factory.mktemp("articles")
    settings = Settings(corpus=folder / "corpus", index=folder / "index")
    (settings.corpus / "ketamine").mkdir(parents=True)
    for name in ("dependence-and-long-term-use.md", "legality.md"):
        shutil.copy(ROOT / "corpus" / "ketamine" / name, settings.corpus / "ketamine")
    sync(settings, embedder=embedder)
    return settings


@pytest.fixture(scope="module")
def searcher(articles: Settings, embedder: Embedder) -> Searcher:
    return Searcher(articles, embedder)


@pytest.fixture(scope="module")
def three(searcher: Searcher) -> list[Hit]:
    """What all retrievers are to find."""
    found = list(searcher.search(QUESTION, 3).hits)
    assert found[0].citation == FIRST
    return found


def known(hit: Hit) -> dict[str, Any]:
    """What is to be told of a passage of the sample, which has no pages."""
    return {
        "citation": hit.citation,
        "source": hit.passage.source,
        "start": hit.passage.start,
        "end": hit.passage.end,
        "page": None,
        "heading": list(hit.passage.heading),
        "sha256": hit.sha256,
        "score": hit.score,
        "band": hit.band,
    }


def identity(hit: Hit) -> str:
    return f"{hit.passage.source}#{hit.sha256[:16]}:{hit.passage.start}-{hit.passage.end}"


# LangChain


def test_langchain_gets_documents_now_and_later(searcher: Searcher, three: list[Hit]) -> None:
    pytest.importorskip("langchain_core", reason="requirements-integrations.txt is not installed")
    from langchain_core.documents import Document
    from langchain_core.runnables import RunnableLambda

    from pincite.integrations.langchain import PinciteRetriever

    retriever = PinciteRetriever(searcher=searcher, k=3)
    wanted = [Document(id=identity(hit), page_content=hit.passage.text, metadata=known(hit)) for hit in three]
    assert retriever.invoke(QUESTION) == wanted
    assert asyncio.run(retriever.ainvoke(QUESTION)) == wanted
    assert retriever.batch([QUESTION, "is ketamine legal"])[0] == wanted
    chain = retriever | RunnableLambda(lambda documents: [document.metadata["citation"] for document in documents])
    assert chain.invoke(QUESTION) == [hit.citation for hit in three]
    assert len(PinciteRetriever(searcher=searcher).invoke(QUESTION)) == 10
    with pytest.raises(QuestionError, match="the question is empty"):
        retriever.invoke(" ")


# LlamaIndex


def test_llama_index_gets_nodes_now_and_later(searcher: Searcher, three: list[Hit]) -> None:
    pytest.importorskip("llama_index.core", reason="requirements-integrations.txt is not installed")
    from llama_index.core.schema import MetadataMode, TextNode

    from pincite.integrations.llama_index import PinciteRetriever

    retriever = PinciteRetriever(searcher, similarity_top_k=3)
    found = retriever.retrieve(QUESTION)
    assert [(node.node_id, node.text, node.metadata, node.score) for node in found] == [
        (identity(hit), hit.passage.text, known(hit), hit.score) for hit in three
    ]
    assert asyncio.run(retriever.aretrieve(QUESTION)) == found
    assert len(PinciteRetriever(searcher).retrieve(QUESTION)) == 10
    first = found[0].node
    assert first.get_content(MetadataMode.LLM) == f"citation: {three[0].citation}\n\n{three[0].passage.text}"
    assert (first.get_node_info(), first.ref_doc_id) == ({"start": 1695, "end": 2049}, three[0].passage.source)
    assert TextNode.from_dict(json.loads(json.dumps(first.to_dict()))) == first


# Haystack


def test_haystack_gets_documents_now_and_later(articles: Settings, three: list[Hit]) -> None:
    pytest.importorskip("haystack", reason="requirements-integrations.txt is not installed")
    from pincite.integrations.haystack import Document, PinciteRetriever

    retriever = PinciteRetriever(articles.index, top_k=3)
    wanted = [Document(id=identity(hit), content=hit.passage.text, meta=known(hit), score=hit.score) for hit in three]
    assert retriever.run(QUESTION) == {"documents": wanted}
    assert asyncio.run(retriever.run_async(QUESTION)) == {"documents": wanted}
    assert retriever.run(QUESTION, top_k=1) == {"documents": wanted[:1]}
    with pytest.raises(QuestionError, match="filters are not understood: write in:folder/"):
        retriever.run(QUESTION, filters={"field": "meta.source", "operator": "==", "value": "a"})
    with pytest.raises(IndexMissing, match="no index here"):
        PinciteRetriever(articles.index / "nowhere").warm_up()


def test_a_pipeline_of_haystack_is_written_down_and_read_again(articles: Settings, three: list[Hit]) -> None:
    pytest.importorskip("haystack", reason="requirements-integrations.txt is not installed")
    from pincite.integrations.haystack import PinciteRetriever  # first, for it keeps Haystack quiet

    from haystack import Pipeline  # isort: skip

    pipeline = Pipeline()
    pipeline.add_component("retriever", PinciteRetriever(articles.index, settings=Settings(search=Search(results=2))))
    again = Pipeline.loads(pipeline.dumps(), allowed_modules=["pincite.integrations.haystack"])
    assert again.to_dict() == pipeline.to_dict()
    read = again.get_component("retriever")
    assert (read.index, read.top_k, read.settings) == (str(articles.index), None, Settings(search=Search(results=2)))
    for made in (pipeline, again):
        found = made.run({"retriever": {"query": QUESTION}})["retriever"]["documents"]
        assert [document.meta["citation"] for document in found] == [hit.citation for hit in three[:2]]
    plain = PinciteRetriever("index", top_k=5)
    assert (
        PinciteRetriever.from_dict(plain.to_dict()).to_dict()
        == plain.to_dict()
        == {
            "type": "pincite.integrations.haystack.PinciteRetriever",
            "init_parameters": {"index": "index", "top_k": 5, "settings": None},
        }
    )


# All


def test_the_python_that_is_shown_runs_and_asks_nothing_of_any_network(articles: Settings, tmp_path: Path) -> None:
    pytest.importorskip("haystack", reason="requirements-integrations.txt is not installed")
    pytest.importorskip("langchain_core", reason="requirements-integrations.txt is not installed")
    pytest.importorskip("llama_index.core", reason="requirements-integrations.txt is not installed")
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD, encoding="utf-8")
    (tmp_path / "index").symlink_to(articles.index)
    (tmp_path / "corpus").symlink_to(articles.corpus)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{tmp_path / 'guard'}{os.pathsep}{ROOT}",
        "HOME": str(tmp_path / "home"),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
        "TRIED": str(tmp_path / "tried"),
    }
    environment.pop("HAYSTACK_TELEMETRY_ENABLED", None)
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    ran = subprocess.run(
        [sys.executable, "-c", "".join(blocks)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert (ran.stdout.count(FIRST), len(blocks)) == (5, 5)
    assert not (tmp_path / "tried").exists(), (tmp_path / "tried").read_text()
    assert not (tmp_path / "home").exists()


def test_each_retriever_says_which_page_a_passage_is_on(searcher: Searcher, three: list[Hit]) -> None:
    from dataclasses import replace

    from pincite.integrations import metadata

    def on(*pages: int) -> Any:
        return metadata(replace(three[0], passage=replace(three[0].passage, pages=pages)))["page"]

    assert (on(3, 3), on(3, 4)) == (3, [3, 4])
