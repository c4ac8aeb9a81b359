"""Fit `pincite/embedding/projection.npy`, which makes the default model's token vectors small.

    python -m benchmarks.fit_projection [CORPUS] [--write]

The first 80 principal components of the unit token vectors of a corpus, by default the sample
corpus, so that no test collection has a part in it; then a random rotation, so that each component
holds as much as the others and is rounded as finely. Says how much of the vectors it keeps, and how
near the file that ships is to it.
"""

import argparse
from pathlib import Path

import numpy as np

from pincite import embedding, reading
from pincite.embedding import codes
from pincite.embedding.embedder import Embedder, batches
from pincite.passages import cut
from pincite.settings import Settings


def token_vectors(corpus: Path, embedder: Embedder) -> np.ndarray:
    """Unit vectors of all tokens but the special ones, float32 of shape (tokens, dim)."""
    texts = [
        f"{passage.context}\n{passage.text}"
        for file in sorted(corpus.rglob("*"))
        if file.suffix in reading.READERS
        for passage in cut(reading.read(file, file.name), embedder.tokenizer.count, Settings().passages.tokens)
    ]
    made = [
        np.array(forward.tokens[row, 1 : len(tokens) - 1])
        for forward in embedder.engine.forward(batches(embedder.tokenizer.encode(texts)))
        for row, tokens in enumerate(forward.batch.tokens)
    ]
    return codes.unit(np.concatenate(made))


def fit(vectors: np.ndarray) -> tuple[np.ndarray, float]:
    """The projection, shape (dim, COMPONENTS) with orthonormal columns, and the share of energy it keeps."""
    energies, components = np.linalg.eigh(vectors.T @ vectors / len(vectors))
    kept = components[:, ::-1][:, : codes.COMPONENTS]
    rotation, _ = np.linalg.qr(codes.signs(codes.COMPONENTS).astype(np.float64))
    return kept @ rotation, float(energies[::-1][: codes.COMPONENTS].sum() / energies.sum())


def main() -> None:
    """Fit, report and, with --write, replace the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, nargs="?", default=Path("corpus"))
    parser.add_argument("--write", action="store_true", help=f"replace pincite/embedding/{codes.FILE}")
    arguments = parser.parse_args()
    vectors = token_vectors(arguments.corpus, embedding.open_embedder(embedding.find("all-MiniLM-L6-v2")))
    projection, energy = fit(vectors)
    print(f"{len(vectors):,} token vectors; {codes.COMPONENTS} components keep {energy:.3f} of them")
    file = Path(codes.__file__).with_name(codes.FILE)
    if arguments.write:
        np.save(file, projection.astype(np.float16), allow_pickle=False)
    # The singular values between two subspaces are the cosines of the angles between them.
    shipped, _ = np.linalg.qr(np.load(file, allow_pickle=False).astype(np.float64))
    cosines = np.linalg.svd(shipped.T @ projection, compute_uv=False)
    print(f"{file.name}: cosines of the angles to it {cosines.min():.4f} to {cosines.max():.4f}")


if __name__ == "__main__":
    main()
