"""Which tasks may not start because it is not their turn. Pure; writing them to the waiting room is the settlement's.

Whose turn it is, is decided by the tracker (tracker_service/turns).
"""

from __future__ import annotations

from muster.contracts.envelope import TaskRecord
from muster.contracts.pauses import paused_type
from muster.ports import Record


class Pauses:
    """The task types that are paused now, as the control topic says."""

    def __init__(self) -> None:
        self._types: set[str] = set()

    def fold(self, record: Record) -> bool:
        """Take a control record in; False when it is about something else."""
        task_type = paused_type(record.key)
        if task_type is None:
            return False
        if record.value is None:
            self._types.discard(task_type)
        else:
            self._types.add(task_type)
        return True

    def hold(self, task: TaskRecord) -> bool:
        """The task must wait: its type is paused, or it has an order key and nobody has called it."""
        return (task.order_key is not None and not task.sequenced) or task.task_type in self._types
