"""What `manage.py doctor` looks at, one function each: the settings, the servers, and the relay."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from django.db import DatabaseError, NotSupportedError, connection
from django.db.migrations.executor import MigrationExecutor
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from realtime import conf
from realtime.conf import DoctorCheck
from realtime.operate import checks
from realtime.outbox.outbox import is_written, seconds_until_relayed, waiting
from realtime.records import scripts
from realtime.records.errors import CheckFailedError
from realtime.records.keys import Keys
from realtime.records.trial_write import try_write
from realtime.redis.refused_writes import refusal, sentence
from realtime.redis.server import WARN_ABOVE, RedisServer, brief_client
from realtime.redis.supported import is_too_old, needed

RESERVED_TENANT = 0
"""The doctor's own feed; tenants of projects begin with 1."""
NOT_USED = "not used"
NO_DATABASE = "unknown"
"""The vendor of Django's stand-in for a project without DATABASES."""
RELAY_TOPIC = "doctor:relay"
RELAY_SECONDS = 10.0
REDIS_SECONDS = 3.0
MEND_WRITES = {
    "OOM": checks.GIVE_MEMORY,
    "READONLY": f"Redis is a replica: promote it (REPLICAOF NO ONE), or correct {conf.REDIS_ADDRESS}.",
    "MISCONF": "Redis cannot write to its disk: make room, or mend the folder; its log says which file.",
    "NOREPLICAS": "Redis has fewer replicas than min-replicas-to-write asks for: mend them, or ask for fewer.",
    "NOPERM": "Let the ACL of this user permit all commands on these keys and channels.",
    "MASTERDOWN": f"Redis is a replica whose master is away: correct {conf.REDIS_ADDRESS}.",
}
OLD_SECONDS = 30.0
"""A row that has waited so long was left behind by the process that wrote it and by the relay."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`mend` is empty where nothing is wrong."""

    name: str
    said: str
    mend: str = ""

    @property
    def wrong(self) -> bool:
        return bool(self.mend)


def examine(named: Iterable[tuple[str, DoctorCheck]]) -> Iterator[Finding]:
    """Makes each check when its finding is asked for; no defect of one keeps the others from being made."""
    for name, check in named:
        try:
            yield Finding(name, check())
        except CheckFailedError as problem:
            yield Finding(name, str(problem), problem.mend)
        except Exception as problem:  # noqa: BLE001 - a project's checks may raise what they like
            yield Finding(name, f"{type(problem).__name__}: {problem}", "Read the error; the check itself fell.")


class RedisChecks:
    """Skips the checks that need Redis once Redis could not be reached: each of them would wait for it as long."""

    def __init__(self) -> None:
        self._away = False

    def check(self, check: DoctorCheck) -> DoctorCheck:
        return partial(self._made, check)

    def _made(self, check: DoctorCheck) -> str:
        if self._away:
            raise CheckFailedError("not looked at: Redis does not answer", "Mend Redis first.")
        try:
            return check()
        except CheckFailedError as problem:
            self._away = isinstance(problem.__context__, (RedisConnectionError, RedisTimeoutError))
            raise


def check_settings() -> str:
    """What `manage.py check` says of the engine, without what it asks of Redis."""
    if messages := checks.check_settings():
        said = "; ".join(f"{message.msg.rstrip('.')} ({message.id})" for message in messages)
        raise CheckFailedError(said, " ".join(message.hint or "Correct it." for message in messages))
    return "complete; the secret is long enough, hosts and origins are named"


def check_database() -> str:
    if connection.vendor == NO_DATABASE:
        return f"{NOT_USED}: DATABASES names none"
    try:
        connection.ensure_connection()
        plan = MigrationExecutor(connection)
        missing = plan.migration_plan(plan.loader.graph.leaf_nodes())
    except NotSupportedError as problem:
        raise CheckFailedError(f"too old: {_first_line(problem).rstrip('.')}", "Use a later version.") from None
    except DatabaseError as problem:
        raise CheckFailedError(
            f"not reachable: {_first_line(problem)}", "Start it, or correct its address in DATABASES."
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
        raise CheckFailedError(f"maxmemory-policy {server.policy} evicts what has no expiry", checks.SET_POLICY)
    return f"maxmemory-policy {server.policy}"


def check_memory() -> str:
    server = _redis()
    used = f"{server.memory_bytes / 1e6:.1f} MB"
    if not server.memory_limit:
        return f"{used} used; no limit is set (maxmemory)"
    said = f"{used} of {server.memory_limit / 1e6:.1f} MB used ({server.memory_share:.0%})"
    if server.short_of_memory:
        raise CheckFailedError(f"{said}, more than {WARN_ABOVE:.0%}", checks.GIVE_MEMORY)
    return said


def check_writes() -> str:
    """A write as any other, and what marks of revocation need: scripts, and messages to all processes."""
    redis, keys = brief_redis(), Keys(conf.key_prefix())
    try:
        redis.script_load(scripts.source("note"))
        redis.publish(keys.writable(), b"")
        try_write(redis, keys)
    except RedisError as problem:
        mend = MEND_WRITES.get(refusal(problem) or "", "Mend Redis first.")
        raise CheckFailedError(f"refused: {sentence(problem)}", mend) from None
    return "taken"


def _outbox_unused() -> str:
    """Why there is nothing for an outbox and its relay to do; empty if there may be. Raises DatabaseError."""
    if connection.vendor == NO_DATABASE:
        return f"{NOT_USED}: it needs PostgreSQL, and DATABASES names none"
    if connection.vendor != "postgresql":
        return f"{NOT_USED}: it needs PostgreSQL, and the database is {connection.vendor}"
    if conf.declares_outbox() or is_written() or _relay_has_run():
        return ""
    return f"{NOT_USED}: nothing was written to it within a day, and no relay has run"


def _relay_has_run() -> bool:
    """Whether a relay has run beside this Redis; true also where Redis cannot say."""
    try:
        return conf.publisher().filled_run_id() is not None
    except RedisError:
        return True


def check_outbox() -> str:
    try:
        if unused := _outbox_unused():
            return unused
        found = waiting()
    except DatabaseError as problem:
        raise CheckFailedError(
            f"cannot be read: {_first_line(problem)}", "Mend the database first (manage.py migrate)."
        ) from None
    if found.oldest_seconds > OLD_SECONDS:
        raise CheckFailedError(
            f"its oldest row waits for {found.oldest_seconds:.0f} s",
            "Start a worker or manage.py realtime_relay; if one runs, its log says outbox_rows_not_sent and why.",
        )
    if found.set_aside:
        raise CheckFailedError(
            f"{found.set_aside} rows can never be sent as they are, and were set aside",
            "manage.py realtime_outbox says which and why, and sends them again.",
        )
    age = found.oldest_seconds
    return f"the oldest row waits for {age:.0f} s" if age else "empty: everything was sent"


def check_relay() -> str:
    """A row as a process leaves it behind that dies after its commit: the relay has to send it."""
    payload = {"topic": RELAY_TOPIC, "attempt": new_attempt(), "status": "DONE", "published_at": time.time()}
    try:
        if unused := _outbox_unused():
            return unused
        seconds = seconds_until_relayed(RESERVED_TENANT, payload, RELAY_SECONDS)
    except DatabaseError as problem:
        raise CheckFailedError(
            f"cannot be tried: {_first_line(problem)}", "Mend the database first (manage.py migrate)."
        ) from None
    if seconds is None:
        raise CheckFailedError(
            f"a row in the outbox was not sent within {RELAY_SECONDS:g} s",
            "Start a worker or manage.py realtime_relay; if one runs, look into its log.",
        )
    return f"at work: it sent a row after {seconds:.1f} s"


def check_fill() -> str:
    """The mark that the relay leaves in each life of Redis."""
    publisher = conf.publisher()
    try:
        if unused := _outbox_unused():
            return unused
        filled = publisher.filled_run_id() == publisher.run_id()
    except RedisError as problem:
        raise CheckFailedError(f"cannot be asked: {problem}", "Mend Redis first.") from None
    except DatabaseError as problem:
        raise CheckFailedError(
            f"cannot be asked: {_first_line(problem)}", "Mend the database first (manage.py migrate)."
        ) from None
    if not filled:
        raise CheckFailedError(
            "not filled since its last start: ended jobs of the last 24 h may be missing",
            "Start a worker or manage.py realtime_relay; if one runs, its log says redis_not_filled and why.",
        )
    return "filled by the relay since its last start"


def new_attempt() -> int:
    """Higher than all before: so each look at the reserved feed is a new state of the same few topics."""
    return time.time_ns() // 1_000_000


def brief_redis() -> Redis:
    return brief_client(conf.redis_url(), REDIS_SECONDS)


def _redis() -> RedisServer:
    try:
        return RedisServer.ask(brief_redis())
    except RedisError as problem:
        raise CheckFailedError(f"not reachable: {problem}", f"Start it, or correct {conf.REDIS_ADDRESS}.") from None


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _first_line(problem: Exception) -> str:
    return next(iter(str(problem).strip().splitlines()), type(problem).__name__)
