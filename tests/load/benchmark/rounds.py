"""The procedure: interleaved rounds (A B, B A), throughput then idle latency. Knows no stack by name."""

from __future__ import annotations

from collections.abc import Callable

from benchmark.figures import Figures
from benchmark.stack import Stack, answer, cpu_seconds, resident, run_until
from muster_local.processes import ProcessIdentity

#: (what is measured now, tasks done, tasks wanted)
Progress = Callable[[str, int, int], None]


def measure_throughput(stack: Stack, postgres: ProcessIdentity, figures: Figures, progress: Progress) -> None:
    """From the first call of the producer until SUCCESS of the last task can be read in PostgreSQL."""
    count, before = figures.tasks_per_round, stack.succeeded()
    parts = {**stack.parts, "postgresql": postgres}
    used = cpu_seconds(parts)
    submitting = stack.produce("throughput", count)
    finished = run_until(
        stack, before + count, lambda done: progress(f"{stack.name}: throughput", done - before, count)
    )
    times = answer(submitting)
    figures.throughput.append(count / (finished - times["began"]))
    figures.submitting.append(count / (times["ended"] - times["began"]))
    figures.cpu.append(
        {name: (total - used[name]) / count for name, total in cpu_seconds(parts).items()}
        | {f"{stack.name} producer": times["cpu"] / count}
    )


def measure_latency(stack: Stack, figures: Figures, progress: Progress, count: int) -> None:
    progress(f"{stack.name}: idle latency", 0, count)
    figures.latency.append(answer(stack.produce("latency", count)))
    progress(f"{stack.name}: idle latency", count, count)


def warm_up(stack: Stack, postgres: ProcessIdentity, figures: Figures, progress: Progress) -> None:
    """One unmeasured round: imports, connections, the broker's just-in-time compiler."""
    measure_throughput(stack, postgres, Figures(stack.name, figures.tasks_per_round), progress)
    measure_latency(stack, Figures(stack.name, 0), progress, 10)


def compare(
    pairs: list[tuple[Stack, Figures]], postgres: ProcessIdentity, rounds: int, samples: int, progress: Progress
) -> None:
    """Fill the figures; whatever slows the machine down for a while meets every stack."""
    for stack, figures in pairs:
        warm_up(stack, postgres, figures, progress)
        figures.memory_at_first = resident(stack.parts)
    for number in range(rounds):
        # Turned round each time: a machine that gets slower favours nobody.
        for stack, figures in pairs if number % 2 == 0 else reversed(pairs):
            measure_throughput(stack, postgres, figures, progress)
            measure_latency(stack, figures, progress, samples)
    for stack, figures in pairs:
        figures.memory = resident(stack.parts)
