"""Staging: what a run has read, until it is committed. A catalog of its own, for a corpus may be larger than memory."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pincite.storage.catalog import Catalog, create

FOLDER = "staging"


@contextmanager
def staging(index: Path) -> Iterator[Catalog]:
    """An empty catalog in the index folder, gone when the run ends. What a run that died left there goes first."""
    folder = index / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        create(folder, index)
        with Catalog(folder, writable=True, is_scratch=True) as catalog:
            yield catalog
    finally:
        shutil.rmtree(folder, ignore_errors=True)
