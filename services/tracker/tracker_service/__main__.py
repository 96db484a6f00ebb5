"""`python -m tracker_service [serve|migrate|api-key]`: the command line. What it starts is service.py's."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

import asyncpg
import uvloop
from muster.adapters.clock import SystemClock
from muster.adapters.signed import broker_of
from muster.bootstrap import spare_the_collector
from muster.contracts.errors import MusterError
from muster.observability.logging import configure_logging
from muster.observability.tracing import configure_tracing
from muster.settings import Settings
from pydantic import ValidationError

from tracker_service import schema
from tracker_service.api.keys import SCOPES, create_key, list_keys, revoke_key
from tracker_service.database import database_url
from tracker_service.service import Tracker
from tracker_service.settings import TrackerSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 a sentence on stderr says what is wrong."""
    options = _parser().parse_args(arguments)
    try:
        settings = Settings()
        uvloop.run(_serve(settings) if options.command == "serve" else _database(settings, options))
    except ValidationError as error:
        # Without the values: one of them may be the key.
        _complain("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)))
        return 1
    except (MusterError, ValueError, OSError, asyncpg.PostgresError) as error:
        _complain(str(error))
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tracker_service", description="Muster's tracker.")
    commands = parser.add_subparsers(dest="command")
    parser.set_defaults(command="serve")
    commands.add_parser("serve", help="fold, recover and serve the API until SIGTERM (the default)")
    commands.add_parser("migrate", help="make the schema muster, or bring it up to date")
    keys = commands.add_parser("api-key", help="keys of machines that call the API").add_subparsers(
        dest="action", required=True
    )
    create = keys.add_parser("create", help="make a key and print it, this once")
    create.add_argument("--name", required=True, help="who uses it")
    create.add_argument("--scope", action="append", choices=SCOPES, help="default: read and submit")
    keys.add_parser("list", help="names, scopes and dates")
    keys.add_parser("revoke", help="end a key").add_argument("--name", required=True)
    return parser


async def _serve(settings: Settings) -> None:
    configure_logging(settings, "tracker")
    configure_tracing(settings.tracing, "tracker")
    spare_the_collector()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    broker = broker_of(settings.kafka, settings.signing, settings.topic_prefix)
    await Tracker(settings, TrackerSettings(), broker, SystemClock()).run(stop)


async def _database(settings: Settings, options: argparse.Namespace) -> None:
    connection = await asyncpg.connect(database_url(settings), timeout=15)
    try:
        if options.command == "migrate":
            names = await schema.migrate(connection)
            _say("\n".join(f"applied {name}" for name in names) or "the schema muster is up to date")
        elif options.action == "create":
            _say(await create_key(connection, options.name, options.scope or ("read", "submit")))
        elif options.action == "list":
            for row in await list_keys(connection):
                ended = f"revoked {row['revoked_at']:%Y-%m-%d}" if row["revoked_at"] else "in force"
                _say(f"{row['name']}  {','.join(row['scopes'])}  made {row['created_at']:%Y-%m-%d}  {ended}")
        elif not await revoke_key(connection, options.name):
            raise ValueError(f"there is no key named {options.name!r} in force")
    finally:
        await connection.close()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _complain(text: str) -> None:
    sys.stderr.write(f"tracker: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
