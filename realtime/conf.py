"""The settings of the project that the engine serves, and what is made of them once a process."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, cast

from django.conf import settings as project
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
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
from realtime.settings import PREFIX, Settings, variable

REVOCATION_SECONDS = 1.0
"""What a Redis that hangs may cost a request that asks whether its caller was revoked."""


SessionEnder = Callable[[int, int | None, str | None], None]
"""Ends sign-ins in the project: of a tenant, a user of it, or a session of it. Takes their ids; None means all."""

OutboxSender = Callable[[dict[str, Any]], None]

DoctorCheck = Callable[[], str]
"""Returns what is right as a few words; raises CheckFailedError."""


REDIS_ADDRESS = "the address of Redis (the setting REALTIME_REDIS_URL, as a rule the variable REDIS_URL)"
"""What to call it where somebody has to correct it: operators know the variable, developers the setting."""


@cache
def settings() -> Settings:
    """Return the engine's settings, read once from Django's."""
    return Settings.read(project)


def _forget_settings(*, setting: str, **_: object) -> None:
    """Read the settings again after a test has overridden one of them."""
    if setting.startswith(PREFIX):
        settings.cache_clear()


setting_changed.connect(_forget_settings)


def required(name: str) -> str:
    """Return a setting that has no default, by its field's name. Raises ImproperlyConfigured if it is not set."""
    value = str(getattr(settings(), name))
    if not value:
        raise ImproperlyConfigured(f"{variable(name)} is not set; `manage.py check` says what it is for.")
    return value


def redis_url() -> str:
    """Return the address of Redis. Raises ImproperlyConfigured if it is not set."""
    return required("redis_url")


def key_prefix() -> str:
    """Return what goes in front of all keys of Redis."""
    return settings().key_prefix


def limits() -> Limits:
    """Return how long records stay, and how many a new client is shown."""
    return Limits(
        terminal_ttl_seconds=settings().terminal_ttl_seconds,
        recent_terminal=settings().recent_terminal,
        lease_seconds=settings().lease_seconds,
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
    if settings().legacy_keys != "read":
        return None
    return OldKeys(redis(), key_prefix=key_prefix(), limits=limits())


def record(tenant_id: int, topic: str) -> Record | None:
    """The latest record of one topic, or None if Redis holds nothing of it in this tenant. Raises RedisError."""
    return (old_keys() or publisher()).record(tenant_id, topic)


def source() -> Source:
    """Who answers what is asked of the project's database; without `REALTIME_SOURCE` one that knows tenants alone."""
    return cast("Source", import_string(settings().source)())


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
    secrets = [project.SECRET_KEY, *project.SECRET_KEY_FALLBACKS]
    return [salted_hmac("realtime.tickets", "signing key", secret, algorithm="sha256").digest() for secret in secrets]


def ticket_key() -> bytes:
    """Return the key that signs tickets."""
    return ticket_keys()[0]


def timing() -> Timing:
    """Return how long a connection may be silent, and how long behind."""
    return Timing(ping=settings().ping_seconds, slow=settings().slow_seconds)


def max_connections() -> MaxConnections:
    """Return how many connections each process takes."""
    return MaxConnections(
        of_a_user=settings().max_connections_per_user,
        of_a_tenant=settings().max_connections_per_tenant,
        of_the_process=settings().max_connections,
    )


def topic_rules() -> TopicRules:
    return cast("TopicRules", import_string(required("topic_rules")))


def authenticator() -> Authenticator:
    return cast("Authenticator", import_string(required("authenticator")))


def session_ender() -> SessionEnder | None:
    """Return the project's function that ends sign-ins, or None: then a refresh token outlives a revocation."""
    path = settings().end_sessions
    return cast("SessionEnder", import_string(path)) if path else None


def outbox_kinds() -> list[str]:
    """The kinds of outbox rows that are no records."""
    return list(_outbox_paths())


def outbox_sender(kind: str) -> OutboxSender:
    """The function that sends the rows of a kind. Raises KeyError for a kind without one, ImportError."""
    return cast("OutboxSender", import_string(_outbox_paths()[kind]))


def _outbox_paths() -> dict[str, str]:
    return {"revocation": "realtime.outbox.revoke.send_revocation", **settings().outbox_senders}


def declares_outbox() -> bool:
    """Whether the project's settings name something that only an outbox and its relay need."""
    return settings().source != Settings.source or bool(settings().outbox_senders)


def doctor_checks() -> Iterator[tuple[str, DoctorCheck]]:
    """The project's own checks of `manage.py doctor`, each named by its function (`check_queues`: queues)."""
    for path in settings().doctor_checks:
        name = path.rpartition(".")[2].removeprefix("check_").replace("_", " ")
        yield name, import_string(path)
