"""Drops what the Django backend has cached of imported records. The database is right either way, only later seen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

#: As django-redis writes them: KEY_PREFIX `rotc:`, the version, and the backend's own prefix.
PATTERN = "rotc::*:rotc:{}"
#: All of it together; an import that is done does not wait longer for a cache.
SECONDS = 10.0
_AT_ONCE = 500


class CacheNotDropped(Exception):
    """Redis is not there or does not answer in time; names no address, which may hold a password."""


async def drop_cached(redis_url: str, patterns: Sequence[str]) -> int:
    """Removes the keys of these patterns, such as `cadets:*`; returns how many there were.

    Raises: CacheNotDropped.
    """
    try:
        async with asyncio.timeout(SECONDS):
            return await _drop(redis_url, patterns)
    except (RedisError, OSError, TimeoutError, ValueError) as error:
        raise CacheNotDropped(
            f"what the backend has cached could not be dropped ({type(error).__name__}): "
            "lists may be old until the cache expires"
        ) from None


async def _drop(redis_url: str, patterns: Sequence[str]) -> int:
    dropped = 0
    async with Redis.from_url(redis_url, socket_timeout=5, socket_connect_timeout=3) as redis:
        for pattern in patterns:
            keys: list[bytes] = []
            async for key in redis.scan_iter(match=PATTERN.format(pattern), count=_AT_ONCE):
                keys.append(key)
                if len(keys) == _AT_ONCE:
                    dropped += await redis.unlink(*keys)
                    keys.clear()
            if keys:
                dropped += await redis.unlink(*keys)
    return dropped
