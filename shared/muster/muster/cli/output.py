"""How the CLI speaks: results on stdout, errors as one sentence on stderr, exit codes.

What there is to say is the commands' own.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Coroutine
from enum import IntEnum
from typing import Annotated, Any, NoReturn, TypeVar

import msgspec
import structlog
import typer
from rich.console import Console
from rich.text import Text

from muster.contracts.errors import (
    BrokerError,
    MusterError,
    NotAllowed,
    SubmitRefused,
    TaskEnded,
    TaskFailed,
    UnknownTask,
    Unreachable,
    WaitTimeout,
)

T = TypeVar("T")
#: Seconds a person waits for a tracker that does not answer.
PATIENCE = 5.0
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

#: Tables are cut to fit a terminal, never a pipe.
_WIDTH = None if sys.stdout.isatty() else 240
out = Console(highlight=False, markup=False, soft_wrap=True, width=_WIDTH)
err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)

_COLOURS = {"STARTED": "cyan", "RETRY": "yellow", "SUCCESS": "green", "FAILURE": "red", "REVOKED": "magenta"}


class Exit(IntEnum):
    """Exit codes, the same for every command."""

    OK = 0
    #: The task failed or was revoked, or had ended before it could be revoked.
    TASK_FAILED = 1
    #: Something typed, or set in the environment, cannot work; or the submission was refused.
    USAGE = 2
    #: Kafka or the tracker did not answer.
    UNREACHABLE = 3
    UNKNOWN_TASK = 4
    TIMEOUT = 5
    #: The key or token is missing, wrong, or lacks the role.
    NOT_ALLOWED = 6
    INTERRUPTED = 130


_CODES: tuple[tuple[type[MusterError], Exit], ...] = (
    (TaskFailed, Exit.TASK_FAILED),
    (TaskEnded, Exit.TASK_FAILED),
    (UnknownTask, Exit.UNKNOWN_TASK),
    (WaitTimeout, Exit.TIMEOUT),
    (NotAllowed, Exit.NOT_ALLOWED),
    (Unreachable, Exit.UNREACHABLE),
    (BrokerError, Exit.UNREACHABLE),
)


def run(work: Coroutine[Any, Any, T], *, json: bool) -> T:
    """The outcome of a command's coroutine; an error of ours ends the process with its sentence and exit code."""
    _quiet_libraries()
    try:
        return asyncio.run(work)
    except MusterError as error:
        fail(error, json=json)
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None


def fail(error: MusterError, *, json: bool) -> NoReturn:
    """Say what went wrong and exit."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), Exit.USAGE)
    sentence = str(error)
    if isinstance(error, BrokerError) and "be reached" in sentence:
        sentence += ": is Kafka running, and is KAFKA_BOOTSTRAP_SERVERS right?"
    problems = error.problems if isinstance(error, SubmitRefused) else ()
    if json:
        body = {"code": code.name.lower(), "message": sentence, "problems": problems}
        sys.stderr.write(msgspec.json.encode({"error": body}).decode() + "\n")
    else:
        err.print(Text.assemble(("muster: ", "bold red"), sentence))
        for problem in problems:
            err.print(Text(f"  {problem.field}: {problem.message}"))
    raise typer.Exit(code) from None


def print_json(value: Any) -> None:
    """One JSON document on one line, so that several can be told apart."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def state_text(state: str) -> Text:
    return Text(state, style=_COLOURS.get(state, ""))


def _quiet_libraries() -> None:
    """Errors reach the user as our own sentence; the libraries' reports of the same would only repeat them."""
    logging.lastResort = logging.NullHandler()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
