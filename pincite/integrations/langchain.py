"""A retriever for LangChain."""

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from pincite.integrations import identity, metadata
from pincite.search import Searcher


class PinciteRetriever(BaseRetriever):
    """The `k` nearest passages, best first, as documents; None: as many as the settings say.

    `ainvoke` searches in a thread. Both raise what `Searcher.search` raises.
    """

    searcher: Searcher
    k: int | None = None

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return [
            Document(id=identity(hit), page_content=hit.passage.text, metadata=metadata(hit))
            for hit in self.searcher.search(query, self.k).hits
        ]
