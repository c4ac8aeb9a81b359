"""Hop 4: what lies on disk. `generation` draws the folder."""

from pincite.storage.catalog import Catalog, FileState, NewDocument, NewPassage, Shelved, StoredPassage, create
from pincite.storage.derived import DerivedDamaged
from pincite.storage.generation import Generation, IndexFolder, Manifest, Recipe, settings_of
from pincite.storage.selection import Selection
from pincite.storage.snapshot import IndexReader, Snapshot, current_generation
from pincite.storage.staging import staging
from pincite.storage.vectors import CorruptRecord, Record, Records, SegmentReader, SegmentWriter

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
    "Records",
    "SegmentReader",
    "SegmentWriter",
    "Selection",
    "Shelved",
    "Snapshot",
    "StoredPassage",
    "create",
    "current_generation",
    "settings_of",
    "staging",
]
