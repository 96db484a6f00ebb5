"""`muster dlq redrive`: runs dead letters again, without the tracker if need be. Looking at them is dlq.py's."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Annotated

import typer
from rich.text import Text

from muster.cli.dlq_options import (
    FingerprintOption,
    KindOption,
    SinceOption,
    TypeOption,
    parse_since,
    plain,
    reading_bar,
)
from muster.cli.output import PATIENCE, Exit, JsonOption, err, fail, out, print_json, run
from muster.cli.parameters import parse_parameters
from muster.client import ClientSettings, TrackerApi
from muster.client.letters import Choice
from muster.client.redriving import Chosen, Outcome, Redriving, StateOf, Terms, choose
from muster.client.views import read_status
from muster.connect import reach, read_settings
from muster.contracts.errors import ConfigurationError, UnknownTask
from muster.contracts.redrive import MAX_REDRIVES, Edit
from muster.contracts.states import TaskState

IdsArgument = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Ids of tasks that failed.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
RateOption = Annotated[float | None, typer.Option(help="At most so many tasks a second.", min=0.01)]
EditOption = Annotated[
    list[str] | None, typer.Option(metavar="KEY:=JSON", help="Put this parameter over the original one; repeat it.")
]
AsTypeOption = Annotated[str | None, typer.Option(help="Run it as this task type.")]
MaxOption = Annotated[int, typer.Option(help="Loop guard: refuse what was redriven so often.", min=1)]
VouchOption = Annotated[bool, typer.Option(help="Also run what nobody has vouched for (kind unauthenticated).")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")]


def redrive(
    task_ids: IdsArgument = None,
    task_type: TypeOption = None,
    kind: KindOption = None,
    fingerprint: FingerprintOption = None,
    since: SinceOption = None,
    dry_run: DryRunOption = False,
    rate: RateOption = None,
    edit: EditOption = None,
    as_type: AsTypeOption = None,
    max_redrives: MaxOption = MAX_REDRIVES,
    vouch: VouchOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Run failed tasks again, under the same id, in the lane they came from.

    A task that was redriven before is left alone: later letters tell, and the tracker when MUSTER_API_URL is set.
    Exits with 2 when a letter was refused, with 4 when an ID has none.

    Examples:

      muster dlq redrive --fingerprint 3f9a0c1d2e4b5a69 --dry-run

      muster dlq redrive --type compress_and_upload_image --since 2h --rate 20 --yes

      muster dlq redrive 0198f6a2-7c1e-7d31-9f4e-0c2b7a1d5e90 --edit 'quality:=80'
    """

    async def plan() -> tuple[Chosen, Terms]:
        ids = frozenset(task_ids) if task_ids else None
        choice = Choice(ids=ids, task_type=task_type, kind=kind, fingerprint=fingerprint, since=parse_since(since))
        change = Edit(parameters=parse_parameters(edit) if edit else None, task_type=as_type)
        return await _choose(choice), Terms(change, max_redrives, rate, dry_run, vouch)

    chosen, terms = run(plan(), json=json)
    if chosen.places and not (yes or dry_run or task_ids):
        _ask(chosen, json=json)
    if run(_redrive(chosen, terms, json=json), json=json)["refused"]:
        raise typer.Exit(Exit.USAGE)


async def _choose(choice: Choice) -> Chosen:
    if choice == Choice():
        raise ConfigurationError("name tasks or a filter: --since 90d takes every dead letter that Kafka still holds")
    with reading_bar("Choosing") as bar:
        chosen = await choose(*reach(read_settings()), choice, bar)
    missing = sorted((choice.ids or frozenset()) - chosen.places.keys())
    if missing and not chosen.superseded:
        raise UnknownTask(f"no dead letter has the id {plain(missing[0], 200)}")
    return chosen


async def _redrive(chosen: Chosen, terms: Terms, *, json: bool) -> Counter[str]:
    settings = read_settings()
    counts = Counter[str](superseded=chosen.superseded)
    if chosen.places:
        async with _states(settings) as state_of:
            await _run(Redriving(*reach(settings), terms, state_of), chosen, counts, json=json)
    _sum_up(counts, terms, knows_states=settings.api_url is not None, json=json)
    return counts


async def _run(redriving: Redriving, chosen: Chosen, counts: Counter[str], *, json: bool) -> None:
    with reading_bar("Redriving") as bar:
        async with aclosing(redriving.run(chosen, bar)) as outcomes:
            async for outcome in outcomes:
                counts[outcome.outcome] += 1
                if json:
                    print_json(outcome)
                else:
                    out.print(_line(outcome))


def _ask(chosen: Chosen, *, json: bool) -> None:
    if not (sys.stdin.isatty() and err.is_terminal):
        fail(
            ConfigurationError(f"{len(chosen.places):,} tasks would run again: add --yes, or look with --dry-run"),
            json=json,
        )
    named = ", ".join(f"{plain(name, 60)} {count:,}" for name, count in chosen.types.most_common(5))
    if not typer.confirm(f"Run {len(chosen.places):,} tasks again ({named})?", err=True):
        raise typer.Exit(Exit.INTERRUPTED)


@asynccontextmanager
async def _states(settings: ClientSettings) -> AsyncGenerator[StateOf, None]:
    """Asks the tracker where a task stands, when its address is set."""
    if settings.api_url is None:
        yield _unknown
        return
    api = TrackerApi(settings, patience=PATIENCE)

    async def ask(task_id: str) -> TaskState | None:
        try:
            return read_status(await api.status(task_id)).status
        except UnknownTask:
            return None

    try:
        yield ask
    finally:
        await api.close()


async def _unknown(task_id: str) -> TaskState | None:
    return None


def _line(outcome: Outcome) -> Text:
    colour = {"redriven": "green", "planned": "cyan", "refused": "red"}.get(outcome.outcome, "yellow")
    end = f"-> {outcome.lane}, round {outcome.redrive + 1}" if outcome.lane else outcome.reason
    text = f"  {plain(outcome.task_id, 200)}  {plain(outcome.task_type, 60)}  {plain(end)}"
    return Text.assemble((f"{outcome.outcome:8}", colour), text)


def _sum_up(counts: Counter[str], terms: Terms, *, knows_states: bool, json: bool) -> None:
    done = "planned" if terms.dry_run else "redriven"
    if json:
        names = (done, "skipped", "refused", "superseded")
        print_json({"dry_run": terms.dry_run, **{name: counts[name] for name in names}})
        return
    out.print(
        f"{counts[done]:,} {done}, {counts['skipped']:,} skipped, {counts['refused']:,} refused, "
        f"{counts['superseded']:,} older letters passed over"
    )
    if counts[done] and not knows_states:
        err.print("MUSTER_API_URL is not set: a task redriven before that has not failed since would run twice.")
