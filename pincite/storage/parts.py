"""Parts: a derived index is cut into stretches of passage ids, so that a change makes anew only what it touches.

A part's files are written once and shared from generation to generation. New passages become a part
of their own, and take small neighbours into it, so that there are never many.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict

_ABSORBED = 2
"""What is written takes in a neighbour that has up to so many times its passages."""


class Stretch(BaseModel):
    """Passages with neighbouring ids, `first` and `last` among them, that are to be written together."""

    model_config = ConfigDict(frozen=True)
    first: int
    last: int
    passages: int


class IndexPart(Stretch):
    """A stretch that was written."""

    files: tuple[str, ...]


AnyPart = TypeVar("AnyPart", bound=IndexPart)


def capacity(passages: int, smallest: int, parts: int) -> int:
    """Passages that a part of an index of so many holds at most: `smallest`, or where that makes more than so many
    `parts`, so much that it does not."""
    return max(smallest, passages // parts)


def plan(
    parts: Sequence[AnyPart], gone: np.ndarray, new: Stretch | None, most: int, tolerated: float = 0
) -> list[AnyPart | Stretch]:
    """The parts that stay and the stretches to be written, in order of id.

    `gone`: ids, int64, rising. A part that lost up to the share `tolerated` of its passages stays.
    """
    planned: list[AnyPart | Stretch] = []
    stretches: list[AnyPart | Stretch] = [*parts, *([new] if new else [])]
    for stretch in stretches:
        lost = count_within(gone, stretch)
        is_kept = isinstance(stretch, IndexPart) and lost <= tolerated * stretch.passages
        if lost < stretch.passages:
            left = stretch.passages - lost
            planned.append(stretch if is_kept else Stretch(first=stretch.first, last=stretch.last, passages=left))
        while len(planned) > 1 and _belong_together(planned[-2], planned[-1], most):
            second, first = planned.pop(), planned.pop()
            planned.append(Stretch(first=first.first, last=second.last, passages=first.passages + second.passages))
    return planned


def _belong_together(first: Stretch, second: Stretch, most: int) -> bool:
    """Whether one of them is to be written anyway, and the other one small enough beside it."""
    if first.passages + second.passages > most:
        return False
    written = [one.passages for one in (first, second) if not isinstance(one, IndexPart)]
    kept = [one.passages for one in (first, second) if isinstance(one, IndexPart)]
    return bool(written) and all(one <= _ABSORBED * written[0] for one in kept)


def count_within(ids: np.ndarray, stretch: Stretch) -> int:
    """How many of the rising `ids` lie in the stretch."""
    return int(np.searchsorted(ids, stretch.last, "right") - np.searchsorted(ids, stretch.first, "left"))


def portions(ids: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """`ids` in as few portions of like size as hold at most so many each."""
    if len(ids):
        yield from np.array_split(ids, -(-len(ids) // most))


def link(source: Path, target: Path, names: Iterable[str]) -> None:
    """Have those of a folder's files in another one, too, that were not written there anew."""
    for name in names:
        if not (target / name).exists():
            link_or_copy(source / name, target / name)


def link_or_copy(path: Path, target: Path) -> None:
    """The same file under another name; a copy where the file system has no hard links."""
    try:
        os.link(path, target)
    except OSError:  # FAT says EPERM, others EOPNOTSUPP, ENOSYS or EMLINK: what else is wrong, the copy says too
        shutil.copy2(path, target)
