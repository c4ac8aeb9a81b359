"""The server: one process, one model, until it is told to end."""

import ipaddress
import os
import signal
import socket
import threading
from functools import partial
from types import FrameType

import uvicorn

from pincite.api import log, protocol
from pincite.api.application import application
from pincite.api.resources import Resources
from pincite.errors import PinciteError
from pincite.settings import Settings

_GRACE = 10
"""Seconds for what is being answered when the server is told to end."""


def serve(settings: Settings, host: str, port: int) -> None:
    """Answer on this address until SIGINT or SIGTERM. Port 0: one that is free.

    Raises `PinciteError` where other machines could ask and no key is set, or where the address cannot be had.
    """
    with _listening(settings, host, port) as listening:
        log.begin()
        resources = Resources(settings)
        gate = application(resources)
        config = uvicorn.Config(
            gate,
            http=protocol.of(gate, settings.api.seconds),
            ws="none",
            loop="asyncio",
            log_config=None,
            access_log=False,  # the gate has its own
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE,
            h11_max_incomplete_event_size=protocol.HEADERS,
        )
        server = uvicorn.Server(config)
        # It raises the signal once more when it is done, which would end the process as if it had not been.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, partial(_end, server))
        address, port = listening.getsockname()[:2]
        named = f"[{address}]" if ":" in address else address
        asked = "with a key" if settings.api.keys else "this machine alone"
        print(f"http://{named}:{port} ({asked}): GET /openapi.json lists the routes, Ctrl+C ends it", flush=True)
        server.run(sockets=[listening])


def _end(server: uvicorn.Server, number: int, frame: FrameType | None) -> None:
    """Have the server end by itself, and end the process where it does not: a thread cannot be stopped, and an index
    bears being left at any moment."""
    if not server.should_exit:
        last = threading.Timer(_GRACE + Resources.PATIENCE, os._exit, (0,))
        last.daemon = True
        last.start()
    server.handle_exit(number, frame)


def _listening(settings: Settings, host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise PinciteError(f"{host}: no address of this machine ({error.strerror}): take 127.0.0.1") from error
    if not settings.api.keys and not ipaddress.ip_address(address[0]).is_loopback:
        raise PinciteError(
            f"{host}: other machines could ask, and no key is set: make one with python -m pincite key NAME and put it"
            " into pincite.toml, or leave --host away"
        )
    try:
        return socket.create_server(address[:2], family=family, backlog=128)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        raise PinciteError(f"{host}, port {port}: {why}: name another with --port") from error
