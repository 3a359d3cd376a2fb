"""The engine's settings, read from Django's (`REALTIME_…`), and what is made of them once a process."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from django.conf import settings
from django.utils.crypto import salted_hmac
from django.utils.module_loading import import_string

from realtime.publish import Publisher
from realtime.scripts import Limits


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks for a ticket, as the project's own authentication says."""

    tenant_id: int
    user_id: int
    session_id: str
    role: str


Authenticator = Callable[[Any], Identity]
"""From a Django request. Raises a `TicketError` for who is not signed in."""

TopicRules = Callable[[Identity, list[str]], Iterable[str]]
"""From who asks and the topics named, the patterns permitted; raises `ForbiddenTopicError`. Deny by default."""

OutboxSender = Callable[[dict[str, Any]], None]


def redis_url() -> str:
    return str(settings.REALTIME_REDIS_URL)


def key_prefix() -> str:
    return str(getattr(settings, "REALTIME_KEY_PREFIX", ""))


@cache
def limits() -> Limits:
    return Limits(
        terminal_ttl_seconds=getattr(settings, "REALTIME_TERMINAL_TTL_SECONDS", 0),
        recent_terminal=getattr(settings, "REALTIME_RECENT_TERMINAL", 100),
        lease_seconds=getattr(settings, "REALTIME_LEASE_SECONDS", 30.0),
    )


@cache
def publisher() -> Publisher:
    """The process's publisher and reader of single records."""
    return Publisher.from_url(redis_url(), key_prefix=key_prefix(), limits=limits())


def ticket_key() -> bytes:
    """What tickets are signed with: derived, so that no other signature of the project is ever a ticket's."""
    return salted_hmac("realtime.tickets", "signing key", algorithm="sha256").digest()


def ping_seconds() -> float:
    return float(getattr(settings, "REALTIME_PING_SECONDS", 25))


def connection_seconds() -> int:
    return int(getattr(settings, "REALTIME_CONNECTION_SECONDS", 3600))


def allowed_origins() -> list[str]:
    return list(getattr(settings, "REALTIME_ALLOWED_ORIGINS", []))


def topic_rules() -> TopicRules:
    return cast("TopicRules", import_string(settings.REALTIME_TOPIC_RULES))


def authenticator() -> Authenticator:
    return cast("Authenticator", import_string(settings.REALTIME_AUTHENTICATOR))


def outbox_senders() -> dict[str, OutboxSender]:
    """Kind → function, for outbox rows that are not records."""
    senders: dict[str, str] = getattr(settings, "REALTIME_OUTBOX_SENDERS", {})
    return {kind: import_string(path) for kind, path in senders.items()}
