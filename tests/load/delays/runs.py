"""What is asked of the wheel, one coroutine per question. Each returns its figures and what is wrong with them."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from delays.scene import Arrival, Scene, installed
from muster.contracts.envelope import TaskRecord
from muster.ports import Producer
from muster_local import processes
from muster_local.home import cache
from muster_local.kafka import KafkaOptions, KafkaServer, start_kafka

#: What is promised.
LATE_P99_SECONDS, HELD_UP_SECONDS = 0.25, 8.0
FAR_SECONDS, FAR_RECORDS = 3600.0, 10_000
#: Delays of the records: from "in memory at once" to four hops.
SHORTEST, LONGEST = 0.5, 15.0
#: The first seconds find cold connections and a young process.
WARM_UP_SECONDS = 4.0
_KILL_EVERY = (1.0, 4.0)
_PROBE_SECONDS = 0.02


@dataclass(frozen=True)
class Load:
    """How much, how long; `seed` draws the delays and the kills."""

    rate: int
    seconds: float
    seed: int


@dataclass
class Place:
    """The Kafka that is used, and where to put logs."""

    kafka: KafkaServer
    folder: Path

    def restart(self) -> float:
        """Kill it, start it again on its port and data; returns how many seconds it was away."""
        began = time.monotonic()
        process = self.kafka.identity.process()
        if process is not None:
            process.kill()
            processes.wait(self.kafka.identity, 20)
        self.kafka = start_kafka(self.folder / "kafka", cache(), KafkaOptions(self.kafka.port))
        return time.monotonic() - began


@dataclass
class Answer:
    """Figures by name, and a sentence for each promise that was broken."""

    figures: dict[str, Any]
    broken: list[str]


Run = Callable[[Place, Load], Awaitable[Answer]]


async def steady(place: Place, load: Load) -> Answer:
    """Lateness with `rate` records falling due every second."""
    async with installed(place.kafka.bootstrap, place.folder) as scene:
        await scene.start_scheduler()
        return await _timed(scene, load)


async def behind_hours(place: Place, load: Load) -> Answer:
    """The same with 10,000 records of an hour in front of them."""
    async with installed(place.kafka.bootstrap, place.folder) as scene:
        await scene.start_scheduler()
        async with scene.producer() as producer:
            for number in range(FAR_RECORDS):
                await scene.send(producer, f"far{number}", time.time() + FAR_SECONDS)
        return await _timed(scene, load)


async def killed(place: Place, load: Load) -> Answer:
    """Two schedulers, one of them killed every few seconds: what is lost, what is doubled."""
    rng = random.Random(load.seed)
    async with installed(place.kafka.bootstrap, place.folder) as scene:
        await asyncio.gather(scene.start_scheduler(), scene.start_scheduler())
        sending = asyncio.create_task(scene.send_at_their_times(_plan(load)))
        kills = 0
        while not sending.done():
            await asyncio.wait([sending], timeout=rng.uniform(*_KILL_EVERY))
            victim = rng.choice([scheduler for scheduler in scene.schedulers if scheduler.alive])
            await asyncio.to_thread(victim.end)
            kills += 1
            await scene.start_scheduler()
        await sending
        await _settle(scene, load)
        answer = _account(scene)
    answer.figures["kills"] = kills
    return answer


async def held_up(place: Place, load: Load) -> Answer:
    """A mover killed inside a transaction, and nobody to take over: how long plain records of the lane stay unread."""
    waits = []
    for number in range(3):
        async with installed(place.kafka.bootstrap, place.folder) as scene:
            mover = await scene.start_scheduler(dies_at=1 + 3 * number)
            async with scene.producer() as producer:
                for index in range(60):
                    await scene.send(producer, f"t{index}", time.time() + index / 10)
                await scene.until(lambda mover=mover: not mover.alive, 30)  # type: ignore[misc]
                waits.append(await _probe(scene, producer))
    broken = [f"held up for {max(waits):.1f} s"] if max(waits) > HELD_UP_SECONDS else []
    if min(waits) < 0.5:
        broken.append("a mover was not killed inside a transaction: nothing was measured")
    return Answer({"kills": len(waits), "held_up_seconds": [round(wait, 2) for wait in waits]}, broken)


async def broker_killed(place: Place, load: Load) -> Answer:
    """Kafka itself killed and started again on its data, half-way: nothing lost, nothing early.

    What is doubled is told and not judged: the broker may be of a version that forgets a transaction's end marks
    (decision 0010).
    """
    async with installed(place.kafka.bootstrap, place.folder) as scene:
        scheduler = await scene.start_scheduler()
        sending = asyncio.create_task(scene.send_at_their_times(_plan(load)))
        await asyncio.wait([sending], timeout=(load.seconds + LONGEST) / 2)
        away = await asyncio.to_thread(place.restart)
        await sending
        await _settle(scene, load)
        answer = _account(scene)
        answer.broken = [sentence for sentence in answer.broken if not sentence.endswith("doubled")]
        answer.figures["broker_away_seconds"] = round(away, 1)
        if not scheduler.alive:
            answer.broken.append("the scheduler did not survive the broker")
    return answer


RUNS: dict[str, Run] = {
    "steady": steady, "behind_hours": behind_hours, "killed": killed, "held_up": held_up, "broker": broker_killed,
}  # fmt: skip


async def _timed(scene: Scene, load: Load) -> Answer:
    began, cpu = time.time(), scene.cpu_seconds()
    await scene.send_at_their_times(_plan(load))
    busy = (scene.cpu_seconds() - cpu) / (time.time() - began)
    await _settle(scene, load)
    answer = _account(scene)
    counted = [
        arrival.read - scene.due[arrival.task_id]
        for arrival in scene.arrivals
        if scene.due.get(arrival.task_id, 0.0) >= began + LONGEST + WARM_UP_SECONDS
    ]
    if not counted:
        return Answer(answer.figures, [*answer.broken, "nothing arrived"])
    counted.sort()
    answer.figures |= {"counted": len(counted), "cpus_of_the_scheduler": round(busy, 2)}
    for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        answer.figures[f"late_{name}_ms"] = round(counted[min(len(counted) - 1, int(len(counted) * share))] * 1000)
    if answer.figures["late_p99_ms"] > LATE_P99_SECONDS * 1000:
        answer.broken.append(f"99 % of the records arrived within {answer.figures['late_p99_ms']} ms")
    return answer


def _plan(load: Load) -> list[tuple[float, str, float]]:
    """Records that fall due evenly, written at random times before; those due within WARM_UP are extra."""
    rng = random.Random(load.seed)
    first = time.time() + LONGEST + 0.5
    count = int(load.rate * (load.seconds + WARM_UP_SECONDS))
    dues = [first + number / load.rate for number in range(count)]
    return sorted((due - rng.uniform(SHORTEST, LONGEST), f"t{number}", due) for number, due in enumerate(dues))


async def _settle(scene: Scene, load: Load) -> None:
    """Wait until all of the plan have arrived, or nothing does any more; then a little for what is there twice."""
    expected = sum(1 for task_id in scene.due if not task_id.startswith("far"))
    seen, changed = -1, time.monotonic()
    while len({arrival.task_id for arrival in scene.arrivals}) < expected and time.monotonic() - changed < 40:
        if scene.arrived != seen:
            seen, changed = scene.arrived, time.monotonic()
        await asyncio.sleep(0.2)
    await asyncio.sleep(3)  # a record that was moved twice is right behind


def _account(scene: Scene) -> Answer:
    expected = {task_id for task_id in scene.due if not task_id.startswith("far")}
    ids = Counter(arrival.task_id for arrival in scene.arrivals)
    figures = {
        "records": len(expected),
        "lost": len(expected - ids.keys()),
        "doubled": sum(1 for count in ids.values() if count > 1),
        "early": sum(1 for arrival in scene.arrivals if _early(scene, arrival)),
        "unexpected": len(ids.keys() - expected),
        "longest_late_ms": round(
            max((a.read - scene.due.get(a.task_id, a.read) for a in scene.arrivals), default=0) * 1000
        ),
    }
    return Answer(
        figures, [f"{figures[what]} {what}" for what in ("lost", "doubled", "early", "unexpected") if figures[what]]
    )


def _early(scene: Scene, arrival: Arrival) -> bool:
    """By the reader's clock, or by the mover's own time in the record, which is cut to milliseconds."""
    due = scene.due.get(arrival.task_id, 0.0)
    return arrival.read < due or arrival.written_ms + 1 <= due * 1000


async def _probe(scene: Scene, producer: Producer) -> float:
    """Write plain records to the lane until all that were written have become readable; the longest wait of any."""
    written: dict[str, float] = {}
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        task = TaskRecord(task_id=f"probe{len(written)}", task_type="noop", body=b"{}")
        written[task.task_id] = time.time()
        await producer.send(scene.lane, task.body, key=task.key, headers=task.headers())
        await asyncio.sleep(_PROBE_SECONDS)
        read = {arrival.task_id: arrival.read for arrival in scene.arrivals}
        if len(written) > 100 and all(task_id in read for task_id in list(written)[:100]):
            break
    return max(read.get(task_id, time.time()) - at for task_id, at in list(written.items())[:100])
