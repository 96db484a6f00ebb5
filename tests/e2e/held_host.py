"""A web host that keeps its visitors waiting until it is told to answer. What is fetched from it is the stories'."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from muster_local.ports import LOOPBACK

_LONGEST_SECONDS = 60.0


@dataclass
class HeldHost:
    """Every request is answered with `content`, once `release` was set."""

    content: bytes
    url: str = ""
    visits: int = 0
    release: threading.Event = field(default_factory=threading.Event)


@contextmanager
def held_host(content: bytes) -> Iterator[HeldHost]:
    host = HeldHost(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host.visits += 1
            host.release.wait(_LONGEST_SECONDS)
            # The visitor may have left meanwhile.
            with suppress(ConnectionError):
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is said on stderr."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    host.url = f"http://{LOOPBACK}:{server.server_port}/photo.jpg"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield host
    finally:
        host.release.set()
        server.shutdown()
        thread.join()
        server.server_close()
