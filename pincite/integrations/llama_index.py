"""A retriever for LlamaIndex."""

import asyncio

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeRelationship, NodeWithScore, QueryBundle, RelatedNodeInfo, TextNode

from pincite.integrations import identity, metadata
from pincite.search import Searcher
from pincite.types import Hit


class PinciteRetriever(BaseRetriever):
    """The nearest passages, best first, as nodes with the probability that they answer as score.

    `similarity_top_k`: how many; None: as many as the settings say. `aretrieve` searches in a thread. Both raise
    what `Searcher.search` raises.
    """

    def __init__(self, searcher: Searcher, similarity_top_k: int | None = None) -> None:
        super().__init__()
        self._searcher = searcher
        self._count = similarity_top_k

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [_node(hit) for hit in self._searcher.search(query_bundle.query_str, self._count).hits]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)


def _node(hit: Hit) -> NodeWithScore:
    known = metadata(hit)
    # A language model is shown the citation, and nothing else that would only cost it attention.
    unseen = [key for key in known if key != "citation"]
    node = TextNode(
        id_=identity(hit),
        text=hit.passage.text,
        metadata=known,
        excluded_llm_metadata_keys=unseen,
        excluded_embed_metadata_keys=unseen,
        start_char_idx=hit.passage.start,
        end_char_idx=hit.passage.end,
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=hit.passage.source, hash=hit.sha256)},
    )
    return NodeWithScore(node=node, score=hit.score)
