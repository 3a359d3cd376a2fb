"""The engine's settings, read from Django's (`REALTIME_…`), and what is made of them once a process."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, cast

from django.conf import settings
from django.utils.crypto import salted_hmac
from django.utils.module_loading import import_string
from redis import Redis

from realtime.connect.connection import Timing
from realtime.connect.connections import MaxConnections
from realtime.connect.revocation import Revocations
from realtime.connect.unwritten import Committed, UnwrittenMarks
from realtime.identity import Authenticator, TopicRules
from realtime.publish.publisher import Publisher
from realtime.records.record import Record
from realtime.records.scripts import Limits
from realtime.records.source import Source
from realtime.redis import links
from realtime.repair.legacy import OldKeys

REVOCATION_SECONDS = 1.0
"""What a Redis that hangs may cost a request that asks whether its caller was revoked."""


SessionEnder = Callable[[int, int | None, str | None], None]
"""Ends sign-ins in the project: of a tenant, a user of it, or a session of it. Takes their ids; None means all."""

OutboxSender = Callable[[dict[str, Any]], None]

DoctorCheck = Callable[[], str]
"""Returns what is right as a few words; raises CheckFailedError."""


REDIS_ADDRESS = "the address of Redis (the setting REALTIME_REDIS_URL, as a rule the variable REDIS_URL)"
"""What to call it where somebody has to correct it: operators know the variable, developers the setting."""


def redis_url() -> str:
    return str(settings.REALTIME_REDIS_URL)


def key_prefix() -> str:
    return str(getattr(settings, "REALTIME_KEY_PREFIX", ""))


@cache
def limits() -> Limits:
    return Limits(
        terminal_ttl_seconds=getattr(settings, "REALTIME_TERMINAL_TTL_SECONDS", 7 * 86_400),
        recent_terminal=getattr(settings, "REALTIME_RECENT_TERMINAL", 100),
        lease_seconds=getattr(settings, "REALTIME_LEASE_SECONDS", 30.0),
    )


@cache
def publisher() -> Publisher:
    """The process's publisher and reader of single records."""
    return Publisher.from_url(redis_url(), key_prefix=key_prefix(), limits=limits())


@cache
def redis() -> Redis:
    """The process's client for what goes beyond one publish: the relay, its sweeper, commands, old keys."""
    return links.client(redis_url(), socket_timeout=5.0, socket_connect_timeout=1.0)


def old_keys() -> OldKeys | None:
    """Where `REALTIME_LEGACY_KEYS` says so: what also reads the progress that workers before tenants write."""
    if getattr(settings, "REALTIME_LEGACY_KEYS", "off") != "read":
        return None
    return OldKeys(redis(), key_prefix=key_prefix(), limits=limits())


def record(tenant_id: int, topic: str) -> Record | None:
    """The latest record of one topic, or None if Redis holds nothing of it in this tenant. Raises RedisError."""
    return (old_keys() or publisher()).record(tenant_id, topic)


def source() -> Source:
    """Who answers what is asked of the project's database; without `REALTIME_SOURCE` one that knows tenants alone."""
    path = getattr(settings, "REALTIME_SOURCE", "realtime.outbox.source.OutboxSource")
    return cast("Source", import_string(path)())


@cache
def revocations() -> Revocations:
    """Who was revoked: what each authenticated request asks."""
    client = links.client(redis_url(), socket_timeout=REVOCATION_SECONDS, socket_connect_timeout=REVOCATION_SECONDS)
    committed = cast("Committed", import_string("realtime.outbox.revoke.committed_marks"))
    unwritten = UnwrittenMarks(client, committed, key_prefix=key_prefix())
    return Revocations(client, key_prefix=key_prefix(), unwritten=unwritten)


def ticket_keys() -> list[bytes]:
    """Return the keys of tickets: the first signs, and each of them verifies.

    They are derived from `SECRET_KEY` and `SECRET_KEY_FALLBACKS`, so that no other signature of the project is ever a
    ticket's.
    """
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [salted_hmac("realtime.tickets", "signing key", secret, algorithm="sha256").digest() for secret in secrets]


def ticket_key() -> bytes:
    """Return the key that signs tickets."""
    return ticket_keys()[0]


def timing() -> Timing:
    return Timing(
        ping=float(getattr(settings, "REALTIME_PING_SECONDS", 25)),
        slow=float(getattr(settings, "REALTIME_SLOW_SECONDS", 30)),
    )


def flush_seconds() -> float:
    """The tick of a busy feed."""
    return float(getattr(settings, "REALTIME_FLUSH_MS", 10)) / 1000


def probe_seconds() -> float:
    return float(getattr(settings, "REALTIME_PROBE_SECONDS", 15))


def metrics_token() -> str:
    return str(getattr(settings, "REALTIME_METRICS_TOKEN", ""))


def drain_seconds() -> float:
    return float(getattr(settings, "REALTIME_DRAIN_SECONDS", 20))


def max_connections() -> MaxConnections:
    """Counted in each process."""
    return MaxConnections(
        of_a_user=getattr(settings, "REALTIME_MAX_CONNECTIONS_PER_USER", 20),
        of_a_tenant=getattr(settings, "REALTIME_MAX_CONNECTIONS_PER_TENANT", 10_000),
        of_the_process=getattr(settings, "REALTIME_MAX_CONNECTIONS", 30_000),
    )


def connection_seconds() -> int:
    return int(getattr(settings, "REALTIME_CONNECTION_SECONDS", 3600))


def allowed_origins() -> list[str]:
    return list(getattr(settings, "REALTIME_ALLOWED_ORIGINS", []))


def cors_paths() -> tuple[str, ...]:
    """How those paths of the project begin that pages of allowed origins may use beside the engine's own."""
    return tuple(getattr(settings, "REALTIME_CORS_PATHS", ()))


def topic_rules() -> TopicRules:
    return cast("TopicRules", import_string(settings.REALTIME_TOPIC_RULES))


def authenticator() -> Authenticator:
    return cast("Authenticator", import_string(settings.REALTIME_AUTHENTICATOR))


def session_ender() -> SessionEnder | None:
    """Return the project's function that ends sign-ins, or None: then a refresh token outlives a revocation."""
    path = getattr(settings, "REALTIME_END_SESSIONS", "")
    return cast("SessionEnder", import_string(path)) if path else None


def outbox_kinds() -> list[str]:
    """The kinds of outbox rows that are no records."""
    return list(_outbox_paths())


def outbox_sender(kind: str) -> OutboxSender:
    """The function that sends the rows of a kind. Raises KeyError for a kind without one, ImportError."""
    return cast("OutboxSender", import_string(_outbox_paths()[kind]))


def _outbox_paths() -> dict[str, str]:
    return {"revocation": "realtime.outbox.revoke.send_revocation", **getattr(settings, "REALTIME_OUTBOX_SENDERS", {})}


def declares_outbox() -> bool:
    """Whether the project's settings name something that only an outbox and its relay need."""
    return any(getattr(settings, name, None) for name in ("REALTIME_SOURCE", "REALTIME_OUTBOX_SENDERS"))


def doctor_checks() -> Iterator[tuple[str, DoctorCheck]]:
    """The project's own checks of `manage.py doctor`, each named by its function (`check_queues`: queues)."""
    for path in getattr(settings, "REALTIME_DOCTOR_CHECKS", []):
        name = path.rpartition(".")[2].removeprefix("check_").replace("_", " ")
        yield name, import_string(path)
