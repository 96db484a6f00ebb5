"""The leader's rounds: looks at queues in which something changed, marks whoever's turn it is, and has it called.

The order is mark (durable), write, note as sent. Writes are fenced: a leader that takes over fences every older one,
waits until the projection has passed all that was written, and then knows which calls are missing. Who may be called is
decision.py's, what is written calling.py's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeAlias

import asyncpg
from muster.contracts.errors import BrokerError, StoreError
from muster.observability.logging import get_logger
from muster.ports import Clock

from tracker_service.projection.store import UNAVAILABLE
from tracker_service.recovery.barrier import Barrier
from tracker_service.recovery.fence import Fence
from tracker_service.recovery.leadership import Leadership
from tracker_service.turns import room
from tracker_service.turns.calling import Calling
from tracker_service.turns.decision import COOLING, Verdict, verdict_of
from tracker_service.turns.room import Waiting
from tracker_service.turns.seat import Seat, SeatKey

#: Queues looked at together.
BATCH = 500
#: Calls repeated together: each carries its record.
REPEATED = 20
#: How often a round begins without being woken, and seats are searched for revoked and expired tasks.
ROUND_SECONDS = 1.0
#: REVOKED is not said again of one task within this time, so that it can be folded.
_PATIENCE_SECONDS = 10.0
_TAKEN_BACK = frozenset({Verdict.REVOKED, Verdict.EXPIRED})

_log = get_logger(__name__)
Leader: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class Coordinator:
    """Calls the tasks of one installation; only the leader's rounds do anything."""

    def __init__(self, leadership: Leadership, fence: Fence, barrier: Barrier, calling: Calling, clock: Clock) -> None:
        self._leadership = leadership
        self._fence = fence
        self._barrier = barrier
        self._calling = calling
        self._clock = clock
        self._woken = asyncio.Event()
        #: The connection on which this tracker took over; None: it has to, before it calls anybody.
        self._leads_on: Leader | None = None
        self._looked = float("-inf")
        self._said: dict[SeatKey, float] = {}

    async def run(self) -> None:
        """Call tasks until cancelled; outages are waited out."""
        await self._barrier.start()
        try:
            while True:
                more = False
                try:
                    self._woken.clear()
                    connection = await self._leadership.connection()
                    more = connection is not None and await self.round(connection)
                except (BrokerError, StoreError, *UNAVAILABLE) as error:
                    # Queues may have been forgotten and calls half written: begin as a new leader does.
                    self._leads_on = None
                    await self._fence.drop()
                    _log.warning("A round of turns failed", action="turns.failed", error=str(error))
                if not more:
                    await self._sleep()
        finally:
            await self._fence.drop()
            await self._barrier.stop()
            await self._leadership.resign()

    async def round(self, connection: Leader) -> bool:
        """Look at what is due; True when more may be.

        Raises:
            BrokerError, StoreError, UNAVAILABLE: this tracker has to take over anew.
        """
        if connection is not self._leads_on:
            await self._take_over(connection)
        now = self._clock.monotonic()
        if now - self._looked >= ROUND_SECONDS:
            self._looked = now
            await self._take_back(await room.taken_back(connection, self._clock.now()))
        queues = await room.take_due(connection, BATCH)
        if queues:
            await self._look_at(connection, queues)
        return len(queues) == BATCH

    async def _take_over(self, connection: Leader) -> None:
        """From here on nobody else writes, and the projection knows all that was written: also after it was dropped."""
        await self._fence.drop()
        await self._fence.take()
        await self._barrier.pass_in(connection)
        while seats := await room.unsent(connection, REPEATED):
            _log.warning("Calling tasks again", action="turns.repeated", tasks=len(seats))
            await self._write(connection, seats)
        await room.make_all_due(connection)
        await connection.add_listener(room.TURNS_CHANNEL, self._wake)
        self._leads_on = connection
        _log.info("Calling tasks of order keys and resumed types", action="turns.leads")

    async def _look_at(self, connection: Leader, queues: Sequence[str]) -> None:
        now = self._clock.now()
        found: dict[Verdict, list[Waiting]] = {verdict: [] for verdict in Verdict}
        for first in await room.first_of(connection, queues):
            found[verdict_of(first.seat, first.standing, now)].append(first)
        if over := found[Verdict.OVER]:
            await room.make_due(connection, await room.remove_ended(connection, [first.seat.task_id for first in over]))
            self._woken.set()
        cooling = [first.seat.queue for first in found[Verdict.COOLING]]
        await room.make_due(connection, cooling, after=COOLING.total_seconds())
        await self._take_back([*found[Verdict.REVOKED], *found[Verdict.EXPIRED]])
        for portion in room.portions(found[Verdict.CALL], lambda first: first.bytes):
            await self._write(connection, await room.mark(connection, [first.seat for first in portion]))

    async def _write(self, connection: Leader, seats: Sequence[Seat]) -> None:
        if seats:
            await self._calling.call(seats)
            await room.note_sent(connection, seats)

    async def _take_back(self, found: Sequence[Waiting]) -> None:
        now = self._clock.monotonic()
        self._said = {key: at for key, at in self._said.items() if now - at < _PATIENCE_SECONDS}
        judged = [(waiting, verdict_of(waiting.seat, waiting.standing, self._clock.now())) for waiting in found]
        ended = [pair for pair in judged if pair[1] in _TAKEN_BACK and pair[0].seat.key not in self._said]
        if ended:
            await self._calling.take_back(ended)
            self._said |= dict.fromkeys((waiting.seat.key for waiting, _ in ended), now)

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(ROUND_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            return  # nobody woke us: look around all the same

    def _wake(self, *_: Any) -> None:
        self._woken.set()
