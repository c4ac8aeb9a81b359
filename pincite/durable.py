"""What was written lasts, whatever happens to the machine next."""

import fcntl
import os
from pathlib import Path


def flush(path: Path) -> None:
    """What was written to a file, or the names in a folder, are on the disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        flush_open(descriptor)
    finally:
        os.close(descriptor)


def flush_open(descriptor: int) -> None:
    """The same of a file that is open."""
    try:
        # macOS, where fsync leaves what was written in the drive's own memory. Elsewhere nothing has that name.
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # type: ignore[attr-defined, unused-ignore]
    except (AttributeError, OSError):  # not every file system knows it
        os.fsync(descriptor)
