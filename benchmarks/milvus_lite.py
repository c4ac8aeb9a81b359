"""A `milvus-lite` server on loopback: it speaks Milvus' protocol, and is for tests and benchmarks."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS = 60


@contextmanager
def serving(folder: Path, port: int | None = None) -> Iterator[str]:
    """The address of a server that keeps what it is given in `folder`, on a port that is free."""
    port = port or free_port()
    command = [sys.executable, "-m", "milvus_lite.cmdline", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--data-dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait(process, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait(process: "subprocess.Popen[bytes]", port: int) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("milvus-lite does not listen: python -m milvus_lite.cmdline server")
