"""One server for several processes of one test run: the first starts it, the last ends it. Knows no kind of server."""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from muster_local import processes
from muster_local.processes import ProcessIdentity

#: What another process needs to use the server, and the server's process.
Started = tuple[dict[str, Any], ProcessIdentity]


@contextmanager
def shared(folder: Path, start: Callable[[Path], Started]) -> Iterator[Started]:
    """Use the server of `folder`, started by `start(folder)` when nobody has yet; yields what `start` told of it."""
    me = ProcessIdentity.of(os.getpid())
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        state = _read(folder)
        if state is None or not _identity(state["server"]).is_alive():
            facts, server = start(folder)
            state = {"facts": facts, "server": [server.pid, server.created], "users": []}
        state["users"].append([me.pid, me.created])
        _write(folder, state)
    try:
        yield state["facts"], _identity(state["server"])
    finally:
        with _locked(folder):
            _leave(folder, me)


def end_orphans(runs: Path) -> None:
    """End the servers of test runs that were killed before they could do it."""
    for state_file in runs.glob("*/*/state.json"):
        folder = state_file.parent
        with _locked(folder, wait=False) as locked:
            if locked:
                _leave(folder, None)
    for run in runs.iterdir():
        # What a run under pytest-xdist leaves behind is its empty lock files.
        if not list(run.glob("*/state.json")) and time.time() - run.stat().st_mtime > 3600:
            shutil.rmtree(run, ignore_errors=True)


def _leave(folder: Path, me: ProcessIdentity | None) -> None:
    state = _read(folder)
    if state is None:
        return
    users = [_identity(user) for user in state["users"]]
    remaining = [user for user in users if user != me and user.is_alive()]
    if remaining:
        _write(folder, {**state, "users": [[user.pid, user.created] for user in remaining]})
        return
    processes.stop(_identity(state["server"]))
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Iterator[bool]:
    # The lock file stands beside the folder, which its last user deletes.
    with folder.with_suffix(".lock").open("w") as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def _read(folder: Path) -> dict[str, Any] | None:
    path = folder / "state.json"
    return json.loads(path.read_text()) if path.exists() else None


def _write(folder: Path, state: dict[str, Any]) -> None:
    (folder / "state.json").write_text(json.dumps(state))


def _identity(pair: list[Any]) -> ProcessIdentity:
    return ProcessIdentity(int(pair[0]), float(pair[1]))
