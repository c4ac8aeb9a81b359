"""Two results of the same benchmark beside each other.

    python -m benchmarks.compare BEFORE.json AFTER.json

First what differs in what was given (machine, load, versions, sizes), then each measured number of both, and the second
as a multiple of the first. Of several rounds the medians are compared.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

Figures = dict[str, float | str]
"""What a result holds by where it stands in it: `sizes › 100000 › milliseconds › p50`."""
_GIVEN = ("machine", "cores", "load", "python", "versions", "passages", "files", "documents", "questions", "megabytes")
"""Where conditions and sizes stand at the top of a result; whatever is no number is a condition, too."""


def figures(value: object, at: str = "") -> Figures:
    """Of a result, or of what stands `at` a place in it."""
    if isinstance(value, dict):
        parts = (figures(part, f"{at} › {name}" if at else name) for name, part in value.items())
        return {place: figure for part in parts for place, figure in part.items()}
    if isinstance(value, list):
        return _of_list(value, at)
    return {at: value if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)}


def _of_list(values: list[Any], at: str) -> Figures:
    """Sizes by how many passages they have, and the medians of rounds."""
    if not values or not all(isinstance(value, (int, float, dict)) for value in values):
        return {at: json.dumps(values)}
    if all(isinstance(value, dict) and "passages" in value for value in values):
        return figures({str(value["passages"]): value for value in values}, at)
    rounds = [figures(value, at) for value in values]
    together = [place for place in rounds[0] if all(isinstance(one.get(place, ""), (int, float)) for one in rounds)]
    return {place: median(float(one[place]) for one in rounds) for place in together}


def compared(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """The lines that are printed."""
    one, two = figures(before), figures(after)
    measured = [at for at in one if at in two and _is_measured(at, one[at]) and _is_measured(at, two[at])]
    for at in {**one, **two}:
        if at not in measured and one.get(at) != two.get(at):
            yield f"{at}: {one.get(at, 'not there')} → {two.get(at, 'not there')}"
    width = max(map(len, measured), default=0)
    for at in measured:
        first, second = float(one[at]), float(two[at])
        yield f"{at:{width}}{first:14,.3f}{second:14,.3f}" + (f"{second / first:9.2f}×" if first else "")


def _is_measured(at: str, figure: float | str) -> bool:
    return not isinstance(figure, str) and at.split(" › ")[0] not in _GIVEN


def _read(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError("is no benchmark's result")
    return found


def main() -> None:
    """Print the comparison of two files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    arguments = parser.parse_args()
    try:
        lines = list(compared(_read(arguments.before), _read(arguments.after)))
    except (OSError, ValueError) as error:
        parser.error(f"no two results: {error}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
