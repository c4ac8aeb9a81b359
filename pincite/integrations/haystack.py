"""A retriever for Haystack, which reports its use to its makers unless told before its import not to."""

import asyncio
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "false")

from haystack import Document, component, default_from_dict, default_to_dict

import pincite
from pincite.errors import QuestionError
from pincite.integrations import identity, metadata
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.types import Hit


@component
class PinciteRetriever:
    """The nearest passages, best first, as documents with the probability that they answer as score.

    It is given the folder of the index, since a pipeline is written down; the index is opened by `warm_up`, which a
    pipeline and `run` see to. `run` raises what `Searcher.search` raises.
    """

    def __init__(self, index: str | Path, top_k: int | None = None, settings: Settings | None = None) -> None:
        """`top_k`: how many; None: as many as the settings say. `settings`: as for `pincite.open`."""
        self.index = str(index)
        self.top_k = top_k
        self.settings = settings
        self._searcher: Searcher | None = None

    def warm_up(self) -> None:
        """Open the index and load the model. Raises what `pincite.open` raises."""
        self._opened()

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """`filters` must be empty: what limits a question is written in it, `in:folder/ type:pdf`."""
        if filters:
            raise QuestionError("filters are not understood: write in:folder/, type:pdf or after:2024 in the question")
        hits = self._opened().search(query, top_k or self.top_k).hits
        return {"documents": [_document(hit) for hit in hits]}

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """The same in a thread."""
        return await asyncio.to_thread(self.run, query, filters, top_k)

    def to_dict(self) -> dict[str, Any]:
        """For a pipeline that is written down."""
        settings = self.settings and self.settings.model_dump(mode="json")
        return default_to_dict(self, index=self.index, top_k=self.top_k, settings=settings)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "PinciteRetriever":
        """What `to_dict` gave."""
        given = dict(data["init_parameters"])
        if given.get("settings"):
            given["settings"] = Settings.model_validate(given["settings"])
        return default_from_dict(cls, {**data, "init_parameters": given})

    def _opened(self) -> Searcher:
        if self._searcher is None:
            self._searcher = pincite.open(self.index, self.settings)
        return self._searcher


def _document(hit: Hit) -> Document:
    return Document(id=identity(hit), content=hit.passage.text, meta=metadata(hit), score=hit.score)
