"""What all requests share: the searcher, and what runs beside it."""

import time
from typing import NamedTuple

from anyio import CapacityLimiter

from pincite.errors import PinciteError
from pincite.evaluation.background import Evaluations
from pincite.holdings import IndexState, index_state
from pincite.processors import cores
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.storage import Recipe
from pincite.sync.job import Job
from pincite.sync.look import Look

_YOUNG = 15.0
"""Seconds for which a look at the folder is good enough."""
_STATE_SECONDS = 1.0
"""For which the state of one generation is good enough: to count the bytes of an index takes longest."""
_OWN = 4
"""Threads for `/health` and `/metrics`."""


class _Kept(NamedTuple):
    manifest: str
    at: float
    state: IndexState


class Resources:
    """Made once for the server. Safe to share between threads."""

    PATIENCE = 20.0
    """Seconds in which a sync and an evaluation stop where they can."""

    def __init__(self, settings: Settings) -> None:
        """Loads the model. Raises `ModelError`."""
        self.settings = settings
        self.searcher = Searcher(settings)
        self.turns = CapacityLimiter(cores())
        """Questions that are answered at a time; the others wait without a thread."""
        self.own_turns = CapacityLimiter(_OWN)
        """Threads for what is asked of the server itself, which nobody else takes."""
        self.job = Job(settings, self.searcher.embedder)
        self.evaluations = Evaluations(self.searcher)
        self.look = Look(settings)
        self._recipe = Recipe.of(settings)
        self._state: _Kept | None = None

    def state(self) -> IndexState:
        """What the index is; its size on the disk may be a second old. Raises `StorageError`."""
        with self.searcher.index.catalog() as catalog:
            manifest = catalog.meta("manifest")
        kept = self._state
        if kept is None or kept.manifest != manifest or time.monotonic() - kept.at > _STATE_SECONDS:
            kept = self._state = _Kept(manifest, time.monotonic(), index_state(self.settings, self._recipe))
        return kept.state

    def is_usable(self) -> bool:
        """Whether a question would be answered."""
        try:
            return self.searcher.index.generation() > 0
        except PinciteError:
            return False

    def look_again(self, generation: int) -> None:
        """See to it that there is, or will be, a look at the folder that is young enough."""
        self.look.begin(generation, _YOUNG, self.job.ended)

    def close(self) -> None:
        """Stop what runs beside. What a sync embedded stays for the next one."""
        self.job.cancel()
        self.evaluations.cancel()
        self.job.wait(self.PATIENCE / 2)
        self.evaluations.wait(self.PATIENCE / 2)
