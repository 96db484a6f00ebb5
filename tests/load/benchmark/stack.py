"""What the comparison needs of a stack, and what all stacks share: child processes, counting, memory."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import psutil
import psycopg
from muster_local import processes
from muster_local.processes import ProcessIdentity

LOAD = Path(__file__).resolve().parents[1]
#: A round that takes this long has lost something.
ROUND_SECONDS = 600.0
SHORTEST_PAUSE_SECONDS = 0.02


class BenchError(Exception):
    """The measurement cannot go on; the message says which part failed and shows the end of its log."""


class Stack(Protocol):
    """One way to run tasks, started and ready; both stacks stand at the same time, only one is given work."""

    name: str

    def produce(self, mode: str, count: int) -> subprocess.Popen[str]:
        """Start a producer: `throughput` submits at full speed, `latency` one task at a time."""

    def succeeded(self) -> int:
        """Tasks whose SUCCESS can be read in PostgreSQL."""

    @property
    def parts(self) -> Mapping[str, ProcessIdentity]:
        """Its processes by name, PostgreSQL left out."""

    def check(self) -> None:
        """Raises BenchError when a process of the stack has ended."""

    def stop(self) -> None: ...


def producer(script: Path, mode: str, count: int, env: Mapping[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, str(script), mode, str(count)]
    return subprocess.Popen(command, env=dict(env), cwd=script.parent, stdout=subprocess.PIPE, text=True)  # noqa: S603


def answer(process: subprocess.Popen[str]) -> Any:
    """The one JSON line that a producer prints."""
    output, _ = process.communicate(timeout=ROUND_SECONDS)
    if process.returncode:
        raise BenchError(f"the producer {process.args!r} ended with exit code {process.returncode}")
    return json.loads(output.splitlines()[-1])


class Table:
    """Counts the finished tasks of one results table through a connection of its own."""

    def __init__(self, dsn: str, query: str) -> None:
        self._connection = psycopg.connect(dsn, autocommit=True)
        self._query = query.encode()

    def count(self) -> int:
        row = self._connection.execute(self._query).fetchone()
        return int(row[0]) if row else 0

    def close(self) -> None:
        self._connection.close()


def run_until(stack: Stack, wanted: int, seen: Callable[[int], None]) -> float:
    """Wait until `wanted` tasks have succeeded; returns the instant (seconds since the epoch) it could be read.

    Counting rows costs time that the stack then lacks, so it is asked rarely while much is left, and often at the end.
    """
    began, first = time.monotonic(), stack.succeeded()
    while (passed := time.monotonic() - began) < ROUND_SECONDS:
        done, now = stack.succeeded(), time.time()
        seen(done)
        if done >= wanted:
            return now
        stack.check()
        expected = passed * (wanted - done) / max(1, done - first)
        time.sleep(min(0.5, max(SHORTEST_PAUSE_SECONDS, expected / 4)))
    raise BenchError(f"{stack.name}: only {stack.succeeded()} of {wanted} tasks succeeded in {ROUND_SECONDS:g} s")


def alive(name: str, process: ProcessIdentity, log: Path) -> None:
    if not process.is_alive():
        raise BenchError(f"{name} ended unexpectedly; the end of {log}:\n{processes.tail(log)}")


def resident(parts: Mapping[str, ProcessIdentity]) -> dict[str, int]:
    """Resident bytes of each process, and of its children one by one."""
    sizes = {}
    for name, part in parts.items():
        root = psutil.Process(part.pid)
        sizes[name] = root.memory_info().rss
        for number, child in enumerate(root.children(recursive=True), 1):
            sizes[f"{name}, child {number}"] = child.memory_info().rss
    return sizes


def cpu_seconds(parts: Mapping[str, ProcessIdentity]) -> dict[str, float]:
    """Processor time that each part has used so far, its children included."""
    return {name: _cpu_of_tree(psutil.Process(part.pid)) for name, part in parts.items()}


def _cpu_of_tree(root: psutil.Process) -> float:
    ended = root.cpu_times()
    seconds: float = ended.children_user + ended.children_system
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system
    return seconds
