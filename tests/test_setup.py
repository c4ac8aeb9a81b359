"""scripts/run and scripts/test on a bare machine and on one that is set up."""

import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = ("run", "test", "check")


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_older_python_is_refused_in_one_line(script: str, tmp_path: Path) -> None:
    project = _copy(tmp_path)
    old = tmp_path / "bin"
    old.mkdir()
    for name in ("python3", "python"):
        (old / name).write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
        (old / name).chmod(0o755)
    for tool in ("sh", "cat", "cksum", "grep", "dirname", "rm"):
        (old / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")
    done = subprocess.run(
        [str(old / "sh"), str(project / "scripts" / script)], env={"PATH": str(old)}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert re.fullmatch(
        r"pincite needs Python 3\.11 or newer and found Python 3\.9\.2: install one, or name it: PYTHON=\S+ \S+\n",
        done.stderr,
    )
    assert not (project / ".venv").exists()


@pytest.mark.skipif(not (ROOT / ".venv" / "installed").is_file(), reason="the project was not set up by its scripts")
@pytest.mark.alone
def test_a_second_run_serves_the_page_within_seconds_on_the_next_free_port(tmp_path: Path) -> None:
    project = _copy(tmp_path)
    (project / ".venv").symlink_to(ROOT / ".venv")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        started = time.monotonic()
        with subprocess.Popen(
            ["sh", str(project / "scripts" / "run"), "--port", str(port)],
            env={**os.environ, "STREAMLIT_SERVER_HEADLESS": "true"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                printed = _until_it_answers(process, port + 1)
            finally:
                process.kill()
    assert "28 added, 0 changed" in printed
    assert f"port {port} is in use, trying {port + 1}" in printed
    assert "installing" not in printed
    assert time.monotonic() - started < 30


def _copy(folder: Path) -> Path:
    """The project without what is built."""
    left_out = shutil.ignore_patterns(".git", ".venv", "index", ".*_cache", ".hypothesis", "__pycache__")
    return Path(shutil.copytree(ROOT, folder / "project", ignore=left_out))


def _until_it_answers(process: subprocess.Popen[str], port: int) -> str:
    """What was printed until the server answered."""
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if "http://localhost" in line:
            for _ in range(100):
                try:
                    with urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=5) as answer:
                        assert answer.read() == b"ok"
                        return printed
                except OSError:
                    time.sleep(0.1)
    raise AssertionError(printed)
