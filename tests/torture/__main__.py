"""Rounds of faults against a small index: `scripts/torture --rounds 500 --seed 1`.

Each round draws a corpus, what happens to it, one or two faults, and the moments at which they strike, from
the seed and its own number; the first rounds strike with each fault once. After each fault an oracle reads the corpus
again and compares. What depends on how fast a machine is, a moment within a sync, is drawn as a share of it. A round
that fails says what differs and keeps its folder; `--round N` runs it again alone.
"""

import argparse
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["TOKENIZERS_PARALLELISM"] = "false"  # its threads would not survive a fork

from pincite import embedding
from pincite.storage import generation
from tests.torture.faults import FAULTS, SEVERAL
from tests.torture.process import Child, Say
from tests.torture.rounds import Lost, Round


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/torture", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=30, help="how many (30)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="where chance begins")
    parser.add_argument("--round", type=int, help="this one alone")
    parser.add_argument("--fault", choices=[fault.__name__ for fault in FAULTS], help="this fault in every round")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="rounds at a time (one a core)")
    asked = parser.parse_args()
    embedding.find("all-MiniLM-L6-v2")  # checked once, not in every process
    generation._END = 512  # so that small files have a middle that opening does not look at, as large ones have
    base = Path(tempfile.mkdtemp(prefix="torture-"))
    print(f"seed {asked.seed}, in {base}", flush=True)

    started = time.monotonic()
    numbers = iter([asked.round] if asked.round is not None else range(asked.rounds))
    running: dict[int, Child] = {}
    struck: Counter[str] = Counter()
    failed: list[int] = []
    done = 0
    number = next(numbers, None)
    while running or number is not None:
        while number is not None and len(running) < asked.jobs:
            running[number] = Child(_work(base, asked.seed, number, asked.fault), base / "output")
            number = next(numbers, None)
        for ended in [one for one, child in running.items() if child.is_over(0.02)]:
            outcome = running.pop(ended).outcome()
            struck.update(outcome.said)
            done += 1
            if outcome.is_done and not outcome.value:
                shutil.rmtree(base / f"{ended}", ignore_errors=True)
            else:
                failed.append(ended)
                what = outcome.value or outcome.crash or outcome.refusal or "killed"
                print(f"\nround {ended} ({', '.join(outcome.said)}), kept in {base / str(ended)}:\n{what}", flush=True)
                again = f" --fault {asked.fault}" if asked.fault else ""
                print(f"again: scripts/torture --seed {asked.seed} --round {ended}{again}", flush=True)
            if done % 50 == 0:
                print(f"{done} rounds, {len(failed)} failed, {time.monotonic() - started:.0f} s", flush=True)
    for fault, count in struck.most_common():
        print(f"{count:5} {fault}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = f"{time.monotonic() - started:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of the processors"
    if failed:
        print(f"{len(failed)} of {done} rounds failed: {sorted(failed)}; seed {asked.seed}, {took}")
        return 1
    shutil.rmtree(base)
    print(f"{done} rounds, nothing lost and nothing mixed; seed {asked.seed}, {took}")
    return 0


def _work(base: Path, seed: int, number: int, named: str | None) -> Any:
    def work(say: Say) -> str:
        """What was not kept of what is promised; empty if all was."""
        rng = random.Random(f"{seed}/{number}")
        (base / f"{number}").mkdir()
        r = Round(base / f"{number}", rng)
        faults = rng.choices(list(FAULTS), list(FAULTS.values()), k=rng.choice((1, 1, 2)))
        if number < len(FAULTS):
            faults[0] = list(FAULTS)[number]
        if named:
            faults = [fault for fault in FAULTS if fault.__name__ == named]
        if hasattr(os, "sched_setaffinity") and not SEVERAL & {*faults}:
            # One reading process at a time: most of the cost is to start them.
            cores = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, {cores[number % len(cores)]})
        try:
            r.must_sync()
            for fault in faults:
                say(fault.__name__)
                fault(r)
                r.must_sync()
                r.check()
        except Lost as lost:
            return str(lost)
        except Exception:
            return traceback.format_exc()
        finally:
            r.end()
        return ""

    return work


if __name__ == "__main__":
    sys.exit(main())
