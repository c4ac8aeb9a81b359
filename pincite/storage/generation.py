"""Generations: the derived half of an index, one folder for each committed state, never changed.

    index/
      catalog.sqlite         truth
      vectors/000001.seg     truth
      writer.lock            held by the one process that writes
      generations/000012/    dense/, lexical/, manifest.json, lock

Both indexes are made of parts (`parts`): what a generation has in common with the one before is the same
files, by hard link. Readers hold `lock` shared for the time of one answer; a sweeper that gets it alone may delete.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from pincite import embedding
from pincite.durable import flush
from pincite.errors import IndexBusy, IndexDamaged, IndexMismatch, IndexMissing, StorageError
from pincite.settings import Engine, Model, Passages, Settings
from pincite.storage import dense, lexical
from pincite.storage.catalog import FORMAT, Catalog
from pincite.storage.derived import DerivedDamaged, noticing_damage
from pincite.storage.parts import IndexPart, Stretch
from pincite.storage.vectors import AT_A_TIME, CorruptRecord, SegmentReader, segment_path
from pincite.types import Progress

MANIFEST = "manifest.json"
PUBLISHED, ENGINE = "published", "engine"
"""In the catalog, where another engine than the folder has its state: what that is, and the engine's settings."""
_REBUILD = "run python ingest.py --rebuild"
LOCK = "lock"
_BLOCK = 64 * 2**20
_END = 65_536
"""Bytes at each end of a derived file that are checked whenever it is opened: FAISS keeps its
header at the front, tantivy at the back."""


class Recipe(BaseModel):
    """Everything besides the documents that decides what an index holds."""

    model_config = ConfigDict(frozen=True)
    format: int = FORMAT
    model: str
    weights_sha256: str
    projection: str
    """Which one made the token vectors small."""
    passage_tokens: int
    analyzer: str = lexical.ANALYZER
    precision: str = "auto"
    """What passages are embedded in, as the settings ask; `sync/precision.py` has what became of it."""

    @classmethod
    def of(cls, settings: Settings) -> "Recipe":
        """The recipe of an index made with these settings."""
        files = embedding.find(settings.model.name)
        projection = embedding.Projection(files.sha256).name
        return cls(
            model=files.name,
            weights_sha256=files.sha256,
            projection=projection,
            passage_tokens=settings.passages.tokens,
            precision=settings.model.precision,
        )

    @classmethod
    def stored(cls, catalog: Catalog) -> "Recipe":
        """The recipe that the index was built with. Raises `IndexDamaged`."""
        try:
            return cls.model_validate_json(catalog.meta("recipe"))
        except ValidationError as error:
            raise IndexDamaged(f"{catalog.path}: its recipe is damaged: run python ingest.py --rebuild") from error

    def check(self, catalog: Catalog, folder: Path) -> None:
        """Raise `IndexMismatch`, naming the first difference, unless the index was built with the same."""
        self.compare(Recipe.stored(catalog), str(folder))

    def compare(self, built: "Recipe", index: str) -> None:
        """The same for an index of which this is known."""
        for key, asked in self.model_dump().items():
            found = getattr(built, key)
            if found != asked and key != "model":  # a model is its weights, whatever it is called
                name = f"{key} ({built.model} → {self.model})" if key == "weights_sha256" else key
                raise IndexMismatch(
                    f"{index}: built with {name} {_short(found)}, the settings ask for {_short(asked)}: run"
                    " python ingest.py --rebuild"
                )


def settings_of(index: Path) -> Settings:
    """The settings that an index was built with, its corpus folder among them; all others are the defaults.

    Raises `IndexMissing`, `IndexMismatch` for another format, `IndexDamaged`.
    """
    with Catalog(index) as catalog, catalog.reading():
        if not catalog.generation:
            raise IndexMissing(f"{index}: nothing is indexed yet: run python ingest.py")
        built = Recipe.stored(catalog)
        corpus = Path(catalog.meta("corpus"))
        engine = Engine.model_validate_json(catalog.meta(ENGINE) or "{}")
    model = Model.model_validate({"name": built.model, "precision": built.precision})
    return Settings(
        corpus=corpus, index=index, model=model, passages=Passages(tokens=built.passage_tokens), engine=engine
    )


def _short(value: object) -> str:
    text = str(value)
    return f"{text[:12]}…" if len(text) == 64 else text


class FileStamp(BaseModel):
    """What a derived file must be."""

    model_config = ConfigDict(frozen=True)
    size: int
    ends: str
    """SHA-256 of its first and last 64 KiB: what is checked at opening, where the whole takes too long."""
    blocks: tuple[str, ...]
    """SHA-256 of each 64 MiB of it."""
    inode: int
    modified: int
    """Nanoseconds. A file that is still the same one, and was not written to, is not hashed whole at each sync."""


class Contents(BaseModel):
    """What one state of an index says of itself, whatever engine searches it."""

    model_config = ConfigDict(frozen=True)
    generation: int
    built_at: datetime
    recipe: Recipe
    documents: int
    passages: int


class Manifest(Contents):
    """What a generation in a folder says of itself."""

    dense: dense.Layout
    lexical: tuple[IndexPart, ...]
    files: dict[str, FileStamp]


@dataclass(frozen=True, slots=True)
class IndexFolder:
    """Where everything lies."""

    path: Path

    @property
    def vectors(self) -> Path:
        """The folder of the segments."""
        return self.path / "vectors"

    @property
    def generations(self) -> Path:
        """The folder of all generations."""
        return self.path / "generations"

    def generation(self, number: int) -> Path:
        """The folder of one generation."""
        return self.generations / f"{number:06}"

    def bytes(self) -> int:
        """What it takes on the disk; a file that several generations share counts once."""
        found = {}
        for folder, _, names in os.walk(self.path):
            for name in names:
                with suppress(OSError):  # swept meanwhile
                    info = (Path(folder) / name).stat()
                    found[info.st_dev, info.st_ino] = info.st_size
        return sum(found.values())

    @contextmanager
    def writer(self, patience: float = 0) -> Iterator[None]:
        """The right to write, which a process that dies gives back.

        Raises `IndexBusy` if another process still has it after `patience` seconds, `StorageError`
        where the system does not let the index be written.
        """
        from filelock import FileLock, Timeout  # a tenth of a second that readers need not wait

        lock = FileLock(self.path / "writer.lock")
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path.chmod(0o700)
            lock.acquire(timeout=patience)
            yield
        except Timeout as error:
            raise IndexBusy(f"{self.path}: another process is writing this index: wait until it is done") from error
        except OSError as error:
            raise StorageError(
                f"{self.path}: cannot be written ({error}): see to the disk's room and the folder's permissions"
            ) from error
        finally:
            lock.release()


def built_at(index: IndexFolder, catalog: Catalog) -> datetime | None:
    """When the current generation was built; None where its files are lost."""
    try:
        if published := catalog.meta(PUBLISHED):
            return Contents.model_validate_json(published).built_at
        return read_manifest(index.generation(catalog.generation)).built_at
    except (DerivedDamaged, ValidationError):
        return None


@contextmanager
def shared(folder: Path) -> Iterator[None]:
    """Keep a generation from being swept. Raises `DerivedDamaged` if it is not there.

    The lock's file is never made here: a folder that is being deleted must stay empty.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise DerivedDamaged(str(error)) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Generation:
    """An opened generation."""

    manifest: Manifest
    dense: dense.DenseIndex
    lexical: lexical.LexicalIndex


def open_generation(folder: Path, manifest_sha256: str | None = None) -> Generation:
    """Open for reading. Raises `DerivedDamaged` where sizes, headers or counts are not right."""
    manifest = read_manifest(folder, manifest_sha256)
    check_files(folder, manifest)
    vectors, words = dense.DenseIndex(folder / "dense", manifest.dense), lexical.LexicalIndex(folder / "lexical")
    opened = Generation(manifest, vectors, words)
    if not len(opened.dense) == len(opened.lexical) == manifest.passages:
        raise DerivedDamaged(f"{folder}: {len(opened.dense)} vectors, {len(opened.lexical)} texts")
    return opened


def read_manifest(folder: Path, sha256: str | None = None) -> Manifest:
    """Raises `DerivedDamaged` for one that is missing, cannot be read or has not this SHA-256."""
    try:
        data = (folder / MANIFEST).read_bytes()
        if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
            raise DerivedDamaged(f"{folder / MANIFEST}: not the one that was committed")
        return Manifest.model_validate_json(data)
    except (OSError, ValidationError) as error:
        raise DerivedDamaged(f"{folder / MANIFEST}: {str(error).splitlines()[0]}") from error


def check_files(folder: Path, manifest: Manifest) -> None:
    """Raises `DerivedDamaged` for a file that is missing or differs in size, at its front or at its back."""
    try:
        for name, stamp in manifest.files.items():
            path = folder / name
            if path.stat().st_size != stamp.size or _ends(path) != stamp.ends:
                raise DerivedDamaged(f"{path}: not as it was written")
        (folder / LOCK).stat()
    except OSError as error:
        raise DerivedDamaged(str(error)) from error


def altered_files(folder: Path, manifest: Manifest) -> list[str]:
    """Names of the files that are missing or not, byte for byte, what the manifest says."""
    return [name for name, stamp in manifest.files.items() if not _is_unaltered(folder / name, stamp)]


def is_reusable(folder: Path, manifest: Manifest) -> bool:
    """Whether another generation may share the files of this one.

    A file that was written to, or is another one than was hashed (a copy, say), is hashed whole. Of the
    others 64 MiB are, from sync to sync further on, so that a flipped bit in any of them is found in time
    at a cost that does not grow with the index; `altered_files` finds it at once.
    """
    total = sum(stamp.size for stamp in manifest.files.values())
    begins = manifest.generation * _BLOCK % max(total, 1)
    windows = ((begins, begins + _BLOCK), (0, begins + _BLOCK - total))  # it goes on at the front
    position = 0
    for name, stamp in manifest.files.items():
        blocks = list(range(len(stamp.blocks)))
        if _is_untouched(folder / name, stamp):
            at = [(position + number * _BLOCK, position + min(stamp.size, (number + 1) * _BLOCK)) for number in blocks]
            blocks = [n for n in blocks if any(at[n][0] < end and start < at[n][1] for start, end in windows)]
        if not _is_unaltered(folder / name, stamp, blocks):
            return False
        position += stamp.size
    return True


def _is_untouched(path: Path, stamp: FileStamp) -> bool:
    try:
        info = path.stat()
    except OSError:
        return False
    return (info.st_size, info.st_ino, info.st_mtime_ns) == (stamp.size, stamp.inode, stamp.modified)


def _is_unaltered(path: Path, stamp: FileStamp, blocks: Sequence[int] | None = None) -> bool:
    """Whether it has its size, and these of its blocks, or all of them, their hashes."""
    try:
        if path.stat().st_size != stamp.size:
            return False
        wanted = range(len(stamp.blocks)) if blocks is None else blocks
        return all(_block(path, number) == stamp.blocks[number] for number in wanted)
    except OSError:
        return False


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """From one state of an index to the next."""

    number: int
    """Of the next generation."""
    previous: int | None
    """The generation that what stays may be taken from; None: everything is made anew."""
    gone: np.ndarray
    """Ids of the passages of `previous` that are no longer there, int64, rising."""
    told_anew: np.ndarray
    """Ids of those that stay and whose document has another name or time, int64, rising."""


class FolderWriter:
    """Writes generations of an index folder."""

    holds_times = False

    def __init__(self, index: IndexFolder, catalog: Catalog, recipe: Recipe) -> None:
        self._index = index
        self._catalog = catalog
        self._recipe = recipe

    @property
    def _folder(self) -> Path:
        return self._index.generation(self._catalog.generation)

    def settle(self) -> None:
        """What a dead run built has a number above the catalog's, and is swept with the next commit."""

    def is_intact(self) -> bool:
        """Whether the current generation's files look as they were written."""
        try:
            check_files(self._folder, read_manifest(self._folder, self._catalog.meta("manifest")))
        except DerivedDamaged:
            return False
        return True

    def is_reusable(self) -> bool:
        """Whether the next generation may share the current one's files."""
        return is_reusable(self._folder, read_manifest(self._folder))

    def build(self, change: Change, progress: Progress) -> str:
        """As `build`."""
        for key in (PUBLISHED, ENGINE):
            self._catalog.set_meta(key, "")
        return build(self._index, self._catalog, change.number, self._recipe, change.previous, change.gone, progress)

    def publish(self) -> None:
        """The catalog's commit did."""

    def problems(self) -> list[str]:
        """Files that are missing, altered, or do not hold what the catalog holds."""
        folder = self._folder
        try:
            manifest = read_manifest(folder, self._catalog.meta("manifest"))
            problems = [f"{folder / name}: missing or altered: {_REBUILD}" for name in altered_files(folder, manifest)]
            if not problems:
                check_files(folder, manifest)
        except DerivedDamaged as error:
            return [f"{error}: run python ingest.py"]
        try:
            if not problems:
                open_generation(folder)
        except DerivedDamaged as error:  # its files are what was written, so a sync would use them again
            problems.append(f"{error}: {_REBUILD}")
        except StorageError as error:
            problems.append(str(error))
        counts = {key: getattr(manifest, key) for key in ("documents", "passages")}
        if counts != self._catalog.counts():
            problems.append(f"{folder}: counts {counts}, the catalog holds {self._catalog.counts()}: {_REBUILD}")
        return problems


def build(
    index: IndexFolder,
    catalog: Catalog,
    number: int,
    recipe: Recipe,
    previous: int | None,
    gone: np.ndarray,
    progress: Progress,
) -> str:
    """Build generation `number` from what `catalog` sees, flush it to the disk; SHA-256 of its manifest.

    `previous` is a generation whose files may be shared: what stays of it is linked. It held the passages
    `gone`, ids, int64, rising, which are no longer there; those with higher ids than it knows are new.
    With None, everything is built anew. `progress` is told how many passages have been written.

    Raises `DerivedDamaged` where what is shared turns out to be damaged, `StorageError` where a file
    cannot be written, or a vector not be read.
    """
    folder = index.generation(number)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / LOCK).touch(mode=0o600)
    before = index.generation(previous) if previous is not None else None
    known = read_manifest(before) if before else None
    new = catalog.ids_after(catalog.number("last_passage") if before else 0)
    stretch = Stretch(first=int(new[0]), last=int(new[-1]), passages=len(new)) if len(new) else None
    reader = SegmentReader(index.vectors, AT_A_TIME)
    try:
        with noticing_damage(folder):
            words = lexical.build(
                folder / "lexical",
                (before / "lexical", known.lexical) if before and known else None,
                gone,
                stretch,
                catalog.indexed_texts,
                lambda done, total: progress("commit", done, total),
            )
            vectors = dense.build(
                folder / "dense",
                (before / "dense", known.dense) if before and known else None,
                gone,
                new,
                lambda ids: _vectors(catalog, reader, ids),
                lambda: progress("commit", 0, 0),
            )
        return write_manifest(folder, catalog, number, recipe, vectors, words, known.files if known else {})
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)  # the next try may need the room
        if not isinstance(error, DerivedDamaged | CorruptRecord):
            raise
        # This is how the libraries say that they cannot write, too.
        if before:
            raise DerivedDamaged(str(error)) from error
        raise StorageError(f"{str(error).splitlines()[0]}: see to the disk and run again") from error
    finally:
        reader.close()


def _vectors(catalog: Catalog, reader: SegmentReader, ids: np.ndarray) -> np.ndarray:
    """Of passages by rising ids, shape (n, dim). Raises `CorruptRecord`."""
    records = [reader.read(location, key).vector for key, location in catalog.records(ids)]
    if len(records) != len(ids):
        raise CorruptRecord(f"{len(records)} vectors of {len(ids)} passages")
    return np.stack(records)


def write_manifest(
    folder: Path,
    catalog: Catalog,
    number: int,
    recipe: Recipe,
    vectors: dense.Layout,
    words: tuple[IndexPart, ...],
    known: Mapping[str, FileStamp],
) -> str:
    """Flush every file, then the manifest that describes them, then the folders; its SHA-256.

    `known`: what the generation before says of files that this one may share with it.
    """
    files = {}
    for part in ("dense", "lexical"):
        for path in sorted((folder / part).iterdir()):
            if not path.name.endswith(".lock"):
                name = f"{part}/{path.name}"
                files[name] = _stamp(path, known.get(name))
        flush(folder / part)
    manifest = Manifest(
        generation=number,
        built_at=datetime.now(UTC),
        recipe=recipe,
        dense=vectors,
        lexical=words,
        files=files,
        **catalog.counts(),
    )
    data = manifest.model_dump_json(indent=1).encode("utf-8")
    (folder / MANIFEST).write_bytes(data)
    for path in (folder / MANIFEST, folder, folder.parent, folder.parent.parent):
        flush(path)
    return hashlib.sha256(data).hexdigest()


def _stamp(path: Path, known: FileStamp | None) -> FileStamp:
    """Of a file that is on the disk when this returns; `known`, if it is still that file."""
    info = path.stat()
    if known and info.st_nlink > 1 and _is_untouched(path, known):
        return known
    flush(path)
    blocks = tuple(_block(path, number) for number in range(-(-info.st_size // _BLOCK)))
    return FileStamp(size=info.st_size, ends=_ends(path), blocks=blocks, inode=info.st_ino, modified=info.st_mtime_ns)


def _block(path: Path, number: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(number * _BLOCK)
        left = _BLOCK
        while left and (data := file.read(min(left, 2**20))):
            digest.update(data)
            left -= len(data)
    return digest.hexdigest()


def _ends(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(_END))
        file.seek(max(0, path.stat().st_size - _END))
        digest.update(file.read())
    return digest.hexdigest()


def sweep(index: IndexFolder, current: int, segments_in_use: set[int]) -> bool:
    """Delete what no reader can need: dead runs' generations, old ones, and segments they alone used.

    The caller holds the writer's lock. Returns whether nothing is left of generations before the current one.
    """
    older = False
    for number in generation_numbers(index):
        folder = index.generation(number)
        if number > current or (number < current and _is_unused(folder)):
            shutil.rmtree(folder)
        older = older or (number < current and folder.exists())
    if not older:  # a reader of an older generation may still read its segments
        for path in index.vectors.glob("*.seg"):
            if path.stem.isdigit() and int(path.stem) not in segments_in_use:
                path.unlink()
    return not older


def generation_numbers(index: IndexFolder) -> list[int]:
    """The generations that are there, in order; whatever else lies beside them is nobody's business."""
    names = (path.name for path in index.generations.glob("[0-9]*") if path.is_dir())
    return sorted(int(name) for name in names if name.isdecimal() and name == f"{int(name):06}")


def _is_unused(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)


def short_segments(index: IndexFolder, catalog: Catalog) -> list[int]:
    """The segments that are missing or shorter than was committed."""
    wrong = []
    for number, end in catalog.committed_ends().items():
        path = segment_path(index.vectors, number)
        if not path.is_file() or path.stat().st_size < end:
            wrong.append(number)
    return wrong
