"""The figures of one comparison: samples in, medians, percentiles and ratios out. Pure; measures nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

#: What issue 3 asks for on two cores.
THROUGHPUT_TARGET = 40.0
LATENCY_TARGET = 0.7
#: What issue 4 allows the guarantees to cost of the throughput before them.
REVISION_TARGET = 0.9


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
    #: The same after the warm-up: what grew since, grew with the tasks.
    memory_at_first: dict[str, int] = field(default_factory=dict)
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
            "memory_at_first_mb": {name: round(size / 1e6, 1) for name, size in self.memory_at_first.items()},
        }


@dataclass(frozen=True)
class Ratios:
    """Ours against theirs, in the same run on the same machine."""

    throughput: float
    p50: float
    #: Processor time per task of all processes together: steadier than the throughput of a busy machine.
    cpu: float
    throughput_target: float = THROUGHPUT_TARGET
    #: None: told, not judged.
    p50_target: float | None = LATENCY_TARGET

    @classmethod
    def of(cls, ours: Figures, theirs: Figures, *, revision: bool = False) -> Ratios:
        """`revision`: theirs is an older Muster, not the reference document's stack."""
        # Round by round: whatever slowed the machine down for a while met both sides of a pair.
        rounds = [our / their for our, their in zip(ours.throughput, theirs.throughput, strict=True)]
        cpu = sum(ours.cpu_per_task.values()) / sum(theirs.cpu_per_task.values())
        targets = (REVISION_TARGET, None) if revision else (THROUGHPUT_TARGET, LATENCY_TARGET)
        return cls(median(rounds), ours.p50 / theirs.p50, cpu, *targets)

    @property
    def throughput_met(self) -> bool:
        return self.throughput >= self.throughput_target

    @property
    def latency_met(self) -> bool:
        return self.p50_target is None or self.p50 <= self.p50_target

    def as_json(self) -> dict[str, Any]:
        return {
            "throughput": round(self.throughput, 3),
            "throughput_target": self.throughput_target,
            "idle_latency_p50": round(self.p50, 2),
            "idle_latency_p50_target": self.p50_target,
            "cpu_per_task": round(self.cpu, 3),
            "targets_met": self.throughput_met and self.latency_met,
        }
