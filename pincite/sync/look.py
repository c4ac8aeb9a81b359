"""How the corpus folder differs from the index, looked at now and then and never while anybody waits."""

from datetime import datetime

from pincite.background import Background
from pincite.errors import PinciteError
from pincite.settings import Settings
from pincite.sync import Difference, preview


class Look:
    """The last look at the folder, for one generation of the index. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._work = Background[tuple[int, Difference | PinciteError]]("the look at the corpus folder")

    @property
    def is_running(self) -> bool:
        """Whether somebody is looking."""
        return self._work.is_running

    @property
    def ended(self) -> datetime | None:
        """When the last look was, in UTC."""
        return self._work.ended

    def found(self, generation: int) -> Difference | PinciteError | None:
        """What the last look found, if it was at this generation of the index (0: none is built)."""
        outcome = self._work.outcome
        if isinstance(outcome, PinciteError):
            return outcome
        return outcome[1] if outcome and outcome[0] == generation else None

    def begin(self, generation: int, older_than: float = 0, synced: datetime | None = None) -> None:
        """Look again, unless somebody is looking, or what was found of this generation is younger than so many
        seconds and than the sync that ended at `synced`."""
        ended, age = self.ended, self._work.age
        young = age is not None and age < older_than
        if ended is not None and synced is not None and ended < synced:
            young = False
        if not (young and self.found(generation) is not None):
            self._work.start(lambda: (generation, self._looked()))

    def wait(self, seconds: float | None = None) -> bool:
        """Until it is done, or for so long. Whether nobody is looking."""
        return self._work.wait(seconds)

    def _looked(self) -> Difference | PinciteError:
        try:
            return preview(self._settings)
        except PinciteError as error:  # it is what was found, of this generation
            return error.with_traceback(None)
