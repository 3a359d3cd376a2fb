"""Reads from INFO what the engine has to know of the Redis server: its version, its memory and its eviction policy."""

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from redis import Redis
from redis.exceptions import RedisError

from realtime.redis.links import brief_client
from realtime.redis.oldest_version import is_too_old, needed

log = logging.getLogger(__name__)

WARN_ABOVE = 0.7
"""A Redis that uses more than this share of its memory limit should get more memory."""


def end_if_too_old(url: str) -> None:
    """End this program with one log line if the Redis at this URL is too old.

    Called once, when a program starts. If Redis cannot be reached, return: it may become reachable later.
    """
    redis = brief_client(url, seconds=1.0)
    try:
        version = str(redis.info("server").get("redis_version"))
    except RedisError:
        return
    finally:
        redis.close()
    if is_too_old(version):
        log.critical("Redis is of version %s: %s.", version, needed())
        sys.exit(1)


@dataclass(frozen=True, slots=True)
class RedisServer:
    """The properties of a Redis server. `memory_limit` is in bytes, or 0 where there is no limit."""

    version: str
    policy: str
    memory_bytes: int
    memory_limit: int

    @classmethod
    def ask(cls, redis: Redis) -> Self:
        """Read the properties with INFO. Raise RedisError if the server does not answer."""
        server: Mapping[str, Any] = redis.info("server")
        memory: Mapping[str, Any] = redis.info("memory")
        return cls(
            version=str(server["redis_version"]),
            policy=str(memory["maxmemory_policy"]),
            memory_bytes=int(memory["used_memory"]),
            memory_limit=int(memory["maxmemory"]),
        )

    @property
    def evicts_anything(self) -> bool:
        """Whether keys without an expiry can be evicted: feeds, fences, revocation marks, terminal statuses."""
        return self.policy.startswith("allkeys-")

    @property
    def memory_share(self) -> float:
        """The share of the memory limit that is used, or 0 where there is no limit."""
        return self.memory_bytes / self.memory_limit if self.memory_limit else 0.0

    @property
    def short_of_memory(self) -> bool:
        """Whether more than the share WARN_ABOVE of the memory limit is used."""
        return self.memory_share > WARN_ABOVE
