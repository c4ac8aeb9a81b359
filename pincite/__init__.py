"""Pincite: semantic search over your own documents, with the exact place of every word it shows."""

from pincite.errors import PinciteError
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.sync import Report, preview, sync
from pincite.types import Answer, Document, Hit, Passage, Place

__all__ = [
    "Answer",
    "Document",
    "Hit",
    "Passage",
    "PinciteError",
    "Place",
    "Report",
    "Searcher",
    "Settings",
    "preview",
    "sync",
]
__version__ = "0.1.0"
