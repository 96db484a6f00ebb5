"""The scheduler's process: settings, signals, probes. What it does is membership.py's."""

from __future__ import annotations

import asyncio
import signal
import sys

import uvloop
from muster import __version__
from muster.adapters.clock import SystemClock
from muster.adapters.signed import broker_of
from muster.bootstrap import EXIT_CONFIGURATION, spare_the_collector
from muster.contracts.errors import BrokerError, ConfigurationError
from muster.contracts.topics import Topics
from muster.observability.logging import configure_logging, get_logger
from muster.observability.metrics import BUILD
from muster.observability.server import AdminServer, CheckResult
from muster.observability.tracing import configure_tracing
from muster.settings import Settings
from pydantic import ValidationError

from scheduler_service.defaults import read_defaults
from scheduler_service.membership import SERVICE, Membership

_log = get_logger(__name__)


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    worker = settings.new_worker_id(SERVICE)
    broker = broker_of(settings.kafka, settings.signing, settings.topic_prefix)
    membership = Membership(broker, Topics(settings.topic_prefix), SystemClock(), worker, read_defaults())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, membership.stop)

    async def check_shards() -> CheckResult:
        return membership.ready, "all is moved on" if membership.ready else "waiting for Kafka or for an assignment"

    server = AdminServer(settings, {"shards": check_shards}, lambda: True)
    await server.start()
    BUILD.info({"version": __version__, "service": SERVICE})
    _log.info("Scheduler is up", action="scheduler.up", worker=worker)
    try:
        await membership.run()
    finally:
        await server.stop()
    _log.info("Scheduler has stopped", action="scheduler.stopped", worker=worker)


def main() -> int:
    try:
        settings = Settings()
        configure_logging(settings, SERVICE)
        configure_tracing(settings.tracing, SERVICE)
        spare_the_collector()
        uvloop.run(serve(settings))
    except (ConfigurationError, ValidationError) as error:
        sys.stderr.write(f"{SERVICE}: {error}\n")
        return EXIT_CONFIGURATION
    except BrokerError as error:
        _log.error("The scheduler could not start", action="scheduler.failed", error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
