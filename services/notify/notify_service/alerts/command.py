"""`python -m notify_service alerts`: settings, signals, exit codes of the alerts' process."""

from __future__ import annotations

import asyncio
import signal
import sys

import uvloop
from muster.adapters.clock import SystemClock
from muster.adapters.signed import broker_of
from muster.bootstrap import EXIT_CONFIGURATION
from muster.contracts.errors import ConfigurationError, MusterError
from muster.observability.logging import configure_logging, get_logger
from muster.observability.tracing import configure_tracing
from muster.settings import Settings
from pydantic import ValidationError

from notify_service.alerts.service import SERVICE, Alerts
from notify_service.alerts.settings import AlertSettings
from notify_service.settings import NotifySettings

_log = get_logger(__name__)


def main() -> int:
    """Exit code: 0 stopped, 1 a part failed, another one: the configuration cannot work."""
    try:
        settings, own, alerts = Settings(), NotifySettings.from_environment(), AlertSettings()
        configure_logging(settings, SERVICE)
        configure_tracing(settings.tracing, SERVICE)
        uvloop.run(_serve(settings, own, alerts))
    except (ConfigurationError, ValidationError) as error:
        sys.stderr.write(f"{SERVICE}: {_told(error)}\n")
        return EXIT_CONFIGURATION
    except MusterError as error:
        _log.error("The alerts have failed", action="alerts.failed", error=str(error))
        return 1
    return 0


async def _serve(settings: Settings, own: NotifySettings, alerts: AlertSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    broker = broker_of(settings.kafka, settings.signing, settings.topic_prefix)
    await Alerts(settings, own, alerts, broker, SystemClock()).run(stop)


def _told(error: ConfigurationError | ValidationError) -> str:
    """Without the values: most of them are secrets."""
    if isinstance(error, ConfigurationError):
        return str(error)
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
