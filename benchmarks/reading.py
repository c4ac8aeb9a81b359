"""Pages of PDF files read per second, with one process and with as many as there are cores.

    python -m benchmarks.reading FOLDER_OF_PDFS [--rounds 3] [--json FILE]

Text, pages, headings and tables, as a sync reads them. The median of the rounds counts; peak memory is
that of one process that has read all the files.
"""

import argparse
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

from pincite import reading
from pincite.errors import Unreadable


def pages_of(path: Path) -> int:
    """Pages of a file that were looked at; 0 where it cannot be read."""
    try:
        document = reading.read(path, path.name)
    except Unreadable:
        return 0
    return max([page.number for page in document.pages] + list(document.coverage.blank_pages))


def peak() -> float:
    """Most memory that this process ever had, in MiB."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def rates(read: Callable[[Sequence[Path]], Sequence[int]], paths: Sequence[Path], rounds: int) -> list[float]:
    """Pages per second in each round."""
    found = []
    for _ in range(rounds):
        started = time.perf_counter()
        pages = sum(read(paths))
        found.append(pages / (time.perf_counter() - started))
    return found


def one(paths: Sequence[Path]) -> list[int]:
    """Pages of each file, read here one after the other."""
    return [pages_of(path) for path in paths]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    paths = sorted(arguments.folder.rglob("*.pdf"))
    if not paths:
        parser.error(f"no PDF files in {arguments.folder}")

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    spawn = get_context("spawn")
    with ProcessPoolExecutor(cores, spawn) as pool:
        list(pool.map(pages_of, paths[:cores]))  # starts them
        together = rates(lambda files: list(pool.map(pages_of, files)), paths, arguments.rounds)
    with ProcessPoolExecutor(1, spawn) as pool:
        pages = pool.submit(one, paths).result()
        memory = pool.submit(peak).result()
        alone = rates(lambda files: pool.submit(one, files).result(), paths, arguments.rounds)

    # Not before: it imports PyTorch, and what this process uses counts as the most its workers used.
    from benchmarks.embedding import processor

    result = {
        "machine": processor(),
        "cores": cores,
        "versions": {name: version(name) for name in ("pypdfium2", "numpy")},
        "files": len(paths),
        "unreadable": pages.count(0),
        "pages": sum(pages),
        "pages_per_second": {
            "one process": round(statistics.median(alone), 1),
            f"{cores} processes": round(statistics.median(together), 1),
        },
        "peak_memory_mib": round(memory),
    }
    print(json.dumps(result, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
