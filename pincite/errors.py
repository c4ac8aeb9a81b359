"""Everything that can go wrong and is not a bug.

    PinciteError
    ├── SettingsError         pincite.toml cannot be read, or asks for something unknown
    ├── CorpusError           the corpus folder is missing, empty, unreadable or suspiciously small
    │   ├── MostRemoved       most of what is indexed is gone: it may be meant
    │   └── Unreadable        one file cannot be read: it is skipped and the rest goes on
    │       └── Inaccessible  the system does not give it: what is indexed of it stays
    ├── JudgementError        judgements, a run or a test collection cannot be read
    ├── ReadingListError      the reading list cannot be read or written
    ├── OutputError           a file that was asked for cannot be written
    ├── SyncCancelled         a sync was told to stop, and the index is as it was
    ├── EvaluationCancelled   an evaluation was told to stop, and nothing of it is kept
    ├── UploadRefused         a file is not taken into the corpus folder
    ├── QuestionError         nothing can be searched for with this question
    ├── ModelError            a model is missing, altered or does not fit
    ├── ClusterError          the machines of a cluster are out of reach, unlike this one, or gave up
    └── StorageError          the index cannot be used
        ├── IndexMissing      there is none yet
        ├── IndexMismatch     built by other settings, another format or another corpus
        │   └── OtherCorpus   the index of another folder
        ├── IndexDamaged      what cannot be derived again is damaged
        │   └── CatalogDamaged  so much that a rebuild cannot read it either
        ├── IndexBusy         another process is writing it
        └── IndexOutrun       syncs were faster than an answer: it is asked again

Each message is one line that says what happened, where, and what to do. The front ends catch
`PinciteError`, print that line and exit with status 1.
"""


class PinciteError(Exception):
    """Base of every error that a person can mend."""

    def __str__(self) -> str:
        """One line: the name of a file may hold line ends."""
        return " ".join(super().__str__().splitlines())


class SettingsError(PinciteError):
    """The settings file cannot be read, has an unknown key or a value out of range."""


class CorpusError(PinciteError):
    """The corpus folder cannot be indexed as it is."""


class MostRemoved(CorpusError):
    """More than half of what is indexed is gone from the corpus folder."""


class Unreadable(CorpusError):
    """One file cannot be read. The message is the reason alone, without the file's name."""


class Inaccessible(Unreadable):
    """The system does not give the file, so nothing is known of what it holds now."""


class JudgementError(PinciteError):
    """Judgements, a run or a test collection cannot be read, or are not there."""


class ReadingListError(PinciteError):
    """The reading list has a damaged line, or its file cannot be read or written."""


class OutputError(PinciteError):
    """A file or folder that was asked for cannot be written."""


class SyncCancelled(PinciteError):
    """A sync was told to stop before it committed anything but vectors."""


class EvaluationCancelled(PinciteError):
    """An evaluation was told to stop before it was done."""


class UploadRefused(PinciteError):
    """A file is not taken into the corpus folder; the message says why and begins with its name."""


class QuestionError(PinciteError):
    """The question is empty, too long, or holds nothing to search for."""


class ModelError(PinciteError):
    """A model is missing, altered or of a kind that cannot be used."""


class ClusterError(PinciteError):
    """A Ray cluster cannot be reached, has another version on a machine, or gave up."""


class StorageError(PinciteError):
    """Base of what is wrong with an index folder."""


class IndexMissing(StorageError):
    """No index in this folder yet."""


class IndexMismatch(StorageError):
    """The index disagrees with the settings, the format of this version or the corpus folder."""


class OtherCorpus(IndexMismatch):
    """The index is that of another corpus folder, or of this one under its former path."""


class IndexDamaged(StorageError):
    """The catalog, which nothing else can restore, is damaged."""


class CatalogDamaged(IndexDamaged):
    """SQLite cannot read the catalog: it is left as it is, for a person may have a copy."""


class IndexBusy(StorageError):
    """Another process holds the writer's lock."""


class IndexOutrun(StorageError):
    """What an answer was found in has been cleared away before it was done."""
