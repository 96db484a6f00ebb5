"""What a simulated worker holds: deliveries, and the batch that one commit accepts. Plain state; worker.py acts."""

from __future__ import annotations

from dataclasses import dataclass, field

from muster.contracts.envelope import TaskRecord
from muster.ports import Record, TopicPartition


@dataclass(eq=False)
class Batch:
    """Deliveries that one commit accepts, and the generation they were taken under."""

    generation: int
    deliveries: list[Delivery] = field(default_factory=list)
    offsets: dict[TopicPartition, int] = field(default_factory=dict)
    unacknowledged: int = 0


@dataclass(eq=False)
class Delivery:
    """One record that this worker runs."""

    record: Record
    task: TaskRecord
    confirmed: bool | None = None
    #: The function has ended; its outcome may still wait for the acceptance.
    ended: bool = False
    #: The outcome is on its way: nothing may interrupt that.
    settling: bool = False
    handed_back: bool = False
    #: It runs nowhere here: an idle worker is believed to own this partition.
    elsewhere: int | None = None
