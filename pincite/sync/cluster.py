"""Reading, cutting and embedding on the machines of a Ray cluster.

    with connected(settings, "auto") as work:
        sync(settings, work=work)

What is sent out are functions of what goes with them: of the bytes of some files, or of some passages. So a task
whose machine is lost is done again elsewhere, and costs no more than its share. Nothing but this process writes to
the index. Each machine needs this package and its model in the same version, and no look at the corpus folder.
"""

import hashlib
import logging
import os
import posixpath
import re
import socket
import sys
import tempfile
import traceback
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock
from pydantic import TypeAdapter

import pincite
from pincite import embedding
from pincite.embedding import Embedder, Projection
from pincite.embedding.model import cache_folder
from pincite.embedding.tokens import Tokenizer
from pincite.errors import ClusterError, Inaccessible, PinciteError, SettingsError, Unreadable
from pincite.passages import cut
from pincite.processors import cores
from pincite.reading import read_bytes
from pincite.reading.pool import Readers
from pincite.settings import Settings, Sync
from pincite.storage import Record, vectors
from pincite.sync.work import Cut, Passages
from pincite.types import Document, Passage

if TYPE_CHECKING:
    import pyarrow

LOCAL = "local"
"""Ray's own name for a cluster of this machine alone, which ends with the `with`."""

_FILES = 16
"""Files a task: what a lost worker reads again at most."""
_BATCH = 256
"""Passages a task: what a lost worker embeds again at most."""
_PATIENCE = 5.0
"""Seconds for the machine at an address to answer."""
_STANDSTILL = 600.0
"""Seconds without any result after which a sync gives up, beyond the time that reading may take."""
SILENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # what it would report goes to its makers
    "RAY_enable_metrics_collection": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""Of Ray, wherever it runs."""
ALONE = {
    # Ray's name for whether other machines may take part: without them it listens to this one alone.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Ray asks for the cloud that it is in, even for a report that is switched off: that ends at a closed port.
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "no_proxy": "127.0.0.1,localhost",
}
"""Of a cluster of this machine."""


@contextmanager
def connected(settings: Settings, address: str = LOCAL) -> "Iterator[Cluster]":
    """A cluster, to be handed to `sync` as `work`: that at `address`, as Ray has it, or one for the time being.

    Tasks that are not done when it ends are ended too. Raises `ClusterError`, `SettingsError` and `ModelError`.
    """
    if settings.model.precision == "int8":
        raise SettingsError(
            'model.precision = "int8" is fitted to the corpus on one machine: index without --ray, or without int8'
        )
    task = _Task.of(settings)
    here = {"num_cpus": cores(), "include_dashboard": False} if address == LOCAL else {}
    os.environ.update(SILENT)
    with environment(ALONE if address == LOCAL else {}):
        ray = _ray(address)
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL, **here)
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            raise _unreachable(address, " ".join(str(error).split())) from error
    try:
        for handler in logging.getLogger("ray.data").handlers:
            if isinstance(handler, logging.StreamHandler):  # its file keeps everything
                handler.setLevel(logging.CRITICAL + 1)
        context = ray.data.DataContext.get_current().copy()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True  # what comes early waits with Ray, not in our memory
        context.execution_no_progress_timeout_s = _STANDSTILL + _FILES * settings.sync.reader_seconds
        # Ray tells of a lost worker on the standard output, which may be somebody's JSON.
        with ray.data.DataContext.current(context), redirect_stdout(sys.stderr):
            yield Cluster(ray, task)
    finally:
        ray.shutdown()


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Of this process, and of those that it starts meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _ray(address: str) -> Any:
    """The library. Raises `ClusterError` where there is none, or no cluster can be at the address."""
    if address.startswith("ray://"):
        raise _unreachable(address, "a client from outside cannot run Ray Data")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ClusterError("python ingest.py --ray needs pip install -r requirements-cluster.txt") from error
    host, _, port = address.rpartition(":")
    if host:
        try:
            socket.create_connection((host, int(port)), _PATIENCE).close()
        except (OSError, ValueError, OverflowError) as error:
            raise _unreachable(address, str(error)) from error
    return ray


def _unreachable(address: str, reason: str) -> ClusterError:
    return ClusterError(
        f"{address}: no Ray cluster can be used there ({reason}): run python ingest.py on one of its machines, with the"
        " address that ray start names"
    )


class Cluster:
    """The machines of a cluster, at work for a run."""

    def __init__(self, ray: Any, task: "_Task") -> None:
        self._ray = ray
        self._task = task

    def read(self, corpus: Path, sources: Sequence[str]) -> Generator[tuple[str, Cut | Unreadable], None, None]:
        """What became of each file, in the order of `sources`. The files are opened on this machine."""
        if not sources:
            return
        import pyarrow

        pool = self._ray.data.TaskPoolStrategy(size=1)
        this_machine = {"ray.io/node-id": self._ray.get_runtime_context().get_node_id()}
        named = self._ray.data.from_arrow(
            pyarrow.table({"source": list(sources)}), override_num_blocks=-(-len(sources) // _FILES)
        )
        fetch = partial(_fetch, corpus=corpus)
        # Without a processor of its own, so that it is not taken for one step with the next, which goes anywhere.
        fetched = named.map_batches(
            fetch, batch_size=None, batch_format="pyarrow", compute=pool, num_cpus=0, label_selector=this_machine
        )
        yield from map(_outcome, self._made(fetched, _read, len(sources)))

    def embed(self, keys: Sequence[bytes], passages: Passages) -> Generator[Record, None, None]:
        """The records of passages, as they come. Ray keeps what waits, on disk where it is much."""
        import pyarrow

        wanted = zip(keys, passages(), strict=True)
        parts = []
        while part := list(islice(wanted, _BATCH)):
            lines = [_PASSAGE.dump_json(passage) for _, passage in part]
            parts.append(self._ray.put(pyarrow.table({"key": [key for key, _ in part], "passage": lines})))
        if parts:
            yield from map(vectors.decode, self._made(self._ray.data.from_arrow_refs(parts), _embed, len(keys)))

    def _made(self, shares: Any, work: Any, count: int) -> Iterator[bytes]:
        """What `work` makes of the shares, wherever in the cluster: `count` results, or `ClusterError`."""
        done = shares.map_batches(
            work, batch_size=None, batch_format="pyarrow", fn_kwargs={"task": self._task}, num_cpus=1
        )
        try:
            for table in done.iter_batches(batch_size=None, batch_format="pyarrow"):
                if refused := next(filter(None, table["refusal"].to_pylist()), None):
                    raise ClusterError(refused)
                count -= len(table)
                yield from (made.as_py() for made in table["made"])
        except (self._ray.exceptions.RayError, self._ray.data.exceptions.ExecutionTimeoutError) as error:
            raise _broken(error) from error
        if count:
            raise ClusterError(f"the Ray cluster left out {count} results: run python ingest.py again")


def _broken(error: Exception) -> ClusterError:
    lines = [" ".join(line.split()) for line in str(error).splitlines()]
    causes = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)]
    reason = next(iter(causes + lines), type(error).__name__)
    return ClusterError(f"the Ray cluster gave up ({reason}): see that every machine has the project, and Ray's logs")


# What the tasks do. What they need besides stays in their process for the next task.


@dataclass(frozen=True, slots=True)
class _Task:
    """What goes with every share of the work."""

    model: str
    engine: Literal["auto", "openvino", "pytorch"]
    tokens: int
    limits: Sync
    version: tuple[tuple[str, str], ...]
    """What decides what is made, by name."""

    @classmethod
    def of(cls, settings: Settings) -> "_Task":
        """As the settings have it. Raises `ModelError`."""
        name = settings.model.name
        model = str(Path(name).resolve()) if Path(name).is_dir() else name
        return cls(model, settings.model.engine, settings.passages.tokens, settings.sync, _version(model))


def _version(model: str) -> tuple[tuple[str, str], ...]:
    """Of this package, by its code too, and of the model on this machine."""
    files = embedding.find(model)
    code = hashlib.sha256()
    folder = Path(pincite.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        code.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return (
        ("pincite", f"{pincite.__version__} with code {code.hexdigest()[:12]}"),
        ("the model's weights", files.sha256[:12]),
        ("its projection", Projection(files.sha256).name[:12]),
    )


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Of a file: cut, or why not."""

    source: str
    cut: Cut | None = None
    reason: str = ""
    is_inaccessible: bool = False

    @classmethod
    def refused(cls, source: str, error: Unreadable) -> "_Outcome":
        return cls(source, reason=str(error), is_inaccessible=isinstance(error, Inaccessible))


_PASSAGE = TypeAdapter(Passage)
_OUTCOME = TypeAdapter(_Outcome)


def _outcome(made: bytes) -> tuple[str, Cut | Unreadable]:
    outcome = _OUTCOME.validate_json(made)
    kind = Inaccessible if outcome.is_inaccessible else Unreadable
    return outcome.source, outcome.cut or kind(outcome.reason)


def _fetch(named: "pyarrow.Table", corpus: Path) -> "Iterator[pyarrow.Table]":
    """The bytes of files that lie on this machine, or why there are none."""
    import pyarrow

    schema = pyarrow.schema(
        [("source", pyarrow.string()), ("data", pyarrow.large_binary()), ("outcome", pyarrow.large_binary())]
    )
    for source in named["source"].to_pylist():
        data = outcome = None
        try:
            data = read_bytes(corpus / source)
        except Unreadable as error:
            outcome = _OUTCOME.dump_json(_Outcome.refused(source, error))
        yield pyarrow.table({"source": [source], "data": [data], "outcome": [outcome]}, schema)


def _read(files: "pyarrow.Table", task: _Task) -> "pyarrow.Table":
    """Read and cut files."""

    def made(tools: _Tools) -> Iterator[bytes]:
        for source, data, outcome in zip(*(files[name] for name in ("source", "data", "outcome")), strict=True):
            yield outcome.as_py() or _OUTCOME.dump_json(tools.read(source.as_py(), data.as_buffer()))

    return _results(task, made)


def _embed(wanted: "pyarrow.Table", task: _Task) -> "pyarrow.Table":
    """Make the records of passages, as they lie in segments."""
    keys = wanted["key"].to_pylist()
    passages = [_PASSAGE.validate_json(line) for line in wanted["passage"].to_pylist()]

    def made(tools: _Tools) -> Iterator[bytes]:
        for number, one in tools.embedder.embed_passages(passages):
            yield vectors.encode(Record(keys[number], one.vector, one.tokens, one.sentences))

    return _results(task, made)


def _results(task: _Task, make: Any) -> "pyarrow.Table":
    """What is made with this machine's tools, or the one reason why nothing is."""
    import pyarrow

    schema = pyarrow.schema([("made", pyarrow.large_binary()), ("refusal", pyarrow.string())])
    try:
        made = list(make(_tools(task)))
    except Exception as error:
        reason = str(error)
        if not isinstance(error, PinciteError):
            traceback.print_exc()
            reason = f"{type(error).__name__}: {reason}: see Ray's log of the worker"
        return pyarrow.table({"made": [None], "refusal": [f"{socket.gethostname()}: {reason}"]}, schema)
    return pyarrow.table({"made": made, "refusal": [None] * len(made)}, schema)


@lru_cache(maxsize=1)
def _tools(task: _Task) -> "_Tools":
    return _Tools(task)


class _Tools:
    """What a process of a worker has opened. Tasks come to it one at a time."""

    def __init__(self, task: _Task) -> None:
        """Raises `ClusterError` where this machine would make something else than the one that asks."""
        for (what, own), (_, wanted) in zip(_version(task.model), task.version, strict=True):
            if own != wanted:
                raise ClusterError(
                    f"has {what} {own}, and the machine with the index {wanted}: install the same on every machine"
                )
        self._task = task
        self._files = embedding.find(task.model)
        self._tokenizer = Tokenizer(self._files.tokenizer)
        self._readers = Readers(task.limits, 1, tell_language=True)

    def read(self, source: str, data: Any) -> _Outcome:
        """Read and cut a file of these bytes, by a process of its own and within the limits, as everywhere."""
        with tempfile.TemporaryDirectory(prefix="pincite-") as folder:  # nobody else's to look into
            path = Path(folder) / f"file{posixpath.splitext(source)[1]}"
            path.write_bytes(data)
            ((_, outcome),) = self._readers.read(path.parent, [path.name])
        if not isinstance(outcome, Document):
            return _Outcome.refused(source, outcome)
        document = replace(outcome, source=source)
        return _Outcome(source, Cut(document, cut(document, self._tokenizer.count, self._task.tokens)))

    @cached_property
    def embedder(self) -> Embedder:
        """On one processor, for there is a task for each. Where the model is to be converted first, one does it."""
        with FileLock(cache_folder() / "cluster.lock"):
            return embedding.open_embedder(self._files, self._task.engine, streams=1)
