"""Hop 4: corpus → index. Compare, read what changed, embed what is new, commit all of it at once.

In Python this package can be called: `pincite.sync("corpus", "index")`.
"""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

from pincite import reading
from pincite.embedding import Embedder
from pincite.errors import CorpusError, IndexMismatch, IndexMissing, MostRemoved, OtherCorpus
from pincite.ledger import ledger
from pincite.reading.ignore import FILE as IGNORE_FILE
from pincite.settings import Settings
from pincite.storage import (
    Catalog,
    FileState,
    IndexFolder,
    Recipe,
    create,
    generation,
    open_writer,
    settings_of,
    staging,
    vectors,
)
from pincite.storage.catalog import FORMAT, count_documents, drop_aside, exists, peek, put_back, set_aside
from pincite.sync.difference import Difference, compare, readable
from pincite.sync.run import Run
from pincite.sync.work import Work
from pincite.types import Document, Progress

__all__ = ["Difference", "Package", "Report", "preview", "restore", "sync", "sync_collection"]

_DOCUMENTS = "documents_sha256"
"""What the catalog says of documents that are no files."""
_MANY = 20
_PATIENCE = 10.0
"""Seconds that a question waits for another one to mend the index."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a sync did."""

    difference: Difference
    documents: int
    passages: int
    embedded: int
    generation: int
    seconds: float
    ledger: dict[str, list[str]] = field(default_factory=dict)
    """Source → what a person should know of it, for what this run read."""

    def as_json(self) -> dict[str, Any]:
        """What `ingest.py --json` prints."""
        return {
            **self.difference.as_json(),
            "documents": self.documents,
            "passages": self.passages,
            "embedded": self.embedded,
            "generation": self.generation,
            "seconds": round(self.seconds, 3),
        }


def sync(
    settings: Settings,
    *,
    rebuild: bool = False,
    allow_removals: bool = False,
    move_corpus: bool = False,
    progress: Progress | None = None,
    embedder: Embedder | None = None,
    work: Work | None = None,
) -> Report:
    """Make the index hold what the corpus folder holds.

    `rebuild` reads and cuts every document again, with the present settings; vectors that are
    still right are kept. Whatever goes wrong or is killed, the index is the old one or the new one.
    `progress` is told the stages `compare`, `read`, `embed` and `commit`, and may stop it in any of them:
    the index is the old one then, and what was embedded stays for the next run. `work` is who reads, cuts and
    embeds, if not this process.

    Raises `SyncCancelled`, `CorpusError`, `MostRemoved`, `IndexMismatch`, `IndexBusy`, `IndexDamaged`.
    """
    started = time.monotonic()
    corpus = _corpus_folder(settings)
    index = IndexFolder(settings.index)
    if not exists(index.path) and not readable(corpus, index.path)[0]:
        raise _nothing_to_index(corpus)
    recipe = Recipe.of(settings)
    with index.writer(), _put_back(index.path):
        if rebuild and exists(index.path) and peek(index.path, "format").isdecimal():
            _check_corpus(peek(index.path, "corpus"), corpus, index.path, move_corpus)
            if peek(index.path, "format") != str(FORMAT):
                _guard_format(index.path, corpus, allow_removals)
                set_aside(index.path)  # every document is read anyway, and vectors are taken over
        if not exists(index.path):
            _begin(index, corpus)
        with Catalog(index.path, writable=True) as catalog, staging(index.path) as staged:
            _check_corpus(catalog.meta("corpus"), corpus, index.path, move_corpus)
            if catalog.generation and not rebuild:
                recipe.check(catalog, index.path)
            engine = open_writer(settings, catalog, recipe)
            difference = compare(corpus, index.path, settings.sync, catalog, rebuild=rebuild, progress=progress)
            known = catalog.counts()["documents"]
            _guard_against(difference, known, corpus, allow_removals)
            run = Run(settings, index, catalog, staged, recipe, engine, embedder, progress, work)
            difference = run.read(difference, corpus, anew=rebuild)
            _guard_against(difference, known, corpus, allow_removals)  # what turned out to hold no text is gone too
            embedded = run.apply(difference, anew=rebuild)
            if move_corpus:
                with catalog.writing():
                    catalog.set_meta("corpus", str(corpus))
            drop_aside(index.path)
            counts = catalog.counts()
            return Report(
                difference,
                counts["documents"],
                counts["passages"],
                embedded,
                catalog.generation,
                time.monotonic() - started,
                ledger(catalog, set(staged.files())),
            )


def sync_collection(
    settings: Settings,
    documents: Iterable[Document],
    sha256: str,
    *,
    progress: Progress | None = None,
    embedder: Embedder | None = None,
) -> None:
    """Index documents that are not files, once: an index of `settings.corpus` that is there is used again.

    `sha256` is of all of them: raises `IndexMismatch` for an index of others.
    """
    index = IndexFolder(settings.index)
    recipe = Recipe.of(settings)
    if exists(index.path):
        with Catalog(index.path) as catalog:
            if catalog.generation:  # nothing to write: several evaluations may run side by side
                _check_corpus(catalog.meta("corpus"), settings.corpus.resolve(), index.path, move_corpus=False)
                _check_documents(catalog.meta(_DOCUMENTS), sha256, settings)
                recipe.check(catalog, index.path)
                if not settings.engine.url or open_writer(settings, catalog, recipe).is_intact():
                    return
    with index.writer():
        if not exists(index.path):
            _begin(index, settings.corpus.resolve())
        with Catalog(index.path, writable=True) as catalog, staging(index.path) as staged:
            _check_corpus(catalog.meta("corpus"), settings.corpus.resolve(), index.path, move_corpus=False)
            run = Run(
                settings, index, catalog, staged, recipe, open_writer(settings, catalog, recipe), embedder, progress
            )
            if catalog.generation:
                _check_documents(catalog.meta(_DOCUMENTS), sha256, settings)
                recipe.check(catalog, index.path)
                run.apply(Difference(skipped=catalog.skipped(), failed=catalog.failed()))
                return
            with catalog.writing():
                catalog.set_meta(_DOCUMENTS, sha256)
            with staged.writing():
                for document in documents:
                    run.stage(document, FileState(document.source, 0, 0, 0, document.sha256))
            run.apply(Difference(), anew=True)


def preview(settings: Settings, *, rebuild: bool = False, move_corpus: bool = False) -> Difference:
    """What `sync` would do, without doing it. Needs no lock and writes nothing."""
    corpus = _corpus_folder(settings)
    try:
        with Catalog(settings.index) as catalog:
            _check_corpus(catalog.meta("corpus"), corpus, settings.index, move_corpus)
            return compare(corpus, settings.index, settings.sync, catalog, rebuild=rebuild)
    except IndexMissing:
        return compare(corpus, settings.index, settings.sync, None)


def restore(settings: Settings, embedder: Embedder | None = None) -> None:
    """Build damaged derived files again from catalog and segments; the documents stay as they are."""
    index = IndexFolder(settings.index)
    recipe = Recipe.of(settings)
    with index.writer(_PATIENCE), Catalog(index.path, writable=True) as catalog, staging(index.path) as staged:
        recipe.check(catalog, index.path)
        run = Run(settings, index, catalog, staged, recipe, open_writer(settings, catalog, recipe), embedder)
        if not run.is_readable():  # else somebody was quicker
            run.apply(Difference(skipped=catalog.skipped(), failed=catalog.failed()), anew=True)


def _corpus_folder(settings: Settings) -> Path:
    try:
        if not settings.corpus.is_dir():
            what = "not a folder" if settings.corpus.exists() else "no such folder"
            raise CorpusError(f"{settings.corpus}: {what}: name the folder that holds your documents")
        corpus = settings.corpus.resolve()
        if corpus == settings.index.resolve():
            raise CorpusError(f"{corpus}: cannot hold both documents and index: name another folder with --index")
        return corpus
    except OSError as error:
        raise CorpusError(f"{settings.corpus}: cannot be opened ({error.strerror}): mend its permissions") from error


def _nothing_to_index(corpus: Path) -> CorpusError:
    return CorpusError(f"{corpus}: holds no document that can be read ({', '.join(reading.READERS)}): add some")


def _begin(index: IndexFolder, corpus: Path) -> None:
    """A new catalog. Vectors that survived the loss of an old one are taken over."""
    found = (vectors.scan(index.vectors, number) for number in vectors.segment_numbers(index.vectors))
    past = generation.generation_numbers(index)
    create(index.path, corpus, max(past, default=0) + 1, chain.from_iterable(found))


@contextmanager
def _put_back(index: Path) -> Iterator[None]:
    """What an index of another format held stays until one of this format has taken its place, whatever happens."""
    put_back(index)  # a run may have died
    try:
        yield
    finally:
        put_back(index)


def _guard_format(index: Path, corpus: Path, allow_removals: bool) -> None:
    """Refuse to make an index of another format anew where folders would go: nothing but its vectors stays."""
    found, unlisted = readable(corpus, index)
    if unlisted:
        raise CorpusError(
            f"{corpus / unlisted[0]}: cannot be listed, and what an index of another format holds of it cannot be kept:"
            f" mend its permissions, or name it in {IGNORE_FILE}"
        )
    if not found:
        raise _nothing_to_index(corpus)
    known = count_documents(index)
    _guard(known, max(known - found, 0), corpus, allow_removals)


def _check_corpus(indexed: str, corpus: Path, index: Path, move_corpus: bool) -> None:
    if indexed == str(corpus):
        return
    if not move_corpus:
        raise OtherCorpus(
            f"{index}: is the index of {indexed}, not of {corpus}: take another with --index OTHER, or say"
            " --move-corpus if the folder was moved"
        )


def _check_documents(indexed: str, now: str, settings: Settings) -> None:
    if indexed and indexed != now:
        raise IndexMismatch(
            f"{settings.index}: holds documents that {settings.corpus} has no longer: delete it, or name another with"
            " --index"
        )


def _guard_against(difference: Difference, known: int, corpus: Path, allow_removals: bool) -> None:
    """Refuse an emptied folder, too."""
    removed = len(difference.removed)
    if known + len(difference.added) == removed:
        raise _nothing_to_index(corpus)
    _guard(known, removed, corpus, allow_removals)


def _guard(known: int, removed: int, corpus: Path, allow_removals: bool) -> None:
    """Refuse what looks like an accident: a folder that lost most of its documents."""
    if known >= _MANY and removed * 2 > known and not allow_removals:
        raise MostRemoved(
            f"{corpus}: {removed} of {known} indexed documents are gone: if that is meant, run python ingest.py"
            " --allow-removals"
        )


class Package(ModuleType):
    """What makes `pincite.sync` callable: Python gives that name to this package once any of it is imported."""

    def __call__(
        self,
        corpus: str | Path,
        index: str | Path,
        settings: Settings | None = None,
        *,
        rebuild: bool = False,
        allow_removals: bool = False,
        move_corpus: bool = False,
        progress: Progress | None = None,
    ) -> Report:
        """Make the index in one folder hold what the corpus in another holds; `sync` says how.

        Without `settings` an index keeps those that it was built with, and a new one has the defaults.
        """
        folders = {"corpus": Path(corpus), "index": Path(index)}
        return sync(
            (settings or _known(folders["index"])).model_copy(update=folders),
            rebuild=rebuild,
            allow_removals=allow_removals,
            move_corpus=move_corpus,
            progress=progress,
        )


def _known(index: Path) -> Settings:
    try:
        return settings_of(index)
    except IndexMissing:
        return Settings()


sys.modules[__name__].__class__ = Package
