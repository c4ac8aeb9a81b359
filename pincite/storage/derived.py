"""What the two derived indexes share: their libraries fail in many ways, and all of them mean one thing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class DerivedDamaged(Exception):
    """A derived file is missing or not what the manifest says. Never shown: it is built again."""


@contextmanager
def noticing_damage(folder: Path) -> Iterator[None]:
    """Around a call of FAISS or tantivy on files of `folder`: whatever it raises is `DerivedDamaged`."""
    try:
        yield
    except (AssertionError, MemoryError, OSError, RuntimeError, ValueError) as error:
        raise DerivedDamaged(f"{folder}: {error}") from error
    except BaseException as error:
        if type(error).__module__ != "pyo3_runtime":  # a panic of Rust's is no Exception in Python
            raise
        raise DerivedDamaged(f"{folder}: {error}") from error
