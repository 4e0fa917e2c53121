"""What operators count: requests by status, how long they take, which acceptors answer. For Prometheus.

Each service has a registry of its own, so that two in one process do not add up.
"""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE"})


class Metrics:
    """The figures of one service. `statuses` of interest: 503 is not applied, 504 is an unknown outcome."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "gryadka_http_requests",
            "Requests answered. Status 503: not applied; 504: outcome unknown.",
            ["method", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "gryadka_http_request_seconds",
            "From a request's headers to its answer.",
            ["method"],
            registry=self._registry,
        )
        self.under_way = Gauge("gryadka_http_requests_under_way", "Requests being served.", registry=self._registry)
        self._acceptors = Gauge(
            "gryadka_acceptor_up", "Whether an acceptor answers: 1 or 0.", ["acceptor"], registry=self._registry
        )

    def answered(self, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        label = method if method in METHODS else "other"  # a client must not be able to make up labels
        self._requests.labels(label, str(status)).inc()
        self._seconds.labels(label).observe(seconds)

    def text(self, acceptors: Mapping[str, str | None]) -> bytes:
        """Return all figures in Prometheus's text form. `acceptors` maps a name to its fault, or None."""
        self._acceptors.clear()  # some may be members no more
        for name, fault in acceptors.items():
            self._acceptors.labels(name).set(fault is None)
        return generate_latest(self._registry)
