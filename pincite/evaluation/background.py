"""An evaluation that runs beside the page, so that questions go on being answered."""

import threading
from datetime import datetime

from pincite.background import Background
from pincite.errors import EvaluationCancelled, PinciteError
from pincite.evaluation import records
from pincite.evaluation.evaluator import evaluate
from pincite.evaluation.records import Measured, Record
from pincite.evaluation.sets import JudgementSet
from pincite.search import Searcher


class Evaluations:
    """Runs at most one evaluation at a time, and keeps its record. Safe to share between threads."""

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher
        self._work = Background[Record]("the evaluation")
        self._cancelled = threading.Event()
        self._beginning = threading.Lock()
        self.progress = (0, 0)
        """Questions asked, and of how many."""

    @property
    def is_running(self) -> bool:
        """Whether one is under way."""
        return self._work.is_running

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop and has not yet."""
        return self.is_running and self._cancelled.is_set()

    @property
    def ended(self) -> datetime | None:
        """When the last one did, in UTC."""
        return self._work.ended

    @property
    def outcome(self) -> Record | PinciteError | None:
        """Of the last one that ended, `EvaluationCancelled` among them; None before the first."""
        return self._work.outcome

    def start(self, judged: JudgementSet) -> bool:
        """Begin, unless one is running. Whether it was begun."""
        with self._beginning:
            if self.is_running:
                return False
            self._cancelled.clear()
            self.progress = (0, len(judged.judgements))
            return self._work.start(lambda: self._measure(judged))

    def cancel(self) -> None:
        """Stop before the next question; nothing is kept."""
        self._cancelled.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Until the running one is done, or for so long. Whether none is running."""
        return self._work.wait(seconds)

    def _measure(self, judged: JudgementSet) -> Record:
        def told(_stage: str, done: int, total: int) -> None:
            self.progress = (done, total)
            if self._cancelled.is_set():
                raise EvaluationCancelled("the evaluation was cancelled, and nothing of it kept")

        settings = self._searcher.settings
        measured = Measured.now(self._searcher)
        queries, lost = judged.project(settings.index)
        found = evaluate(self._searcher, queries, "pincite", told)
        told("measure", len(queries), len(queries))
        found.lost.extend(lost)
        records.remark_on_changes(found, measured, self._searcher)
        record = Record.of(found, judged, measured, settings)
        records.keep(record, settings.judgments / records.FOLDER)
        return record
