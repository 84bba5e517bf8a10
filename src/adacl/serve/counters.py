"""The metrics that Prometheus collects."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

if TYPE_CHECKING:
    from adacl.serve.station.drift import DriftWatch

LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCHES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The counters of one service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._requests = Counter(
            "adacl_requests", "Requests answered", ["route", "status"], registry=self.registry
        )
        self._latency = Histogram(
            "adacl_request_seconds",
            "From the head of a request to the end of its answer",
            ["route"],
            buckets=LATENCIES,
            registry=self.registry,
        )
        self._images = Counter(
            "adacl_images", "Images scored", ["model", "label"], registry=self.registry
        )
        self._refused = Counter(
            "adacl_refused_images", "Images that could not be scored", registry=self.registry
        )
        self._batches = Histogram(
            "adacl_batch_images", "Images scored together", buckets=BATCHES, registry=self.registry
        )
        # to find a counter by its labels takes longer than to count
        self._requests_of = cache(self._requests.labels)
        self._latency_of = cache(self._latency.labels)
        self._images_of = cache(self._images.labels)
        self._dropped = Counter(
            "adacl_dropped_images",
            "Images not scored, because the client had gone or the time was up",
            registry=self.registry,
        )

    def watch(self, waiting: Callable[[], int], held: Callable[[], int]) -> None:
        """Show the number of waiting images, and the bytes of bodies held."""
        gauge = Gauge("adacl_waiting_images", "Images that wait", registry=self.registry)
        gauge.set_function(waiting)
        gauge = Gauge("adacl_held_bytes", "Bytes of bodies held", registry=self.registry)
        gauge.set_function(held)

    def watch_trainings(self, states: Iterable[str], count: Callable[[str], int]) -> None:
        """Show the trainings by state."""
        gauge = Gauge("adacl_trainings", "Trainings", ["state"], registry=self.registry)
        for state in states:
            gauge.labels(state).set_function(lambda state=state: count(state))  # type: ignore[misc]

    def watch_log(self, waiting: Callable[[], int]) -> None:
        """Show what becomes of the answers that are to be kept."""
        registry = self.registry
        gauge = Gauge("adacl_log_waiting", "Answers to be written to the log", registry=registry)
        gauge.set_function(waiting)
        self._written = Counter("adacl_log_written", "Answers in the log", registry=registry)
        self._lost = Counter(
            "adacl_log_dropped", "Answers that the log has not taken", registry=registry
        )
        self._failures = Counter(
            "adacl_log_failures", "Times that the database refused to write", registry=registry
        )
        self._feedback = Counter(
            "adacl_feedback", "Answers that got feedback", ["label"],
            registry=registry,
        )  # fmt: skip
        self._alarms = Counter(
            "adacl_drift_alarms", "Times that scores were found to have moved", ["model"],
            registry=registry,
        )  # fmt: skip
        self._drift = {
            name: Gauge(f"adacl_drift_{name}", what, ["model"], registry=registry)
            for name, what in (
                ("distance", "Distance of the latest scores from those of the held-out normals"),
                ("limit", "Distance above which scores have moved"),
                ("moved", "1 where scores have moved"),
            )
        }

    def watch_drift(self, model: str, watch: DriftWatch) -> None:
        """Show how far the scores of a model have moved."""
        for name in ("distance", "limit"):
            self._drift[name].labels(model).set_function(lambda name=name: getattr(watch, name))  # type: ignore[misc]
        self._drift["moved"].labels(model).set_function(lambda: float(watch.state == "moved"))

    def log_written(self, count: int) -> None:
        """Count answers that are in the log."""
        self._written.inc(count)

    def log_dropped(self, count: int) -> None:
        """Count answers that will be missing in the log."""
        self._lost.inc(count)

    def log_failed(self) -> None:
        """Count a refusal of the database."""
        self._failures.inc()

    def told(self, anomalous: bool) -> None:
        """Count feedback."""
        self._feedback.labels("anomalous" if anomalous else "normal").inc()

    def drift_alarm(self, model: str) -> None:
        """Count that scores were found moved."""
        self._alarms.labels(model).inc()

    def answered(self, route: str, status: int, started: float) -> None:
        """Count a request that began at ``started`` (``time.perf_counter``)."""
        self._requests_of(route, status).inc()
        self._latency_of(route).observe(time.perf_counter() - started)

    def scored(self, model: str, anomalous: bool) -> None:
        """Count an image."""
        self._images_of(model, "anomalous" if anomalous else "normal").inc()

    def refused(self) -> None:
        """Count an image that could not be scored."""
        self._refused.inc()

    def batch(self, images: int, dropped: int) -> None:
        """Count a batch, and the images that were dropped rather than scored."""
        if images:
            self._batches.observe(images)
        if dropped:
            self._dropped.inc(dropped)

    def text(self) -> bytes:
        """Return all of it in Prometheus's format."""
        return generate_latest(self.registry)
