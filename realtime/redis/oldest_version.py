"""The oldest version of Redis that the engine works with. Imports nothing, so that any program can read it."""

import re

OLDEST_REDIS = (7, 0)
"""Redis 7.0 brought scripts that still write at the memory limit (`allow-oom`). Valkey began as 7.2."""


def is_too_old(version: str) -> bool:
    """Return whether a Redis of this `redis_version` is too old. A version without a number is not."""
    found = re.match(r"(\d+)\.(\d+)", version)
    return found is not None and (int(found[1]), int(found[2])) < OLDEST_REDIS


def needed() -> str:
    """Return a text that says which versions are needed."""
    return f"Redis {OLDEST_REDIS[0]}.{OLDEST_REDIS[1]} or later, or Valkey, is needed"
