"""What the engine needs of the Redis server itself, as its own account (`INFO`) says."""

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from realtime.redis.supported import is_too_old, needed

log = logging.getLogger(__name__)

WARN_ABOVE = 0.7
"""The share of its memory from which on it is time to give Redis more."""


def brief_client(url: str, seconds: float) -> Redis:
    """A client that waits for a Redis that hangs once, and not long.

    It speaks the older protocol, which every version knows: so one that is too old can say which it is.
    """
    return Redis.from_url(
        url, protocol=2, socket_timeout=seconds, socket_connect_timeout=1.0, retry=Retry(NoBackoff(), 0)
    )


def end_if_too_old(url: str) -> None:
    """End this program, with one line in its log, if the Redis at this address is too old to work with.

    Called once, when a program starts. A Redis that cannot be asked now may come later, and is no reason to end.
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
    """`memory_limit` is 0 where there is none."""

    version: str
    policy: str
    memory_bytes: int
    memory_limit: int

    @classmethod
    def ask(cls, redis: Redis) -> Self:
        """Raises RedisError."""
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
        """Whether keys without an expiry can be evicted: feeds, fences, marks of revocation, terminal statuses."""
        return self.policy.startswith("allkeys-")

    @property
    def memory_share(self) -> float:
        """Used of the limit; 0 where there is none."""
        return self.memory_bytes / self.memory_limit if self.memory_limit else 0.0

    @property
    def short_of_memory(self) -> bool:
        return self.memory_share > WARN_ABOVE
