"""Finds out whether Redis takes writes, by writing."""

from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from realtime.records.keys import Keys


def try_write(redis: Any, keys: Keys) -> Any:
    """Send a write as any other: its refusal says that Redis takes none.

    Returns what `set` returns: of a client for asyncio something to be awaited, of a pipeline the pipeline.
    """
    return redis.set(keys.writable(), 1, ex=60)


def takes_writes(redis: Redis, key_prefix: str) -> bool:
    """Whether Redis takes a write as any other. Raises RedisError where it cannot be asked."""
    try:
        try_write(redis, Keys(key_prefix))
    except ResponseError:
        return False
    return True
