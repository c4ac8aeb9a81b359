"""A few rounds of faults, as `scripts/torture` runs them: nothing is lost and nothing is mixed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def torture(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.torture", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)


@pytest.mark.slow
@pytest.mark.long
def test_30_rounds_of_faults_lose_and_mix_nothing() -> None:
    done = torture("--rounds", "30", "--seed", "6")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "30 rounds, nothing lost and nothing mixed; seed 6" in done.stdout


@pytest.mark.slow
def test_the_oracle_sees_what_a_sync_that_forgets_leaves(tmp_path: Path) -> None:
    """A torture that cannot fail says nothing: here a sync leaves out every third document that it read."""
    forgetful = tmp_path / "forgetful.py"
    forgetful.write_text(
        "import runpy, sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from pincite.storage import Catalog\n"
        "put, count = Catalog.put_document, [0]\n"
        "def forget(self, new):\n"
        "    count[0] += 1\n"
        "    if count[0] % 3:\n"
        "        put(self, new)\n"
        "Catalog.put_document = forget\n"
        "runpy.run_module('tests.torture', run_name='__main__', alter_sys=True)\n"
    )
    command = [sys.executable, str(forgetful), "--seed", "6", "--round", "0", "--fault", "two_writers"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"^again: scripts/torture --seed 6 --round 0 --fault two_writers$", done.stdout, re.MULTILINE)
    assert "1 of 1 rounds failed: [0]; seed 6" in done.stdout
