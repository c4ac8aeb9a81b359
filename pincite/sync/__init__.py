"""Hop 4: corpus → index. Compare, read what changed, embed what is new, commit all of it at once."""

import time
from dataclasses import dataclass
from pathlib import Path

from pincite import reading
from pincite.embedding import Embedder
from pincite.errors import CorpusError, IndexMismatch, IndexMissing
from pincite.settings import Settings
from pincite.storage import Catalog, IndexFolder, Recipe, create, vectors
from pincite.storage.catalog import FILE as CATALOG_FILE
from pincite.sync.difference import Difference, compare, holds_documents
from pincite.sync.run import Progress, Run

__all__ = ["Difference", "Progress", "Report", "preview", "restore", "sync"]

_MANY = 20


@dataclass(frozen=True, slots=True)
class Report:
    """What a sync did."""

    difference: Difference
    documents: int
    passages: int
    embedded: int
    generation: int
    seconds: float


def sync(
    settings: Settings,
    *,
    rebuild: bool = False,
    allow_removals: bool = False,
    move_corpus: bool = False,
    progress: Progress | None = None,
    embedder: Embedder | None = None,
) -> Report:
    """Make the index hold what the corpus folder holds.

    `rebuild` reads and cuts every document again, with the present settings; vectors that are
    still right are kept. Whatever goes wrong or is killed, the index is the old one or the new one.

    Raises `CorpusError`, `IndexMismatch`, `IndexBusy`, `IndexDamaged`.
    """
    started = time.monotonic()
    corpus = _corpus_folder(settings)
    index = IndexFolder(settings.index)
    is_new = not (index.path / CATALOG_FILE).is_file()
    if is_new and not holds_documents(corpus):
        raise _nothing_to_index(corpus)
    recipe = Recipe.of(settings)
    with index.writer():
        if is_new:
            _begin(index, corpus)
        with Catalog(index.path, writable=True) as catalog:
            _check_corpus(catalog, corpus, index.path, move_corpus)
            if catalog.generation and not rebuild:
                recipe.check(Recipe.model_validate_json(catalog.meta("recipe")), index.path)
            difference = compare(corpus, settings.sync.max_megabytes, catalog, rebuild=rebuild)
            _guard(difference, len(catalog.files()), corpus, allow_removals)
            run = Run(settings, index, catalog, recipe, embedder, progress)
            difference, embedded = run.apply(difference, corpus, anew=rebuild)
            if catalog.generation == 0:
                raise _nothing_to_index(corpus)
            counts = catalog.counts()
            return Report(
                difference,
                counts["documents"],
                counts["passages"],
                embedded,
                catalog.generation,
                time.monotonic() - started,
            )


def preview(settings: Settings) -> Difference:
    """What `sync` would do, without doing it. Needs no lock and writes nothing."""
    corpus = _corpus_folder(settings)
    try:
        with Catalog(settings.index) as catalog:
            _check_corpus(catalog, corpus, settings.index, move_corpus=False)
            return compare(corpus, settings.sync.max_megabytes, catalog)
    except IndexMissing:
        return compare(corpus, settings.sync.max_megabytes, None)


def restore(settings: Settings, embedder: Embedder | None = None) -> None:
    """Build damaged derived files again from catalog and segments; the documents stay as they are."""
    index = IndexFolder(settings.index)
    recipe = Recipe.of(settings)
    with index.writer(), Catalog(index.path, writable=True) as catalog:
        recipe.check(Recipe.model_validate_json(catalog.meta("recipe")), index.path)
        nothing = Difference(skipped=catalog.skipped())
        Run(settings, index, catalog, recipe, embedder).apply(nothing, Path(catalog.meta("corpus")))


def _corpus_folder(settings: Settings) -> Path:
    if not settings.corpus.is_dir():
        what = "not a folder" if settings.corpus.exists() else "no such folder"
        raise CorpusError(f"{settings.corpus}: {what}: name the folder that holds your documents")
    return settings.corpus.resolve()


def _nothing_to_index(corpus: Path) -> CorpusError:
    return CorpusError(f"{corpus}: holds no document that can be read ({', '.join(reading.READERS)}): add some")


def _begin(index: IndexFolder, corpus: Path) -> None:
    """A new catalog. Vectors that survived the loss of an old one are taken over."""
    create(index.path, corpus)
    with Catalog(index.path, writable=True) as catalog, catalog.writing():
        for number in vectors.segment_numbers(index.vectors):
            catalog.put_vectors(vectors.scan(index.vectors, number))
        past = [int(folder.name) for folder in index.generations.glob("[0-9]*")]
        catalog.set_meta("next_generation", str(max(past, default=0) + 1))


def _check_corpus(catalog: Catalog, corpus: Path, index: Path, move_corpus: bool) -> None:
    indexed = catalog.meta("corpus")
    if indexed == str(corpus):
        return
    if not move_corpus:
        raise IndexMismatch(
            f"{index}: is the index of {indexed}, not of {corpus}: take another with --index OTHER, or say"
            " --move-corpus if the folder was moved"
        )
    with catalog.writing():
        catalog.set_meta("corpus", str(corpus))


def _guard(difference: Difference, known: int, corpus: Path, allow_removals: bool) -> None:
    """Refuse what looks like an accident: an emptied folder, or one that lost most of its documents."""
    removed = len(difference.removed)
    if known + len(difference.added) == removed:
        raise _nothing_to_index(corpus)
    if known >= _MANY and removed * 2 > known and not allow_removals:
        raise CorpusError(
            f"{corpus}: {removed} of {known} indexed documents are gone: if that is meant, run python ingest.py"
            " --allow-removals"
        )
