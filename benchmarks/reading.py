"""Pages of PDF files read per second, with one reading process and with as many as there are cores.

    python -m benchmarks.reading FOLDER_OF_PDFS [--rounds 3] [--json FILE]

Text, pages, headings and tables, by the processes that a sync reads with, their start included. The median
of the rounds counts; peak memory is that of the largest reading process.
"""

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import conditions
from pincite.processors import cores
from pincite.reading.pool import Readers
from pincite.settings import Sync
from pincite.types import Document


def pages(folder: Path, sources: Sequence[str], processes: int) -> list[int]:
    """Pages of each file that were looked at; 0 where it cannot be read."""
    with Readers(Sync(), processes) as readers:
        read = [outcome for _, outcome in readers.read(folder, sources)]
    return [
        max([page.number for page in one.pages] + list(one.coverage.blank_pages)) if isinstance(one, Document) else 0
        for one in read
    ]


def rate(folder: Path, sources: Sequence[str], processes: int) -> float:
    """Pages per second."""
    started = time.perf_counter()
    return sum(pages(folder, sources, processes)) / (time.perf_counter() - started)


def peak() -> float:
    """Most memory of any process that this one started and saw end, in MiB."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return used / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder
    sources = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.pdf"))
    if not sources:
        parser.error(f"no PDF files in {folder}")

    counts = pages(folder, sources, 1)
    memory = peak()
    rates = {n: [rate(folder, sources, n) for _ in range(arguments.rounds)] for n in (1, cores())}

    result = {
        **conditions(("pypdfium2", "numpy")),
        "files": len(sources),
        "unreadable": counts.count(0),
        "pages": sum(counts),
        "pages_per_second": {f"{n} processes": round(statistics.median(found), 1) for n, found in rates.items()},
        "peak_memory_mib": round(memory),
    }
    print(json.dumps(result, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
