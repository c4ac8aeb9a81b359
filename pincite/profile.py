"""Where the time of a question goes, stage by stage."""

import statistics
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

from pincite.query import Query
from pincite.search import Searcher

REPETITIONS = 30


@dataclass(frozen=True, slots=True)
class Profile:
    """Medians over some repetitions of a question, in milliseconds, after one that does not count."""

    stages: dict[str, float]
    """In order: `Searcher.search` says what they are."""
    total: float
    repetitions: int

    def text(self) -> str:
        """For a terminal."""
        width = max(map(len, self.stages))
        rows = [*self.stages.items(), ("total", self.total)]
        return "\n".join(
            [f"milliseconds, median of {self.repetitions}", *(f"  {name:{width}} {value:8.2f}" for name, value in rows)]
        )

    def as_json(self) -> dict[str, Any]:
        """What `search --profile --json` adds."""
        return asdict(self)


def profile(
    searcher: Searcher, question: str | Query, count: int | None = None, repetitions: int = REPETITIONS
) -> Profile:
    """Ask a question some times. Raises what `Searcher.search` raises."""
    searcher.search(question, count)
    runs = [_run(searcher, question, count) for _ in range(repetitions)]
    stages = {stage: statistics.median(run.get(stage, 0.0) for run in runs) for stage in runs[0]}
    return Profile(stages, statistics.median(sum(run.values()) for run in runs), repetitions)


def _run(searcher: Searcher, question: str | Query, count: int | None) -> dict[str, float]:
    """Stage → milliseconds; one that came several times counts whole."""
    taken: dict[str, float] = defaultdict(float)
    last = time.perf_counter()

    def told(stage: str) -> None:
        nonlocal last
        now = time.perf_counter()
        taken[stage] += (now - last) * 1000
        last = now

    searcher.search(question, count, told=told)
    return dict(taken)
