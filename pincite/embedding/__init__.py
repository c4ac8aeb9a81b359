"""Hop 3: texts → vectors: of the passage and of its tokens, in one pass of the model."""

from pincite.embedding.codes import Projection
from pincite.embedding.embedder import Embedder, Embedding, QueryEmbedding, open_embedder
from pincite.embedding.model import ModelFiles, find
from pincite.embedding.reranker import Reranker, open_reranker

__all__ = [
    "Embedder",
    "Embedding",
    "ModelFiles",
    "Projection",
    "QueryEmbedding",
    "Reranker",
    "find",
    "open_embedder",
    "open_reranker",
]
