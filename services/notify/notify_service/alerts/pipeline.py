"""Looks whether the pipeline itself still runs, and tells when it does not.

What is seen of it is sight.py's, what counts as stopped domain/pulse.py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

import aiohttp
from muster.adapters.postgres import DATABASE_FAILURES
from muster.contracts.errors import BrokerError, StoreError
from muster.observability.logging import get_logger
from muster.observability.metrics import ALERTS, PIPELINE_SILENT
from muster.ports import Clock
from rotc.alerts import PulseRow

from notify_service.alerts.ledger import Ledger
from notify_service.alerts.reading import Reading
from notify_service.alerts.sight import Lookout
from notify_service.domain.alert_rules import DeadMan
from notify_service.domain.pulse import Pulse, Sight, Stethoscope, judge

LOOK_SECONDS = 5.0
#: The address outside is asked this often, and has so long to answer.
HEARTBEAT_SECONDS = 60.0
HEARTBEAT_ANSWER_SECONDS = 10.0

_log = get_logger(__name__)


class Pipeline:
    """The dead-man switch; looks while this process leads."""

    def __init__(
        self, lookout: Lookout, ledger: Ledger, reading: Reading, rule: DeadMan, heartbeat_url: str, clock: Clock
    ) -> None:
        self._lookout = lookout
        self._ledger = ledger
        self._reading = reading
        self._rule = rule
        self._heartbeat_url = heartbeat_url
        self._clock = clock
        self._ear = Stethoscope()
        self._pinged = float("-inf")

    async def run(self) -> None:
        """Look until cancelled; an outage of Kafka is told, one of PostgreSQL is waited out."""
        try:
            while True:
                if self._ledger.leads or not self._reading.kafka_answers:
                    await self.look()
                await self._clock.sleep(LOOK_SECONDS)
        finally:
            await self._lookout.close()

    async def look(self) -> None:
        """Look once, and tell what is to be told."""
        try:
            await self._judge(await self._see())
            await self._ping()
        except (StoreError, *DATABASE_FAILURES) as error:
            _log.warning("What was seen of the pipeline is not kept", action="pipeline.unkept", error=str(error)[:300])

    async def _see(self) -> Sight:
        now = self._clock.now()
        try:
            return await self._lookout.see(now, self._reading.position, self._reading.behind, self._ledger.projected)
        except BrokerError as error:
            _log.warning("The pipeline cannot be seen", action="pipeline.unseen", error=str(error)[:300])
            await self._lookout.close()
            return Sight(now, kafka=False)

    async def _judge(self, sight: Sight) -> None:
        silences = self._ear.silences(sight)
        for part, since in silences.items():
            PIPELINE_SILENT.labels(part).set((sight.now - since).total_seconds() if since else 0)
        if not self._ledger.leads:
            return
        rows, alerts = [], []
        for part, row in (await self._known(silences)).items():
            pulse, alert = judge(Pulse(*row), silences[part], self._rule, sight.now)
            if alert is not None:
                alerts.append(alert)
                rows.append(PulseRow(**asdict(pulse)))
        if rows:
            await self._ledger.write_pulses(rows, alerts)
        for alert in alerts:
            ALERTS.labels(alert.kind).inc()
            _log.warning("The pipeline", action=f"pipeline.{alert.kind}", part=alert.failed.task, said=alert.message)

    async def _known(self, silences: Mapping[str, datetime | None]) -> dict[str, PulseRow]:
        stored = await self._ledger.pulses()
        return {part: stored.get(part, PulseRow(part, None, None, 0)) for part in silences}

    async def _ping(self) -> None:
        """Tell whoever watches from outside that alerts would be told; silence is what tells them otherwise."""
        now = self._clock.monotonic()
        turned = self._reading.turned
        healthy = turned is not None and now - turned < HEARTBEAT_SECONDS
        if not self._heartbeat_url or not healthy or now - self._pinged < HEARTBEAT_SECONDS:
            return
        self._pinged = now
        timeout = aiohttp.ClientTimeout(total=HEARTBEAT_ANSWER_SECONDS)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(self._heartbeat_url) as answer:
                answer.raise_for_status()
        except (aiohttp.ClientError, TimeoutError) as error:
            # Without its text, which names the address.
            _log.warning("The heartbeat was not taken", action="pipeline.ping_failed", error_type=type(error).__name__)
