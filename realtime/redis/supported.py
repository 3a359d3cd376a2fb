"""The oldest Redis that the engine works with, as a number that a program can read without importing more."""

import re

OLDEST_REDIS = (7, 0)
"""Scripts that still write at the memory limit (`allow-oom`) and sharded pub/sub are of 7.0. Valkey began as 7.2."""


def is_too_old(version: str) -> bool:
    """Whether a Redis of this `redis_version` is too old. A version that has no number is not."""
    found = re.match(r"(\d+)\.(\d+)", version)
    return found is not None and (int(found[1]), int(found[2])) < OLDEST_REDIS


def needed() -> str:
    """What to use instead."""
    return f"Redis {OLDEST_REDIS[0]}.{OLDEST_REDIS[1]} or later, or Valkey, is needed"
