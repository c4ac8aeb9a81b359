"""Test collections by name, through `ir_datasets` (MacAvaney et al. 2021, arXiv:2103.02280).

The library is not among the requirements. It downloads what the person names, once, and nothing else.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pincite.errors import JudgementError
from pincite.evaluation.collection import document
from pincite.types import Document, Place


class Dataset:
    """A collection that has a name: `beir/scifact/test`."""

    def __init__(self, name: str) -> None:
        """Raises `JudgementError` where the library is missing, or does not know the name."""
        try:
            import ir_datasets  # only now: it is there only where somebody asked for it
        except ImportError as error:
            raise JudgementError(
                f"{name}: a dataset by name needs ir_datasets: run python -m pip install -r requirements-datasets.txt"
            ) from error
        self.name = name
        try:
            self._dataset = ir_datasets.load(name)
        except KeyError as error:
            raise JudgementError(f"{name}: ir_datasets has no dataset of this name: look at its catalogue") from error
        missing = [kind for kind in ("docs", "queries", "qrels") if not self._dataset.has(kind)]
        if missing:
            raise JudgementError(f"{name}: has no {', '.join(missing)}: name a dataset that has, such as {name}/test")
        self._documents = self._dataset.docs_namespace() or name
        self.folder: Path = ir_datasets.util.home_path() / self._documents
        """Where the library keeps its documents."""

    def sha256(self) -> str:
        """Of the name of its documents: what a name stands for does not change."""
        return hashlib.sha256(self._documents.encode()).hexdigest()

    def documents(self) -> Iterator[Document]:
        """Every document, its id as source."""
        for row in self._rows("docs"):
            yield document(row.doc_id, *_title_and_text(row))

    def questions(self) -> dict[str, str]:
        """Query → question, in the order of the dataset."""
        return {row.query_id: row.default_text().strip() for row in self._rows("queries")}

    def grades(self) -> dict[str, dict[str, int]]:
        """Query → document → grade; the best one where a document was judged by subtopics."""
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for row in self._rows("qrels"):
            judged = found[row.query_id]
            judged[row.doc_id] = max(judged.get(row.doc_id, row.relevance), row.relevance)
        return dict(found)

    def places(self) -> dict[str, dict[Place, int]]:
        """None: datasets judge documents."""
        return {}

    def _rows(self, kind: str) -> Iterator[Any]:
        """Rows of the library's own types. It raises whatever its readers and its downloads raise."""
        try:
            yield from getattr(self._dataset, f"{kind}_iter")()
        except Exception as error:
            reason = f"{type(error).__name__} {error}".splitlines()[0]
            raise JudgementError(f"{self.name}: its {kind} cannot be had ({reason})") from error


def _title_and_text(row: Any) -> tuple[str, str]:
    """The library's own choice of what a document says, with the title apart where it stands in front."""
    title, whole = getattr(row, "title", None), row.default_text()
    if isinstance(title, str) and title.strip() and whole != getattr(row, "text", None):
        return title.strip(), whole.removeprefix(f"{title} ").strip()
    return "", whole.strip()
