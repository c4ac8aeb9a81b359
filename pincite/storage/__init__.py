"""Hop 4: what lies on disk, and what searches it. `generation` draws the folder, `engine` the boundary."""

from pincite.storage.catalog import Catalog, FileState, NewDocument, NewPassage, Shelved, StoredPassage, create
from pincite.storage.derived import DerivedDamaged
from pincite.storage.engine import Reader, Snapshot, Writer, open_index, open_writer
from pincite.storage.generation import Change, Contents, Generation, IndexFolder, Manifest, Recipe, settings_of
from pincite.storage.selection import Selection
from pincite.storage.snapshot import IndexReader, current_generation
from pincite.storage.staging import staging
from pincite.storage.vectors import CorruptRecord, Record, Records, SegmentReader, SegmentWriter

__all__ = [
    "Catalog",
    "Change",
    "Contents",
    "CorruptRecord",
    "DerivedDamaged",
    "FileState",
    "Generation",
    "IndexFolder",
    "IndexReader",
    "Manifest",
    "NewDocument",
    "NewPassage",
    "Reader",
    "Recipe",
    "Record",
    "Records",
    "SegmentReader",
    "SegmentWriter",
    "Selection",
    "Shelved",
    "Snapshot",
    "StoredPassage",
    "Writer",
    "create",
    "current_generation",
    "open_index",
    "open_writer",
    "settings_of",
    "staging",
]
