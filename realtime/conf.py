"""The engine's settings in a Django project, and the objects that each process makes from them once."""

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
from realtime.connect.unwritten_revocations import Committed, UnwrittenMarks
from realtime.identity import Authenticator, TopicRules
from realtime.publish.publisher import Publisher
from realtime.records.record import Record
from realtime.records.scripts import Limits
from realtime.records.source import Source
from realtime.redis import links
from realtime.repair.legacy import OldKeys
from realtime.settings import PREFIX, Settings, variable

REVOCATION_SECONDS = 1.0
"""The timeout for reading and writing revocations in Redis. Each authenticated request reads them."""


SessionEnder = Callable[[int, int | None, str | None], None]
"""Ends sessions that the project itself keeps. Takes the ids of a tenant, a user and a session. None in place of the
user means all users, and None in place of the session means all sessions."""

OutboxSender = Callable[[dict[str, Any]], None]

DoctorCheck = Callable[[], str]
"""A check of `manage.py doctor`. It returns a few words about what is right, or raises CheckFailedError."""


ProjectFigures = Callable[[list[int]], dict[int, dict[str, Any]]]
"""Returns the project's own figures by tenant, and those of the whole system under the key 0.

The argument lists the tenants whose figures are shown. The result may have further tenants, such as those with
unfinished jobs. While somebody watches figures, one process calls this about every 10 seconds. It may use SQL."""


REDIS_ADDRESS = "the address of Redis (the setting REALTIME_REDIS_URL, usually the variable REDIS_URL)"
"""How messages name the address of Redis. Developers set the setting, and operators set the variable."""


@cache
def settings() -> Settings:
    """Return the engine's settings, read once from Django's."""
    return Settings.read(project)


def _forget_settings(*, setting: str, **_: object) -> None:
    """Forget the settings when a test changes one of them, so that they are read again."""
    if setting.startswith(PREFIX):
        settings.cache_clear()


setting_changed.connect(_forget_settings)


def required(name: str) -> str:
    """Return a setting that has no default. Raises ImproperlyConfigured if it is not set.

    `name` is the setting's field in `Settings`.
    """
    value = str(getattr(settings(), name))
    if not value:
        raise ImproperlyConfigured(f"{variable(name)} is not set; `manage.py check` says what it is for.")
    return value


def redis_url() -> str:
    """Return the address of Redis. Raises ImproperlyConfigured if it is not set."""
    return required("redis_url")


def key_prefix() -> str:
    """Return the prefix of all keys in Redis."""
    return settings().key_prefix


def limits() -> Limits:
    """Return how long records and leases stay in Redis, and how many ended topics a new client is shown."""
    return Limits(
        terminal_ttl_seconds=settings().terminal_ttl_seconds,
        recent_terminal=settings().recent_terminal,
        lease_seconds=settings().lease_seconds,
    )


@cache
def publisher() -> Publisher:
    """Return the process's publisher, which also reads single records."""
    return Publisher.from_url(redis_url(), key_prefix=key_prefix(), limits=limits())


@cache
def redis() -> Redis:
    """Return the process's Redis client for the relay, the sweeper, management commands, and reads of old keys.

    The publisher has a client of its own.
    """
    return links.client(redis_url(), socket_timeout=5.0, socket_connect_timeout=1.0)


def old_keys() -> OldKeys | None:
    """If `REALTIME_LEGACY_KEYS` is `read`, return a reader of records that reads old keys too. Otherwise return None.

    Workers of the first version, which had no tenants, write their progress to the old keys.
    """
    if settings().legacy_keys != "read":
        return None
    return OldKeys(redis(), key_prefix=key_prefix(), limits=limits())


def record(tenant_id: int, topic: str) -> Record | None:
    """Return the latest record of a topic, or None if Redis has none in this tenant.

    Raises RedisError if Redis cannot be read.
    """
    return (old_keys() or publisher()).record(tenant_id, topic)


def source() -> Source:
    """Return the source that reads the project's database.

    Without `REALTIME_SOURCE`, return the default source, which can only list the tenants.
    """
    return cast("Source", import_string(settings().source)())


@cache
def revocations() -> Revocations:
    """Return the process's reader and writer of revocations, which each authenticated request uses."""
    client = links.client(redis_url(), socket_timeout=REVOCATION_SECONDS, socket_connect_timeout=REVOCATION_SECONDS)
    committed = cast("Committed", import_string("realtime.outbox.revoke.committed_marks"))
    unwritten = UnwrittenMarks(client, committed, key_prefix=key_prefix())
    return Revocations(client, key_prefix=key_prefix(), unwritten=unwritten)


def ticket_keys() -> list[bytes]:
    """Return the keys of tickets. The first key signs tickets, and each key can verify them.

    The keys are derived from `SECRET_KEY` and `SECRET_KEY_FALLBACKS`, so that nothing else that the project signs is
    valid as a ticket.
    """
    return [_ticket_key_of(secret) for secret in (project.SECRET_KEY, *project.SECRET_KEY_FALLBACKS)]


@cache
def _ticket_key_of(secret: str) -> bytes:
    return salted_hmac("realtime.tickets", "signing key", secret, algorithm="sha256").digest()


def ticket_key() -> bytes:
    """Return the key that signs tickets."""
    return ticket_keys()[0]


def timing() -> Timing:
    """Return the pause between pings, and how long a client may be too slow before its connection is ended."""
    return Timing(ping=settings().ping_seconds, slow=settings().slow_seconds)


def max_connections() -> MaxConnections:
    """Return how many connections each process accepts from one user, from one tenant, and in total."""
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
    """Return the project's function that ends sessions, or None if the project names none.

    Without such a function, refresh tokens stay valid after a revocation.
    """
    path = settings().end_sessions
    return cast("SessionEnder", import_string(path)) if path else None


def figures() -> ProjectFigures | None:
    """Return the project's function for figures of its own, or None if the project names none."""
    path = settings().figures
    return cast("ProjectFigures", import_string(path)) if path else None


def outbox_kinds() -> list[str]:
    """Return the kinds of outbox rows other than records."""
    return list(_outbox_paths())


def outbox_sender(kind: str) -> OutboxSender:
    """Return the function that sends the rows of a kind.

    Raises KeyError if the kind is unknown, and ImportError if the function cannot be imported.
    """
    return cast("OutboxSender", import_string(_outbox_paths()[kind]))


def _outbox_paths() -> dict[str, str]:
    return {"revocation": "realtime.outbox.revoke.send_revocation", **settings().outbox_senders}


def declares_outbox() -> bool:
    """Return whether the project has set something that only an outbox and its relay need."""
    return settings().source != Settings.source or bool(settings().outbox_senders)


def doctor_checks() -> Iterator[tuple[str, DoctorCheck]]:
    """Yield the name and the function of each of the project's own checks for `manage.py doctor`.

    The name is the function's name without `check_`, with spaces for underscores: `queues` for `check_queues`.
    """
    for path in settings().doctor_checks:
        name = path.rpartition(".")[2].removeprefix("check_").replace("_", " ")
        yield name, import_string(path)
