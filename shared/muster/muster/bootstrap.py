"""The one module that marries ports and adapters: a worker process from a TaskApp."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from typing import NoReturn, TypeVar

import uvloop
from pydantic import ValidationError

from muster.adapters.claim_store import open_claim_check
from muster.adapters.clock import SystemClock
from muster.adapters.processes import ProcessCompute
from muster.adapters.signed import broker_of
from muster.contracts.errors import BrokerError, ConfigurationError, StoreError
from muster.observability.logging import configure_logging, get_logger
from muster.observability.tracing import configure_tracing
from muster.settings import Settings
from muster.worker.app import TaskApp
from muster.worker.lifecycle import Worker

#: Exit codes: sysexits(3) EX_CONFIG for settings, 3 for a worker that fenced itself.
EXIT_CONFIGURATION = 78
EXIT_FENCED = 3

R = TypeVar("R")
_log = get_logger(__name__)


def run_worker(app: TaskApp[R], settings: Settings | None = None) -> NoReturn:
    """Run a worker of `app` until SIGTERM or SIGINT, drain it, and exit; settings come from the environment."""
    sys.exit(_run(app, settings))


def _run(app: TaskApp[R], settings: Settings | None) -> int:
    try:
        settings = settings or Settings()
        configure_logging(settings, app.service)
        configure_tracing(settings.tracing, app.service)
        spare_the_collector()
        uvloop.run(_serve(app, settings))
    except (ConfigurationError, ValidationError) as error:
        sys.stderr.write(f"{app.service}: {error}\n")
        return EXIT_CONFIGURATION
    except (BrokerError, StoreError) as error:
        _log.error("The worker left without a drain", action="worker.left", error=str(error))
        return EXIT_FENCED
    return 0


def spare_the_collector() -> None:
    """Take what the imports made out of every later garbage collection: it stays as long as the process does.

    To look at it again and again was a fifth of a worker's processor time, 50 ms at a stretch.
    """
    gc.collect()
    gc.freeze()


async def _serve(app: TaskApp[R], settings: Settings) -> None:
    compute = ProcessCompute(settings.processes or os.cpu_count() or 1, memory_mb=settings.child_memory_mb)
    broker = broker_of(settings.kafka, settings.signing, settings.topic_prefix)
    claims = open_claim_check(settings.claims)
    worker = Worker(app, settings, broker, compute, SystemClock(), claims)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    await worker.run()
