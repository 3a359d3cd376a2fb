"""Types for the values of environment variables. A wrong value raises ValueError, whose text says what to write."""

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from realtime.server.proxies import TrustedProxies

MIN_SECRET_LENGTH = 32
MAX_FALLBACKS = 3
"""How many old secret keys are allowed. Each invalid token is checked against all of them, which costs time."""
_SOURCE = re.compile(r"(?:https?|wss?)://(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::[0-9]{1,5})?", re.ASCII)
_E_MAIL = re.compile(r"[^\s@<>]+@[^\s@<>]+", re.ASCII)


def has_host(address: str) -> bool:
    """Return whether a URL names a host and either no port or a valid port."""
    try:
        parts = urlsplit(address)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def is_http(address: str) -> bool:
    return address.startswith(("http://", "https://")) and has_host(address)


def is_e_mail(text: str) -> bool:
    return _E_MAIL.fullmatch(text) is not None


def _split_commas(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _name_one(value: list[str]) -> list[str]:
    if not value:
        raise ValueError("name at least one host; otherwise no request is answered")
    return value


def _name_proxies(value: str) -> str:
    TrustedProxies.parse(value)
    return value


def _be_long(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < MIN_SECRET_LENGTH:
        raise ValueError(f"it must be a random text of at least {MIN_SECRET_LENGTH} characters")
    return value


def _be_few_and_long(value: list[SecretStr]) -> list[SecretStr]:
    if len(value) > MAX_FALLBACKS:
        raise ValueError(f"it may have {MAX_FALLBACKS} old keys: remove those whose tokens have all expired")
    if any(len(key.get_secret_value()) < MIN_SECRET_LENGTH for key in value):
        raise ValueError(f"each key must be a random text of at least {MIN_SECRET_LENGTH} characters")
    return value


def _lead_to_postgresql(value: str) -> str:
    if not value.startswith(("postgresql://", "postgres://")):
        raise ValueError("it must begin with postgresql:// (no other database works)")
    # These imports are slow, and script/up usually has no address to check.
    from psycopg import ProgrammingError  # noqa: PLC0415
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    try:
        conninfo_to_dict(value)
    except ProgrammingError:  # do not show the text of this error, which may contain the password
        raise ValueError("it is not an address; write postgresql://user:password@host:5432/database") from None
    return value


def _lead_to_redis(value: str) -> str:
    if not value.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("it must begin with redis://, rediss:// or unix://")
    from redis.connection import parse_url  # noqa: PLC0415 (slow, like those of psycopg)

    try:
        parse_url(value)  # type: ignore[no-untyped-call]
    except ValueError:  # do not show the text of this error, which may contain the password
        raise ValueError("it is not an address; write redis://:password@host:6379/0") from None
    return value


def _lead_to_an_emulator(value: str) -> str:
    if not is_http(value):
        raise ValueError("it must begin with http:// or https:// and a host (leave it out for AWS)")
    return value


def _name_the_recipient(value: str) -> str:
    if "{recipient}" not in value:
        raise ValueError("it must contain {recipient} for the phone number, as in {recipient}@sms.example.com")
    return value


def _be_sources(value: list[str]) -> list[str]:
    for origin in value:
        if not _SOURCE.fullmatch(origin):
            raise ValueError(f"{origin!r} is not an origin; write https://api.example.com or wss://push.example.com")
    return value


def _be_origins(value: list[str]) -> list[str]:
    for origin in value:
        if not origin.startswith(("http://", "https://")) or origin.count("/") != 2:  # noqa: PLR2004 - scheme://host
            raise ValueError(f"{origin!r} is not an origin; write https://app.example.com, without a path")
    return value


Names = Annotated[list[str], NoDecode, BeforeValidator(_split_commas)]
"""A list of strings. In the environment variable they are separated by commas."""
Hosts = Annotated[Names, AfterValidator(_name_one)]
Sources = Annotated[Names, AfterValidator(_be_sources)]
"""Origins for a Content-Security-Policy. Their schemes are http, https, ws or wss."""
Origins = Annotated[Names, AfterValidator(_be_origins)]
Proxies = Annotated[str, AfterValidator(_name_proxies)]
SecretKey = Annotated[SecretStr, AfterValidator(_be_long)]
OldKeys = Annotated[list[SecretStr], NoDecode, BeforeValidator(_split_commas), AfterValidator(_be_few_and_long)]
PostgresqlAddress = Annotated[str, AfterValidator(_lead_to_postgresql)]
RedisAddress = Annotated[str, AfterValidator(_lead_to_redis)]
EmulatorAddress = Annotated[str, AfterValidator(_lead_to_an_emulator)]
RecipientPattern = Annotated[str, AfterValidator(_name_the_recipient)]
