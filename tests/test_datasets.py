"""Collections by name: a dataset made here stands for one that is downloaded."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pincite.errors import JudgementError
from pincite.evaluation import Dataset, datasets
from pincite.evaluation.judgements import join
from pincite.types import Section

ROOT = Path(__file__).parents[1]
DOCUMENTS = {
    "tides": "The moon pulls the sea. High water comes about every twelve hours.",
    "bread": "Sourdough rises slowly because wild yeast is slower than baker's yeast.",
    "keel": "A keel keeps a sailing boat from drifting sideways.",
}
QUERIES = {"q1": "how often is high water", "q2": "why is sourdough slow", "q3": "nobody judged this"}

# What a person has who registered a dataset of their own, and the command after it.
COMMAND = """
import sys, ir_datasets
folder, *sys.argv[1:] = sys.argv[1:]
made = ir_datasets.create_dataset(f"{folder}/docs.tsv", f"{folder}/queries.tsv", f"{folder}/qrels")
ir_datasets.registry.register("harbour/small", made)
sys.path.insert(0, ROOT)
import evaluate
from pincite import console
console.run_app(evaluate.app)
""".replace("ROOT", repr(str(ROOT)))


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The library, with a folder of its own."""
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path / "home"))
    return pytest.importorskip("ir_datasets", reason="requirements-datasets.txt is not installed")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    def lines(rows: dict[str, str]) -> str:
        return "".join(f"{id_}\t{text}\n" for id_, text in rows.items())

    (tmp_path / "docs.tsv").write_text(lines(DOCUMENTS))
    (tmp_path / "queries.tsv").write_text(lines(QUERIES))
    (tmp_path / "qrels").write_text("q1 0 tides 1\nq2 0 bread 2\nq2 0 keel 0\nq2 0 gone 1\n")
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", COMMAND, str(folder), *arguments], cwd=folder, capture_output=True, text=True
    )


def registered(library: Any, files: Path, name: str, **parts: str) -> Dataset:
    """A dataset of some of the files, for the length of a test."""
    library.registry._registered.pop(name, None)
    library.registry.register(name, library.create_dataset(**{part: str(files / file) for part, file in parts.items()}))
    return Dataset(name)


def test_a_dataset_gives_its_documents_and_its_judged_queries(library: Any, files: Path) -> None:
    dataset = registered(
        library, files, "harbour/whole", docs_tsv="docs.tsv", queries_tsv="queries.tsv", qrels_trec="qrels"
    )
    assert {document.source: document.text for document in dataset.documents()} == DOCUMENTS
    assert {document.title for document in dataset.documents()} == {""}
    assert next(dataset.documents()).sections == (Section(0, ()),)
    assert dataset.grades() == {"q1": {"tides": 1}, "q2": {"bread": 2, "keel": 0, "gone": 1}}
    assert [query.id for query in join(dataset.questions(), dataset.grades())[0]] == ["q1", "q2"]
    assert dataset.folder == files / "home" / "harbour/whole"


class Titled(NamedTuple):
    doc_id: str
    title: str
    body: str

    def default_text(self) -> str:
        return f"{self.title} {self.body}"


class Apart(NamedTuple):
    doc_id: str
    text: str
    title: str

    def default_text(self) -> str:
        return self.text


@pytest.mark.parametrize(
    ("row", "title_and_text"),
    [
        (Titled("1", "Tides", "High water."), ("Tides", "High water.")),
        (Titled("1", "", "High water."), ("", "High water.")),
        (Titled("1", "Tides", ""), ("Tides", "")),
        (Apart("1", "Tides come and go.", "Tides"), ("", "Tides come and go.")),
    ],
)
def test_a_title_that_stands_in_front_is_taken_apart(row: Any, title_and_text: tuple[str, str]) -> None:
    assert datasets._title_and_text(row) == title_and_text


def test_the_command_measures_a_dataset_and_uses_its_index_again(library: Any, files: Path) -> None:
    asked = ("--dataset", "harbour/small", "--index", "index", "--json", "out.json")
    done = run(files, *asked)
    assert done.returncode == 0, done.stderr
    first = json.loads((files / "out.json").read_text())
    # q1 is right; q2 finds one of its two relevant documents, first: DCG = 2, ideal = 2 + 1/log2(3) = 2.6309.
    assert first["measures"]["Success@1"] == 1.0
    assert first["measures"]["nDCG@10"] == pytest.approx((1 + 2 / 2.63092975) / 2, abs=1e-6)
    assert (first["queries"], first["passages"]) == (2, 3)
    assert first["lost"] == ["q2: gone: the document is not in the index"]
    (files / "docs.tsv").unlink()
    again = run(files, *asked)
    assert again.returncode == 0, again.stderr
    assert json.loads((files / "out.json").read_text())["measures"] == first["measures"]


def test_a_dataset_that_cannot_be_had_is_told_in_one_line(library: Any, files: Path) -> None:
    with pytest.raises(JudgementError, match="no/such: ir_datasets has no dataset of this name"):
        Dataset("no/such")
    with pytest.raises(JudgementError, match="harbour/half: has no queries, qrels"):
        registered(library, files, "harbour/half", docs_tsv="docs.tsv")
    dataset = registered(
        library, files, "harbour/gone", docs_tsv="none.tsv", queries_tsv="queries.tsv", qrels_trec="qrels"
    )
    with pytest.raises(JudgementError, match=r"harbour/gone: its docs cannot be had \(FileNotFoundError .*none.tsv\)"):
        list(dataset.documents())
    done = run(files, "--dataset", "no/such")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_without_the_library_the_way_to_install_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ir_datasets", None)
    with pytest.raises(JudgementError, match=r"run python -m pip install -r requirements-datasets\.txt"):
        Dataset("beir/scifact/test")
    assert (ROOT / "requirements-datasets.txt").is_file()
