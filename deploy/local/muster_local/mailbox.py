"""`python -m muster_local.mailbox`: a mail server of this machine's own, and the page on which its mails are read."""

from __future__ import annotations

import argparse
import asyncio

import uvicorn

from muster_local.mail_sink import smtp_server
from muster_local.mail_store import MailStore
from muster_local.mail_web import create_app
from muster_local.ports import LOOPBACK


async def serve(smtp_port: int, port: int) -> None:
    """Until SIGTERM or SIGINT."""
    store = MailStore()
    config = uvicorn.Config(create_app(store), host=LOOPBACK, port=port, log_level="warning", access_log=False)
    async with smtp_server(store, smtp_port):
        await uvicorn.Server(config).serve()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m muster_local.mailbox", description=__doc__)
    parser.add_argument("--smtp-port", type=int, required=True, help="where mail is handed in")
    parser.add_argument("--port", type=int, required=True, help="where it is read")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.smtp_port, arguments.port))


if __name__ == "__main__":
    main()
