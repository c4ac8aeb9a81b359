"""In which precision an index is made: decided with its first passages, and kept, so that no two are mixed."""

import warnings
from collections.abc import Iterable
from itertools import islice

from pincite.embedding import Embedder, quantisation
from pincite.storage import Catalog, Recipe
from pincite.types import Passage

META = "precision"
"""In the catalog: `int8`, `auto` where int8 was asked for and refused; empty before the first passage."""
_CALIBRATED = "calibration"
_ENOUGH = 4096
"""Passages to draw from."""


def embedder(full: Embedder, catalog: Catalog, recipe: Recipe, passages: Iterable[Passage]) -> Embedder:
    """What embeds these passages: `full` itself, or one with int8 in its place.

    The first passages of an index calibrate it. Where int8 strays too far from the model's own vectors, the index is
    made without, now and later, and a warning says so. Raises `ModelError`.
    """
    if recipe.precision != "int8" or catalog.meta(META) == "auto":
        return full
    quantised = _quantised(full, catalog, passages)
    if quantised is None:
        if catalog.meta(META) == "int8":  # it agreed once, with other words
            raise quantisation.disagreement(full)
        warnings.warn(f"{full.files.name}: int8 strays too far from the model; passages go without it", stacklevel=2)
    with catalog.writing():
        catalog.set_meta(META, "int8" if quantised else "auto")
    return quantised or full


def _quantised(full: Embedder, catalog: Catalog, passages: Iterable[Passage]) -> Embedder | None:
    """The one that this index was made with, as long as it is kept; else a new one, checked in the same way."""
    try:
        return quantisation.open_quantised(full, catalog.meta(_CALIBRATED))
    except FileNotFoundError:
        pass
    texts = [passage.indexed_text for passage in islice(passages, _ENOUGH)]
    texts += [stored.passage.indexed_text for stored in islice(catalog.all_passages(), _ENOUGH - len(texts))]
    name = quantisation.calibrate(full, texts)
    with catalog.writing():
        catalog.set_meta(_CALIBRATED, name)
    return quantisation.open_quantised(full, name)
