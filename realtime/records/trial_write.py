"""Tries a write, to find out whether Redis accepts writes."""

from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from realtime.records.keys import Keys


def try_write(redis: Any, keys: Keys) -> Any:
    """Send an ordinary write. If Redis refuses this one, it refuses all ordinary writes.

    Return what `set` returns: with a client for asyncio an awaitable, with a pipeline the pipeline.
    """
    return redis.set(keys.writable(), 1, ex=60)


def takes_writes(redis: Redis, key_prefix: str) -> bool:
    """Return whether Redis accepts an ordinary write. Raise RedisError if it cannot be reached."""
    try:
        try_write(redis, Keys(key_prefix))
    except ResponseError:
        return False
    return True
