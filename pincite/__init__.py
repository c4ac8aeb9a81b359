"""Pincite: semantic search over your own documents, with the exact place of every word it shows.

    pincite.sync("corpus", "index")
    answer = pincite.open("index").search("can ketamine damage your bladder")

`sync` brings an index up to date with a folder of documents; `open` gives a `Searcher` that answers from it.
Names are loaded when they are first used, so that importing a part does not wait for the rest.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pincite.errors import PinciteError
    from pincite.search import Searcher, open
    from pincite.settings import Settings
    from pincite.sync import Package, Report
    from pincite.types import Answer, Document, Hit, Passage, Place

    sync: Package

_HOMES = {
    "Answer": "types",
    "Document": "types",
    "Hit": "types",
    "Passage": "types",
    "PinciteError": "errors",
    "Place": "types",
    "Report": "sync",
    "Searcher": "search",
    "Settings": "settings",
    "open": "search",
}

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
    "open",
    "sync",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "sync":
        return import_module("pincite.sync")  # a package that can be called
    if name not in _HOMES:
        raise AttributeError(f"module 'pincite' has no attribute {name!r}")
    return getattr(import_module(f"pincite.{_HOMES[name]}"), name)
