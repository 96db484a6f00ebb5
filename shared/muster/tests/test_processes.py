"""Child processes: what comes back, what is killed, and that nothing is left behind. Real processes, no mocks."""

from __future__ import annotations

import asyncio
import importlib
import operator
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType

import pytest
from muster.adapters.child_process import ChildTraceback, ForeignError
from muster.adapters.processes import ChildDied, ProcessCompute
from muster.contracts.errors import TimeLimitExceeded

FUNCTIONS = """
import os, subprocess, time

class Picky(Exception):
    def __init__(self, place, reason):
        super().__init__(f"{place}: {reason}")

class Unreadable(Exception):
    pass

def unreadable(name): raise Unreadable(f"{name} is no picture")
def picky(): raise Picky("here", "no reason")
def unpicklable(): return lambda: None
def leave(): raise SystemExit(3)
def echo(value): return value
def hang_with_helper(path):
    helper = subprocess.Popen(["sleep", "300"])
    with open(path, "w") as file: file.write(f"{os.getpid()} {helper.pid}")
    time.sleep(300)
"""

PARENT = """
import asyncio, sys
from muster.adapters.processes import ProcessCompute
import muster_test_functions as functions

async def main():
    await ProcessCompute(1).run(functions.hang_with_helper, sys.argv[1])

if __name__ == "__main__":
    asyncio.run(main())
"""

#: "At once", on any machine, beside functions that take minutes.
LATEST_SECONDS = 30.0
#: Native code that looks at no signal: only SIGKILL ends it.
DEAF = (re.match, r"(a+)+$", "a" * 40 + "b")


@pytest.fixture
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module that children can import too: they inherit our search path."""
    (tmp_path / "muster_test_functions.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("muster_test_functions", None)
    return importlib.import_module("muster_test_functions")


@pytest.fixture
async def compute() -> AsyncIterator[ProcessCompute]:
    compute = ProcessCompute(2)
    yield compute
    await compute.close()


async def test_a_function_runs_in_another_process_which_is_used_again(compute: ProcessCompute) -> None:
    first = await compute.run(os.getpid)
    second = await compute.run(os.getpid)

    assert first == second != os.getpid()


async def test_no_process_starts_before_the_first_use(compute: ProcessCompute) -> None:
    assert compute.children == 0

    await compute.run(os.getpid)

    assert compute.children == 1


async def test_at_most_so_many_children_run_at_once(compute: ProcessCompute) -> None:
    pids = await asyncio.gather(*(compute.run(os.getpid) for _ in range(20)))

    assert 1 <= len(set(pids)) <= 2
    assert compute.children <= 2


async def test_an_exception_comes_back_as_itself_with_the_childs_traceback(
    compute: ProcessCompute, functions: ModuleType
) -> None:
    with pytest.raises(functions.Unreadable, match=r"a\.jpg is no picture") as raised:
        await compute.run(functions.unreadable, "a.jpg")

    assert isinstance(raised.value.__cause__, ChildTraceback)
    assert "def unreadable" in str(raised.value.__cause__)


async def test_an_exception_that_cannot_travel_is_named_and_the_child_lives_on(
    compute: ProcessCompute, functions: ModuleType
) -> None:
    before = await compute.run(os.getpid)

    with pytest.raises(ForeignError, match=r"muster_test_functions\.Picky: here: no reason"):
        await compute.run(functions.picky)
    with pytest.raises(ForeignError, match="SystemExit: 3"):
        await compute.run(functions.leave)

    assert await compute.run(os.getpid) == before


async def test_what_cannot_be_pickled_is_an_error_of_the_call(compute: ProcessCompute, functions: ModuleType) -> None:
    with pytest.raises(Exception, match=r"pickle"):
        await compute.run(functions.unpicklable)
    with pytest.raises(Exception, match=r"pickle"):
        await compute.run(lambda: 1)

    assert await compute.run(operator.add, 1, 2) == 3


async def test_large_values_pass_both_ways(compute: ProcessCompute, functions: ModuleType) -> None:
    picture = os.urandom(28_000_000)

    assert await compute.run(functions.echo, picture) == picture


async def test_a_time_limit_kills_native_code_at_once(compute: ProcessCompute) -> None:
    await compute.run(os.getpid)

    began = time.monotonic()
    with pytest.raises(TimeLimitExceeded, match=r"hard time limit of 0\.3 s"):
        await compute.run(*DEAF, timeout=0.3)

    assert time.monotonic() - began < LATEST_SECONDS
    assert await compute.run(operator.add, 1, 2) == 3


async def test_cancelling_kills_native_code_at_once(compute: ProcessCompute) -> None:
    pid = await compute.run(os.getpid)
    task = asyncio.create_task(compute.run(*DEAF))
    await asyncio.sleep(0.2)  # let it sink into the native code

    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert time.monotonic() - began < LATEST_SECONDS
    await gone(pid)
    assert await compute.run(operator.add, 1, 2) == 3


async def test_a_killed_child_is_an_error_that_names_the_signal_and_harms_no_other(compute: ProcessCompute) -> None:
    neighbour = asyncio.create_task(compute.run(time.sleep, 1))

    with pytest.raises(ChildDied, match=r"killed by SIGKILL.*out of memory"):
        await compute.run(signal.raise_signal, signal.SIGKILL)

    assert await compute.run(operator.add, 1, 2) == 3
    await neighbour


async def test_a_child_killed_while_it_sends_a_large_result_does_not_stop_the_pool(compute: ProcessCompute) -> None:
    pid, died = await compute.run(os.getpid), 0
    for delay in (0.05, 0.1, 0.15, 0.2):
        task = asyncio.create_task(compute.run(bytes, 300_000_000))
        await asyncio.sleep(delay)
        os.kill(pid, signal.SIGKILL)
        try:
            await task
        except ChildDied:
            died += 1
        async with asyncio.timeout(LATEST_SECONDS):
            pid = await compute.run(os.getpid)
    assert died, "a fast machine may be done before the later kills, not before the first"


async def test_a_child_retires_after_its_share_of_tasks() -> None:
    compute = ProcessCompute(1, max_tasks=2)
    try:
        pids = [await compute.run(os.getpid) for _ in range(6)]
    finally:
        await compute.close()

    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4] == pids[5]


async def test_children_ignore_the_signals_meant_for_their_parent(compute: ProcessCompute) -> None:
    pid = await compute.run(os.getpid)
    task = asyncio.create_task(compute.run(time.sleep, 0.5))
    await asyncio.sleep(0.1)

    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(pid, number)

    await task
    assert os.getpgid(pid) != os.getpgid(0)


async def test_closing_kills_what_still_runs(compute: ProcessCompute) -> None:
    pid = await compute.run(os.getpid)
    task = asyncio.create_task(compute.run(time.sleep, 300))
    await asyncio.sleep(0.1)

    async with asyncio.timeout(LATEST_SECONDS):
        await compute.close()

    with pytest.raises(ChildDied):
        await task
    await gone(pid)
    with pytest.raises(RuntimeError, match="closed"):
        await compute.run(os.getpid)


async def test_a_killed_worker_leaves_no_child_behind(tmp_path: Path, functions: ModuleType) -> None:
    said, script = tmp_path / "pids", tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    parent = subprocess.Popen([sys.executable, script, said], env=environment)  # noqa: ASYNC220, S603
    await until(lambda: said.exists() and len(said.read_text().split()) == 2)
    child, helper = (int(pid) for pid in said.read_text().split())

    parent.kill()
    parent.wait()

    await gone(child)
    os.kill(helper, signal.SIGKILL)  # a program that the function itself started is not ours to watch


async def test_a_time_limit_also_ends_the_programs_a_function_started(
    compute: ProcessCompute, functions: ModuleType, tmp_path: Path
) -> None:
    said = tmp_path / "pids"
    await compute.run(os.getpid)  # the child is there, so that its start takes nothing of the limit

    with pytest.raises(TimeLimitExceeded):
        await compute.run(functions.hang_with_helper, str(said), timeout=3)

    child, helper = (int(pid) for pid in said.read_text().split())
    await gone(child)
    await gone(helper)


def test_an_unclosed_pool_does_not_hold_up_the_end_of_the_program(tmp_path: Path) -> None:
    script = tmp_path / "unclosed.py"
    script.write_text(
        PARENT.replace("functions.hang_with_helper, sys.argv[1]", "int, '7'").replace(
            "import muster_test_functions as functions", ""
        )
    )

    command = [sys.executable, str(script)]
    done = subprocess.run(command, timeout=120, check=False, capture_output=True, text=True)  # noqa: S603

    assert (done.returncode, done.stderr) == (0, "")


async def gone(pid: int) -> None:
    await until(lambda: not running(pid))


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds; fail after LATEST_SECONDS."""
    async with asyncio.timeout(LATEST_SECONDS):
        while not condition():  # noqa: ASYNC110  processes tell nobody that they ended
            await asyncio.sleep(0.01)
