"""Command: judged questions → measures. How good the search is, in numbers."""

import json
import shlex
import sys
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

import typer

from pincite import console
from pincite.errors import JudgementError, OutputError
from pincite.evaluation import (
    Collection,
    Dataset,
    Evaluation,
    JudgedQuery,
    adoption,
    comparison,
    draft,
    draw,
    evaluate,
    records,
    score,
    sets,
    sheet,
    trec,
)
from pincite.evaluation.index import open_index
from pincite.evaluation.judgements import absent, documents, join, update
from pincite.evaluation.runs import DEPTH, METHODS
from pincite.evaluation.sets import JudgementSet
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.storage import Catalog

app = typer.Typer(add_completion=False, invoke_without_command=True, pretty_exceptions_enable=False)
_MOVES = 10
_LISTED = 20


@app.callback()
def main(
    context: typer.Context,
    index: Annotated[Path | None, typer.Option(help="The folder that holds the index.")] = None,
    judgments: Annotated[
        Path | None, typer.Option(help="A judgements file, or a folder of them; judgments/.", show_default=False)
    ] = None,
    collection: Annotated[Path | None, typer.Option(help="A test collection in BEIR layout instead.")] = None,
    dataset: Annotated[
        str | None, typer.Option(metavar="NAME", help="A test collection by its name in ir_datasets instead.")
    ] = None,
    qrels: Annotated[Path | None, typer.Option(help="Judged documents, a file in TREC format, instead.")] = None,
    topics: Annotated[Path | None, typer.Option(help="The questions of --qrels: lines of id, TAB, question.")] = None,
    queries: Annotated[int | None, typer.Option(min=1, help="Draw so many of the questions.")] = None,
    method: Annotated[str, typer.Option(help=f"What ranks: {', '.join(METHODS)}.")] = "pincite",
    score_run: Annotated[
        Path | None, typer.Option(help="Measure this run, a file in TREC format; no index is asked.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write one JSON object to this file.")] = None,
    report_folder: Annotated[
        Path | None, typer.Option("--report", help="Write report.html, for people, to this folder.")
    ] = None,
    write_run: Annotated[Path | None, typer.Option(help="Write what was ranked to this file, in TREC format.")] = None,
    write_qrels: Annotated[
        Path | None, typer.Option(help="Write the judged documents to this file, in TREC format.")
    ] = None,
    fail_under: Annotated[
        list[str] | None, typer.Option(metavar="MEASURE=VALUE", help="Exit with 1 below this; any measure, repeatable.")
    ] = None,
) -> None:
    """Measure how good the search is, on your own judgements or on a test collection."""
    if context.invoked_subcommand is not None:
        return
    floors = [_floor(text) for text in fail_under or []]
    if method not in METHODS:
        raise typer.BadParameter(f"{method!r} is none of {', '.join(METHODS)}", param_hint="--method")
    if collection is not None and dataset is not None:
        raise typer.BadParameter("names one test collection, and --collection another", param_hint="--dataset")
    if score_run is not None and (index is not None or method != "pincite"):
        raise typer.BadParameter("asks no index: leave out --index and --method", param_hint="--score-run")
    if collection is None and dataset is None:
        if topics is not None and qrels is None:
            raise typer.BadParameter("questions without judgements: name --qrels too", param_hint="--topics")
        if qrels is not None and topics is None and score_run is None:
            raise typer.BadParameter("judgements without questions: name --topics too", param_hint="--qrels")
    report_file = report_folder and report_folder / "report.html"
    _check_outputs([json_file, report_file, write_run, write_qrels], [qrels, topics, score_run])
    settings = console.settings(index=index)
    source = Collection(collection) if collection is not None else Dataset(dataset) if dataset is not None else None
    run = trec.read_run(score_run) if score_run is not None else None
    own = None
    if source is not None or qrels is not None:
        judged, lost = _judged_documents(source, qrels, topics)
    else:
        judgments = judgments or settings.judgments
        own = sets.at(judgments, settings.judgments)
        if run is None:
            judged, lost = own.project(settings.index)
        else:
            judged, lost = documents(own.judgements), [*own.left_out]
    drawn = draw(judged, queries)
    if run is not None:  # what was not drawn is not for anybody to judge
        run = run.without({query.id for query in judged} - {query.id for query in drawn})
    judged = drawn
    if not judged:
        raise JudgementError(f"{qrels or collection or dataset or judgments}: no question has a relevant document")
    if run is not None:
        found = score(run, judged)
    else:
        with console.progress_bar() as progress:
            searcher = Searcher(settings) if source is None else open_index(settings, source, index, progress)
            measured = records.Measured.now(searcher)
            found = evaluate(searcher, judged, method, progress)
        records.remark_on_changes(found, measured, searcher)
        settings = searcher.settings
        if source is not None or qrels is not None:
            lost += _absent(settings, judged)
    found.lost.extend(lost)
    if json_file is not None:
        _write(json_file, json.dumps(found.as_json(), ensure_ascii=False, indent=1) + "\n")
    if write_run is not None:
        _write(write_run, trec.run_text(found.run, found.method))
    if write_qrels is not None:
        _write(write_qrels, trec.qrels_text(judged))
    if report_file is not None:
        from pincite.evaluation import report  # only now: what draws takes its time to load

        asked = {"Index": str(settings.index), "Model": settings.model.name} if run is None else {"Run": str(score_run)}
        reranker = (
            {"Reranker": name} if run is None and method == "pincite" and (name := settings.reranker.model) else {}
        )
        about = {"Judgements": str(qrels or collection or dataset or judgments), **asked, **reranker}
        _write(report_file, report.render(found, about))
    if run is None and own is not None and queries is None:
        _record(found, own, measured, settings)
    print(_text(found))
    _list(found.lost)
    _list(found.remarks)
    failed = [line for measure, floor in floors if (line := _below(found, measure, floor))]
    for line in failed:
        print(f"pincite: {line}", file=sys.stderr)
    sys.exit(1 if failed else 0)


def _check_outputs(outputs: list[Path | None], inputs: list[Path | None]) -> None:
    """Raise `OutputError` now, and not after a long evaluation, for what cannot or should not be written."""
    taken = {file.resolve() for file in inputs if file is not None}
    for file in outputs:
        if file is None:
            continue
        folder = next(path for path in file.absolute().parents if path.exists())
        if file.is_dir():
            raise OutputError(f"{file}: is a folder: name a file")
        if not folder.is_dir():
            raise OutputError(f"{folder}: is a file: name a folder")
        if file.resolve() in taken:
            raise OutputError(f"{file}: is named twice, and one would overwrite the other: name another file")
        taken.add(file.resolve())


def _write(file: Path, text: str) -> None:
    """Write a file, in a folder that is made if need be."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{file}: cannot be written ({error.strerror}): name another place") from error


def _list(lines: list[str]) -> None:
    """The first lines of a list on standard error."""
    for line in lines[:_LISTED]:
        print(f"pincite: {line}", file=sys.stderr)
    if len(lines) > _LISTED:
        print(f"pincite: and {len(lines) - _LISTED} more like these: --json FILE lists them all", file=sys.stderr)


def _floor(text: str) -> tuple[str, float]:
    """`nDCG@10=.80`: a measure and the least it may be."""
    measure, _, value = text.rpartition("=")
    try:
        return measure.strip(), float(value)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not MEASURE=VALUE", param_hint="--fail-under") from error


def _below(found: Evaluation, measure: str, floor: float) -> str | None:
    """What is wrong with a measure, if anything. Passage measures are called `passage nDCG@10`."""
    table = found.as_json()
    values = table["measures"] | {f"passage {name}": value for name, value in table["passage_measures"].items()}
    if measure not in values:
        return f"{measure!r} was not measured: one of {', '.join(values)}"
    return f"{measure} is {values[measure]:.3f}, below {floor:.3f}" if values[measure] < floor else None


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="What evaluate.py --json wrote.")],
    b: Annotated[Path, typer.Argument(help="Another run of the same questions.")],
) -> None:
    """Compare two runs: which is better, how surely, and on which questions."""
    before, after = _read(a), _read(b)
    print(f"A is {a} ({before['method']}), B is {b} ({after['method']})\n")
    print(f"{'':24} A      B      B − A   p       better  worse  same")
    for row in comparison.compare(before, after):
        print(
            f"{row.measure:24} {row.a:.3f}  {row.b:.3f}  {row.b - row.a:+.3f}  {row.p:.4f}  {row.wins:6}"
            f"  {row.losses:5}  {row.ties:4}"
        )
    moved = comparison.moves(before, after, "nDCG@10", _MOVES)
    if moved:
        print("\nthe questions that moved most, by nDCG@10")
    for move in moved:
        print(f"  {move.a:.3f} → {move.b:.3f}  {move.question}\n      A: {move.first_a}\n      B: {move.first_b}")


@app.command("draft")
def draft_questions(
    questions: Annotated[
        int | None, typer.Option(min=1, help="How many; 20, or with --from all.", show_default=False)
    ] = None,
    own: Annotated[Path | None, typer.Option("--from", help="A file with a question of your own on each line.")] = None,
    depth: Annotated[int, typer.Option(min=1, max=DEPTH, help="Passages that each method adds to a question.")] = 5,
    seed: Annotated[int, typer.Option(help="Another one draws other questions.")] = 0,
    index: Annotated[Path | None, typer.Option(help="The folder that holds the index.")] = None,
    output: Annotated[Path, typer.Option(help="The file to fill in.")] = draft.FILE,
) -> None:
    """Draft questions over your documents, each with passages to judge, as a file to fill in."""
    draft.check_free(output)
    searcher = Searcher(console.settings(index=index))
    records.Measured.now(searcher)  # refuses an index without documents
    if own is None:
        asked, remarks = draft.proposals(searcher, questions or draft.QUESTIONS, seed)
    else:
        asked, remarks = draft.own(own, questions, seed)
    with console.progress_bar() as progress:
        pools = draft.pool(searcher, asked, depth, seed, progress)
    draft.write(pools, output)
    for line in remarks:
        print(f"pincite: {line}", file=sys.stderr)
    passages = sum(len(pool.passages) for pool in pools)
    print(
        f"{_counted(len(pools), 'question')}, {_counted(passages, 'passage')} to judge: fill in {output}, then python"
        f" evaluate.py adopt {shlex.quote(str(output))}"
    )


@app.command()
def adopt(
    file: Annotated[Path, typer.Argument(help="What evaluate.py draft wrote, filled in.")] = draft.FILE,
    judgments: Annotated[
        Path | None, typer.Option(help="The judgements file to add to; judgments/own.jsonl.", show_default=False)
    ] = None,
    index: Annotated[Path | None, typer.Option(help="The folder that holds the index.")] = None,
) -> None:
    """Take over what you judged. Exit status 1 if a question had to be left out."""
    settings = console.settings(index=index)
    judgments = judgments or settings.judgments / sets.OWN
    with Catalog(settings.index) as catalog, catalog.reading():
        found = adoption.adopt(sheet.read_text(file), cache(partial(_text_of, catalog)))
    if not (found.judgements or found.unmarked or found.complaints):
        raise JudgementError(f"{file}: holds no question: name the file that evaluate.py draft wrote")
    added = update(found.onto, judgments) if found.judgements else 0
    for complaint in found.complaints:
        print(f"pincite: {file}, line {complaint.number}: {complaint.what}", file=sys.stderr)
    print(
        f"{_counted(len(found.judgements), 'question')} judged, {added} of them new or changed in {judgments};"
        f" {found.unmarked} without a mark, {found.left_out} left out"
    )
    sys.exit(1 if found.complaints else 0)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _text_of(catalog: Catalog, source: str) -> str | None:
    document = catalog.document(source)
    return document.text if document else None


def _read(file: Path) -> dict[str, Any]:
    try:
        table: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        _ = table["rows"], table["measures"], table["method"]
        return table
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JudgementError(f"{file}: not what evaluate.py --json writes ({error})") from error


def _record(found: Evaluation, own: JudgementSet, measured: records.Measured, settings: Settings) -> None:
    """Keep what was measured of the settings' own index and judgements, for the page and for later."""
    if own.name == "file" or settings.index.resolve() != console.settings().index.resolve():
        return
    try:
        records.keep(records.Record.of(found, own, measured, settings), settings.judgments / records.FOLDER)
    except OutputError as error:  # what was measured is told all the same
        print(f"pincite: {error}", file=sys.stderr)


def _judged_documents(
    source: Collection | Dataset | None, qrels: Path | None, topics: Path | None
) -> tuple[list[JudgedQuery], list[str]]:
    """A collection's judgements, with the files in TREC format in their place where there are any."""
    grades = trec.read_qrels(qrels) if qrels is not None else source.grades() if source is not None else {}
    if topics is not None:
        questions = trec.read_topics(topics)
    else:  # a run is measured without questions: their ids stand for them
        questions = source.questions() if source is not None else {query: query for query in grades}
    return join(questions, grades, source.places() if source is not None and qrels is None else {})


def _absent(settings: Settings, judged: list[JudgedQuery]) -> list[str]:
    """Judged documents that the index does not hold."""
    with Catalog(settings.index) as catalog, catalog.reading():
        return absent(judged, catalog.files())


def _text(found: Evaluation) -> str:
    table = found.as_json()
    asked = "a run that was given" if found.passages is None else f"{found.passages:,} passages"
    lines = [f"{table['queries']} queries, {asked}, method {found.method}", ""]
    for title, means, intervals in (
        ("documents", table["measures"], table["intervals"]),
        ("passages", table["passage_measures"], table["passage_intervals"]),
    ):
        if means:
            lines.append(f"{title:26} mean   95 % interval")
            lines += [f"  {k:24} {v:.3f}  {intervals[k][0]:.3f} to {intervals[k][1]:.3f}" for k, v in means.items()]
            lines.append("")
    if table["abstention"]:
        unanswerable = table["abstention"]["unanswerable"]
        lines.append(f"{f'abstention ({unanswerable} that nothing answers)':41} mean   95 % interval")
        lines += [
            f"  {k:39} {table['abstention'][k]:.3f}  {low:.3f} to {high:.3f}"
            for k, (low, high) in table["abstention_intervals"].items()
        ]
        lines.append("")
    if latency := table["milliseconds"]:
        median, slow = latency["median"], latency["95th percentile"]
        lines.append(f"a question takes {median:.1f} ms (median), {slow:.1f} ms (95th percentile)")
    if found.lost:
        lines.append(f"judged, but not there: {len(found.lost)}")
    return "\n".join(lines)


if __name__ == "__main__":
    console.run_app(app)
