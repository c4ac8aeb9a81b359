"""An index without judgements → questions, each with a pool of passages to judge.

Pooling as at TREC (Sparck Jones and van Rijsbergen 1975, "Report on the need for and provision of an
'ideal' information retrieval test collection"): what several methods find best is judged, in an order
that does not tell which of them found it.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice
from pathlib import Path

from pincite.errors import IndexDamaged, JudgementError, OutputError, QuestionError, StorageError
from pincite.evaluation import sheet
from pincite.evaluation.judgements import identity
from pincite.evaluation.proposals import propose
from pincite.evaluation.runs import METHODS, ask
from pincite.query import plain
from pincite.search import Searcher
from pincite.storage import Snapshot
from pincite.types import Passage, Place, Progress

FILE = Path("judgments/draft.txt")
QUESTIONS = 20
"""Proposed where nothing else is asked for."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A question to judge."""

    question: str
    origin: Place | None = None
    """The passage it was made from; None for a person's own."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A question with the passages to judge, in the order in which they are shown."""

    question: str
    passages: tuple[Passage, ...]


def proposals(searcher: Searcher, count: int, seed: int) -> tuple[list[Proposal], list[str]]:
    """`count` questions, no two alike, made from passages that are drawn by `seed` alone.

    Every document has its turn before any has a second one; after that every passage is as likely
    as any other, so a long document gets its share. And a line that says so where there are fewer.
    Raises `JudgementError` where no passage gives a question.
    """
    found = searcher.mending(lambda: _proposed(searcher, count, seed))
    if not found:
        raise JudgementError(
            f"{searcher.settings.index}: no passage says enough to ask about: write questions of your own, one a"
            " line, and give them with --from"
        )
    if len(found) < count:
        return found, [
            f"{searcher.settings.index}: gives {len(found)} of {count} questions: it holds no more to ask about"
        ]
    return found, []


def _proposed(searcher: Searcher, count: int, seed: int) -> list[Proposal]:
    with searcher.index.snapshot() as snapshot:
        return list(islice(_turns(snapshot, seed), count))


def _turns(snapshot: Snapshot, seed: int) -> Iterator[Proposal]:
    """Every proposal there is, in the order in which they are drawn."""
    asked: set[str] = set()

    def proposal(passage: Passage) -> Proposal | None:
        question = propose(snapshot, passage)
        if question is None or identity(question) in asked:
            return None
        asked.add(identity(question))
        return Proposal(question, _place(passage))

    @cache
    def passages(source: str) -> Mapping[Place, Passage]:
        return _passages(snapshot, source)

    sources = sorted(snapshot.catalog.files(), key=lambda source: _drawn(seed, source))
    places = {
        source: sorted(snapshot.catalog.places(source), key=lambda place: _drawn(seed, place)) for source in sources
    }
    for source in sources:
        firsts = (proposal(passages(source)[place]) for place in places[source])
        yield from islice(filter(None, firsts), 1)
    drawn = sorted(chain.from_iterable(places.values()), key=lambda place: _drawn(seed, place))
    yield from filter(None, (proposal(passages(place.source)[place]) for place in drawn))


def _passages(snapshot: Snapshot, source: str) -> dict[Place, Passage]:
    """The passages of a document. Raises `IndexDamaged` for one that is not what was committed."""
    found = {}
    for stored in snapshot.passages_of(source):
        if not stored.is_sound:
            raise IndexDamaged(f"{source}: a stored passage is damaged: run python ingest.py --rebuild")
        found[_place(stored.passage)] = stored.passage
    return found


def _place(passage: Passage) -> Place:
    return Place(passage.source, passage.start, passage.end)


def _drawn(seed: int, *what: object) -> bytes:
    """To sort by: an order that looks like chance, and is the same for the same seed on any machine."""
    return hashlib.sha256(repr((seed, *what)).encode()).digest()


def own(file: Path, count: int | None, seed: int) -> tuple[list[Proposal], list[str]]:
    """A person's own questions, one a line, each once: `count` drawn of them, or all; in the order of the file.

    And a line for each that cannot be asked. Raises `JudgementError`.
    """
    found: dict[str, str] = {}
    refused: list[str] = []
    for number, line in sheet.numbered_lines(sheet.read_text(file)):
        try:
            if line.strip():
                found.setdefault(identity(line), plain(line).text)
        except QuestionError as error:
            refused.append(f"{file}, line {number}: left out: {error}")
    if not found:
        raise JudgementError(f"{file}: holds no question: write one a line")
    drawn = sorted(found, key=lambda id_: _drawn(seed, id_))[:count]
    return [Proposal(question) for id_, question in found.items() if id_ in set(drawn)], refused


def pool(searcher: Searcher, asked: Sequence[Proposal], depth: int, seed: int, progress: Progress) -> list[Pool]:
    """For each question the best `depth` passages of every method, and the one it was made from."""
    pools = []
    for done, proposal in enumerate(asked):
        progress("ask", done, len(asked))
        found = {place for method in METHODS for place in ask(searcher, method, proposal.question).places[:depth]}
        found |= {proposal.origin} if proposal.origin else set()
        order = sorted(found, key=lambda place: _drawn(seed, proposal.question, place))
        pools.append(Pool(proposal.question, _fetch(searcher, order)))
    return pools


def _fetch(searcher: Searcher, places: Sequence[Place]) -> tuple[Passage, ...]:
    with searcher.snapshot() as snapshot:
        known: dict[Place, Passage] = {}
        for source in {place.source for place in places}:
            known |= _passages(snapshot, source)
    if not known.keys() >= set(places):
        raise StorageError(f"{searcher.settings.index}: was changed meanwhile: draft again")
    return tuple(known[place] for place in places)


def write(pools: Sequence[Pool], file: Path) -> None:
    """Write the sheet. Raises `OutputError` where it cannot, `JudgementError` where `check_free` does."""
    check_free(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            sheet.write([(pool.question, pool.passages) for pool in pools], str(file)), encoding="utf-8", newline="\n"
        )
    except OSError as error:
        raise OutputError(f"{file}: cannot be written ({error.strerror}): name another with --output") from error


def check_free(file: Path) -> None:
    """Raises `JudgementError` for a file that holds anything but a sheet as it was drafted."""
    if file.exists() and not sheet.is_untouched(sheet.read_text(file)):
        raise JudgementError(f"{file}: holds work of yours: adopt it and move it away, or name another with --output")
