"""Retrievers for other frameworks, each in a module of its own that needs its framework: `docs/python.md`.

A passage's text is handed over word for word. What else is known of it is the same everywhere: `metadata`.
"""

from typing import Any

from pincite import citation
from pincite.types import Hit


def metadata(hit: Hit) -> dict[str, Any]:
    """What a program that uses the passage should keep of it, as JSON has it."""
    passage = hit.passage
    return {
        "citation": hit.citation,
        "source": passage.source,
        "start": passage.start,
        "end": passage.end,
        "page": citation.page(passage),
        "heading": list(passage.heading),
        "sha256": hit.sha256,
        "score": hit.score,
        "band": hit.band,
    }


def identity(hit: Hit) -> str:
    """Of the passage: its source, the file's hash and its place."""
    return f"{hit.passage.source}#{hit.sha256[:16]}:{hit.passage.start}-{hit.passage.end}"
