"""What an index must hold, told from the corpus read again. Each difference is a line."""

import random
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from pincite.doctor import examine
from pincite.embedding import Embedder
from pincite.errors import IndexDamaged
from pincite.passages import stretch
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.storage import Catalog, IndexFolder, IndexReader, Recipe, SegmentReader, StoredPassage, lexical
from pincite.storage.generation import altered_files, generation_numbers
from pincite.types import Answer, Document, Passage, Place
from tests.torture.library import Held

_OWN_WORD = re.compile(r"\bwug\d+\b")
_ASKED = 3
"""Documents that are looked for by a word of their own."""


def differences(settings: Settings, held: Mapping[str, Held], embedder: Embedder, rng: random.Random) -> list[str]:
    """How the index departs from what the corpus holds; empty if it does not."""
    with Catalog(settings.index) as catalog, catalog.reading():
        found = list(_documents(catalog, held))
        passages = list(catalog.all_passages())
        found += _coverage(passages, held)
        found += _vectors(settings, passages, embedder)
    found += _derived(settings, passages)
    found += [f"doctor: {problem}" for problem in examine(settings).problems]
    found += _answers(settings, held, embedder, rng)
    return found


def _documents(catalog: Catalog, held: Mapping[str, Held]) -> Iterator[str]:
    files = catalog.files()
    yield from (f"{source}: is not indexed" for source in held.keys() - files.keys())
    yield from (f"{source}: is indexed, and should not be" for source in files.keys() - held.keys())
    for source in held.keys() & files.keys():
        document = catalog.document(source)
        if document is None or _told(document) != _told(held[source].document):
            yield f"{source}: is not what its file holds"


def _told(document: Document) -> tuple[object, ...]:
    """All of a document that a person may see; its language is told by a sync alone."""
    d, coverage = document, document.coverage
    seen = (d.source, d.title, d.media_type, d.sha256, d.text, d.sections, d.pages, d.parts, d.tables, d.reader)
    return *seen, d.remarks, coverage.searchable, coverage.blank_pages, coverage.left_out


def _coverage(passages: list[StoredPassage], held: Mapping[str, Held]) -> Iterator[str]:
    """Each passage is the slice that it says, and together they hold every character but white space."""
    covered = {source: bytearray(len(one.document.text)) for source, one in held.items()}
    for stored in passages:
        p = stored.passage
        if p.source not in held:
            continue
        document = held[p.source].document
        if not _stands(p, held) or not stored.is_sound:
            yield f"{p.source}, characters {p.start}–{p.end}: is no slice of its document"
        if stored.file_sha256 != document.sha256:
            yield f"{p.source}, characters {p.start}–{p.end}: names another file"
        covered[p.source][p.start : p.end] = b"\1" * (p.end - p.start)
    for source, marks in covered.items():
        text = held[source].document.text
        if any(not mark and not character.isspace() for mark, character in zip(marks, text, strict=True)):
            yield f"{source}: some of its characters lie in no passage"


def _vectors(settings: Settings, passages: list[StoredPassage], embedder: Embedder) -> Iterator[str]:
    """Each record is what the passage gives when it is embedded again."""
    reader = SegmentReader(IndexFolder(settings.index).vectors)
    try:
        for number, made in embedder.embed_passages([stored.passage for stored in passages]):
            stored = passages[number]
            place = f"{stored.passage.source}, characters {stored.passage.start}–{stored.passage.end}"
            if stored.location is None:
                yield f"{place}: has no vectors"
                continue
            record = reader.read(stored.location, stored.key)
            same = (record.tokens.shape, record.sentences.tolist()) == (made.tokens.shape, made.sentences.tolist())
            if not same or float(record.vector @ made.vector) < 0.998:  # bfloat16 depends on what else is in a batch
                yield f"{place}: has the vectors of something else"
    finally:
        reader.close()


def _derived(settings: Settings, passages: list[StoredPassage]) -> Iterator[str]:
    """The derived files hold these passages and no others, and nothing of a dead run is left."""
    folder = IndexFolder(settings.index)
    ids = [stored.id for stored in passages]
    with IndexReader(folder, Recipe.of(settings)).snapshot() as snapshot:
        generation = snapshot.generation
        if generation.dense.ids.tolist() != ids:
            yield f"dense: holds {generation.dense.ids.tolist()}, the catalog {ids}"
        if len(generation.lexical) != len(ids):
            yield f"lexical: holds {len(generation.lexical)} passages, the catalog {len(ids)}"
        for stored in passages:
            words = lexical.terms(stored.passage.text)[:3]
            if words and stored.id not in generation.lexical.holding(words):
                yield f"lexical: does not find {words} in passage {stored.id}"
        number = generation.manifest.generation
        yield from (f"{name}: altered" for name in altered_files(folder.generation(number), generation.manifest))
    if generation_numbers(folder) != [number]:
        yield f"generations {generation_numbers(folder)} are there, {number} is the current one"
    yield from (f"{path}: was left behind" for path in folder.path.glob("*.making*"))


def _answers(settings: Settings, held: Mapping[str, Held], embedder: Embedder, rng: random.Random) -> Iterator[str]:
    """A word of its own finds each document that holds it, and no other; no hit shows a word that is not there."""
    searcher = Searcher(settings, embedder)
    owners: dict[str, set[str]] = {}
    for source, one in held.items():
        for word in _OWN_WORD.findall(one.document.text):
            owners.setdefault(word, set()).add(source)
    for word in rng.sample(sorted(owners), min(_ASKED, len(owners))):
        answer = searcher.search(f'"{word}"', 100)
        yield from wrong_words(answer, held)
        found = {place.source for hit in answer.hits for place in (hit.passage, *hit.also)}
        if found != owners[word]:
            yield f"{word}: stands in {sorted(owners[word])} and is found in {sorted(found)}"


def wrong_words(answer: Answer, *states: Mapping[str, Held]) -> list[str]:
    """Hits that are not, word for word and place for place, in one of these states of the corpus."""
    worst: list[str] = []
    for held in states:
        worst = [
            f"{hit.citation}: shows what does not stand there: {hit.passage.text[:60]!r}"
            for hit in answer.hits
            if not _stands(hit.passage, held)
            or hit.sha256 != held[hit.passage.source].sha256
            or not all(0 <= start < end <= len(hit.passage.text) for start, end in hit.marks)
            or not all(_stands_alike(place, hit.passage.text, held) for place in hit.also)
        ]
        if not worst:
            return []
    return worst


def wrong_documents(settings: Settings, *states: Mapping[str, Held]) -> list[str]:
    """Documents whose page would show what stands in no file of these states. One that is refused shows nothing."""

    def shown(document: Document) -> tuple[object, ...]:
        d = document
        return d.source, d.title, d.media_type, d.sha256, d.text, d.sections, d.pages, d.parts, d.tables

    held = {(source, one.sha256): shown(one.document) for state in states for source, one in state.items()}
    wrong = []
    with Catalog(settings.index) as catalog, catalog.reading():
        for source in sorted({source for source, _ in held}):
            with suppress(IndexDamaged):
                document = catalog.document(source)
                if document and held.get((source, document.sha256)) != shown(document):
                    wrong.append(f"{source}: is shown as what its file does not hold")
    return wrong


def _stands(passage: Passage, held: Mapping[str, Held]) -> bool:
    if passage.source not in held:
        return False
    again = stretch(held[passage.source].document, passage.start, passage.end)
    return replace(again, sentences=passage.sentences, columns=passage.columns) == passage


def _stands_alike(place: Place, text: str, held: Mapping[str, Held]) -> bool:
    if place.source not in held:
        return False
    there = held[place.source].document.text[place.start : place.end]
    return " ".join(there.split()) == " ".join(text.split())


def state(settings: Settings) -> dict[str, str]:
    """Source → SHA-256 of the file, as it is indexed; every text and passage as it was committed."""
    with Catalog(settings.index) as catalog, catalog.reading():
        if not catalog.generation:
            return {}
        for stored in catalog.all_passages():
            assert stored.is_sound, stored
        return {source: document.sha256 for source in catalog.files() if (document := catalog.document(source))}


def files(held: Mapping[str, Held]) -> dict[str, str]:
    """The same for what a corpus holds."""
    return {source: one.sha256 for source, one in held.items()}
