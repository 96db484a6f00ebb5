"""Whether every good address gets one mail, whatever is refused or killed: `python tests/load/mail_bench.py [--json]`.

The bulk task runs in a process of its own against a real SMTP server and PostgreSQL. One address in ten is refused for
now (451, so often that it takes a second attempt), one in twenty for good (550). The process is killed (SIGKILL) some
times, each when more mails are through, the last time (--worst-kills) at the worst moment: the server has taken a mail
on every connection and says nothing. The task is then run again under its id, as the tracker hands it out again.

A killed worker may send again what the server had taken and the database had not noted: after each kill these are
counted, by the two. Nobody else may get two, and no good address none. Every mail is judged by the RFCs (mails/rfc.py).
In the same run, as many mails go out with nobody refused, in turns over the pool and with a connection for each mail,
by the same task that writes each down.

Exit code 1 when a promise broke, or the pool is less than --least-ratio times as fast.
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
from statistics import median
from typing import Any

from mails.rfc import complaints
from mails.scene import MailServer, mail_server, populate, written_down
from muster_local.postgres import PostgresOptions, start_postgres
from rotc.sent_mails import recipient_key

SENDER = Path(__file__).with_name("mail_sender.py")
BUSY, GONE = "busy", "gone"
#: Of the task: three retries.
MOST_ATTEMPTS = 4


def address(number: int) -> str:
    """One in ten is refused for now, one in twenty for good."""
    kind = BUSY if number % 10 == 3 else GONE if number % 20 == 7 else "good"
    return f"{kind}{number}@cadets.example"


class Bench:
    """One run: what it works on, its figures, and what broke."""

    def __init__(self, dsn: str, server: MailServer, options: argparse.Namespace) -> None:
        self._dsn, self._server, self._options = dsn, server, options
        self._everybody = [address(number) for number in range(options.recipients)]
        #: Recipients whose mail the server had and the database not, when the sender was killed.
        self._in_between: set[str] = set()
        self.figures: dict[str, Any] = {"recipients": options.recipients}
        self.broken: list[str] = []

    async def run(self) -> None:
        await populate(self._dsn, self._everybody)
        await self._server.refuse(temporary=f"^{BUSY}", temporary_times=1, permanent=f"^{GONE}")
        result = await self._under_fire()
        await self._judge(result)
        if not self._options.without_rates:
            await self._server.refuse()
            await self._rates()

    async def _under_fire(self) -> dict[str, Any]:
        """The bulk task to its end, through kills and attempts; its result."""
        job = {"task_id": "under fire", "recipients": self._everybody}
        kills, attempt, refused_for_now = 0, 1, ""
        while attempt <= MOST_ATTEMPTS:
            at = len(self._everybody) * (kills + 1) // (self._most_kills + 2)
            worst = kills >= self._options.kills
            if kills < self._most_kills and await self._kill_at({**job, "attempt": attempt}, at, worst=worst):
                kills += 1
                continue
            told = await self._send(**job, attempt=attempt)
            if "result" in told:
                self.figures |= {"kills": kills, "attempts": attempt, "retried_because": refused_for_now}
                self._promise(kills == self._most_kills, f"only {kills} kills: the sender was too fast")
                result: dict[str, Any] = told["result"]
                return result
            refused_for_now, attempt = told["retry"], attempt + 1
        raise SystemExit(f"the task did not end within {MOST_ATTEMPTS} attempts: {refused_for_now}")

    @property
    def _most_kills(self) -> int:
        return int(self._options.kills + self._options.worst_kills)

    async def _kill_at(self, job: dict[str, Any], mails: int, *, worst: bool) -> bool:
        """Start the task and kill it once the server has so many mails; False when it was faster than that."""
        await self._server.hold(mails if worst else 0)
        process = await self._start(job)
        ended = asyncio.ensure_future(process.wait())
        while not ended.done() and (await self._server.count())["mails"] < mails:
            await asyncio.wait([ended], timeout=0.005)
        if ended.done():
            return False
        process.kill()
        await ended
        await self._look_in_between()
        await self._server.hold(0)
        return True

    async def _look_in_between(self) -> None:
        await self._server.quiet()  # it may still read what was sent before the kill
        noted = await written_down(self._dsn, "under fire")
        taken = {recipient for mail in await self._server.taken() for recipient in mail["to"]}
        found = {recipient for recipient in taken if recipient_key(recipient) not in noted}
        most = self._options.connections
        self._promise(len(found - self._in_between) <= most, f"a kill cost the record of more than {most} mails")
        self._in_between |= found

    async def _judge(self, result: dict[str, Any]) -> None:
        mails = await self._server.taken()
        got = Counter(recipient for mail in mails for recipient in mail["to"])
        good = {one for one in self._everybody if not one.startswith(GONE)}
        twice = {one for one, count in got.items() if count > 1}
        self._promise(set(got) == good, f"{len(good - set(got))} good addresses got no mail")
        self._promise(twice <= self._in_between, f"{len(twice - self._in_between)} got two, and no kill is to blame")
        self._promise(max(got.values()) <= 1 + self._most_kills, "somebody got more mails than there were kills")
        failures = {failure["recipient"]: failure["code"] for failure in result["failures"]}
        self._promise(failures == {one: 550 for one in self._everybody if one not in good}, "the failures are others")
        self._promise(
            (result["total"], result["sent"]) == (len(self._everybody), len(good)), f"the result says {result['sent']}"
        )
        self.figures |= {
            "good": len(good), "mails": len(mails), "in_between": len(self._in_between), "twice": len(twice),
            "refused": len(failures), "bad_mails": await self._judge_each(mails),
        }  # fmt: skip

    async def _judge_each(self, mails: list[dict[str, Any]]) -> int:
        bad, ids = 0, set()
        for mail in mails:
            found = complaints(await self._server.data(mail["id"]), mail["to"][0])
            found += ["the envelope names several"] * (len(mail["to"]) != 1)
            bad += bool(found)
            ids.add((mail["message_id"], mail["to"][0]))
            for complaint in found[:1]:
                self._promise(False, f"mail {mail['id']}: {complaint}")
        recipients = {mail["to"][0] for mail in mails}
        self._promise(
            len({one for one, _ in ids}) == len(ids) == len(recipients), "a Message-ID is not one of one mail"
        )
        return bad

    async def _rates(self) -> None:
        """As many mails over the pool, and over one connection each, in turns; nobody is refused. Medians count."""
        everybody = [f"rate{number}@cadets.example" for number in range(self._options.recipients)]
        seconds: dict[str, list[float]] = {"pooled": [], "connection_per_mail": []}
        for turn in range(self._options.rounds):
            for name, most in (("pooled", None), ("connection_per_mail", 1)):
                await self._server.forget()
                told = await self._send(
                    task_id=f"{name} {turn}", attempt=1, recipients=everybody, mails_per_connection=most
                )
                arrived = (await self._server.count())["mails"]
                self._promise(arrived == len(everybody), f"{name}: {arrived} of {len(everybody)} arrived")
                seconds[name].append(told["seconds"])
        for name, times in seconds.items():
            self.figures[name] = {"seconds": median(times), "per_second": len(everybody) / median(times)}
        ratio = median(
            slow / fast for fast, slow in zip(seconds["pooled"], seconds["connection_per_mail"], strict=True)
        )
        self.figures["ratio"] = ratio
        self._promise(ratio >= self._options.least_ratio, f"only {ratio:.2f} times as fast as one connection per mail")

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
        around = {"dsn": self._dsn, "smtp_port": self._server.smtp_port, "connections": self._options.connections}
        process.stdin.write(json.dumps({**job, **around}).encode())
        process.stdin.close()
        return process

    def _promise(self, kept: bool, otherwise: str) -> None:
        if not kept:
            self.broken.append(otherwise)


def show(bench: Bench) -> None:
    figures, say = bench.figures, sys.stdout.write
    say(
        f"{figures['recipients']:,} recipients, {figures['kills']} kills, {figures['attempts']} attempts: "
        f"{figures['good']:,} good addresses, {figures['mails']:,} mails, {figures['refused']} refused for good\n"
        f"{figures['in_between']} mails were taken and not yet noted when the sender was killed; "
        f"{figures['twice']} of them came twice\n"
        f"{figures['mails'] - figures['bad_mails']:,} of {figures['mails']:,} mails are good by the RFCs\n"
    )
    for name in ("pooled", "connection_per_mail"):
        if one := figures.get(name):
            say(f"{name.replace('_', ' '):<20} {one['seconds']:>6.2f} s {one['per_second']:>7,.0f} mails/s\n")
    faster = f": {figures['ratio']:.2f} times as fast" if "ratio" in figures else ""
    say(f"{'BROKEN' if bench.broken else 'kept'}{faster}\n")
    for broken in bench.broken[:20]:
        say(f"  {broken}\n")


async def main(options: argparse.Namespace) -> int:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        dsn = options.database_url
        if not dsn:
            server = start_postgres(folder / "postgres", PostgresOptions())
            stack.callback(server.stop)
            dsn = server.create_database("mail")
        bench = Bench(dsn, await stack.enter_async_context(mail_server(folder)), options)
        await bench.run()
    if options.json:
        sys.stdout.write(json.dumps({**bench.figures, "broken": bench.broken}, indent=2) + "\n")
    else:
        show(bench)
    return 1 if bench.broken else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipients", type=int, default=1_000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--worst-kills", type=int, default=1)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--without-rates", action="store_true", help="no comparison with one connection per mail")
    parser.add_argument("--rounds", type=int, default=3, help="of the comparison with one connection per mail")
    parser.add_argument("--least-ratio", type=float, default=1.0)
    parser.add_argument("--database-url", default="", help="an empty database; without it, a PostgreSQL of its own")
    parser.add_argument("--json", action="store_true")
    sys.exit(asyncio.run(main(parser.parse_args())))
