"""How the findings of chaos are shown: tables for a person, one JSON object for a machine. Decides nothing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from muster_local.chaos.plan import Plan
from muster_local.chaos.session import Findings

#: Figure of the verdict -> what a person reads.
_MUST_BE_ZERO = {
    "lost": "lost", "stuck": "stuck", "never_terminal": "never terminal", "wrong_end": "ended otherwise than they must",
    "duplicate_effects": "duplicate effects", "missing_effects": "missing effects",
    "doubled_attempts": "attempts begun twice", "early": "early redeliveries", "revoked_but_run": "revoked but run",
    "out_of_order": "out of their key's order", "gave_up": "programs that gave up",
}  # fmt: skip


def as_json(findings: Findings, plan: Plan) -> dict[str, Any]:
    ends: dict[str, dict[str, int]] = {}
    for (who, how), count in findings.ends.items():
        ends.setdefault(who, {})[how] = count
    return {
        **asdict(findings.verdict), "violations": findings.verdict.violations(), "seed": plan.seed, "ends": ends,
        "broker_away_seconds": findings.broker_away_seconds, "unacknowledged": findings.unacknowledged,
        "seconds": findings.seconds,
    }  # fmt: skip


def show(console: Console, findings: Findings, plan: Plan) -> None:
    verdict, violations = findings.verdict, findings.verdict.violations()
    console.print(_ends_table(findings))
    figures = Table("figure", "found", "may be", box=None, header_style="bold", pad_edge=False)
    for name, title in _MUST_BE_ZERO.items():
        figures.add_row(title, _number(getattr(verdict, name), name in violations), "0")
    extra = _number(verdict.extra_runs, "extra_runs" in violations)
    figures.add_row("extra runs", extra, f"<= {verdict.extra_runs_bound:,}")
    console.print()
    console.print(figures)
    for name, task_ids in verdict.named.items():
        console.print(f"{name.replace('_', ' ')}: {', '.join(task_ids)}", style="dim")
    _print_summary(console, findings, plan)


def _ends_table(findings: Findings) -> Table:
    table = Table("struck", "how", "times", box=None, header_style="bold", pad_edge=False)
    for (who, how), count in findings.ends.items():
        table.add_row(who, how, f"{count:,}")
    return table


def _print_summary(console: Console, findings: Findings, plan: Plan) -> None:
    verdict, violations = findings.verdict, findings.verdict.violations()
    console.print(
        f"\n{verdict.tasks:,} tasks, {verdict.runs:,} runs in {findings.seconds:g} s, seed {plan.seed}; "
        f"Kafka away for {findings.broker_away_seconds:g} s; {verdict.revoked:,} revoked in time, "
        f"{verdict.given_up:,} given up after three lost workers, {findings.unacknowledged:,} never acknowledged"
    )
    if violations:
        console.print(Text(f"Violated: {', '.join(name.replace('_', ' ') for name in violations)}", style="bold red"))
    else:
        console.print(Text("Nothing lost, stuck, doubled or early", style="bold green"))


def _number(value: int, violated: bool) -> Text:
    return Text(f"{value:,}", style="bold red" if violated else "green")
