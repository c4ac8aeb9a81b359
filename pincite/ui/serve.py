"""Starting the page's server on a free port, and what it is to serve."""

import os
import socket
import sys
from pathlib import Path

from pincite.errors import PinciteError, SettingsError
from pincite.settings import Settings
from pincite.storage.catalog import peek

APP = Path(__file__).parents[2] / "app.py"
_TRIES = 50
_INDEX = "PINCITE_PAGE_INDEX"
"""Variable of the environment that tells the server of an index on the command line."""


def serve(first: int, index: Path | None = None) -> None:
    """Replace this process with Streamlit's server on the first free port from `first` on.

    It serves `index`, or that of the settings.
    """
    port = free_port(first)
    if index is not None:
        os.environ[_INDEX] = str(index.absolute())
    limit = ["--server.maxUploadSize", str(most_megabytes())]
    command = [sys.executable, "-m", "streamlit", "run", str(APP), "--server.port", str(port), *limit]
    os.execv(sys.executable, command)  # noqa: S606 - our own interpreter with our own arguments


def served() -> Settings:
    """The settings of the current folder; where the command line names an index, with that and the folder it is of.

    Raises `SettingsError`.
    """
    settings = Settings.load()
    if not (named := os.environ.get(_INDEX)):
        return settings
    index = Path(named)
    corpus = Path(peek(index, "corpus") or settings.corpus)
    return settings.model_copy(update={"index": index, "corpus": corpus})


def most_megabytes() -> int:
    """Of a file that the server takes from a browser. 1, which is its least, where none is asked for."""
    try:
        settings = served()
    except SettingsError:  # the page says what is wrong
        return 1
    return settings.sync.max_megabytes if settings.page.upload else 1


def free_port(first: int) -> int:
    """A port of the loopback interface; each one that is in use is named on standard error."""
    for port in range(first, first + _TRIES):
        with socket.socket() as probe:
            # As the server does: a port whose last connections are still closing is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                print(f"port {port} is in use, trying {port + 1}", file=sys.stderr)
                continue
            return port
    raise PinciteError(f"ports {first} to {first + _TRIES - 1} are all in use: name another with --port")
