"""Whether questions about real reports find the report: files in, documents out, nothing prepared.

    python -m benchmarks.reports FOLDER [--json FILE]

FOLDER holds the files, `queries.jsonl` and `qrels.tsv` (as in BEIR's layout; a document is named by its
file). They are indexed in a folder of their own, then every question is asked as a person would.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

from ir_measures import RR, Success, nDCG

from pincite import Searcher, Settings
from pincite.evaluation.measures import interval, ranking_measures
from pincite.evaluation.runs import METHODS, ask
from pincite.sync import sync

MEASURES = (Success @ 1, Success @ 5, RR @ 10, nDCG @ 10)


def main() -> None:
    """Index, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    lines = (arguments.folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    questions = {row["_id"]: row["text"] for row in map(json.loads, lines)}
    qrels: dict[str, dict[str, int]] = {query: {} for query in questions}
    for line in (arguments.folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, source, grade = line.split("\t")
        qrels[query][source] = int(grade)

    result: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(corpus=Path(folder) / "corpus", index=Path(folder) / "index")
        settings.corpus.mkdir()
        for source in sorted({source for grades in qrels.values() for source in grades}):
            shutil.copy(arguments.folder / source, settings.corpus)  # without the judgements, which can be read too
        report = sync(settings)
        searcher = Searcher(settings)
        result |= {"documents": report.documents, "passages": report.passages, "questions": len(questions)}
        for method in METHODS:
            run = {query: ask(searcher, method, text).sources for query, text in questions.items()}
            found = ranking_measures(MEASURES, qrels, run)
            columns = {str(measure): [found[query][str(measure)] for query in questions] for measure in MEASURES}
            result[method] = {
                name: [round(sum(c) / len(c), 3), *map(_rounded, interval(c))] for name, c in columns.items()
            }
    print(json.dumps(result, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _rounded(value: float) -> float:
    return round(value, 3)


if __name__ == "__main__":
    main()
