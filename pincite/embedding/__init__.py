"""Hop 3: texts → unit vectors: the passage and its sentences, in one pass of the model."""

from pincite.embedding.embedder import Embedder, Embedding, open_embedder
from pincite.embedding.model import ModelFiles, find

__all__ = ["Embedder", "Embedding", "ModelFiles", "find", "open_embedder"]
