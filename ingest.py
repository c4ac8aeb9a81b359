"""Command: corpus → index. Takes in what is new and changed, forgets what is gone."""

import json
import re
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from pincite import console
from pincite.settings import Settings
from pincite.sync import Difference, Report, preview, sync
from pincite.sync.work import Work

_SHOWN = 10
_ADDRESS = re.compile(r"auto|local|\S+:\d+|\w+://.*")
"""Of a Ray cluster."""


def ingest(
    corpus: Annotated[Path | None, typer.Argument(help="The folder that holds the documents.", readable=False)] = None,
    index: Annotated[Path | None, typer.Option(help="The folder that holds the index.", readable=False)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Read and cut every document again.")] = False,
    allow_removals: Annotated[
        bool, typer.Option("--allow-removals", help="Go on although most documents are gone.")
    ] = False,
    move_corpus: Annotated[
        bool, typer.Option("--move-corpus", help="The corpus folder was moved: it is still the same.")
    ] = False,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="[ADDRESS]",
            help="Have a Ray cluster read and embed: auto, HOST:PORT, or one of this machine alone.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Bring the index up to date with a folder of documents."""
    settings = console.settings(corpus, index)
    if dry_run:
        difference = preview(settings, rebuild=rebuild, move_corpus=move_corpus)
        _print(difference.as_json() if as_json else _dry_text(difference))
    else:
        with _workers(settings, ray) as work, console.progress_bar() as progress:
            report = sync(
                settings,
                rebuild=rebuild,
                allow_removals=allow_removals,
                move_corpus=move_corpus,
                progress=progress,
                work=work,
            )
        difference = report.difference
        _print(report.as_json() if as_json else _text(report))
    for folder, reason in difference.unread.items():
        print(
            f"pincite: {settings.corpus / folder}: {reason}: what is indexed of it stays; mend it and run again",
            file=sys.stderr,
        )
    if difference.unread:
        sys.exit(1)


def _print(what: dict[str, Any] | str) -> None:
    print(console.printable(what) if isinstance(what, str) else json.dumps(what, ensure_ascii=False, indent=1))


def _dry_text(difference: Difference) -> str:
    lines = [
        f"{len(difference.added)} added, {len(difference.changed)} changed, {len(difference.moved)} moved,"
        f" {len(difference.removed)} removed, {difference.unchanged} unchanged"
    ]
    lines += _listed("skipped", [f"{source}: {reason}" for source, reason in difference.skipped.items()])
    return "\n".join(lines)


def _text(report: Report) -> str:
    lines = [
        _dry_text(report.difference),
        *_listed("read", [f"{source}: {'; '.join(entry)}" for source, entry in report.ledger.items()]),
        f"{report.documents} documents, {report.passages} passages, {report.embedded} embedded;"
        f" generation {report.generation}, {report.seconds:.1f} s",
    ]
    return "\n".join(lines)


def _listed(what: str, lines: list[str]) -> list[str]:
    """Lines that begin alike; the ones past the tenth are counted, and named by doctor."""
    shown = [f"  {what} {' '.join(line.splitlines())}" for line in lines[:_SHOWN]]
    rest = len(lines) - _SHOWN
    return [*shown, f"  {what} {rest} more, listed by python -m pincite doctor"] if rest > 0 else shown


def _workers(settings: Settings, address: str | None) -> AbstractContextManager[Work | None]:
    """Who reads and embeds: None is this process, an empty address a cluster of this machine alone."""
    if address is None:
        return nullcontext()
    from pincite.sync import cluster  # only now: most who ingest have none

    return cluster.connected(settings, address or cluster.LOCAL)


def _addressed(arguments: list[str]) -> list[str]:
    """With an empty address where `--ray` stands alone: an option's value cannot be left out otherwise."""
    following = [*arguments[1:], ""]
    return [
        "--ray=" if argument == "--ray" and not _ADDRESS.fullmatch(after) else argument
        for argument, after in zip(arguments, following, strict=True)
    ]


if __name__ == "__main__":
    sys.argv = _addressed(sys.argv)
    console.run(ingest)
