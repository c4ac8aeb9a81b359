"""What the command lines share: options, errors in one line, progress on a terminal."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from pincite.errors import PinciteError
from pincite.settings import Settings
from pincite.types import Progress

_PICTURES = {**{code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"}, 0x7F: 0x2421} | dict.fromkeys(
    range(0x80, 0xA0), 0xFFFD
)


def settings(corpus: Path | None = None, index: Path | None = None) -> Settings:
    """`pincite.toml` of the current folder, with what the command line says instead."""
    given = {"corpus": corpus, "index": index}
    return Settings.load().model_copy(update={key: path for key, path in given.items() if path is not None})


def run(command: Callable[..., None]) -> None:
    """Run a script that has one command. Exit status: 0 done, 1 an error in one line, 2 wrong usage."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    run_app(app)


def run_app(app: typer.Typer) -> None:
    """The same for a script with several commands."""
    try:
        app()
    except PinciteError as error:
        print(f"pincite: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:  # the reader of a pipe has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def printable(text: str) -> str:
    """With the pictures of control characters in their place: a terminal would obey what a document or the name of a
    file holds."""
    return text.translate(_PICTURES)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress callback for `sync`: one bar on standard error if that is a terminal, else nothing."""
    if not sys.stderr.isatty():
        yield lambda _stage, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=None)

        def show(stage: str, done: int, total: int) -> None:
            bars.update(task, description=stage, completed=done, total=total or None)

        yield show
