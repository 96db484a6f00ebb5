"""Whether this machine has room for the local system, asked before anything is started. Starts nothing."""

import shutil
from pathlib import Path

import psutil

from muster_local.errors import LocalError

_MB = 1024 * 1024
# Measured: Kafka 0.5 GB, three services of 0.1 to 0.3 GB, PostgreSQL 0.1 GB.
_MEMORY_BYTES = 1200 * _MB
# Jars, an empty cluster with its write-ahead log, Kafka's topics, logs.
_DISK_BYTES = 500 * _MB


def check_machine(
    home: Path,
    *,
    memory_bytes: int | None = None,
    disk_bytes: int | None = None,
) -> None:
    """Raises LocalError when memory or disk would not do; the two figures are measured unless given."""
    memory = psutil.virtual_memory().available if memory_bytes is None else memory_bytes
    disk = shutil.disk_usage(home).free if disk_bytes is None else disk_bytes
    if memory < _MEMORY_BYTES:
        raise LocalError(
            f"Not enough memory: {memory // _MB} MB are free and about {_MEMORY_BYTES // _MB} MB are needed; "
            "end some programs and try again."
        )
    if disk < _DISK_BYTES:
        raise LocalError(
            f"The disk is full: {disk // _MB} MB are free below {home} and {_DISK_BYTES // _MB} MB are needed; "
            "make room, or set MUSTER_HOME to a folder elsewhere."
        )
