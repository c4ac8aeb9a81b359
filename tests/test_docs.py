"""The commands in README and docs/ do what they are said to do."""

import doctest
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pincite.settings import Settings

ROOT = Path(__file__).parents[1]
PAPERS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*(?:\\\n.*)*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
LINK = re.compile(
    r"\]\((?!https?:|#)([^)#]+)\)|`((?:scripts|docs|pincite|tests|benchmarks|judgments|corpus)/[\w./-]*)`"
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the commands need, with no index yet."""
    compiled = shutil.ignore_patterns("__pycache__")  # other tests may be writing there
    for name in ("pincite", "corpus", "judgments"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=compiled)
    for name in ("ingest.py", "evaluate.py"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def run(project: Path, *command: str) -> str:
    """What a command prints."""
    done = subprocess.run([sys.executable, *command], cwd=project, capture_output=True, text=True)
    return done.stdout + done.stderr


@pytest.fixture
def embedded(project: Path, sample: Settings) -> Path:
    """The same with the vectors of its passages, which a sync takes over: it takes a third of a minute to make them."""
    shutil.copytree(sample.index / "vectors", project / "index" / "vectors")
    return project


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_commands_print_what_the_paper_shows(paper: Path, request: pytest.FixtureRequest) -> None:
    project = request.getfixturevalue("project" if paper.name == "README.md" else "embedded")
    for block in CONSOLE.findall(paper.read_text(encoding="utf-8")):
        for command, expected in COMMAND.findall(block):
            words = shlex.split(command)
            assert words[0] == "python", f"only python is run here: {command}"
            printed = run(project, *words[1:])
            checker = doctest.OutputChecker()
            assert checker.check_output(expected, printed, doctest.ELLIPSIS), f"{command}\n{printed}"


def test_the_python_of_the_readme_runs(embedded: Path) -> None:
    (code,) = PYTHON.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert run(embedded, "-c", code).startswith("strong ketamine/dependence-and-long-term-use.md › Bladder damage")


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_every_file_that_a_paper_names_is_there(paper: Path) -> None:
    for link, code in LINK.findall(paper.read_text(encoding="utf-8")):
        target = (paper.parent / link) if link else ROOT / code
        if code.startswith(("judgments/own", "judgments/draft", "judgments/runs")):
            continue
        assert target.exists() or "FORMAT" in code, f"{paper.name} names {link or code}"


def test_the_settings_page_shows_the_defaults() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    table = re.search(r"```toml\n(.*?)```", page, re.DOTALL)
    assert table
    assert Settings.model_validate(tomllib.loads(table[1])) == Settings()


def test_every_option_of_every_command_is_documented() -> None:
    papers = "\n".join(paper.read_text(encoding="utf-8") for paper in PAPERS)
    for command in (
        ["ingest.py"],
        ["evaluate.py"],
        ["evaluate.py", "draft"],
        ["evaluate.py", "adopt"],
        ["-m", "pincite", "search"],
        ["-m", "pincite", "why"],
        ["-m", "pincite", "doctor"],
        ["-m", "pincite", "page"],
        ["-m", "pincite", "mcp"],
        ["-m", "pincite", "serve"],
        ["-m", "pincite", "key"],
    ):
        shown = subprocess.run(
            [sys.executable, *command, "--help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"},
        ).stdout
        for option in set(re.findall(r"--[a-z][a-z-]+", shown)) - {"--help"}:
            assert option in papers, f"{' '.join(command)} {option} stands in no paper"
