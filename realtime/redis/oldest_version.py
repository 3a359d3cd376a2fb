"""The oldest version of Redis that the engine works with. Any program can import this: it needs no other package."""

import re

OLDEST_REDIS = (7, 0)
"""Redis 7.0 introduced scripts that write even at the memory limit (`allow-oom`). Valkey's first version is 7.2."""


def is_too_old(version: str) -> bool:
    """Return whether a Redis of this `redis_version` is too old; False if the text does not begin with a number."""
    found = re.match(r"(\d+)\.(\d+)", version)
    return found is not None and (int(found[1]), int(found[2])) < OLDEST_REDIS


def needed() -> str:
    """Return a text that says which versions are needed."""
    return f"Redis {OLDEST_REDIS[0]}.{OLDEST_REDIS[1]} or later, or Valkey, is needed"
