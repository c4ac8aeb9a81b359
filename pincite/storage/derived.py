"""What the two derived indexes share: their libraries fail in many ways, and these mean one of two things."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pincite.errors import StorageError

_REFUSED = [os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE)]
"""What the system says when it gives no room, or no more open files: nothing is damaged then."""


class DerivedDamaged(Exception):
    """A derived file is missing or not what the manifest says. Never shown: it is built again."""


@contextmanager
def noticing_damage(folder: Path) -> Iterator[None]:
    """Around a call of FAISS or tantivy on files of `folder`: whatever it raises is `DerivedDamaged`, or `StorageError`
    where the system has no room, or no file, to give."""
    try:
        yield
    except (AssertionError, MemoryError, OSError, RuntimeError, ValueError) as error:
        raise _told(folder, error) from error
    except BaseException as error:
        if type(error).__module__ != "pyo3_runtime":  # a panic of Rust's is no Exception in Python
            raise
        raise _told(folder, error) from error


def _told(folder: Path, error: BaseException) -> StorageError | DerivedDamaged:
    """The libraries pass on what the system said within sentences of their own."""
    refusal = next((said for said in _REFUSED if said in str(error)), None)
    if refusal is None:
        return DerivedDamaged(f"{folder}: {error}")
    return StorageError(f"{folder}: {refusal}: see to the disk's room and the limits on files")
