"""Terms as numbers: a question compares those of its candidates, and takes no passage apart again.

A number is the CRC-32 of a term. Two words share one about once in four thousand million pairs; nothing that is
shown depends on it.
"""

import zlib
from collections.abc import Iterable

import numpy as np

_KIND = np.dtype("<u4")


def numbered(terms: Iterable[str]) -> np.ndarray:
    """The terms' numbers, uint32, in their order."""
    return np.fromiter((zlib.crc32(term.encode("utf-8")) for term in terms), dtype=_KIND)


def stored(data: bytes) -> np.ndarray:
    """What `tobytes` of such an array gave. Raises `ValueError`."""
    return np.frombuffer(data, dtype=_KIND)
