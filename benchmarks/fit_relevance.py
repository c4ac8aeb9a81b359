"""Fit `pincite/relevance.json` on collections in BEIR layout, and say how it does on those left out.

    python -m benchmarks.fit_relevance FOLDER_OF_COLLECTIONS [--write]

Each collection is a folder with corpus.jsonl, queries.jsonl and qrels.tsv, and answers.jsonl where
the exact answers are known. Documents are cut and embedded as `ingest.py` does; vectors are kept in
the user's cache folder.

`order`: softmax over the candidates of a question, so that a passage that answers stands above
those that do not. `probability`: logistic regression over the first passages of questions asked of
their own collection and of others, where nothing answers. Its thresholds: 10 % of the unanswerable
questions reach `weak`, 2 % reach `strong`.
"""

import argparse
import hashlib
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from pincite import embedding, relevance
from pincite.embedding import Embedder
from pincite.embedding.model import cache_folder
from pincite.passages import cut
from pincite.query import parse
from pincite.relevance import Candidate, TermStatistics
from pincite.settings import Settings
from pincite.storage import lexical
from pincite.types import Document, Passage, Section

COLLECTIONS = ("scifact-train", "covidqa-articles", "squad-dev", "clapnq-dev", "pubmedqa")
ORDER = ("cosine", "sentence_cosine", "bm25_bound", "idf_share")
PROBABILITY = ("cosine", "sentence_cosine", "bm25_bound", "idf_share")
QUERIES = 300
DEPTH = 100
RIDGE = 1e-3
WEAK, STRONG = 0.10, 0.02
"""Shares of unanswerable questions that may reach each band."""
JUDGED_HITS = 1
"""First passages of a question that the probability is fitted on."""


@dataclass
class Collection:
    """A collection, cut and embedded."""

    name: str
    passages: list[Passage]
    candidates: list[Candidate]
    postings: dict[str, list[tuple[int, int]]]
    queries: list[tuple[str, str]]
    qrels: dict[str, dict[str, int]]
    answers: dict[tuple[str, str], list[tuple[int, int]]]
    matrix: np.ndarray

    def statistics(self, terms: list[str]) -> TermStatistics:
        """What BM25 must know for a question with these terms."""
        lengths = sum(candidate.length for candidate in self.candidates)
        frequencies = {term: len(self.postings.get(term, ())) for term in terms}
        return TermStatistics(len(self.passages), lengths / len(self.passages), frequencies)

    def answers_it(self, query: str, passage: Passage) -> bool:
        """Whether a passage of a relevant document holds an exact answer, where those are known."""
        if not self.qrels.get(query, {}).get(passage.source, 0):
            return False
        spans = self.answers.get((query, passage.source))
        return spans is None or any(start < passage.end and passage.start < end for start, end in spans)


def load(folder: Path, embedder: Embedder, budget: int) -> Collection:
    """Read, cut and embed a collection."""
    passages: list[Passage] = []
    for line in (folder / "corpus.jsonl").open(encoding="utf-8"):
        row = json.loads(line)
        document = Document(row["_id"], row.get("title", ""), "text/plain", "", row["text"], (Section(0, ()),))
        passages += cut(document, embedder.tokenizer.count, budget)
    vectors, sentences = embed(folder.name, passages, embedder)
    candidates, postings = [], defaultdict(list)
    for number, passage in enumerate(passages):
        terms = lexical.terms(passage.indexed_text)
        counts = Counter(terms)
        candidates.append(Candidate(vectors[number], sentences[number], counts, len(terms)))
        for term, count in counts.items():
            postings[term].append((number, count))
    qrels: dict[str, dict[str, int]] = defaultdict(dict)
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document_id, grade = line.split("\t")
        qrels[query][document_id] = int(grade)
    answers: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    if (folder / "answers.jsonl").is_file():
        for line in (folder / "answers.jsonl").open(encoding="utf-8"):
            row = json.loads(line)
            answers[row["query-id"], row["corpus-id"]].append((row["start"], row["end"]))
    rows = [json.loads(line) for line in (folder / "queries.jsonl").open(encoding="utf-8")]
    judged = [(row["_id"], row["text"]) for row in rows if any(qrels.get(row["_id"], {}).values())]
    drawn = np.sort(np.random.default_rng(0).choice(len(judged), min(QUERIES, len(judged)), replace=False))
    return Collection(
        folder.name, passages, candidates, postings, [judged[i] for i in drawn], qrels, dict(answers), vectors
    )


def embed(name: str, passages: list[Passage], embedder: Embedder) -> tuple[np.ndarray, list[np.ndarray]]:
    """Vectors of the passages and of their sentences, from the cache if nothing they rest on changed."""
    digest = hashlib.sha256(embedder.files.sha256.encode())
    for passage in passages:
        digest.update(f"{passage.context}\0{passage.text}\0{passage.sentences}\0".encode())
    file = cache_folder() / "benchmarks" / f"{name}-{digest.hexdigest()[:16]}.npz"
    counts = [len(passage.sentences) for passage in passages]
    if not file.is_file():
        made = dict(embedder.embed_passages(passages))
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            file,
            vectors=np.stack([made[i].vector for i in range(len(passages))]),
            sentences=np.concatenate([made[i].sentences for i in range(len(passages))]).astype(np.float16),
        )
    with np.load(file) as stored:
        sentences = stored["sentences"].astype(np.float32)
        return stored["vectors"], np.split(sentences, np.cumsum(counts)[:-1])


@dataclass
class Asked:
    """A question's candidates: features by name, and whether each answers."""

    query: str
    collection: Collection
    numbers: list[int]
    features: np.ndarray
    """Shape (candidates, len(ORDER))."""
    answers: np.ndarray
    """bool, shape (candidates,)."""

    def order_by(self, weights: np.ndarray) -> np.ndarray:
        """Scores of the candidates, as the search computes them in an index of this size."""
        return self.features @ (weights * self.trust())

    def trust(self) -> np.ndarray:
        """What each weight is multiplied by in an index of this size."""
        model = relevance.Relevance(relevance.Weights(0, dict.fromkeys(ORDER, 1.0)), relevance.Weights(0, {}), 0, 0)
        return np.array(list(model.order_weights(len(self.collection.passages)).values()))


def ask(collection: Collection, query: str, text: str, vector: np.ndarray) -> Asked:
    """The candidates of a question, with their features."""
    terms = list(parse(text).terms)
    statistics = collection.statistics(terms)
    scores = np.zeros(len(collection.passages), dtype=np.float32)
    for term in terms:
        idf = statistics.idf(term)
        for number, count in collection.postings.get(term, ()):
            length = collection.candidates[number].length / statistics.mean_terms
            norm = relevance.BM25_K1 * (1 - relevance.BM25_B + relevance.BM25_B * length)
            scores[number] += idf * count * (relevance.BM25_K1 + 1) / (count + norm)
    by_words = [int(i) for i in np.argsort(-scores, kind="stable")[:DEPTH] if scores[i] > 0]
    by_vector = np.argsort(-(collection.matrix @ vector), kind="stable")[:DEPTH].tolist()
    numbers = sorted({*by_words, *by_vector})
    judged = relevance.features(vector, [collection.candidates[i] for i in numbers], statistics)
    return Asked(
        query,
        collection,
        numbers,
        np.array([[getattr(f, name) for name in ORDER] for f in judged]),
        np.array([collection.answers_it(query, collection.passages[i]) for i in numbers]),
    )


def fit_order(asked: list[Asked]) -> np.ndarray:
    """Weights that put passages that answer above the others (softmax cross-entropy)."""
    useful = [a for a in asked if a.answers.any() and not a.answers.all()]
    share = Counter(a.collection.name for a in useful)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        total, gradient = RIDGE * weights @ weights, 2 * RIDGE * weights
        for a in useful:
            scores = a.order_by(weights)
            everything = np.exp(scores - scores.max())
            right = everything * a.answers
            scale = 1 / share[a.collection.name]
            total += scale * np.log(everything.sum() / right.sum())
            gradient += scale * (everything / everything.sum() - right / right.sum()) @ (a.features * a.trust())
        return total, gradient

    return minimize(loss, np.ones(len(ORDER)), jac=True, method="L-BFGS-B").x


def fit_probability(features: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Logistic regression; the intercept comes last."""
    inputs = np.hstack([features, np.ones((len(features), 1))])

    def loss(model: np.ndarray) -> tuple[float, np.ndarray]:
        scores = inputs @ model
        predicted = 1 / (1 + np.exp(-scores))
        total = weights @ (np.logaddexp(0, scores) - labels * scores) + RIDGE * model @ model
        return total, (weights * (predicted - labels)) @ inputs + 2 * RIDGE * model

    return minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B").x


def ndcg(asked: list[Asked], weights: np.ndarray) -> float:
    """Mean nDCG@10 of documents, each scored as its best passage."""
    values = []
    for a in asked:
        order = np.argsort(-a.order_by(weights), kind="stable")
        documents = list(dict.fromkeys(a.collection.passages[a.numbers[i]].source for i in order))[:10]
        grades = a.collection.qrels[a.query]
        gain = sum(grades.get(source, 0) / np.log2(rank + 2) for rank, source in enumerate(documents))
        ideal = sum(g / np.log2(rank + 2) for rank, g in enumerate(sorted(grades.values(), reverse=True)[:10]))
        values.append(gain / ideal)
    return float(np.mean(values))


def first_hits(asked: list[Asked], order: np.ndarray, answerable: bool) -> tuple[np.ndarray, np.ndarray]:
    """Features and labels of the first passages of each question, shape (questions, hits, features)."""
    columns = [ORDER.index(name) for name in PROBABILITY]
    features, labels = [], []
    for a in asked:
        first = np.argsort(-a.order_by(order), kind="stable")[:JUDGED_HITS]
        features.append(a.features[first][:, columns])
        labels.append(a.answers[first] & answerable)
    return np.array(features), np.array(labels)


def probability_model(
    own: dict[str, list[Asked]], foreign: dict[str, list[Asked]], names: list[str], order: np.ndarray
) -> tuple[np.ndarray, float, float]:
    """The logistic model and its `weak` and `strong` thresholds, from these collections."""
    parts = []
    for name in names:
        for asked, answerable in ((own[name], True), (foreign[name], False)):
            features, labels = first_hits(asked, order, answerable)
            flat = features.reshape(-1, len(PROBABILITY))
            parts.append((flat, labels.ravel(), np.full(len(flat), 1 / len(flat))))
    model = fit_probability(*(np.concatenate([part[i] for part in parts]) for i in range(3)))
    unanswerable = np.concatenate([top_scores(foreign[name], order, model) for name in names])
    return model, float(np.quantile(unanswerable, 1 - WEAK)), float(np.quantile(unanswerable, 1 - STRONG))


def top_scores(asked: list[Asked], order: np.ndarray, model: np.ndarray) -> np.ndarray:
    """The probability of each question's first passage."""
    features, _ = first_hits(asked, order, True)
    return 1 / (1 + np.exp(-(features[:, 0] @ model[:-1] + model[-1])))


def main() -> None:
    """Fit, report and, with --write, replace the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokens", type=int, default=Settings().passages.tokens, help="budget of a passage")
    parser.add_argument("--write", action="store_true", help="replace pincite/relevance.json")
    arguments = parser.parse_args()
    embedder = embedding.open_embedder(embedding.find("all-MiniLM-L6-v2"))
    budget = arguments.tokens
    collections = [load(arguments.folder / name, embedder, budget) for name in COLLECTIONS]
    own: dict[str, list[Asked]] = {}
    foreign: dict[str, list[Asked]] = {}
    vectors = {text: embedder.embed_query(text) for c in collections for _, text in c.queries}
    for number, collection in enumerate(collections):
        own[collection.name] = [ask(collection, query, text, vectors[text]) for query, text in collection.queries]
        others = [c for c in collections if c is not collection]
        foreign[collection.name] = [
            ask(collection, "", text, vectors[text]) for c in others for _, text in c.queries[number :: len(others)]
        ]
        print(
            f"{collection.name}: {len(collection.passages)} passages, {len(collection.queries)} questions", flush=True
        )

    names = list(own)
    print(f"\n{'left out':18} nDCG@10  kept at 5 %  answered when nothing answers")
    for left_out in names:
        rest = [name for name in names if name != left_out]
        order = fit_order([a for name in rest for a in own[name]])
        model, weak, _ = probability_model(own, foreign, rest, order)
        answerable = top_scores(own[left_out], order, model)
        unanswerable = top_scores(foreign[left_out], order, model)
        kept = np.mean(answerable >= np.quantile(unanswerable, 0.95))
        print(
            f"{left_out:18} {ndcg(own[left_out], order):.3f}    {kept:.3f}        "
            f"{np.mean(unanswerable >= weak):.3f} (answerable {np.mean(answerable >= weak):.3f})"
        )

    order = fit_order([a for asked in own.values() for a in asked])
    model, weak, strong = probability_model(own, foreign, names, order)
    table = {
        "about": "Linear models over the features that pincite/relevance.py names.",
        "command": "python -m benchmarks.fit_relevance FOLDER_OF_COLLECTIONS --write",
        "trained_on": names,
        "questions": {name: len(asked) for name, asked in own.items()},
        "model": embedder.files.name,
        "passage_tokens": budget,
        "date": date.today().isoformat(),
        "order": {"weights": dict(zip(ORDER, order.round(3).tolist(), strict=True))},
        "probability": {
            "intercept": round(float(model[-1]), 3),
            "weights": dict(zip(PROBABILITY, model[:-1].round(3).tolist(), strict=True)),
            "weak": round(weak, 3),
            "strong": round(strong, 3),
        },
    }
    print(json.dumps(table, indent=1))
    if arguments.write:
        file = Path(relevance.__file__).with_name("relevance.json")
        file.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
