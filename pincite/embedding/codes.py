"""Token vectors, small enough to keep: 40 bytes each.

A vector is projected to 80 components and each is rounded to 16 steps. Only directions are kept, for
only cosines are wanted. The default model has a projection of its own: the principal components of
its token vectors, turned at random so that each component holds as much as the others
(`benchmarks/fit_projection.py` makes it again). Any other model gets one of random signs, which needs
nothing fitted (Achlioptas 2003, "Database-friendly random projections").
"""

import hashlib
from functools import cache
from importlib.resources import files

import numpy as np

from pincite.embedding.model import PUBLISHED_SHA256

COMPONENTS = 80
BYTES = COMPONENTS // 2
FILE = "projection.npy"
_MIDDLE = np.float32(7.5)
_ON_ONE_THREAD = 250_000
"""Multiplications."""
_DECODED = 2_000
"""Tokens that are decoded at once: they stay in the processor's cache until they are multiplied."""


class Projection:
    """From a model's token vectors to `COMPONENTS` dimensions."""

    def __init__(self, weights_sha256: str) -> None:
        self._is_fitted = weights_sha256 == PUBLISHED_SHA256

    @property
    def name(self) -> str:
        """Which one: codes made by another cannot be compared."""
        return hashlib.sha256(_file()).hexdigest() if self._is_fitted else "random signs"

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Unit vectors, float32 of shape (n, COMPONENTS), of vectors of shape (n, dim)."""
        matrix = _fitted() if self._is_fitted else signs(vectors.shape[1])
        return unit(product(np.asarray(vectors, dtype=np.float32), matrix))


@cache
def _file() -> bytes:
    return files("pincite.embedding").joinpath(FILE).read_bytes()


@cache
def _fitted() -> np.ndarray:
    with files("pincite.embedding").joinpath(FILE).open("rb") as file:
        return np.asarray(np.load(file, allow_pickle=False), dtype=np.float32)


@cache
def signs(dim: int) -> np.ndarray:
    """±1, shape (dim, COMPONENTS), the same wherever and whenever it is made."""
    stream = hashlib.shake_256(b"pincite").digest(dim * COMPONENTS // 8)
    bits = np.unpackbits(np.frombuffer(stream, np.uint8)).reshape(dim, COMPONENTS)
    return np.where(bits, np.float32(1), np.float32(-1))


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`a @ b` of float32, on the thread that asks for it.

    NumPy's library spreads a product over all cores from some 260,000 multiplications on, and there it
    waits for the threads of the model: so it gets the rows of `a` a few at a time.
    """
    found = np.empty((len(a), b.shape[1]), dtype=np.float32)
    rows = max(1, _ON_ONE_THREAD // max(b.size, 1))
    for start in range(0, len(a), rows):
        np.matmul(a[start : start + rows], b, out=found[start : start + rows])
    return found


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)


def encode(projected: np.ndarray) -> np.ndarray:
    """Codes, uint8 of shape (n, BYTES): component i in the low half of byte i, i + 40 in the high half."""
    peaks = np.maximum(np.abs(projected).max(axis=1, keepdims=True, initial=0), 1e-12)
    steps = np.rint(projected / peaks * _MIDDLE + _MIDDLE).astype(np.uint8)
    return np.asarray(steps[:, :BYTES] | steps[:, BYTES:] << 4)


def cosines(query: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Shape (query vectors, n). `query`: unit vectors, as a projection gives them."""
    found = np.empty((len(codes), len(query)), dtype=np.float32)
    components = np.ascontiguousarray(query.T)
    steps = np.empty((min(_DECODED, len(codes)), COMPONENTS), dtype=np.float32)
    for start in range(0, len(codes), _DECODED):
        coded = codes[start : start + _DECODED]
        decoded = steps[: len(coded)]
        decoded[:, :BYTES] = coded & 15
        decoded[:, BYTES:] = coded >> 4
        decoded -= _MIDDLE  # no step is zero, so no length is
        lengths = np.sqrt(np.einsum("ij,ij->i", decoded, decoded))
        np.divide(product(decoded, components), lengths[:, None], out=found[start : start + _DECODED])
    return found.T
