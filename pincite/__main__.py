"""Commands over an index: `python -m pincite search QUESTION`, `why`, `doctor`, `page`, `serve`, `key`, `mcp`."""

import dataclasses
import json
import re
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from pincite import console
from pincite.errors import PinciteError
from pincite.types import Answer, Hit

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

PLACE = re.compile(r"(.+):(\d+)[-–](\d+)")
IndexOption = Annotated[Path | None, typer.Option(help="The folder that holds the index.", readable=False)]
_QUESTION = (
    'A question in plain language, where wanted with operators: "exact phrase", -word, in:folder/, type:pdf,'
    " title:word, after:2024-05, before:2025. Put -- before one that begins with a minus."
)
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
FormatOption = Annotated[
    Literal["markdown", "csv", "ris", "bibtex"] | None,
    typer.Option("--format", help="Print the results for another program."),
]


@app.callback()
def pincite() -> None:
    """Semantic search over your own documents, with the exact place of every word it shows."""


@app.command()
def search(
    question: Annotated[str, typer.Argument(help=_QUESTION)],
    index: IndexOption = None,
    count: Annotated[int | None, typer.Option("-k", min=1, max=1000, help="How many passages.")] = None,
    as_json: JsonOption = False,
    form: FormatOption = None,
    with_profile: Annotated[bool, typer.Option("--profile", help="Say where the time goes, stage by stage.")] = False,
) -> None:
    """Answer a question with the passages that answer it."""
    if form and (as_json or with_profile):
        raise typer.BadParameter(f"--format and --{'json' if as_json else 'profile'}: take one of the two")
    from pincite.search import Searcher
    from pincite.search import as_json as answer_as_json

    searcher = Searcher(console.settings(index=index))
    answer = searcher.search(question, count)
    if with_profile:
        from pincite.profile import profile

        found = profile(searcher, question, count)
    if form:
        from pincite import export

        print(export.of_answer(answer, form), end="")
    elif as_json:
        table = answer_as_json(answer) | ({"profile": found.as_json()} if with_profile else {})
        print(json.dumps(table, ensure_ascii=False, indent=1))
    else:
        print(console.printable(_text(answer)))
        if with_profile:
            print(f"\n{found.text()}")


@app.command()
def why(
    question: Annotated[str, typer.Argument(help=f"{_QUESTION} Operators restrict nothing here.")],
    expected: Annotated[str, typer.Option(metavar="SOURCE[:START-END]", help="The place that should have come.")],
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say why a passage stands where it stands for a question, and what puts others above it."""
    from pincite.search import Searcher
    from pincite.why import explain

    found = PLACE.fullmatch(expected)
    source, start, end = found.groups() if found else (expected, None, None)
    searcher = Searcher(console.settings(index=index))
    told = explain(searcher, question, source, int(start) if start else None, int(end) if end else None)
    if as_json:
        print(json.dumps(dataclasses.asdict(told), ensure_ascii=False, indent=1))
    else:
        print(console.printable(told.text()))


@app.command()
def doctor(index: IndexOption = None, as_json: JsonOption = False) -> None:
    """Check everything an index holds, byte by byte. Exit status 1 if something is wrong."""
    from pincite.doctor import examine

    found = examine(console.settings(index=index))
    if as_json:
        print(json.dumps(found.as_json(), ensure_ascii=False, indent=1))
    else:
        print(console.printable("\n".join([found.summary(), *(f"  {problem}" for problem in found.problems)])))
    sys.exit(1 if found.problems else 0)


@app.command()
def page(
    port: Annotated[int, typer.Option(help="The first port to try.")] = 8501,
    index: IndexOption = None,
) -> None:
    """Open the page in the browser; a port in use is named and the next one taken."""
    from pincite.ui.serve import serve

    serve(port, index)


@app.command()
def mcp(
    index: IndexOption = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Serve HTTP on this loopback port instead; 0 takes a free one."),
    ] = None,
    curate: Annotated[bool, typer.Option("--curate", help="Let the assistant sync, too.")] = False,
) -> None:
    """Serve an assistant over the Model Context Protocol, on standard input and output."""
    from pincite.mcp import serve

    serve(console.settings(index=index), port, curate=curate)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to answer on; other machines need a key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: one that is free.")] = 8600,
    index: IndexOption = None,
) -> None:
    """Answer over HTTP, until Ctrl+C. `docs/api.md` shows how to ask."""
    try:
        from pincite.api.serve import serve
    except ImportError as error:
        if error.name is None or error.name.startswith("pincite"):
            raise
        raise PinciteError(f"{error.name} is not installed: pip install -r requirements-api.txt") from error
    serve(console.settings(index=index), host, port)


@app.command()
def key(
    name: Annotated[str, typer.Argument(help="Whose it is, for the log: letters, digits, _, . and -.")],
    role: Annotated[Literal["read", "curate"], typer.Option(help="curate: also sync and evaluate.")] = "read",
) -> None:
    """Make a key for `serve`, and the lines that let it in."""
    from pincite.api import keys

    made, lines = keys.make(name, role)
    print(f"The key, which is shown this once:\n\n{made}\n\nFor pincite.toml:\n\n{lines}")


def _text(answer: Answer) -> str:
    heads = {
        "strong": "",
        "weak": "These passages may answer:\n\n",
        "none": "Nothing here answers that. The nearest passages, which may not answer:\n\n",
    }
    if not answer.hits:
        return "Nothing is left to look in: take away or widen what limits the question."
    return heads[answer.answer] + "\n\n".join(_hit_text(hit) for hit in answer.hits)


def _hit_text(hit: Hit) -> str:
    """The citation, then the passage with its marked sentence between › and ‹."""
    text = hit.passage.text
    for start, end in sorted(hit.marks, reverse=True):
        text = f"{text[:start]}›{text[start:end]}‹{text[end:]}"
    also = "".join(f"\n   also {place.source}, characters {place.start}–{place.end}" for place in hit.also)
    return f"{hit.rank}. {hit.citation}   [{hit.band} {hit.score:.2f}]{also}\n\n{_indented(text)}"


def _indented(text: str) -> str:
    return "\n".join(f"   {line}" if line.strip() else "" for line in text.splitlines())


if __name__ == "__main__":
    console.run_app(app)
