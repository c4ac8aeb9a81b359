"""A connection to Milvus, for the collections of one index."""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np

from pincite.errors import StorageError
from pincite.settings import Engine
from pincite.storage.generation import Contents

os.environ.setdefault("PYTHON_DOTENV_DISABLED", "1")  # pymilvus would take in whatever `.env` lies around
from grpc import RpcError
from pymilvus import DataType, Function, FunctionType, MilvusClient, MilvusException

logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # what it complains of is raised as well

TOKEN = "PINCITE_MILVUS_TOKEN"  # noqa: S105  # the name of a variable, and no secret
"""The environment variable that holds `user:password` or a token."""
ALIVE = 2**62
"""The generation in which a row died that has not."""
MOST = 16_384
"""Rows that Milvus gives at once."""
LONGEST = 65_535
"""Bytes of a text field."""
_PIECES = 256
_OLDEST = (2, 5)
"""The first version of Milvus with BM25."""
_SECONDS = 30.0
_CONNECT_SECONDS = 10.0
_BATCH = 256
"""Rows in one message: some megabytes of the 64 that Milvus takes."""
_NOT_THERE = 100
"""Milvus' code for a collection that is not there."""
_DIM = 2
"""Of the vector that Milvus wants in every collection."""

Row = dict[str, Any]


class Published(Contents):
    """The state that readers take."""

    catalog: str
    """Which catalog it was published from: a number drawn when that was first done."""
    corpus: str
    collection: str
    """Where its passages are."""
    oldest: int
    """The oldest generation of which every row is still there."""

    @property
    def terms(self) -> str:
        """The collection of document frequencies."""
        return f"{self.collection}_terms"


class Cluster:
    """An open connection. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        """Raises `StorageError` where nothing answers, or what answers is too old."""
        self._engine = engine
        with self.named():
            self._client = MilvusClient(engine.url, token=os.environ.get(TOKEN, ""), timeout=_CONNECT_SECONDS)
            version = self._client.get_server_version(timeout=_CONNECT_SECONDS)
        numbers = version.removeprefix("v").split(".")[:2]
        if all(number.isdecimal() for number in numbers) and tuple(map(int, numbers)) < _OLDEST:
            raise StorageError(f"{engine.url}: Milvus {version} is too old: 2.5 is the first that can be used")

    @contextmanager
    def named(self) -> Iterator[None]:
        """What Milvus complains of, told so that a person can act on it."""
        try:
            yield
        except (MilvusException, RpcError, ValueError) as error:
            said = " ".join(str(getattr(error, "message", "") or error).split())
            raise StorageError(
                f"{self._engine.url}: Milvus does not do what it is asked ({said[:300]}): see that it runs, that"
                f" pincite.toml names it, and that {TOKEN} lets in"
            ) from error

    # The state

    @property
    def _state(self) -> str:
        return f"{self._engine.name}__state"

    def published(self) -> Published | None:
        """The state that readers take; None before the first."""
        with self.named():
            try:
                rows = self._client.query(self._state, f'key == "{self._engine.name}"', ["told"], timeout=_SECONDS)
            except MilvusException as error:
                if error.code == _NOT_THERE:
                    return None
                raise
        return Published.model_validate_json(rows[0]["told"]) if rows else None

    def publish(self, state: Published) -> None:
        """Have readers take this state from now on."""
        with self.named():
            if not self._client.has_collection(self._state, timeout=_SECONDS):
                self._create(self._state, [("told", DataType.VARCHAR, {"max_length": LONGEST})], ())
            row = {"key": self._engine.name, "nothing": [0.0] * _DIM, "told": state.model_dump_json()}
            self._client.upsert(self._state, [row], timeout=_SECONDS)

    # Collections

    def name(self, state: str) -> str:
        """Of a collection of this index."""
        return f"{self._engine.name}__{state}"

    def create_passages(self, name: str, dim: int) -> None:
        """A collection for passages, in place of what has that name."""
        text = {"max_length": LONGEST, "enable_analyzer": True, "analyzer_params": {"tokenizer": "standard"}}
        pieces = {"element_type": DataType.VARCHAR, "max_capacity": _PIECES, "max_length": LONGEST}
        fields: list[tuple[str, DataType, Mapping[str, Any]]] = [
            ("id", DataType.INT64, {}),
            ("born", DataType.INT64, {}),
            ("died", DataType.INT64, {}),
            ("vector", DataType.FLOAT_VECTOR, {"dim": dim}),
            ("words", DataType.VARCHAR, {**text, "enable_match": True}),
            ("by_words", DataType.SPARSE_FLOAT_VECTOR, {}),
            ("source", DataType.VARCHAR, {"max_length": LONGEST}),
            ("endings", DataType.ARRAY, {**pieces, "max_length": 1024}),
            ("titled", DataType.VARCHAR, {**text, "enable_match": True}),
            ("modified", DataType.INT64, {}),
            ("passage", DataType.ARRAY, {**pieces, "mmap_enabled": True}),  # read for candidates alone
            ("record", DataType.ARRAY, {**pieces, "mmap_enabled": True}),
        ]
        function = Function(
            name="bm25", function_type=FunctionType.BM25, input_field_names=["words"], output_field_names=["by_words"]
        )
        indexes: list[tuple[str, str, Mapping[str, Any]]] = [
            ("vector", "HNSW", {"metric_type": "IP", "params": {"M": 32, "efConstruction": 200}}),
            (
                "by_words",
                "SPARSE_INVERTED_INDEX",
                {"metric_type": "BM25", "params": {"bm25_k1": 1.2, "bm25_b": 0.75}},  # as tantivy has them
            ),
            *((field, "INVERTED", {}) for field in ("id", "born", "died", "source", "modified")),
        ]
        self._create(name, fields, indexes, function)

    def create_terms(self, name: str) -> None:
        """A collection for document frequencies, in place of what has that name."""
        fields: list[tuple[str, DataType, Mapping[str, Any]]] = [
            ("term", DataType.VARCHAR, {"max_length": 1024}),
            ("born", DataType.INT64, {}),
            ("died", DataType.INT64, {}),
            ("passages", DataType.INT64, {}),
        ]
        self._create(name, fields, [(field, "INVERTED", {}) for field in ("term", "born", "died")])

    def _create(
        self,
        name: str,
        fields: Iterable[tuple[str, DataType, Mapping[str, Any]]],
        indexes: Iterable[tuple[str, str, Mapping[str, Any]]],
        function: Function | None = None,
    ) -> None:
        schema = MilvusClient.create_schema(auto_id=False)
        schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=1100)
        parameters = MilvusClient.prepare_index_params()
        for field, kind, how in fields:
            schema.add_field(field, kind, **how)
        for field, kind, how in indexes:
            parameters.add_index(field_name=field, index_type=kind, **how)
        if function:
            schema.add_function(function)
        else:
            schema.add_field("nothing", DataType.FLOAT_VECTOR, dim=_DIM)
            parameters.add_index(field_name="nothing", index_type="FLAT", metric_type="IP")
        with self.named():
            self._client.drop_collection(name, timeout=_SECONDS)
            self._client.create_collection(name, schema=schema, consistency_level="Strong", timeout=_SECONDS)
            # Nothing is there yet to build them from, and the client would look for that every half second.
            self._client.create_index(name, parameters, sync=False, timeout=_SECONDS)
            self._client.load_collection(name, timeout=_SECONDS)

    def holds(self, *collections: str) -> bool:
        """Whether all of these are there."""
        with self.named():
            return all(self._client.has_collection(name, timeout=_SECONDS) for name in collections)

    def drop_others(self, *kept: str) -> None:
        """Drop every collection of this index but these and the state."""
        with self.named():
            for name in self._client.list_collections(timeout=_SECONDS):
                if name.startswith(f"{self._engine.name}__") and name not in (*kept, self._state):
                    self._client.drop_collection(name, timeout=_SECONDS)

    def point(self, collection: str) -> None:
        """Have the alias name this collection."""
        alias = self._engine.name
        with self.named():
            try:
                self._client.alter_alias(collection, alias, timeout=_SECONDS)
            except MilvusException:
                self._client.create_alias(collection, alias, timeout=_SECONDS)

    def settle(self, collection: str) -> None:
        """Have Milvus close what was written, so that its indexes are built."""
        with self.named():
            self._client.flush(collection, timeout=10 * _SECONDS)

    # Rows

    def rows(self, collection: str, expression: str, fields: Sequence[str]) -> Iterator[Row]:
        """All that an expression selects."""
        with self.named():
            found = self._client.query_iterator(
                collection, batch_size=_BATCH, filter=expression, output_fields=list(fields), timeout=_SECONDS
            )
            try:
                while some := found.next():
                    yield from map(dict, some)
            finally:
                found.close()

    def few(self, collection: str, expression: str, fields: Sequence[str]) -> list[Row]:
        """The same where there are no more than `MOST`, in one request."""
        with self.named():
            rows = self._client.query(collection, expression, list(fields), limit=MOST, timeout=_SECONDS)
            return [dict(row) for row in rows]

    def count(self, collection: str, expression: str) -> int:
        """How many rows an expression selects."""
        with self.named():
            (found,) = self._client.query(collection, expression, ["count(*)"], timeout=_SECONDS)
            return int(found["count(*)"])

    def search(
        self,
        collection: str,
        field: str,
        asked: str | np.ndarray,
        count: int,
        expression: str,
        fields: Sequence[str],
    ) -> list[Row]:
        """The best `count` for a text by BM25 or a vector by inner product, the best first.

        The distance is left out: a server may count it upwards or downwards.
        """
        with self.named():
            if isinstance(asked, str):
                data: list[Any] = [asked]
                how: dict[str, Any] = {"metric_type": "BM25"}
            else:
                data = [asked.astype(np.float32).tolist()]
                how = {"metric_type": "IP", "params": {"ef": max(2 * count, 256)}}
            (hits,) = self._client.search(
                collection,
                data,
                filter=expression,
                limit=count,
                output_fields=list(fields),
                search_params=how,
                anns_field=field,
                timeout=_SECONDS,
            )
            return [dict(hit["entity"]) for hit in hits]

    def put(self, collection: str, rows: Iterable[Row]) -> Iterator[int]:
        """Write rows in place of those with the same key, batch by batch: how many have been written."""
        remaining, done = iter(rows), 0
        while some := list(islice(remaining, _BATCH)):
            with self.named():
                self._client.upsert(collection, some, timeout=_SECONDS)
            yield (done := done + len(some))

    def delete(self, collection: str, expression: str) -> None:
        """Delete what an expression selects."""
        with self.named():
            self._client.delete(collection, filter=expression, timeout=_SECONDS)
