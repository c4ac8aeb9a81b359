"""What the server counts, in the format of Prometheus."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from pincite.errors import PinciteError
from pincite.holdings import IndexState

# When counting began would be a third as many lines again. The library gives this function no types.
disable_created_metrics()  # type: ignore[no-untyped-call]
CONTENT_TYPE = CONTENT_TYPE_LATEST
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Of one server. Names that anybody may make up are counted together, so that they cannot grow without end."""

    def __init__(self, routes: Iterable[str], state: Callable[[], IndexState]) -> None:
        """`state` is asked with every look."""
        self._routes = frozenset(routes)
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(_Index(state))
        self._requests = Counter(
            "pincite_requests", "Requests answered or refused", ("method", "route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "pincite_request_seconds",
            "From the whole request to the last byte of its answer",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._answers = Counter(
            "pincite_answers", "Questions by how they were answered", ("answer",), registry=self._registry
        )
        self.at_work = Gauge("pincite_requests_at_work", "Requests being answered or waiting", registry=self._registry)

    def request(self, method: str, path: str, status: int, seconds: float) -> None:
        """One more."""
        route = path if path in self._routes else "other"
        self._requests.labels(method if method in _METHODS else "other", route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def answer(self, band: str) -> None:
        """One more question."""
        self._answers.labels(band).inc()

    def text(self) -> bytes:
        """All of it."""
        return generate_latest(self._registry)


class _Index(Collector):
    """What the index is, while it can be read."""

    def __init__(self, state: Callable[[], IndexState]) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        try:
            state = self._state()
        except PinciteError:
            return
        yield GaugeMetricFamily("pincite_index_documents", "Documents in the index", state.documents)
        yield GaugeMetricFamily("pincite_index_passages", "Passages in the index", state.passages)
        yield GaugeMetricFamily("pincite_index_generation", "The current generation", state.generation)
        yield GaugeMetricFamily("pincite_index_bytes", "The index on the disk", state.bytes)

    def describe(self) -> Iterable[Metric]:
        return ()
