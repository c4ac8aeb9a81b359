"""The index of a test collection: made on first use, kept, and used again."""

import hashlib
import re
from pathlib import Path

from pincite.embedding.model import cache_folder
from pincite.evaluation.collection import Collection
from pincite.evaluation.datasets import Dataset
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.storage import Recipe
from pincite.sync import sync_collection
from pincite.types import Progress

_PART = re.compile("[A-Za-z0-9]+")
"""What a name on a cluster may hold."""


def open_index(
    settings: Settings,
    collection: Collection | Dataset,
    index: Path | None = None,
    progress: Progress = lambda _stage, _done, _total: None,
) -> Searcher:
    """Over the collection's index in `index`, else in the user's cache folder, named for the
    collection's documents and for everything that decides what an index holds."""
    recipe = Recipe.of(settings)
    sha256 = collection.sha256()
    name = hashlib.sha256(f"{sha256}{recipe.model_dump_json()}".encode()).hexdigest()[:16]
    at = index or cache_folder() / "collections" / f"{collection.name.replace('/', '-')}-{name}"
    engine = settings.engine.model_copy(update={"name": "_".join([settings.engine.name, *_PART.findall(at.name)])})
    settings = settings.model_copy(update={"corpus": collection.folder, "index": at, "engine": engine})
    searcher = Searcher(settings)
    sync_collection(settings, collection.documents(), sha256, progress=progress, embedder=searcher.embedder)
    return searcher
