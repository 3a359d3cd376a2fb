"""The engine's system checks for `manage.py check`. Those that need Redis run only with `check --deploy`."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string
from redis.exceptions import RedisError

from realtime import conf
from realtime.redis.server_info import WARN_ABOVE, RedisServer
from realtime.web.origin import LOOPBACK

REALTIME = "realtime"
MIN_SECRET_LENGTH = 32

SET_POLICY = "Set maxmemory-policy to volatile-lru: then Redis evicts only keys with an expiry, which can be repaired."
GIVE_MEMORY = "Raise maxmemory. With REALTIME_TERMINAL_TTL_SECONDS=0 ended jobs are never evicted: set a time."


def check_settings(**_: Any) -> list[CheckMessage]:
    """Check the settings, without a network connection."""
    return [*_missing(), *_origins(), *_secret()]


def check_redis(**_: Any) -> list[CheckMessage]:
    """Check the eviction policy and the free memory of Redis."""
    if not conf.settings().redis_url:
        return []  # check_settings reports that (E001)
    try:
        return list(_redis(RedisServer.ask(conf.redis())))
    except RedisError as problem:
        hint = f"Check whether it runs, and correct {conf.REDIS_ADDRESS}."
        return [Warning(f"The configuration of Redis cannot be read: {problem}", hint=hint, id="realtime.W006")]


def register_checks() -> None:
    register(check_settings, REALTIME)
    register(check_redis, REALTIME, Tags.security, deploy=True)


def _missing() -> Iterator[CheckMessage]:
    """Check the three settings without which the engine refuses to work."""
    if not conf.settings().redis_url:
        yield Error("REALTIME_REDIS_URL is not set.", hint="For example redis://127.0.0.1:6379/0.", id="realtime.E001")
    functions = {
        "REALTIME_AUTHENTICATOR": (conf.settings().authenticator, "identifies the caller"),
        "REALTIME_TOPIC_RULES": (conf.settings().topic_rules, "decides who may watch which topics"),
    }
    for name, (path, meaning) in functions.items():
        if not path:
            hint = f"Name the function that {meaning}, as module.function."
            yield Error(f"{name} is not set.", hint=hint, id="realtime.E001")
            continue
        try:
            import_string(path)
        except ImportError as problem:
            yield Error(f"{name} cannot be imported: {problem}", id="realtime.E001")


def _origins() -> Iterator[CheckMessage]:
    """Check, in production, which pages may connect, and under which host names the server answers."""
    if settings.DEBUG:
        return
    if "*" in settings.ALLOWED_HOSTS:
        yield Warning(
            "ALLOWED_HOSTS contains '*': pages of any host name that points to this server count as the same site.",
            hint="Name the hosts that browsers use.",
            id="realtime.W004",
        )
    for origin in conf.settings().allowed_origins:
        parts = urlsplit(origin)
        if parts.scheme != "https" and parts.hostname not in LOOPBACK:
            yield Warning(
                f"REALTIME_ALLOWED_ORIGINS contains {origin!r}: anybody on the network can add scripts to its pages.",
                hint="Use origins such as https://app.example.com.",
                id="realtime.W004",
            )


def _secret() -> Iterator[CheckMessage]:
    hint = "Make one: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
    try:
        secret = settings.SECRET_KEY
    except ImproperlyConfigured:
        secret = ""
    if not secret:
        yield Error("SECRET_KEY is not set, and tickets are signed with it.", hint=hint, id="realtime.E002")
    elif len(secret) < MIN_SECRET_LENGTH:
        yield Warning(
            f"SECRET_KEY has {len(secret)} characters: somebody who guesses it can sign a ticket for any tenant.",
            hint=hint,
            id="realtime.W005",
        )
    if any(len(old) < MIN_SECRET_LENGTH for old in settings.SECRET_KEY_FALLBACKS):
        yield Warning(
            "SECRET_KEY_FALLBACKS contains a short key: somebody who guesses it can sign a ticket for any tenant.",
            hint="Remove it. Tickets that it signed are refused then.",
            id="realtime.W005",
        )


def _redis(server: RedisServer) -> Iterator[CheckMessage]:
    if server.evicts_anything:
        yield Warning(
            f"Redis evicts keys without expiry (maxmemory-policy {server.policy}): feeds and ended jobs can be lost.",
            hint=SET_POLICY,
            id="realtime.W001",
        )
    if server.short_of_memory:
        yield Warning(
            f"Redis uses {server.memory_share:.0%} of its memory, more than {WARN_ABOVE:.0%}.",
            hint=GIVE_MEMORY,
            id="realtime.W002",
        )
