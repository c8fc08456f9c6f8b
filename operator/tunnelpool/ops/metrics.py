"""Metrics: one table of what there is, and the methods by which the parts report.

`python -m tunnelpool.ops.metrics` writes the page of the documentation.
"""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

# A second series for each counter, which tells only when the process began; `process_*` says that.
disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client leaves this one untyped

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as it is exposed; `labels` have few values each, none is the name of an object."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


RECONCILES: Final = Metric(
    "tunnelpool_reconcile_total",
    "counter",
    "Reconciliations that have ended, by result: ok, waiting, held, retry, refused, restless or bug.",
    ("kind", "result"),
)
RECONCILE_DURATION: Final = Metric(
    "tunnelpool_reconcile_duration_seconds", "histogram", "How long a reconciliation took.", ("kind",)
)
QUEUE_DEPTH: Final = Metric(
    "tunnelpool_queue_depth",
    "gauge",
    "Keys in the work queue, by state: waiting, running or delayed.",
    ("state",),
)
STEPS: Final = Metric(
    "tunnelpool_steps_total",
    "counter",
    "Writes that were carried out, by kind of object and action. At rest it does not move.",
    ("kind", "action"),
)
CLOUDFLARE_REQUESTS: Final = Metric(
    "tunnelpool_cloudflare_requests_total",
    "counter",
    "Requests to Cloudflare's API, by route template and HTTP status; status 0 is no answer.",
    ("route", "method", "code"),
)
CLOUDFLARE_DURATION: Final = Metric(
    "tunnelpool_cloudflare_request_duration_seconds",
    "histogram",
    "How long Cloudflare's API took to answer.",
    ("route", "method"),
)
RATE_LIMIT_WAIT: Final = Metric(
    "tunnelpool_cloudflare_rate_limit_wait_seconds_total",
    "counter",
    "Time that requests have waited for the budget of their API token.",
)
STORE_SYNCED: Final = Metric(
    "tunnelpool_store_synced", "gauge", "1 once every object of the kind has been listed.", ("kind",)
)
WATCH_AGE: Final = Metric(
    "tunnelpool_watch_last_event_age_seconds",
    "gauge",
    "Time since the kind's watch was heard, bookmarks included. Above 75 the watch is silent.",
    ("kind",),
)
LEADER: Final = Metric(
    "tunnelpool_leader",
    "gauge",
    "1 in the process that holds the Lease and writes, 0 in a standby. Over all processes the sum is 1.",
)
BUILD_INFO: Final = Metric(
    "tunnelpool_build_info", "gauge", "Always 1; the labels tell the versions.", ("version", "python")
)

METRICS: Final = (
    RECONCILES,
    RECONCILE_DURATION,
    QUEUE_DEPTH,
    STEPS,
    CLOUDFLARE_REQUESTS,
    CLOUDFLARE_DURATION,
    RATE_LIMIT_WAIT,
    STORE_SYNCED,
    WATCH_AGE,
    LEADER,
    BUILD_INFO,
)
"""Every metric of our own, in the order of the documentation."""


class Metrics:
    """A registry of our own, so that several operators in one process do not share numbers."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._reconciles = self._counter(RECONCILES)
        self._reconcile_duration = self._histogram(RECONCILE_DURATION)
        self._queue_depth = self._gauge(QUEUE_DEPTH)
        self._steps = self._counter(STEPS)
        self._cloudflare_requests = self._counter(CLOUDFLARE_REQUESTS)
        self._cloudflare_duration = self._histogram(CLOUDFLARE_DURATION)
        self._rate_limit_wait = self._counter(RATE_LIMIT_WAIT)
        self._store_synced = self._gauge(STORE_SYNCED)
        self._watch_age = self._gauge(WATCH_AGE)
        self._leader = self._gauge(LEADER)
        version = importlib.metadata.version("tunnelpool")
        self._gauge(BUILD_INFO).labels(version, platform.python_version()).set(1)
        self._before_reading: list[Callable[[], None]] = []

    def reconciled(self, kind: str, result: str, seconds: float) -> None:
        """Count a reconciliation that has ended."""
        self._reconciles.labels(kind, result).inc()
        self._reconcile_duration.labels(kind).observe(seconds)

    def step(self, kind: str, action: str) -> None:
        """Count a write that was carried out."""
        self._steps.labels(kind, action).inc()

    def cloudflare_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request to Cloudflare; status 0 if there was no answer."""
        self._cloudflare_requests.labels(route, method, str(status)).inc()
        self._cloudflare_duration.labels(route, method).observe(seconds)

    def rate_limit_wait(self, seconds: float) -> None:
        """Add the time that a request has waited for its budget."""
        self._rate_limit_wait.inc(seconds)

    def read_queue(self, depth: Callable[[], Mapping[str, int]]) -> None:
        """Ask for the depths of the queue, by state, whenever the metrics are read."""
        self._before_reading.append(lambda: _set(self._queue_depth, depth()))

    def read_store(self, synced: Callable[[], Mapping[str, bool]]) -> None:
        """Ask which kinds are synced whenever the metrics are read."""
        self._before_reading.append(lambda: _set(self._store_synced, synced()))

    def read_watches(self, ages: Callable[[], Mapping[str, float]]) -> None:
        """Ask for the ages of the watches, by kind, whenever the metrics are read."""
        self._before_reading.append(lambda: _set(self._watch_age, ages()))

    def read_leader(self, leads: Callable[[], bool]) -> None:
        """Ask whether this process writes whenever the metrics are read."""
        self._before_reading.append(lambda: self._leader.set(leads()))

    def text(self) -> bytes:
        """Write everything in the text format of Prometheus."""
        for read in self._before_reading:
            read()
        return generate_latest(self._registry)

    def _counter(self, metric: Metric) -> Counter:
        return Counter(metric.name, metric.help, metric.labels, registry=self._registry)

    def _gauge(self, metric: Metric) -> Gauge:
        return Gauge(metric.name, metric.help, metric.labels, registry=self._registry)

    def _histogram(self, metric: Metric) -> Histogram:
        return Histogram(metric.name, metric.help, metric.labels, registry=self._registry, buckets=_SECONDS)


def _set(gauge: Gauge, values: Mapping[str, float]) -> None:
    for label, value in values.items():
        gauge.labels(label).set(value)


_INTRODUCTION: Final = (
    "The operator serves these in the text format of Prometheus at `/metrics`, beside `/livez` and "
    "`/readyz`. The usual `process_*` metrics stand there as well. No label holds the name of an "
    "object, so the number of series does not grow with the cluster."
)


def page() -> str:
    """Write the page of the documentation."""
    rows = [
        f"| `{metric.name}` | {metric.type} | {', '.join(f'`{label}`' for label in metric.labels) or 'none'} "
        f"| {metric.help} |"
        for metric in METRICS
    ]
    return "\n".join(
        [
            "# Metrics",
            "",
            _INTRODUCTION,
            "",
            "| name | type | labels | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
            "This page is written by `python -m tunnelpool.ops.metrics`; a test keeps it true.",
            "",
        ]
    )


if __name__ == "__main__":
    sys.stdout.write(page())
