"""Set-up's second half, a sync, a question, the page and HTTP, with every way out of the machine closed."""

import os
import subprocess
import sys
from pathlib import Path

from api_server import answering

ROOT = Path(__file__).parents[1]

# Put on PYTHONPATH, so that every Python process that is started has it: a connection or a look-up
# outside loopback is written down and refused.
GUARD = """
import os, sys

def refuse(event, arguments):
    if event == "socket.connect" or event == "socket.sendto":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else ""
        inside = not isinstance(address, tuple) or host.startswith("127.") or host in ("::1", "localhost")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
        inside = host in (None, "", "localhost", "127.0.0.1", "::1", b"localhost", b"127.0.0.1")
    else:
        return
    if not inside:
        with open(os.environ["TRIED"], "a") as file:
            file.write(f"{event} {host}\\n")
        raise PermissionError(f"no network: {event} {host}")

sys.addaudithook(refuse)
"""

PLACES = ("PYTHONPATH", "HOME", "XDG_CACHE_HOME")
"""Variables that say where things are."""
PAGE = """
from streamlit.testing.v1 import AppTest
page = AppTest.from_file({app!r}, default_timeout=120).run()
page.text_input(key="q").set_value("how long do the effects of ketamine last").run()
assert not page.exception, page.exception
assert any("<mark>" in element.proto.body for element in page.get("html"))
"""


def test_nothing_asks_for_anything_outside_this_machine(tmp_path: Path) -> None:
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD, encoding="utf-8")
    (tmp_path / "pincite.toml").write_text(f"corpus = {str(ROOT / 'corpus')!r}\n", encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": f"{tmp_path / 'guard'}{os.pathsep}{ROOT}",
        "HOME": str(tmp_path / "home"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "TRIED": str(tmp_path / "tried"),
    }
    environment.pop("HF_HUB_OFFLINE", None)

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )

    check = run("-c", "import socket; socket.create_connection(('192.0.2.1', 80))")
    assert "no network: socket.connect 192.0.2.1" in check.stderr or "no network: socket.getaddrinfo" in check.stderr
    (tmp_path / "tried").unlink()

    synced = run(str(ROOT / "ingest.py"))  # the cache folder is new: the model is converted here
    assert synced.returncode == 0, synced.stderr
    assert (tmp_path / "cache").is_dir()
    asked = run("-m", "pincite", "search", "how long do the effects of ketamine last")
    assert asked.returncode == 0, asked.stderr
    assert "ketamine/how-ketamine-works.md › How long one dose lasts" in asked.stdout
    shown = run("-c", PAGE.format(app=str(ROOT / "app.py")))
    assert shown.returncode == 0, shown.stderr
    with answering(tmp_path, **{name: environment[name] for name in (*PLACES, "TRIED")}) as server:
        reply = server.post("/v1/search", {"question": "how long do the effects of ketamine last"})
        assert "ketamine/how-ketamine-works.md" in {hit["source"] for hit in reply.table["hits"]}
        assert server.end() == 0
    assert not (tmp_path / "tried").exists(), (tmp_path / "tried").read_text()
