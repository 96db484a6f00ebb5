"""Every topic, group and lane name, declared once. Creating them is `muster topics apply`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

#: Services that run tasks; each owns one topic per lane.
WORKER_SERVICES = ("media", "reports", "ocr", "import", "notify")

DAY_MS = 24 * 3600 * 1000
#: The largest record with its headers; a topic's own limit overrides the broker's.
MAX_RECORD_BYTES = 32 * 1024 * 1024
#: A dead letter is the record that failed, whatever its size, and why.
MAX_DEAD_LETTER_BYTES = MAX_RECORD_BYTES + 1024 * 1024
#: The largest value a submission may carry (a file of 20 MB is 28 MB as base64): what a retry
#: adds in headers must still fit.
MAX_BODY_BYTES = 30 * 1024 * 1024
#: What a task may return: it is kept in PostgreSQL and told in every answer. Files go to a store.
MAX_RESULT_BYTES = 1024 * 1024
#: Retry topics: tasks.delay.1s ... tasks.delay.131072s (36 hours); longer delays take several turns.
DELAYS = tuple(2**n for n in range(18))


class Lane(StrEnum):
    """How urgent a task is; workers serve high first and never starve bulk."""

    HIGH = "high"
    DEFAULT = "default"
    BULK = "bulk"


@dataclass(frozen=True)
class TopicSpec:
    """A topic as it should stand on the broker; `config` holds Kafka's own topic settings."""

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)


def _kept(days: float) -> dict[str, str]:
    return _SIZE | {"cleanup.policy": "delete", "retention.ms": str(int(days * DAY_MS))}


_SIZE = {"max.message.bytes": str(MAX_RECORD_BYTES)}
_COMPACTED = _SIZE | {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1", "segment.ms": str(DAY_MS)}


class Topics:
    """Names under one prefix, so that several installations can share a cluster."""

    def __init__(self, prefix: str = "") -> None:
        if not re.fullmatch(r"[A-Za-z0-9._-]{0,100}", prefix):
            raise ValueError(f"topic prefix {prefix!r}: use at most 100 of A-Z a-z 0-9 . _ -")
        self.prefix = prefix
        self.events = f"{prefix}tasks.events"
        self.retry = f"{prefix}tasks.retry"
        self.dead_letter = f"{prefix}tasks.dead-letter"
        self.keyed = f"{prefix}tasks.keyed"
        self.control = f"{prefix}tasks.control"
        self.catalog = f"{prefix}tasks.catalog"
        self.workers = f"{prefix}tasks.workers"
        self.stats = f"{prefix}tasks.stats"
        self.schedules = f"{prefix}tasks.schedules"

    def lane(self, service: str, lane: Lane | str = Lane.DEFAULT) -> str:
        return f"{self.prefix}tasks.{service}.{Lane(lane).value}"

    def lanes(self, service: str) -> tuple[str, ...]:
        """The lanes of one service, most urgent first."""
        return tuple(self.lane(service, lane) for lane in Lane)

    def all_lanes(self) -> tuple[str, ...]:
        return tuple(name for service in WORKER_SERVICES for name in self.lanes(service))

    def delay(self, seconds: int) -> str:
        return f"{self.prefix}tasks.delay.{seconds}s"

    def group(self, service: str) -> str:
        """Consumer group of a service's workers (or of the tracker, the scheduler)."""
        return f"{self.prefix}muster.{service}"

    def service_of_lane(self, topic: str) -> str | None:
        """The service a lane topic belongs to; None for any other topic."""
        match = re.fullmatch(r"tasks\.([a-z][a-z0-9-]*)\.(high|default|bulk)", topic.removeprefix(self.prefix))
        return match.group(1) if match and topic.startswith(self.prefix) else None

    def specs(self) -> tuple[TopicSpec, ...]:
        """All topics with partitions and retention (engine.md, table of topics)."""
        specs = [TopicSpec(name, 6, _kept(14)) for name in self.all_lanes()]
        for n in DELAYS:
            config = _kept(n / 86400 + 7) | {"message.timestamp.type": "LogAppendTime"}
            specs.append(TopicSpec(self.delay(n), 3, config))
        specs += [
            TopicSpec(self.keyed, 6, _kept(14)),
            TopicSpec(self.events, 6, _kept(14)),
            TopicSpec(self.retry, 6, _kept(14)),
            TopicSpec(self.dead_letter, 3, _kept(90) | {"max.message.bytes": str(MAX_DEAD_LETTER_BYTES)}),
            TopicSpec(self.control, 1, _COMPACTED),
            TopicSpec(self.catalog, 1, _COMPACTED),
            TopicSpec(self.workers, 1, _kept(1 / 24)),
            TopicSpec(self.stats, 6, _kept(1)),
            TopicSpec(self.schedules, 1, _COMPACTED),
        ]
        return tuple(specs)
