"""One round: a small corpus and its index, one or two faults, and the oracle after each."""

import random
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from pincite.doctor import examine
from pincite.embedding import Embedder
from pincite.errors import IndexMissing
from pincite.evaluation import judgements
from pincite.reading_list import ReadingList
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.storage import vectors
from pincite.storage.catalog import FILE, exists
from pincite.sync import run, sync
from tests.torture import oracle
from tests.torture.library import Held, Library
from tests.torture.process import Child, Outcome, Say, Work, die_at_step
from tests.torture.standin import real, stand_in


class Lost(Exception):
    """A promise that was not kept."""


class Round:
    """What a fault works on. Whatever touches the index runs in a process of its own."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder = folder
        self.rng = rng
        self.is_real = rng.random() < 0.08
        """Whether the model itself embeds; most faults have nothing to do with it."""
        # Most corpora here would fit into one segment, and what is emptied then is never one among several.
        vectors._FULL = rng.choice([2**28, 100_000, 30_000])
        run._BATCH = rng.choice([256, 16, 4])  # and all of them would be embedded before the first is kept
        self.library = Library(folder / "corpus", rng)
        self.settings = Settings(
            corpus=folder / "corpus",
            index=folder / "index",
            judgments=folder / "judgments",
            reading_list=folder / "reading-list.jsonl",
        )
        self.judged: set[str] = set()
        """Questions that were judged, and the judging came back."""
        self.collected: set[str] = set()
        """Ids on the reading list, likewise."""
        self.seconds = 1.0
        """What a sync takes."""
        self.steps = 100
        """Operations on the index's files in it."""
        self._children: list[Child] = []

    # Processes

    def start(self, work: Work) -> Child:
        self._children.append(Child(work, self.folder / "output"))
        return self._children[-1]

    def run(self, work: Work) -> Outcome:
        return self.sound(self.start(work).outcome())

    def sound(self, outcome: Outcome) -> Outcome:
        """An outcome that is no crash."""
        if outcome.crash:
            raise Lost(f"a process crashed:\n{outcome.crash}")
        return outcome

    def end(self) -> None:
        """Nothing that was started outlives the round."""
        for child in self._children:
            child.kill()

    # Syncs

    def embedder(self) -> Embedder:
        return real() if self.is_real else stand_in()

    def syncing(self, before: Callable[[], object] = lambda: None, step: int = 0, **options: bool) -> Work:
        """A sync; `before` is what the process does to itself first, `step` where it dies."""

        def work(_say: Say) -> dict[str, object]:
            embedder = self.embedder()
            before()
            steps = die_at_step(step, self.settings.index)
            report = sync(self.settings, embedder=embedder, **options)
            return {"generation": report.generation, "embedded": report.embedded, "steps": steps()}

        return work

    def must_sync(self, **options: bool) -> None:
        kept = self._keys("vectors")
        started = time.monotonic()
        outcome = self.run(self.syncing(**options))
        if not outcome.is_done:
            raise Lost(f"a sync without a fault was refused: {outcome.refusal or 'killed'}")
        self.seconds = time.monotonic() - started
        self.steps = max(20, outcome.value["steps"])
        new, embedded = len(self._keys("passages") - kept), outcome.value["embedded"]
        if embedded != new:
            raise Lost(f"{embedded} passages were embedded, and {new} had no vectors")

    def _keys(self, table: str) -> set[str]:
        """Of the vectors that are kept, or of those that the passages need."""

        def work(_say: Say) -> list[str]:
            if not exists(self.settings.index):
                return []
            with closing(sqlite3.connect(self.settings.index / FILE)) as catalog:
                return [key.hex() for (key,) in catalog.execute(f"SELECT DISTINCT key FROM {table}")]

        return set(self.sound(self.start(work).outcome()).value)

    # What must hold

    def check(self) -> None:
        """The index is what the corpus holds, and nothing that a person said is lost."""
        held, seed = self.library.held(), self.rng.random()

        def work(_say: Say) -> list[str]:
            return oracle.differences(self.settings, held, self.embedder(), random.Random(seed))

        outcome = self.run(work)
        if outcome.refusal:
            raise Lost(f"the index was refused: {outcome.refusal}")
        if outcome.value:
            raise Lost("\n".join(outcome.value[:20]))
        if lost := self.judged - {j.question for j in judgements.read(self._own())}:
            raise Lost(f"judgements are lost: {sorted(lost)[:5]}")
        if missing := self.collected - set(ReadingList(self.settings.reading_list).entries()):
            raise Lost(f"the reading list has lost {sorted(missing)[:5]}")

    def _own(self) -> list[Path]:
        return [file for file in (self.settings.judgments / "own.jsonl",) if file.exists()]

    def must_be_one_of(self, *states: Mapping[str, Held]) -> Mapping[str, Held]:
        """The index is wholly in one of these states, and answers from it. Gives back which."""

        def work(_say: Say) -> dict[str, str]:
            try:
                return oracle.state(self.settings)
            except IndexMissing:
                return {}

        outcome = self.run(work)
        if outcome.refusal:
            raise Lost(f"the index was refused: {outcome.refusal}")
        for held in states:
            if oracle.files(held) == outcome.value:
                self.answers_from(held)
                return held
        raise Lost("\n".join(["the index is in no state that there was:", *self._departure(outcome.value, states)]))

    @staticmethod
    def _departure(found: Mapping[str, str], states: tuple[Mapping[str, Held], ...]) -> list[str]:
        lines = []
        for number, held in enumerate(states):
            files = oracle.files(held)
            wrong = [s for s in sorted({*found, *files}) if found.get(s) != files.get(s)]
            lines.append(f"of state {number} differ {wrong}")
        return lines

    def answers_from(self, *states: Mapping[str, Held], may_refuse: bool = False) -> None:
        """Questions are answered, and documents shown, word for word from one of these states."""
        question = f"what guards the {self.rng.choice(('heron', 'ferry', 'granite'))} near the lake?"

        def work(_say: Say) -> list[str]:
            shown = oracle.wrong_documents(self.settings, *states)
            return shown or oracle.wrong_words(Searcher(self.settings, self.embedder()).search(question, 60), *states)

        outcome = self.run(work)
        if outcome.value:
            raise Lost("\n".join(outcome.value[:20]))
        if outcome.refusal and not may_refuse and any(states):
            raise Lost(f"a question was refused: {outcome.refusal}")

    # Mending

    def mend(self) -> None:
        """Do what the messages say, until `doctor` is silent and a sync goes through."""
        told: list[str] = []
        for number in range(6):
            outcome = self.run(lambda _say: examine(self.settings).problems)
            now = [outcome.refusal] if outcome.refusal else outcome.value
            if not now:
                refused = self.run(self.syncing()).refusal
                if not refused:
                    return
                now = [refused]
            told += now
            if refused := self._obey(" ".join(now), number):
                told.append(refused)
                if again := self._obey(refused, number):
                    told.append(again)
        raise Lost("\n".join(["what the messages say does not mend it:", *told]))

    def _obey(self, message: str, number: int) -> str:
        """Do what a message says; gives back the refusal of that."""
        options: dict[str, bool] = {}
        if "restore it from a copy" in message:
            self.settings.index.rename(self.folder / f"damaged {number} {time.monotonic_ns()}")
        elif "--move-corpus" in message:
            options = {"move_corpus": True}
        elif "--rebuild" in message:
            options = {"rebuild": True}
        elif "run python ingest.py" not in message:
            raise Lost(f"a message names nothing that mends it: {message}")
        return self.run(self.syncing(**options)).refusal
