"""An evaluation that runs beside the page, so that questions go on being answered."""

import threading

from pincite.errors import IndexMissing, PinciteError
from pincite.evaluation import records
from pincite.evaluation.evaluator import evaluate
from pincite.evaluation.records import Measured, Record
from pincite.evaluation.sets import JudgementSet
from pincite.search import Searcher


class _Cancelled(Exception):
    """A person had enough."""


class Evaluations:
    """Runs at most one evaluation at a time, in a thread of its own, and keeps its record."""

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_cancelled = threading.Event()
        self.progress = (0, 0)
        """Questions asked, and of how many."""
        self.outcome: Record | Exception | None = None
        """Of the last one; None before the first, while one runs, and after one that was cancelled."""

    @property
    def is_running(self) -> bool:
        """Whether one is under way."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def was_cancelled(self) -> bool:
        """Whether the last one was stopped by a person."""
        return self._is_cancelled.is_set() and not self.is_running and self.outcome is None

    def start(self, judged: JudgementSet) -> None:
        """Begin, unless one is running."""
        with self._lock:
            if self.is_running:
                return
            self.outcome = None
            self.progress = (0, len(judged.judgements))
            self._is_cancelled.clear()
            self._thread = threading.Thread(target=self._run, args=(judged,), name="pincite-evaluation", daemon=True)
            self._thread.start()

    def cancel(self) -> None:
        """Stop before the next question; nothing is kept."""
        self._is_cancelled.set()

    def wait(self, seconds: float) -> None:
        """Until the running one is done, or for so long."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self, judged: JudgementSet) -> None:
        try:
            self.outcome = self._measure(judged)
        except _Cancelled:
            self.outcome = None
        except PinciteError as error:
            self.outcome = error
        except Exception as error:
            self.outcome = error  # the page says that it stopped; the server's log says where
            raise

    def _measure(self, judged: JudgementSet) -> Record:
        def told(_stage: str, done: int, total: int) -> None:
            self.progress = (done, total)
            if self._is_cancelled.is_set():
                raise _Cancelled

        settings = self._searcher.settings
        measured = self._state()
        queries, lost = judged.project(settings.index)
        found = evaluate(self._searcher, queries, "pincite", told)
        told("measure", len(queries), len(queries))
        found.lost.extend(lost)
        if self._state() != measured:
            found.remarks.append("The index was brought up to date while it was measured: measure again")
        record = Record.of(found, judged, measured, settings)
        records.keep(record, settings.judgments / records.FOLDER)
        return record

    def _state(self) -> Measured:
        """What the index holds now. Raises `IndexMissing`, also for an index without documents."""
        with self._searcher.index.snapshot() as snapshot:
            manifest = snapshot.generation.manifest
        if not manifest.passages:
            raise IndexMissing(f"{self._searcher.settings.index}: no document is indexed: run python ingest.py")
        return Measured.of(manifest)
