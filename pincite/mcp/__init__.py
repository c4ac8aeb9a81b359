"""The front end for assistants: a server of the Model Context Protocol, which finds, reads and lists.

`tools` is what can be asked of it, `quoted` how passages are handed over. `docs/mcp.md` says how it is entered.
"""

import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pincite.errors import PinciteError
from pincite.settings import Settings

if TYPE_CHECKING:
    from mcp.server import MCPServer

HOST = "127.0.0.1"
"""Anybody who reaches the server may read everything, so nobody else's machine does."""


def serve(settings: Settings, port: int | None = None, *, curate: bool = False) -> None:
    """Until the client goes away: on standard input and output, or over HTTP on a loopback port, 0 for a free one.

    `curate`: whether it may sync. Raises `PinciteError`, also where the extra is not installed.
    """
    try:
        import mcp  # noqa: F401  # looked for alone: what is missing within it is no missing extra
    except ModuleNotFoundError as error:
        raise PinciteError("python -m pincite mcp needs pip install -r requirements-mcp.txt") from error
    from pincite.mcp.tools import server

    if port is None:
        server(settings, curate=curate).run("stdio")
    else:
        _serve_http(lambda: server(settings, curate=curate), port)


def _serve_http(make: Callable[[], "MCPServer[Any]"], port: int) -> None:
    """The server is made once its port is had, for that takes a while."""
    import uvicorn
    from mcp.server.transport_security import TransportSecuritySettings

    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
        except OSError as error:
            raise PinciteError(f"port {port} cannot be had ({error.strerror}): name another with --port") from error
        listening.listen()  # from here on who reads the address may come, and waits until the server takes it
        port = listening.getsockname()[1]
        # A page of a foreign site may reach loopback under a name of its own, but not under one of these.
        places = [f"{HOST}:{port}", f"localhost:{port}"]
        known = TransportSecuritySettings(allowed_hosts=places, allowed_origins=[f"http://{place}" for place in places])
        app = make().streamable_http_app(transport_security=known)
        print(f"http://{HOST}:{port}/mcp", file=sys.stderr, flush=True)
        uvicorn.Server(uvicorn.Config(app, log_config=None)).run(sockets=[listening])
