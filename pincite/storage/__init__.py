"""Hop 4: what lies on disk. `generation` draws the folder."""

from pincite.storage.catalog import Catalog, FileState, NewDocument, NewPassage, StoredPassage, create
from pincite.storage.generation import DerivedDamaged, Generation, IndexFolder, Manifest, Recipe
from pincite.storage.snapshot import IndexReader, Snapshot
from pincite.storage.vectors import CorruptRecord, Record, SegmentReader, SegmentWriter

__all__ = [
    "Catalog",
    "CorruptRecord",
    "DerivedDamaged",
    "FileState",
    "Generation",
    "IndexFolder",
    "IndexReader",
    "Manifest",
    "NewDocument",
    "NewPassage",
    "Recipe",
    "Record",
    "SegmentReader",
    "SegmentWriter",
    "Snapshot",
    "StoredPassage",
    "create",
]
