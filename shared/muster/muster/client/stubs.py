"""Functions that stand for tasks of other processes: `.delay(...)` as with Celery.

What exists, and what its parameters may be, is the catalog's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from muster.client.sync import SyncClient, SyncResult
from muster.contracts.catalog import TaskDescription
from muster.contracts.errors import SubmitRefused
from muster.contracts.topics import Lane

#: Celery's priorities 0-9 (9 first) onto the three lanes.
_HIGH_FROM, _DEFAULT_FROM = 7, 3


@dataclass(frozen=True)
class TaskStub:
    """One task type of one service. Positional arguments get their names from `parameters`, in order."""

    service: str
    name: str
    parameters: tuple[str, ...]
    client: Callable[[], SyncClient]

    def delay(self, *args: Any, **kwargs: Any) -> SyncResult:
        """Submit it with these arguments; bytes travel as base64.

        Raises:
            TypeError: an argument has no name, or a name comes twice, as with any function.
            SubmitRefused, BrokerError, Unreachable
        """
        return self.apply_async(args, kwargs)

    def apply_async(
        self,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        countdown: float | None = None,
        eta: datetime | None = None,
        expires: float | datetime | None = None,
        queue: str | None = None,
        priority: int | None = None,
        task_id: str | None = None,
        submitter: int | None = None,
        order_key: str | None = None,
        idempotency_key: str | None = None,
    ) -> SyncResult:
        """Submit it; `queue` is a lane (high, default, bulk), and `priority` (0-9, 9 first) chooses one."""
        return self.client().submit(
            self.name,
            self.bind(args, kwargs or {}),
            lane=_lane(queue, priority),
            countdown=countdown,
            eta=eta,
            expires=expires,
            task_id=task_id,
            submitter=submitter,
            order_key=order_key,
            idempotency_key=idempotency_key,
            service=self.service,
        )

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments under their names."""
        if len(args) > len(self.parameters):
            takes = f"{self.name}({', '.join(self.parameters)})"
            raise TypeError(f"{takes} takes {len(self.parameters)} positional arguments, {len(args)} were given")
        named = dict(zip(self.parameters, args, strict=False))
        if twice := named.keys() & kwargs.keys():
            raise TypeError(f"{self.name}() got several values for {', '.join(sorted(twice))}")
        if unknown := kwargs.keys() - set(self.parameters):
            raise TypeError(f"{self.name}() does not know {', '.join(sorted(unknown))}: {', '.join(self.parameters)}")
        return named | dict(kwargs)


def make_stubs(catalog: Iterable[TaskDescription], client: Callable[[], SyncClient]) -> dict[str, TaskStub]:
    """A stub of every announced task type; positional order is the order of its schema's properties."""
    return {
        item.task_type: TaskStub(item.service, item.task_type, tuple(item.parameters.get("properties", {})), client)
        for item in catalog
    }


def _lane(queue: str | None, priority: int | None) -> Lane | str | None:
    if queue is not None or priority is None:
        return queue
    if not 0 <= priority <= 9:
        raise SubmitRefused(f"priority is 0 to 9 (9 first), not {priority}")
    return Lane.HIGH if priority >= _HIGH_FROM else Lane.DEFAULT if priority >= _DEFAULT_FROM else Lane.BULK
