"""The figures of one comparison: samples in, medians, percentiles and ratios out. Pure; measures nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

#: What issue 3 asks for on two cores.
THROUGHPUT_TARGET = 40.0
LATENCY_TARGET = 0.7


def percentile(samples: Sequence[float], share: float) -> float:
    """The sample that `share` (0..1) of all samples do not exceed."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


@dataclass
class Figures:
    """What was measured of one stack; rates per second, times in seconds, memory in bytes."""

    name: str
    tasks_per_round: int
    throughput: list[float] = field(default_factory=list)
    submitting: list[float] = field(default_factory=list)
    #: One list per round.
    latency: list[list[float]] = field(default_factory=list)
    #: Processor seconds per task of each process, one entry per round.
    cpu: list[dict[str, float]] = field(default_factory=list)
    memory: dict[str, int] = field(default_factory=dict)
    projection: float | None = None

    @property
    def p50(self) -> float:
        """Median over the rounds of each round's p50."""
        return median(percentile(samples, 0.5) for samples in self.latency)

    @property
    def p99(self) -> float:
        return median(percentile(samples, 0.99) for samples in self.latency)

    @property
    def cpu_per_task(self) -> dict[str, float]:
        """Processor seconds per task of each process, medians of the rounds."""
        return {name: median(spent[name] for spent in self.cpu) for name in self.cpu[0]}

    def as_json(self) -> dict[str, Any]:
        return {
            "tasks_per_round": self.tasks_per_round,
            "throughput_per_second": round(median(self.throughput), 1),
            "throughput_rounds": [round(rate, 1) for rate in self.throughput],
            "submitted_per_second": round(median(self.submitting), 1),
            "idle_latency_p50_ms": round(self.p50 * 1000, 2),
            "idle_latency_p99_ms": round(self.p99 * 1000, 2),
            "projection_records_per_second": self.projection and round(self.projection),
            "cpu_us_per_task": {name: round(spent * 1e6) for name, spent in self.cpu_per_task.items()},
            "memory_mb": {name: round(size / 1e6, 1) for name, size in self.memory.items()},
        }


@dataclass(frozen=True)
class Ratios:
    """Ours against theirs, in the same run on the same machine."""

    throughput: float
    p50: float

    @classmethod
    def of(cls, ours: Figures, theirs: Figures) -> Ratios:
        return cls(median(ours.throughput) / median(theirs.throughput), ours.p50 / theirs.p50)

    @property
    def throughput_met(self) -> bool:
        return self.throughput >= THROUGHPUT_TARGET

    @property
    def latency_met(self) -> bool:
        return self.p50 <= LATENCY_TARGET

    def as_json(self) -> dict[str, Any]:
        return {
            "throughput": round(self.throughput, 1),
            "throughput_target": THROUGHPUT_TARGET,
            "idle_latency_p50": round(self.p50, 2),
            "idle_latency_p50_target": LATENCY_TARGET,
            "targets_met": self.throughput_met and self.latency_met,
        }
