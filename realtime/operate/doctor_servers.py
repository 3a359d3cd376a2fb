"""The doctor's checks of the servers: the database and Redis."""

from urllib.parse import urlsplit

from django.db import DatabaseError, NotSupportedError, connection
from django.db.migrations.executor import MigrationExecutor
from redis import Redis
from redis.exceptions import RedisError

from realtime import conf
from realtime.operate import checks
from realtime.operate.doctor import first_line
from realtime.records import scripts
from realtime.records.errors import CheckFailedError
from realtime.records.keys import Keys
from realtime.records.trial_write import try_write
from realtime.redis.links import brief_client
from realtime.redis.oldest_version import is_too_old, needed
from realtime.redis.refused_writes import refusal, sentence
from realtime.redis.server_info import WARN_ABOVE, RedisServer

NOT_USED = "not used"
NO_DATABASE = "unknown"
"""The `vendor` of the dummy database that Django uses for a project without DATABASES."""
REDIS_SECONDS = 3.0
MEND_WRITES = {
    "OOM": checks.GIVE_MEMORY,
    "READONLY": f"Redis is a replica: promote it (REPLICAOF NO ONE), or correct {conf.REDIS_ADDRESS}.",
    "MISCONF": "Redis cannot write to its disk: free space, or repair the folder. Its log names the file.",
    "NOREPLICAS": "Redis has fewer replicas than min-replicas-to-write requires: repair them, or require fewer.",
    "NOPERM": "Let the ACL of this user permit all commands on these keys and channels.",
    "MASTERDOWN": f"Redis is a replica whose master is away: correct {conf.REDIS_ADDRESS}.",
}


def check_database() -> str:
    if connection.vendor == NO_DATABASE:
        return f"{NOT_USED}: DATABASES names none"
    try:
        connection.ensure_connection()
        plan = MigrationExecutor(connection)
        missing = plan.migration_plan(plan.loader.graph.leaf_nodes())
    except NotSupportedError as problem:
        raise CheckFailedError(f"too old: {first_line(problem).rstrip('.')}", "Use a later version.") from None
    except DatabaseError as problem:
        raise CheckFailedError(
            f"not reachable: {first_line(problem)}", "Start it, or correct its address in DATABASES."
        ) from None
    if missing:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in missing[:3])
        raise CheckFailedError(f"{len(missing)} migrations are missing ({names})", "Run manage.py migrate.")
    return f"reachable ({connection.vendor}), all migrations are there"


def check_redis() -> str:
    server = _redis()
    if is_too_old(server.version):
        raise CheckFailedError(f"version {server.version} is too old", f"{needed()}.")
    return f"version {server.version} at {_without_password(conf.redis_url())}"


def check_policy() -> str:
    server = _redis()
    if server.evicts_anything:
        raise CheckFailedError(f"maxmemory-policy {server.policy} evicts keys without expiry", checks.SET_POLICY)
    return f"maxmemory-policy {server.policy}"


def check_memory() -> str:
    server = _redis()
    used = f"{server.memory_bytes / 1e6:.1f} MB"
    if not server.memory_limit:
        return f"{used} used; no limit is set (maxmemory)"
    usage = f"{used} of {server.memory_limit / 1e6:.1f} MB used ({server.memory_share:.0%})"
    if server.short_of_memory:
        raise CheckFailedError(f"{usage}, more than {WARN_ABOVE:.0%}", checks.GIVE_MEMORY)
    return usage


def check_writes() -> str:
    """Check whether Redis accepts a write, a script, and a message to all processes. Raise CheckFailedError if not.

    Revocations need the script and the message.
    """
    redis, keys = brief_redis(), Keys(conf.key_prefix())
    try:
        redis.script_load(scripts.source("set_note"))
        redis.publish(keys.writable(), b"")
        try_write(redis, keys)
    except RedisError as problem:
        mend = MEND_WRITES.get(refusal(problem) or "", "Repair Redis first.")
        raise CheckFailedError(f"refused: {sentence(problem)}", mend) from None
    return "accepted"


def brief_redis() -> Redis:
    """Return a client that waits only a few seconds for Redis."""
    return brief_client(conf.redis_url(), REDIS_SECONDS)


def _redis() -> RedisServer:
    try:
        return RedisServer.ask(brief_redis())
    except RedisError as problem:
        raise CheckFailedError(f"not reachable: {problem}", f"Start it, or correct {conf.REDIS_ADDRESS}.") from None


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
