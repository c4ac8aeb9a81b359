"""What every session of the page shares: the searcher, and what runs beside it."""

import streamlit as st

from pincite.background import Background
from pincite.doctor import Findings
from pincite.evaluation.background import Evaluations
from pincite.evaluation.judging import OwnJudgements, indexed_texts
from pincite.evaluation.sets import OWN
from pincite.reading_list import ReadingList
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.storage import Recipe
from pincite.sync.job import Job
from pincite.sync.look import Look
from pincite.sync.watch import Watcher
from pincite.ui.serve import served


class Resources:
    """The settings, the searcher, and the work that goes on beside it. Safe to share between sessions."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.searcher = Searcher(settings)
        self.reading_list = ReadingList(settings.reading_list)
        self.judgements = OwnJudgements(settings.judgments / OWN, indexed_texts(settings.index))
        self.evaluations = Evaluations(self.searcher)
        self.recipe = Recipe.of(settings)
        self.job = Job(settings, self.searcher.embedder)
        self.look = Look(settings)
        self.check = Background[Findings]("the check")
        """Of every record, file and place."""
        self.watcher = Watcher(settings, self.job) if settings.sync.watch else None
        if self.watcher:
            self.watcher.start()

    def look_again(self, generation: int, older_than: float = 0) -> None:
        """Begin a look at the folder, unless there was one in so many seconds and no sync since."""
        self.look.begin(generation, older_than, self.job.ended)

    def close(self) -> None:
        """End what would go on by itself."""
        if self.watcher:
            self.watcher.stop()


@st.cache_resource(show_spinner="Loading the model…", on_release=Resources.close)
def shared() -> Resources:
    """Made once for the server. Raises `PinciteError`."""
    return Resources(served())
