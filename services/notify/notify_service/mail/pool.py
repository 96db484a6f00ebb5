"""Connections to the mail server that are used again: so many at most, none too old, none that does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from notify_service.mail.session import Session

S = TypeVar("S", bound=Session)


@dataclass(frozen=True)
class PoolLimits:
    """Times in seconds."""

    size: int = 4
    #: Unused for longer than this, a connection is asked whether it is still one.
    check_after: float = 5.0
    #: Unused for longer than this, it is closed; servers do it themselves after five minutes (RFC 5321 4.5.3.2.7).
    idle: float = 60.0
    #: Mails after which it is replaced: some servers take no more than 100.
    mails: int = 100


@dataclass(eq=False)
class _Kept(Generic[S]):
    session: S
    mails: int = 0
    since: float = 0.0


@dataclass
class SmtpPool(Generic[S]):
    """Lends sessions; whoever has one has it alone."""

    connect: Callable[[], Awaitable[S]]
    limits: PoolLimits = field(default_factory=PoolLimits)
    clock: Callable[[], float] = lambda: asyncio.get_running_loop().time()

    def __post_init__(self) -> None:
        self._idle: list[_Kept[S]] = []
        self._free = asyncio.Semaphore(self.limits.size)
        self._closed = False

    @asynccontextmanager
    async def lease(self, *, fresh: bool = False) -> AsyncIterator[S]:
        """A session for one mail, waiting for one to become free; `fresh`: none that was used
        before, since one of them broke.

        Raises: MailServerDown.
        """
        async with self._free:
            kept = await self._take(fresh=fresh)
            kept.mails += 1
            try:
                yield kept.session
            finally:
                await self._give_back(kept)

    async def close(self) -> None:
        """No session is kept any more; those that are lent end when they come back."""
        self._closed = True
        while self._idle:
            await self._idle.pop().session.close()

    async def _take(self, *, fresh: bool) -> _Kept[S]:
        await self._drop(lambda kept: fresh or self.clock() - kept.since > self.limits.idle)
        while self._idle:
            kept = self._idle.pop()  # the one used last: the others may grow old
            rested = self.clock() - kept.since
            if kept.session.usable and (rested < self.limits.check_after or await kept.session.answers()):
                return kept
            await kept.session.close()
        return _Kept(await self.connect())

    async def _drop(self, is_old: Callable[[_Kept[S]], bool]) -> None:
        old = [kept for kept in self._idle if is_old(kept)]
        self._idle = [kept for kept in self._idle if kept not in old]
        for kept in old:
            await kept.session.close()

    async def _give_back(self, kept: _Kept[S]) -> None:
        if self._closed or not kept.session.usable or kept.mails >= self.limits.mails:
            await kept.session.close()
            return
        kept.since = self.clock()
        self._idle.append(kept)
