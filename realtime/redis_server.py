"""What the engine needs of the Redis server itself, as its own account (`INFO`) says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from redis import Redis
from redis.exceptions import ResponseError

from realtime.keys import Keys

WARN_ABOVE = 0.7
"""The share of its memory from which on it is time to give Redis more."""
OLDEST_VERSION = (7, 0)
"""Scripts that still write at the memory limit (`allow-oom`) are of 7.0."""


def takes_writes(redis: Redis, key_prefix: str) -> bool:
    """Whether Redis takes a write as any other. Raises RedisError where it cannot be asked."""
    try:
        redis.set(Keys(key_prefix).writable(), 1, ex=60)
    except ResponseError:
        return False
    return True


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
    def too_old(self) -> bool:
        return tuple(int(part) for part in self.version.split(".")[:2]) < OLDEST_VERSION

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
