"""How many candidates a question needs: the hits that are shown, with fewer and with more of them.

    python -m benchmarks.candidates FOLDER_OF_COLLECTIONS [--collections NAME…] [--queries 300] [--json FILE]

Each number is fetched by vector, and again by words. Told are nDCG@10 of documents, each at its best passage of the
ten shown, the share of the hits shown that are shown with the most candidates too, of questions whose first hit is the
same, and whose verdict is; and the milliseconds of a question. The weights are those that ship, which have seen some of
these questions: how the numbers differ counts here, and not how high they are.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from ir_measures import nDCG

from benchmarks.machine import conditions
from pincite.errors import QuestionError
from pincite.evaluation import Collection, JudgedQuery, draw
from pincite.evaluation.index import open_index
from pincite.evaluation.measures import ranking_measures
from pincite.search import Searcher
from pincite.settings import Search, Settings
from pincite.types import Answer

NUMBERS = (200, 100, 70, 50, 40, 30, 20)
"""The most first: the others are compared with it."""
COLLECTIONS = ("scifact-train", "covidqa-articles", "squad-dev-articles", "clapnq-dev", "medquad")
SHOWN = 10


def ask(searcher: Searcher, queries: Sequence[JudgedQuery]) -> dict[str, Answer]:
    """Answers by the id of the query, without those that are refused."""
    answers = {}
    for query in queries:
        with suppress(QuestionError):
            answers[query.id] = searcher.search(query.question, SHOWN)
    return answers


def places(answer: Answer) -> list[tuple[str, int]]:
    """What is shown, the best first."""
    return [(hit.passage.source, hit.passage.start) for hit in answer.hits]


def figures(queries: Sequence[JudgedQuery], answers: dict[str, Answer], most: dict[str, Answer]) -> dict[str, float]:
    """Of one number of candidates; `most`: the answers with the most of them."""
    qrels = {query.id: query.grades for query in queries if query.id in answers}
    run = {id_: list(dict.fromkeys(source for source, _ in places(answer))) for id_, answer in answers.items()}
    found = [(places(answer), places(most[id_])) for id_, answer in answers.items()]
    return {
        "nDCG@10": float(np.mean([v["nDCG@10"] for v in ranking_measures([nDCG @ 10], qrels, run).values()])),
        "hits the same": float(np.mean([len({*these} & {*those}) / len(those) for these, those in found])),
        "first the same": float(np.mean([these[0] == those[0] for these, those in found])),
        "verdict the same": float(np.mean([a.answer == most[id_].answer for id_, a in answers.items()])),
        "milliseconds": statistics.median(answer.milliseconds for answer in answers.values()),
    }


def report(found: dict[str, dict[int, dict[str, float]]]) -> str:
    """The table, in Markdown."""
    names = list(next(iter(next(iter(found.values())).values())))
    lines = [f"| collection | candidates | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for collection, numbers in found.items():
        for number, row in numbers.items():
            cells = " | ".join(
                f"{value:.1f}" if name == "milliseconds" else f"{value:.4f}" for name, value in row.items()
            )
            lines.append(f"| {collection} | {number} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--collections", nargs="+", default=COLLECTIONS)
    parser.add_argument("--queries", type=int, default=300, help="draw so many questions of each collection")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found: dict[str, dict[int, dict[str, float]]] = {}
    for name in arguments.collections:
        collection = Collection(arguments.folder / name)
        queries = draw(list(collection.queries()), arguments.queries)
        opened = open_index(Settings(), collection)
        answers = {}
        for number in NUMBERS:
            settings = opened.settings.model_copy(update={"search": Search(candidates=number)})
            answers[number] = ask(Searcher(settings, opened.embedder), queries)
        most = answers[NUMBERS[0]]
        found[name] = {number: figures(queries, asked, most) for number, asked in answers.items()}
    print(report(found))
    if arguments.json:
        result: dict[str, Any] = {**conditions(("openvino", "faiss-cpu", "tantivy", "numpy")), "collections": found}
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
