"""The worker's metrics with their labels looked up once: a label look-up costs more than the count itself."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from muster.observability.metrics import (
    COMMITS_REFUSED,
    HANDED_BACK,
    HANDED_OVER,
    ORDERS,
    REBALANCES,
    RUNNING,
    SLOTS,
    TASK_RUNTIME,
    TASK_WAIT,
    TASKS_SETTLED,
    TASKS_STARTED,
)


class Meters:
    """Counts for one service. Task types outside `task_types` are counted as "unknown": their number is not bounded."""

    def __init__(self, service: str, task_types: frozenset[str]) -> None:
        self._service = service
        self._task_types = task_types
        self.slots = SLOTS.labels(service)
        self.orders = ORDERS.labels(service)
        self.running = RUNNING.labels(service)
        self.commits_refused = COMMITS_REFUSED.labels(service)
        self.rebalances = REBALANCES.labels(service)
        self.handed_back = HANDED_BACK.labels(service)
        self.handed_over = HANDED_OVER.labels(service)
        self._counters: dict[tuple[int | str, ...], Counter] = {}
        self._histograms: dict[tuple[int | str, ...], Histogram] = {}

    def started(self, task_type: str, topic: str, waited: float) -> None:
        """A delivery began, `waited` seconds after its record was written."""
        lane = topic.rpartition(".")[2]
        self._counter(TASKS_STARTED, self._label(task_type)).inc()
        self._histogram(TASK_WAIT, lane).observe(max(0.0, waited))

    def ran(self, task_type: str, seconds: float) -> None:
        self._histogram(TASK_RUNTIME, self._label(task_type)).observe(seconds)

    def settled(self, task_type: str, outcome: str) -> None:
        self._counter(TASKS_SETTLED, self._label(task_type), outcome).inc()

    def _label(self, task_type: str) -> str:
        return task_type if task_type in self._task_types else "unknown"

    def _counter(self, metric: Counter, *labels: str) -> Counter:
        key: tuple[int | str, ...] = (id(metric), *labels)
        child = self._counters.get(key)
        if child is None:
            child = self._counters[key] = metric.labels(self._service, *labels)
        return child

    def _histogram(self, metric: Histogram, *labels: str) -> Histogram:
        key: tuple[int | str, ...] = (id(metric), *labels)
        child = self._histograms.get(key)
        if child is None:
            child = self._histograms[key] = metric.labels(self._service, *labels)
        return child
