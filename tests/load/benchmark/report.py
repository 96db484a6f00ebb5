"""Shows figures: a table for people, JSON for machines. Measures nothing."""

from __future__ import annotations

import os
import platform
from statistics import median
from typing import Any

from benchmark.figures import Figures, Ratios
from rich.console import Console
from rich.table import Table


def as_json(figures: list[Figures], ratios: Ratios | None, skipped: str | None) -> dict[str, Any]:
    return {
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
        "stacks": {each.name: each.as_json() for each in figures},
        "ratios": ratios.as_json() if ratios else None,
        "comparison_skipped": skipped,
    }


def show(console: Console, figures: list[Figures], ratios: Ratios | None, skipped: str | None) -> None:
    console.print(_main_table(figures, ratios))
    console.print(_process_table(figures))
    if skipped:
        console.print(f"[yellow]Comparison skipped:[/] {skipped}")
    if ratios:
        wanted = f">= {ratios.throughput_target:g}x"
        console.print(_verdict("throughput", ratios.throughput, wanted, ratios.throughput_met))
        if ratios.p50_target is not None:
            wanted = f"<= {ratios.p50_target:g}x"
            console.print(_verdict("idle p50 latency", ratios.p50, wanted, ratios.latency_met))


def _main_table(figures: list[Figures], ratios: Ratios | None) -> Table:
    table = Table(title=f"No-op tasks, one worker process, {os.cpu_count()} CPUs; medians of the rounds")
    table.add_column("")
    for each in figures:
        table.add_column(each.name, justify="right")
    if ratios:
        table.add_column("ratio", justify="right")
    rows: list[tuple[str, list[str], str]] = [
        ("tasks per round", [f"{each.tasks_per_round:,}" for each in figures], ""),
        ("submitted/s", [f"{median(each.submitting):,.0f}" for each in figures], ""),
        (
            "enqueue to SUCCESS in PostgreSQL, tasks/s",
            [f"{median(each.throughput):,.0f}" for each in figures],
            f"{ratios.throughput:.2f}x" if ratios else "",
        ),
        (
            "the same at idle, p50 ms",
            [f"{each.p50 * 1000:.1f}" for each in figures],
            f"{ratios.p50:.2f}x" if ratios else "",
        ),
        ("the same at idle, p99 ms", [f"{each.p99 * 1000:.1f}" for each in figures], ""),
        (
            "processor time per task, all processes, µs",
            [f"{sum(each.cpu_per_task.values()) * 1e6:,.0f}" for each in figures],
            f"{ratios.cpu:.2f}x" if ratios else "",
        ),
        ("projection alone, records/s", [_rate(each.projection) for each in figures], ""),
    ]
    for name, cells, ratio in rows:
        table.add_row(name, *cells, *([ratio] if ratios else []))
    return table


def _rate(rate: float | None) -> str:
    return f"{rate:,.0f}" if rate else "-"


def _process_table(figures: list[Figures]) -> Table:
    table = Table(title="Each process: processor time per task, resident memory after the warm-up and the last round")
    table.add_column("process")
    table.add_column("µs per task", justify="right")
    table.add_column("MB at first", justify="right")
    table.add_column("MB", justify="right")
    for each in figures:
        spent = each.cpu_per_task
        for process in [*spent, *(name for name in each.memory if name not in spent)]:
            microseconds = f"{spent[process] * 1e6:,.0f}" if process in spent else ""
            memory = [_megabytes(sizes.get(process)) for sizes in (each.memory_at_first, each.memory)]
            table.add_row(process, microseconds, *memory)
        table.add_row(f"{each.name}, all together", f"{sum(spent.values()) * 1e6:,.0f}", "", "", end_section=True)
    return table


def _megabytes(size: int | None) -> str:
    return f"{size / 1e6:,.0f}" if size is not None else ""


def _verdict(what: str, value: float, target: str, met: bool) -> str:
    return f"{what}: {value:.2f}x, target {target}: {'[green]met[/]' if met else '[red]missed[/]'}"
