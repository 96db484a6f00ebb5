"""Free TCP ports of 127.0.0.1, and waiting until one answers. Knows no protocol above TCP."""

import random
import socket
import time
from collections.abc import Callable

from muster_local.errors import LocalError

LOOPBACK = "127.0.0.1"
# Below the range from which Linux takes the ports of outgoing connections (32768 on), which could steal one meanwhile.
_FIRST, _LAST = 20_000, 32_000


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port(preferred: int | None = None) -> int:
    """`preferred` when it is free, else a random free port."""
    if preferred and is_free(preferred):
        return preferred
    for _ in range(200):
        port = random.randint(_FIRST, _LAST)  # noqa: S311 - no secret
        if is_free(port):
            return port
    raise LocalError(f"No free port between {_FIRST} and {_LAST} on {LOOPBACK}: end some programs and try again.")


def accepts(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_until(ready: Callable[[], bool], *, timeout_seconds: float, pause_seconds: float = 0.05) -> bool:
    """Ask `ready` again and again until it says yes (True) or the time is over (False)."""
    deadline = time.monotonic() + timeout_seconds
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause_seconds)
    return True
