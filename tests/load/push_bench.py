"""Whether a broadcast reaches every browser once, with flat memory: `python tests/load/push_bench.py [--json]`.

A push service of its own (real HTTP) checks VAPID and decrypts every payload with each browser's own keys; one browser
in fifty is gone (404 or 410). The broadcast task runs in a process of its own, first for a tenth of the people, then
for all, each telling its peak memory (VmHWM); in the same run, pywebpush sends one push after the other as its manual
shows; real push services take 20 ms and more to answer (--answer-ms), which only the one at a time pays in full. Then
the broadcast is killed (SIGKILL) in its middle, some times, and run again with the same task id.

Exit code 1 when a payload could not be read or differs, a browser that is gone is still stored, one was missed, one was
told twice without a kill, a kill repeated more than the pushes that were on their way or not yet written down, memory
grew by more than --most-growth MB, a push costs more CPU than one after the other, or the rate is below --least-ratio
times theirs (for an idle machine: a busy one gives a share to each process, and the push service is one of them).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from muster_local.postgres import PostgresOptions, start_postgres
from notify_service.push_client import PARALLEL
from notify_service.push_run import RECORD_AT
from notify_service.vapid import KeyPair, new_pair
from push_sender import MESSAGE, TITLE
from pushes.scene import Service, populate, push_service, stored

SENDER = Path(__file__).with_name("push_sender.py")
#: One in so many browsers is gone.
GONE = 50
#: A push on its way and an outcome not yet written down are all that a kill can repeat; so are those being written.
REPEATS_PER_KILL = PARALLEL + 2 * RECORD_AT
SMALL, ALL, KILLED = "training_staff", "cadet", "admin"
EXPECTED = {"title": TITLE, "body": MESSAGE}


class Bench:
    """One run: what it works on, its figures, and what broke."""

    def __init__(self, dsn: str, service: Service, pair: KeyPair, options: argparse.Namespace) -> None:
        self._dsn, self._service, self._pair, self._options = dsn, service, pair, options
        self._gone: dict[str, int] = {}
        self._seen = 0
        self.figures: dict[str, Any] = {}
        self.broken: list[str] = []

    async def run(self) -> None:
        people = self._options.browsers
        await self._populate({SMALL: people // 10, ALL: people, KILLED: people if self._options.kills else 0})
        small = await self._broadcast("small", SMALL, people // 10)
        large = await self._broadcast("all", ALL, people)
        await self._one_by_one(large)
        grown = large["peak_mb"] - small["peak_mb"]
        self.figures["grown_mb"] = grown
        self._promise(grown <= self._options.most_growth, f"memory grew by {grown:.1f} MB")
        if self._options.kills:
            await self._killed(people)

    async def _populate(self, sizes: dict[str, int]) -> None:
        browsers: dict[str, list[dict[str, Any]]] = {}
        for role, size in sizes.items():
            browsers[role] = await self._service.browsers(size, self._pair.public) if size else []
            gone = browsers[role][::GONE]
            self._gone[role] = len(gone)
            await self._service.answers(gone[::2], status=410)
            await self._service.answers(gone[1::2], status=404)
        await populate(self._dsn, browsers)

    async def _broadcast(self, name: str, role: str, people: int) -> dict[str, Any]:
        told = await self._send(how="broadcast", role=role, task_id=name)
        expected = people - self._gone[role]
        counts = {"total_users": people, "sent": expected, "failed": 0, "expired": self._gone[role]}
        self._promise(told["result"] == {"role": role, **counts}, f"{name}: the result is {told['result']}")
        self._promise(await stored(self._dsn, role) == expected, f"{name}: browsers that are gone are still stored")
        reached = await self._reached()
        self._promise(len(reached) == expected, f"{name}: {len(reached)} of {expected} browsers were told")
        self._promise(set(reached.values()) <= {1}, f"{name}: a browser was told twice")
        per_push = {"per_second": people / told["seconds"], "cpu_ms": 1000 * told["cpu_seconds"] / people}
        self.figures[name] = {**told, **per_push, "browsers": people}
        figures: dict[str, Any] = self.figures[name]
        return figures

    async def _reached(self) -> Counter[str]:
        """How often each browser was told since the last look; every payload is compared."""
        messages = await self._service.messages(self._seen)
        self._seen = max((message["number"] for message in messages), default=self._seen)
        wrong = sum(1 for message in messages if message["payload"] != EXPECTED)
        self._promise(not wrong, f"{wrong} payloads were not what was sent")
        refused = {
            s: n for s, n in (await self._service.figures())["answered"].items() if s not in ("201", "404", "410")
        }
        self._promise(not refused, f"pushes were refused: {refused}")
        return Counter(message["browser"] for message in messages)

    async def _one_by_one(self, large: dict[str, Any]) -> None:
        told = await self._send(how="one by one", role=ALL, limit=self._options.one_by_one)
        self._seen = (await self._service.figures())["received"]
        rate = told["tried"] / told["seconds"]
        naive_ms = 1000 * told["cpu_seconds"] / told["tried"]
        self.figures["one_by_one"] = {**told, "per_second": rate, "cpu_ms": naive_ms}
        self._promise(large["cpu_ms"] <= naive_ms, "a push costs more CPU than one after the other")
        self.figures["ratio"] = ratio = large["per_second"] / rate
        self._promise(ratio >= self._options.least_ratio, f"only {ratio:.1f} times as fast as one after the other")

    async def _killed(self, people: int) -> None:
        kills = 0
        job = {"how": "broadcast", "role": KILLED, "task_id": "killed"}
        for part in range(1, self._options.kills + 1):
            kills += await self._kill_at(job, self._seen + people * part // (self._options.kills + 1))
        told = await self._send(**job)
        reached = await self._reached()
        expected = people - self._gone[KILLED]
        again = sum(reached.values()) - len(reached)
        self._promise(len(reached) == expected, f"after kills: {len(reached)} of {expected} browsers were told")
        self._promise(again <= kills * REPEATS_PER_KILL, f"after kills: {again} pushes were repeated")
        self._promise(
            told["result"]["sent"] == expected or told["result"]["sent"] + told["result"]["expired"] <= people,
            f"after kills: the result is {told['result']}",
        )
        self.figures["killed"] = {"kills": kills, "repeated": again, "result": told["result"]}

    async def _kill_at(self, job: dict[str, Any], received: int) -> int:
        """Start the broadcast and kill it once so many pushes have arrived; 0 when it was faster than that."""
        process = await self._start(job)
        ended = asyncio.ensure_future(process.wait())
        while not ended.done() and (await self._service.figures())["received"] < received:
            await asyncio.wait([ended], timeout=0.01)
        if ended.done():
            return 0
        process.kill()
        await ended
        return 1

    async def _send(self, **job: Any) -> dict[str, Any]:
        process = await self._start(job)
        output, errors = await process.communicate()
        if process.returncode:
            raise SystemExit(f"the sender failed: {errors.decode()[-2000:]}")
        told: dict[str, Any] = json.loads(output)
        return told

    async def _start(self, job: dict[str, Any]) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(SENDER),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        keys = {"public": self._pair.public, "private": self._pair.private}
        process.stdin.write(json.dumps({**job, **keys, "dsn": self._dsn}).encode())
        process.stdin.close()
        return process

    def _promise(self, kept: bool, otherwise: str) -> None:
        if not kept:
            self.broken.append(otherwise)


def _rates(name: str, browsers: int, one: dict[str, Any]) -> str:
    rate = f"{one['per_second']:>6,.0f}/s {one['cpu_ms']:.2f} ms CPU each"
    return f"{name:<12} {browsers:>6,} browsers {one['seconds']:>6.1f} s {rate}"


def show(bench: Bench) -> None:
    say = sys.stdout.write
    for name in ("small", "all"):
        one = bench.figures[name]
        result = one["result"]
        say(f"{_rates('broadcast', one['browsers'], one)}, peak {one['peak_mb']:.1f} MB, ")
        say(f"{result['sent']:,} told, {result['expired']} gone, deleted\n")
    naive = bench.figures["one_by_one"]
    say(_rates("one by one", naive["tried"], naive) + "\n")
    if killed := bench.figures.get("killed"):
        say(f"killed       {killed['kills']} times: everybody was told, {killed['repeated']} pushes twice\n")
    told = f"{bench.figures['ratio']:.1f} times as fast, {bench.figures['grown_mb']:.1f} MB more for ten times as many"
    say(f"{'BROKEN' if bench.broken else 'kept'}: {told}\n")
    for broken in bench.broken:
        say(f"  {broken}\n")


async def main(options: argparse.Namespace) -> int:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        dsn = options.database_url
        if not dsn:
            server = start_postgres(folder / "postgres", PostgresOptions(durable=False))
            stack.callback(server.stop)
            dsn = server.create_database("push")
        service = await stack.enter_async_context(push_service(folder, options.answer_ms))
        bench = Bench(dsn, service, new_pair(), options)
        await bench.run()
    if options.json:
        sys.stdout.write(json.dumps({**bench.figures, "broken": bench.broken}, indent=2) + "\n")
    else:
        show(bench)
    return 1 if bench.broken else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--browsers", type=int, default=10_000)
    parser.add_argument("--one-by-one", type=int, default=500, help="how many pywebpush sends by itself")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--answer-ms", type=float, default=0.0, help="how long the push service takes to answer")
    parser.add_argument("--least-ratio", type=float, default=1.5)
    parser.add_argument("--most-growth", type=float, default=8.0, help="MB")
    parser.add_argument("--database-url", default="", help="an empty database; without it, a PostgreSQL of its own")
    parser.add_argument("--json", action="store_true")
    sys.exit(asyncio.run(main(parser.parse_args())))
