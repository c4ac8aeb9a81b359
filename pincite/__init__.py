"""Pincite: semantic search over your own documents, with the exact place of every word it shows.

Names are loaded when they are first used, so that importing a part does not wait for the rest.
`pincite.sync` brings an index up to date; `Searcher` answers questions from it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pincite.errors import PinciteError
    from pincite.search import Searcher
    from pincite.settings import Settings
    from pincite.types import Answer, Document, Hit, Passage, Place

_HOMES = {
    "Answer": "types",
    "Document": "types",
    "Hit": "types",
    "Passage": "types",
    "PinciteError": "errors",
    "Place": "types",
    "Searcher": "search",
    "Settings": "settings",
}

__all__ = [
    "Answer",
    "Document",
    "Hit",
    "Passage",
    "PinciteError",
    "Place",
    "Searcher",
    "Settings",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pincite' has no attribute {name!r}")
    return getattr(import_module(f"pincite.{_HOMES[name]}"), name)
