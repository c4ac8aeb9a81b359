"""What every session of the page shares: the searcher, and the sync that runs beside it."""

import threading
from dataclasses import dataclass

import streamlit as st

from pincite.embedding import Embedder
from pincite.errors import PinciteError
from pincite.evaluation.background import Evaluations
from pincite.evaluation.judging import OwnJudgements, indexed_texts
from pincite.evaluation.sets import OWN
from pincite.reading_list import ReadingList
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.sync import Report, sync


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sync is."""

    stage: str
    done: int
    total: int

    @property
    def share(self) -> float:
        """Of the present stage, 0 to 1."""
        return self.done / self.total if self.total else 0.0


class Reindexer:
    """Runs at most one sync at a time, in a thread of its own, so that questions go on meanwhile."""

    def __init__(self, settings: Settings, embedder: Embedder) -> None:
        self._settings = settings
        self._embedder = embedder
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.progress = Progress("read", 0, 0)
        self.outcome: Report | PinciteError | None = None
        """Of the last sync; None before the first and while one runs."""

    @property
    def is_running(self) -> bool:
        """Whether a sync is under way."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin, unless one is running."""
        with self._lock:
            if self.is_running:
                return
            self.outcome = None
            self.progress = Progress("read", 0, 0)
            self._thread = threading.Thread(target=self._run, name="pincite-sync", daemon=True)
            self._thread.start()

    def wait(self, seconds: float) -> None:
        """Until the running sync is done, or for so long."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        def told(stage: str, done: int, total: int) -> None:
            self.progress = Progress(stage, done, total)

        try:
            self.outcome = sync(self._settings, progress=told, embedder=self._embedder)
        except PinciteError as error:
            self.outcome = error


class Resources:
    """The settings, the searcher and the one sync that may run. Safe to share between sessions."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.searcher = Searcher(settings)
        self.reading_list = ReadingList(settings.reading_list)
        self.reindexer = Reindexer(settings, self.searcher.embedder)
        self.judgements = OwnJudgements(settings.judgments / OWN, indexed_texts(settings.index))
        self.evaluations = Evaluations(self.searcher)


@st.cache_resource(show_spinner="Loading the model…")
def shared() -> Resources:
    """Made once for the server, from the settings of the current folder. Raises `PinciteError`."""
    return Resources(Settings.load())
