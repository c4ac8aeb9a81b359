"""Whether any file, however broken, costs more than its own line: readers under mutated files.

    python -m benchmarks.fuzz FOLDER [--seconds 600] [--seed 0] [--keep FOLDER]

FOLDER holds sound files, at least one a format; each format gets so many seconds. Bytes are changed, cut
out, doubled and moved, in files that are zip archives within their members. A finding is a reader that
crashed, failed with an error of its own, took too long or too much memory; its file is kept.
"""

import argparse
import io
import json
import random
import tempfile
import time
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from pincite.errors import Unreadable
from pincite.reading import READERS
from pincite.reading.pool import Readers
from pincite.settings import Sync

LIMITS = Sync(reader_seconds=10, reader_megabytes=1024)
ROUND = 64
"""Files between two looks at the clock."""
FINDINGS = ("the reader ", "took longer ", "needs more ")
"""How the reason begins where a reader did not refuse a file by itself."""
TELLING = [
    b"<",
    b">",
    b"/",
    b"&",
    b'"',
    b"\x00",
    b"\xff",
    b"{",
    b"}",
    b"\\",
    b"(",
    b")",
    b"<<",
    b">>",
    b"obj",
    b"=",
    b"-1",
]


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The file with one to eight changes; of an archive, in its members or in itself."""
    if data[:2] != b"PK" or rng.random() < 0.2:
        return changed(data, rng)
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as sound, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as broken:
        names = sound.namelist()
        for name in names:
            member = sound.read(name)
            broken.writestr(name, changed(member, rng) if rng.random() < 2 / len(names) else member)
    return packed.getvalue()


def changed(data: bytes, rng: random.Random) -> bytes:
    """Bytes with one to eight changes."""
    found = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        start = rng.randrange(len(found) + 1)
        end = min(len(found), start + rng.choice((1, 1, 2, 8, 64, 1024)))
        stretch = bytes(found[start:end])
        new = rng.choice((rng.choice(TELLING), rng.randbytes(end - start), b"", stretch * 2, stretch[::-1]))
        found[start:end] = new
    return bytes(found)


def fuzz(folder: Path, seeds: list[Path], seconds: float, rng: random.Random) -> Iterator[tuple[bytes, str]]:
    """Mutations of these files, each with why it was not read, or nothing."""
    started, number = time.monotonic(), 0
    with Readers(LIMITS) as readers:
        while time.monotonic() - started < seconds:
            made = {}
            for _ in range(ROUND):
                seed = rng.choice(seeds)
                made[f"{number}{seed.suffix}"] = mutated(seed.read_bytes(), rng)
                number += 1
            for source, data in made.items():
                (folder / source).write_bytes(data)
            for source, outcome in readers.read(folder, made):
                yield made[source], str(outcome) if isinstance(outcome, Unreadable) else ""
                (folder / source).unlink()


def main() -> None:
    """Fuzz every format of the folder, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("findings"))
    arguments = parser.parse_args()
    seeds = defaultdict(list)
    for path in sorted(arguments.folder.rglob("*")):
        if path.is_file() and path.suffix.lower() in READERS:
            seeds[READERS[path.suffix.lower()].module].append(path)
    for module, paths in seeds.items():
        tally: Counter[str] = Counter()
        with tempfile.TemporaryDirectory() as folder:
            mutations = fuzz(Path(folder), paths, arguments.seconds, random.Random(arguments.seed))
            for data, reason in mutations:
                tally["read" if not reason else "found" if reason.startswith(FINDINGS) else "refused"] += 1
                if reason.startswith(FINDINGS):
                    tally[reason] += 1
                    arguments.keep.mkdir(parents=True, exist_ok=True)
                    (arguments.keep / f"{module}-{tally['found']}{paths[0].suffix}").write_bytes(data)
        print(json.dumps({"reader": module, "seconds": arguments.seconds, **tally}), flush=True)


if __name__ == "__main__":
    main()
