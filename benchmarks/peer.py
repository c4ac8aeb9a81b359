"""One system in a process of its own: index texts, ask questions, and write what that took.

    python peer.py JOB.json

Run by `benchmarks/peers.py` in an environment that has no Pincite. The clock starts after the imports and stops with
the first answer. Each system is used as its documentation shows, on one processor, with the same model.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "ANONYMIZED_TELEMETRY": "False", "TOKENIZERS_PARALLELISM": "true"}

Search = Callable[[str, int], list[str]]
"""A question and how many → ids, the best first."""


def txtai(job: dict, rows: list[dict]) -> tuple[Search, int]:
    """Hybrid: dense and BM25, summed. Also returns how many tokens of a text the model reads."""
    from txtai import Embeddings

    embeddings = Embeddings(path=job["model"], hybrid=True, gpu=False)
    embeddings.index((row["id"], row["text"], None) for row in rows)
    embeddings.save(job["folder"])

    def search(question: str, count: int) -> list[str]:
        return [id_ for id_, _ in embeddings.search(question, count)]

    model = embeddings.ann and embeddings.model.model
    return search, int(getattr(model, "maxlength", None) or getattr(model, "max_seq_length", None) or 512)


def chroma(job: dict, rows: list[dict]) -> tuple[Search, int]:
    """Dense."""
    import chromadb
    from chromadb.utils.embedding_functions import SentenceTransformerEmbeddingFunction

    client = chromadb.PersistentClient(job["folder"], settings=chromadb.Settings(anonymized_telemetry=False))
    function = SentenceTransformerEmbeddingFunction(job["model"], device="cpu", normalize_embeddings=True)
    collection = client.create_collection(
        "peers", embedding_function=function, configuration={"hnsw": {"space": "cosine"}}
    )
    most = min(client.get_max_batch_size(), 1000)
    for start in range(0, len(rows), most):
        part = rows[start : start + most]
        collection.add(ids=[row["id"] for row in part], documents=[row["text"] for row in part])

    def search(question: str, count: int) -> list[str]:
        found: list[str] = collection.query(query_texts=[question], n_results=min(count, len(rows)))["ids"][0]
        return found

    return search, int(function._model.max_seq_length)


def lancedb(job: dict, rows: list[dict]) -> tuple[Search, int]:
    """Hybrid, with its default reranker (reciprocal rank fusion)."""
    import lancedb as library
    from lancedb.embeddings import get_registry
    from lancedb.pydantic import LanceModel, Vector

    function = get_registry().get("sentence-transformers").create(name=job["model"], device="cpu")

    class Row(LanceModel):
        id: str
        text: str = function.SourceField()
        vector: Vector(function.ndims()) = function.VectorField()  # type: ignore[valid-type]  # made by a call, as LanceDB has it

    table = library.connect(job["folder"]).create_table("peers", schema=Row)
    for start in range(0, len(rows), 1000):
        table.add([{"id": row["id"], "text": row["text"]} for row in rows[start : start + 1000]])
    table.create_fts_index("text")

    def search(question: str, count: int) -> list[str]:
        hits = table.search(question, query_type="hybrid").limit(count).to_list()
        return [hit["id"] for hit in hits]

    return search, int(function.embedding_model.max_seq_length)


SYSTEMS = {"txtai": (txtai, "txtai"), "chroma": (chroma, "chromadb"), "lancedb": (lancedb, "lancedb")}


def main() -> None:
    """Do the job and write what came of it."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    rows = [json.loads(line) for line in Path(job["texts"]).read_text(encoding="utf-8").splitlines()]
    build, package = SYSTEMS[job["system"]]
    import sentence_transformers  # noqa: F401  imported by all three, and not what is measured

    __import__(package)
    started, cpu = time.perf_counter(), time.process_time()
    search, limit = build(job, rows)
    search(job["questions"][0] if job["questions"] else "What is it?", 10)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    milliseconds = []
    for question in job["questions"]:
        asked = time.perf_counter()
        search(question, 10)
        milliseconds.append((time.perf_counter() - asked) * 1000)
    found = {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_memory_mib": peak,
        "milliseconds": milliseconds,
        "limit": limit,
        "runs": [search(question, 100) for question in job["questions"]],
    }
    Path(job["result"]).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
