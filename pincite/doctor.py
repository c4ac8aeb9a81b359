"""Whether an index is what it says: every record, every file, every place."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pincite.errors import IndexDamaged, Unreadable
from pincite.ledger import ledger
from pincite.passages import Counted
from pincite.reading.pool import Readers
from pincite.settings import Settings, Sync
from pincite.storage import (
    Catalog,
    CorruptRecord,
    DerivedDamaged,
    FileState,
    IndexFolder,
    Recipe,
    SegmentReader,
    current_generation,
    open_writer,
)
from pincite.storage.vectors import AT_A_TIME
from pincite.types import Document

_INGEST = "run python ingest.py"
_REBUILD = "run python ingest.py --rebuild"


@dataclass(frozen=True, slots=True)
class Findings:
    """What was checked and what is wrong. Each problem ends with what mends it."""

    generation: int
    documents: int
    passages: int
    skipped: dict[str, str]
    ledger: dict[str, list[str]]
    """Source → what a person should know of how it was read, and what of it cannot be searched."""
    problems: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """One line, and one for each file that was skipped or read in a special way."""
        lines = [
            f"{self.documents} documents, {self.passages} passages, generation {self.generation}:"
            f" {'everything is as it should be' if not self.problems else f'{len(self.problems)} problems'}"
        ]
        lines += [f"  skipped {source}: {reason}" for source, reason in self.skipped.items()]
        lines += [f"  {source}: {'; '.join(entry)}" for source, entry in self.ledger.items()]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """What `doctor --json` prints."""
        return {
            "generation": self.generation,
            "documents": self.documents,
            "passages": self.passages,
            "skipped": [{"source": source, "reason": reason} for source, reason in self.skipped.items()],
            "ledger": self.ledger,
            "problems": self.problems,
        }


def examine(settings: Settings) -> Findings:
    """Check catalog, segments and derived files against each other, and every place against its file.

    Raises `IndexMissing`, `IndexMismatch`, `IndexDamaged` for a catalog that cannot be read at all.
    """
    index = IndexFolder(settings.index)
    with Catalog(index.path) as catalog, ExitStack() as held:
        try:
            held.enter_context(current_generation(index, catalog))
        except DerivedDamaged:  # there is nothing to lock
            held.enter_context(catalog.reading())
        counts = catalog.counts()
        findings = Findings(
            catalog.generation, counts["documents"], counts["passages"], catalog.skipped(), ledger(catalog)
        )
        findings.problems.extend(
            f"{catalog.path}: {complaint}: restore it from a copy" for complaint in catalog.complaints()
        )
        findings.problems.extend(_passage_problems(catalog))
        findings.problems.extend(_file_problems(catalog, settings.sync))
        findings.problems.extend(_record_problems(index, catalog))
        findings.problems.extend(open_writer(settings, catalog, Recipe.of(settings)).problems())
    return findings


def _passage_problems(catalog: Catalog) -> list[str]:
    """Passages that do not stand where their citation says, in the text that was indexed."""
    problems: list[str] = []
    document: Document | None = None
    damaged: set[str] = set()
    for stored in catalog.all_passages():
        passage = stored.passage
        if passage.source in damaged:
            continue
        if document is None or document.source != passage.source:
            try:
                document = catalog.document(passage.source)
                counted = Counted(document) if document else None  # once, for it goes through all pages and parts
            except IndexDamaged as error:
                problems.append(str(error))
                damaged.add(passage.source)
                continue
        is_there = document is not None and document.text[passage.start : passage.end] == passage.text
        if not (stored.is_sound and is_there and counted and counted.place(passage) == passage):
            problems.append(f"{passage.source}, characters {passage.start}–{passage.end}: not there: {_REBUILD}")
    return problems


def _file_problems(catalog: Catalog, limits: Sync) -> list[str]:
    """Documents that are not what their files hold now, told from the files read again."""
    corpus = Path(catalog.meta("corpus"))
    known = {source: state for source, state in catalog.files().items() if state.reader}  # the others are no files
    with Readers(limits) as readers:
        outcomes = readers.read(corpus, known)
        found = {source: _departure(catalog, known[source], read) for source, read in outcomes}
    return [f"{source}: {problem}" for source, problem in sorted(found.items()) if problem]


def _departure(catalog: Catalog, indexed: FileState, read: Document | Unreadable) -> str:
    """How a document departs from its file; empty if it does not."""
    if isinstance(read, Unreadable):
        return f"cannot be read again ({read}): {_INGEST}"
    if read.sha256 != indexed.sha256:
        return f"changed since it was indexed: {_INGEST}"
    if read.reader != indexed.reader:
        return f"was read by {indexed.reader}, and {read.reader} is here: {_INGEST}"
    try:
        document = catalog.document(indexed.source)
    except IndexDamaged:  # told with its passages
        return ""
    is_the_same = document is not None and _places(document) == _places(read)
    return "" if is_the_same else f"places in it are not those of the file: {_REBUILD}"


def _places(document: Document) -> tuple[object, ...]:
    """All that a citation rests on."""
    return document.text, document.sections, document.pages, document.parts


def _record_problems(index: IndexFolder, catalog: Catalog) -> list[str]:
    """Passages whose vectors cannot be read."""
    problems = []
    reader = SegmentReader(index.vectors, AT_A_TIME)
    try:
        for stored in catalog.all_passages():
            try:
                if stored.location is None:
                    raise CorruptRecord("not there")
                reader.read(stored.location, stored.key)
            except CorruptRecord as error:
                place = f"{stored.passage.source}, characters {stored.passage.start}–{stored.passage.end}"
                problems.append(f"{place}: its vectors are damaged ({error}): {_REBUILD}")
    finally:
        reader.close()
    return problems
