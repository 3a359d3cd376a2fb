"""Context managers for tests: within each of them, a Redis answers but refuses writes."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import cast

from redis import Redis

from embedded.ports import HOST, free_port
from embedded.redis import RedisServer
from harness.system import eventually_now

Refusing = Callable[[RedisServer], AbstractContextManager[None]]


@contextmanager
def _client(server: RedisServer) -> Iterator[Redis]:
    client: Redis = Redis.from_url(server.url)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def read_only(server: RedisServer) -> Iterator[None]:
    """Make Redis a replica of an unreachable master. Redis then refuses writes with READONLY."""
    with _client(server) as client:
        client.replicaof(HOST, free_port())
        try:
            yield
        finally:
            client.replicaof("NO", "ONE")


@contextmanager
def disk_full(server: RedisServer) -> Iterator[None]:
    """Make Redis fail to write its dump, as on a full disk. Redis then refuses writes with MISCONF.

    A folder stands where the dump would be. Even a Redis that runs as root cannot replace it.
    """
    with _client(server) as client:
        server.dump_file.unlink(missing_ok=True)
        server.dump_file.mkdir()
        client.bgsave()
        eventually_now(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "the dump to fail")
        try:
            yield
        finally:
            shutil.rmtree(server.dump_file)
            client.bgsave()
            eventually_now(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "ok", "the dump")


@contextmanager
def replicas_missing(server: RedisServer) -> Iterator[None]:
    """Make Redis require a replica that it does not have. Redis then refuses writes with NOREPLICAS."""
    with _client(server) as client:
        client.config_set("min-replicas-to-write", 1)
        try:
            yield
        finally:
            client.config_set("min-replicas-to-write", 0)


@contextmanager
def memory_full(server: RedisServer) -> Iterator[None]:
    """Put Redis above `maxmemory`, and forbid it to evict keys.

    Redis then refuses writes with OOM, except in scripts that have the flag `allow-oom`.
    """
    with _client(server) as client:
        before = cast("dict[str, str]", client.config_get("maxmemory", "maxmemory-policy"))
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", client.info("memory")["used_memory"] // 2)
        try:
            yield
        finally:
            for name in ("maxmemory", "maxmemory-policy"):  # the limit first, or Redis would evict keys with an expiry
                client.config_set(name, before[name])


REFUSING: dict[str, Refusing] = {"READONLY": read_only, "MISCONF": disk_full, "NOREPLICAS": replicas_missing}
"""Faults in which Redis refuses every write. OOM is missing: with it, some scripts of the engine still write."""
