"""Pincite beside txtai, Chroma and LanceDB, with the same model, in the same run.

    python -m benchmarks.peers FOLDER_OF_COLLECTIONS [--collections NAME…] [--systems NAME…] [--documents N]
                               [--given passages] [--queries 300] [--environment DIR] [--json FILE]

Twice: given the same passages (Pincite's own, context line included), so that every system embeds every token; and
given whole documents, as their users would, with the share of the tokens that they then never read. The clock runs
until the first answer; Pincite's begins with the files, the others' with texts in memory. nDCG@10 is of documents, each
at its best passage of the first 100. Chroma has dense search alone, the others their hybrid. It is said where Pincite's
weights were fitted on questions of the collection, too: what weights fitted on the others reach, of the same questions,
is told by `benchmarks.quality`.

The other systems are installed, at fixed versions, into an environment of their own in the cache folder, with pip.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
from ir_measures import nDCG

from benchmarks.machine import conditions, disk_mib
from pincite import embedding
from pincite.embedding.model import cache_folder
from pincite.embedding.tokens import Tokenizer
from pincite.evaluation import Collection, draw
from pincite.evaluation.judgements import JudgedQuery
from pincite.evaluation.measures import ranking_measures
from pincite.evaluation.runs import ask
from pincite.search import Searcher
from pincite.settings import Model, Settings
from pincite.storage import Catalog
from pincite.types import Document

PEERS = {"txtai": "txtai==9.14.0", "chroma": "chromadb==1.5.9", "lancedb": "lancedb==0.40.0"}
PINCITE = {"pincite": "auto", "pincite int8": "int8"}
"""System → `model.precision`."""
COLLECTIONS = ("scifact-train", "covidqa-articles", "medquad")
GIVEN = {"passages": "passages.jsonl", "whole documents": "whole.jsonl"}
"""What the others index → the file of it."""


def environment(folder: Path) -> Path:
    """The interpreter of an environment with all of `PEERS`, made where it is not there."""
    python = folder / "bin" / "python"
    done = folder / "installed.json"
    same = ("torch", "sentence-transformers", "transformers", "tokenizers", "numpy")
    wanted = [*PEERS.values(), *(f"{name}=={version(name).partition('+')[0]}" for name in same)]
    if not done.is_file() or json.loads(done.read_text(encoding="utf-8")) != wanted:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
        done.write_text(json.dumps(wanted), encoding="utf-8")
    return python


def write_files(documents: Sequence[Document], folder: Path) -> None:
    """A Markdown file a document, its title as heading."""
    folder.mkdir()
    for document in documents:
        heading = f"# {' '.join(document.title.split())}\n\n" if document.title else ""
        (folder / f"{quote(document.source, safe='')}.md").write_text(heading + document.text, encoding="utf-8")


def id_of(source: str) -> str:
    """The document's id, of its file's name."""
    return unquote(source.removesuffix(".md"))


def write_texts(rows: Iterator[tuple[str, str]], file: Path) -> list[str]:
    """(id, text) as lines of JSON; returns the texts."""
    kept = list(rows)
    file.write_text("".join(json.dumps({"id": i, "text": t}) + "\n" for i, t in kept), encoding="utf-8")
    return [text for _, text in kept]


def run_pincite(settings: Settings, queries: Sequence[JudgedQuery], folder: Path) -> dict[str, Any]:
    """Files to first answer in a process of its own, then the questions in this one."""
    result = folder / "pincite.json"
    command = [sys.executable, "-m", "benchmarks.ingest", str(settings.corpus), "--index", str(settings.index)]
    command += ["--precision", settings.model.precision, "--json", str(result)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    made = json.loads(result.read_text(encoding="utf-8"))
    searcher = Searcher(settings)
    for query in queries[:1]:
        searcher.search(query.question)
    return {
        "seconds": made["seconds"],
        "cpu_seconds": made["cpu_seconds"],
        "peak_memory_mib": made["peak_memory_mib"]["with a question"],
        "milliseconds": [searcher.search(query.question, 10).milliseconds for query in queries],
        "runs": [[id_of(source) for source in ask(searcher, "pincite", q.question).sources] for q in queries],
    }


def run_peer(python: Path, system: str, texts: Path, queries: Sequence[JudgedQuery], folder: Path) -> dict[str, Any]:
    """One system in its own process."""
    result = folder / f"{system}.json"
    job = {
        "system": system,
        "model": str(embedding.find(Settings().model.name).folder),
        "texts": str(texts),
        "folder": str(folder / system),
        "questions": [query.question for query in queries],
        "result": str(result),
    }
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    command = [str(python), str(Path(__file__).with_name("peer.py")), str(folder / "job.json")]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(f"{system}: {ran.stderr.strip().splitlines()[-1]}")
    found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    found["runs"] = [list(dict.fromkeys(id_.rpartition("\t")[0] for id_ in run)) for run in found["runs"]]
    return found


def fitted_on() -> list[str]:
    """The collections that the weights which ship were fitted on."""
    names: list[str] = json.loads(files("pincite").joinpath("relevance.json").read_text(encoding="utf-8"))["trained_on"]
    return names


def figures(
    found: dict[str, Any], items: int, tokens: int, index: Path, queries: Sequence[JudgedQuery]
) -> dict[str, Any]:
    """What is told of one system."""
    qrels = {query.id: query.grades for query in queries}
    run = {query.id: ranked for query, ranked in zip(queries, found["runs"], strict=True)}
    values = [value["nDCG@10"] for value in ranking_measures([nDCG @ 10], qrels, run).values()]
    return {
        "seconds": round(found["seconds"], 2),
        "cpu_seconds": round(found["cpu_seconds"], 2),
        "items_per_second": round(items / found["seconds"], 1),
        "tokens_per_second": round(tokens / found["seconds"]),
        "question_milliseconds": round(statistics.median(found["milliseconds"]), 2),
        "nDCG@10": round(float(np.mean(values)), 4),
        "peak_memory_mib": round(found["peak_memory_mib"]),
        "disk_mib": round(disk_mib(index), 1),
    }


def compare(
    collection: Collection,
    systems: Sequence[str],
    ways: Sequence[str],
    python: Path,
    documents: int | None,
    count: int | None,
) -> dict[str, Any]:
    """Every system on one collection, the others in each of the ways, which are of `GIVEN`."""
    taken = list(islice(collection.documents(), documents))
    held = {document.source for document in taken}
    queries = [query for query in collection.queries() if any(source in held for source in query.grades)]
    queries = draw(queries, count)
    tokenizer = Tokenizer(embedding.find(Settings().model.name).tokenizer)
    result: dict[str, Any] = {
        "documents": len(taken),
        "queries": len(queries),
        "pincite's weights fitted on it, too": collection.name in fitted_on(),
        **{given: {} for given in GIVEN},
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_files(taken, folder / "corpus")
        texts: list[str] = []
        for system, precision in PINCITE.items():
            if texts and system not in systems:
                continue  # one of them is needed in any case: it cuts the passages
            index = folder / system
            settings = Settings(corpus=folder / "corpus", index=index, model=Model(precision=precision))
            found = run_pincite(settings, queries, folder)
            with Catalog(index) as catalog:
                stored = [one.passage for one in catalog.all_passages()]
            rows = ((f"{id_of(passage.source)}\t{passage.start}", passage.indexed_text) for passage in stored)
            texts = write_texts(rows, folder / "passages.jsonl")
            tokens = sum(map(len, tokenizer.encode(texts)))
            result["passages"][system] = figures(found, len(texts), tokens, index, queries)
        wholes = write_texts(
            ((f"{document.source}\t0", f"{document.title}\n{document.text}".strip()) for document in taken),
            folder / "whole.jsonl",
        )
        lengths = {"passages": [len(t) for t in tokenizer.encode(texts)]}
        lengths["whole documents"] = [len(t) for t in tokenizer.encode(wholes)]
        for given in ways:
            for system in [system for system in systems if system in PEERS]:
                found = run_peer(python, system, folder / GIVEN[given], queries, folder)
                read = sum(min(length, found["limit"]) for length in lengths[given])
                told = figures(found, len(lengths[given]), read, folder / system, queries)
                told["tokens_never_read"] = round(1 - read / sum(lengths[given]), 3)
                result[given][system] = told
                (folder / system).rename(folder / f"{system}, {given}")
    peers = [told for system, told in result["passages"].items() if system in PEERS]
    fastest = max((told["items_per_second"] for told in peers), default=None)
    if fastest:
        ours = [system for system in PINCITE if system in result["passages"]]
        result["times the fastest peer"] = {
            system: round(result["passages"][system]["items_per_second"] / fastest, 2) for system in ours
        }
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--collections", nargs="+", default=COLLECTIONS)
    parser.add_argument("--systems", nargs="+", choices=(*PINCITE, *PEERS), default=(*PINCITE, *PEERS))
    parser.add_argument("--documents", type=int, help="take the first so many of each collection")
    parser.add_argument("--given", nargs="+", choices=GIVEN, default=list(GIVEN), help="what the others index")
    parser.add_argument("--queries", type=int, default=300, help="draw so many of each collection")
    parser.add_argument("--environment", type=Path, default=cache_folder() / "benchmarks" / "peers")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    python = environment(arguments.environment)
    result: dict[str, Any] = {
        **conditions(("openvino", "torch", "sentence-transformers")),
        "peers": list(PEERS.values()),
        "collections": {},
    }
    for name in arguments.collections:
        result["collections"][name] = compare(
            Collection(arguments.folder / name),
            arguments.systems,
            arguments.given,
            python,
            arguments.documents,
            arguments.queries,
        )
        if arguments.json:  # after each, for all of them take hours
            arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
