"""What must be true of alerts while they are killed and their mail server is away. Each story tells what was broken."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from alerting.installation import ADMINS, Installation, until
from alerting.sinks import Sinks
from notify_service.alerts.delivery import AT_ONCE
from notify_service.domain.alert_rules import Storm

#: As many as may be under way when a process is killed between the other side's word and the record of it.
DOUBLED_PER_KILL = AT_ONCE


@dataclass
class Told:
    """One story's figures and what was wrong in it."""

    name: str
    seconds: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)
    misses: list[str] = field(default_factory=list)

    def demand(self, promise: bool, otherwise: str) -> None:
        if not promise:
            self.misses.append(f"{self.name}: {otherwise}")

    def __str__(self) -> str:
        figures = ", ".join(f"{name} {value:,.10g}" for name, value in self.figures.items())
        return f"{self.name}: {figures} ({self.seconds:.1f} s)"


async def equal_letters(inside: Installation, sinks: Sinks, letters: int, kills: int, chance: random.Random) -> Told:
    """One cause, many letters, a reader that is killed in the middle: one alert, digests that add up, none doubled."""
    told, began = Told(f"{letters:,} equal dead letters, {kills} kills"), time.monotonic()
    cause, before = "flood", await inside.counted()
    parts = sorted(chance.sample(range(1, letters), kills))
    for begin, end in pairwise([0, *parts, letters]):
        await _write_and_kill(inside, end - begin, cause, kill=end != letters)

    async def all_counted() -> bool:
        return await inside.counted() - before >= letters

    await until("not every dead letter is told", all_counted)
    await _all_delivered(inside)
    told.seconds = time.monotonic() - began
    alerts = await inside.alerts_of(cause)
    kinds = Counter(kind for kind, _ in alerts)
    counts = sum(count for _, count in alerts)
    told.figures = {"alerts at once": kinds["first"], "digests": kinds["digest"], "failures they count": counts}
    told.demand(kinds["first"] == 1, f"{kinds['first']} first alerts")
    told.demand(set(kinds) <= {"first", "digest"}, f"alerts of kinds {sorted(kinds)}")
    told.demand(counts == letters, f"alerts count {counts:,} failures of {letters:,}")
    return told


async def _write_and_kill(inside: Installation, letters: int, cause: str, *, kill: bool) -> None:
    """The kill falls while letters are written, read and told: as soon as some of them are."""
    stood = await inside.read()
    writing = asyncio.create_task(inside.write(letters, cause))

    async def moved() -> bool:
        return await inside.read() > stood

    if kill:
        await until("no dead letter is read", moved)
        inside.kill_one()
        inside.start()
    await writing


async def three_causes(inside: Installation, sinks: Sinks) -> Told:
    """Three different failures are three alerts."""
    told, began = Told("three different dead letters"), time.monotonic()
    causes = ("disk", "network", "quota")
    for cause in causes:
        await inside.write(1, cause)

    async def all_there() -> bool:
        return all([await inside.alerts_of(cause) for cause in causes])

    await until("not every cause has its alert", all_there)
    await _all_delivered(inside)
    told.seconds = time.monotonic() - began
    alerts = [alert for cause in causes for alert in await inside.alerts_of(cause)]
    told.figures = {"alerts": len(alerts)}
    told.demand(alerts == [("first", 1)] * 3, f"alerts are {alerts}")
    return told


async def mail_is_away(inside: Installation, sinks: Sinks) -> Told:
    """Without a mail server an alert waits, and comes once when there is one again."""
    told, began = Told("mail server away"), time.monotonic()
    await sinks.mail_goes_down()
    await inside.write(1, "outage")

    async def tried() -> bool:
        sql = "SELECT count(*) FROM muster.alert_deliveries WHERE channel = 'mail' AND state = 'open' AND tries >= 2"
        return bool(await inside.pool.fetchval(sql) == ADMINS)

    await until("the mails were not tried again", tried)
    early = sinks.mails_about("outage")
    hooks = sum("outage" in hook for hook in sinks.hooks)
    await sinks.mail_comes_up()
    await _all_delivered(inside)
    told.seconds = time.monotonic() - began
    late = sinks.mails_about("outage")
    told.figures = {"mails while away": early, "mails after": late, "webhooks meanwhile": hooks}
    told.demand((early, late) == (0, ADMINS), f"{early} mails before and {late} after, of {ADMINS}")
    told.demand(hooks == 1, f"{hooks} webhooks while mail was away")
    return told


async def lead_changes(inside: Installation, sinks: Sinks, letters: int, *, freeze: bool) -> Told:
    """Of two processes the one that reads is killed, or frozen for a while: the other goes on where it stood."""
    what = "frozen and thawed" if freeze else "killed"
    told, began = Told(f"the reader of two {what}"), time.monotonic()
    inside.start()
    old, cause = await inside.leader(), f"handover-{freeze}"
    await inside.write(letters // 3, cause)
    inside.freeze_one() if freeze else inside.kill_one()
    await inside.write(letters // 3, cause)

    async def taken_over() -> bool:
        return await inside.leader() not in (old, "None")

    await until("nobody took over", taken_over)
    if freeze:
        inside.thaw_one()
    await inside.write(letters - 2 * (letters // 3), cause)

    async def all_counted() -> bool:
        return sum(count for _, count in await inside.alerts_of(cause)) >= letters

    await until("the other process tells nothing", all_counted)
    await _all_delivered(inside)
    if freeze:
        inside.kill_one()
    told.seconds = time.monotonic() - began
    alerts = await inside.alerts_of(cause)
    counts = sum(count for _, count in alerts)
    told.figures = {"first alerts": sum(kind == "first" for kind, _ in alerts), "failures they count": counts}
    told.demand(counts == letters, f"alerts count {counts:,} failures of {letters:,}")
    told.demand(told.figures["first alerts"] == 1, f"{told.figures['first alerts']} first alerts")
    return told


async def many_kinds(inside: Installation, sinks: Sinks, letters: int) -> Told:
    """Everything fails, each time in another way: as many alerts as the rules allow, and one for all others."""
    told, began = Told(f"{letters:,} kinds of failures at once"), time.monotonic()
    before = await inside.counted()
    await inside.write(letters, "chaos", of_many_kinds=True)

    async def all_counted() -> bool:
        return await inside.counted() - before >= letters

    await until("not every dead letter is told", all_counted)
    await _all_delivered(inside)
    told.seconds = time.monotonic() - began
    sql = "SELECT count(*) FILTER (WHERE facts->'failed'->>2 {} 'storm') FROM muster.alerts WHERE kind = 'first'"
    alone = int(await inside.pool.fetchval(sql.format("<>")))
    together = int(await inside.pool.fetchval(sql.format("=")))
    counts = await inside.counted() - before
    told.figures = {"told alone, with the stories before": alone, "told together": together, "failures": counts}
    told.demand((alone, together) == (Storm().most, 1), f"{alone} kinds told alone, {together} alerts for the rest")
    told.demand(counts == letters, f"alerts count {counts:,} failures of {letters:,}")
    return told


async def pipeline_stops(inside: Installation, sinks: Sinks) -> tuple[Told, asyncio.Task[None]]:
    """No tracker lives: that is told, once, and that one lives again. Its heart beats on in the task."""
    told, began = Told("dead man"), time.monotonic()

    async def silent() -> bool:
        return "silence pipeline/tracker" in await inside.pipeline_alerts()

    await until("the silence of the tracker is not told", silent)
    silence = time.monotonic() - began
    beating = asyncio.create_task(inside.beat_as_tracker())

    async def recovered() -> bool:
        return "recovery pipeline/tracker" in await inside.pipeline_alerts()

    await until("the tracker's return is not told", recovered)
    await _all_delivered(inside)
    told.seconds = time.monotonic() - began
    alerts = await inside.pipeline_alerts()
    told.figures = {"seconds until told": round(silence, 1), "alerts": len(alerts)}
    told.demand(alerts == ["silence pipeline/tracker", "recovery pipeline/tracker"], f"alerts are {alerts}")
    return told, beating


async def nothing_lost_or_doubled(inside: Installation, sinks: Sinks) -> Told:
    """Of all stories together: every alert reached everybody, and nobody twice but for kills in the one moment."""
    told = Told("all of it")
    alerts = int(await inside.pool.fetchval("SELECT count(*) FROM muster.alerts"))
    rows = int(await inside.pool.fetchval("SELECT count(*) FROM notifications WHERE type = 'task_failure'"))
    mails, hooks = sinks.mails(), Counter(sinks.hooks)
    doubled = sum(count - 1 for count in mails.values()) + len(sinks.hooks) - len(hooks)
    told.figures = {
        "alerts": alerts, "notification rows": rows, "mails": len(mails), "webhooks": len(hooks),
        "sent twice": doubled, "kills": inside.kills,
    }  # fmt: skip
    told.demand(rows == alerts * ADMINS, f"{rows} notification rows for {alerts} alerts to {ADMINS} admins")
    told.demand(len(mails) == alerts * ADMINS, f"{len(mails)} mails for {alerts} alerts to {ADMINS} admins")
    told.demand(len(hooks) == alerts, f"{len(hooks)} webhooks for {alerts} alerts")
    told.demand(doubled <= inside.kills * DOUBLED_PER_KILL, f"{doubled} sent twice in {inside.kills} kills")
    return told


async def _all_delivered(inside: Installation) -> None:
    async def delivered() -> bool:
        return await inside.undelivered() == 0

    await until("not every alert is delivered", delivered)
