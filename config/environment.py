"""What the process is told by its environment: typed, with one clear sentence for each wrong value."""

import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from redis.connection import parse_url

from config.body_limit import FORM_BYTES
from config.hidden import hide_variables
from config.postgresql.driver import BoundedConnection
from realtime.server.proxies import DEFAULT as PROXIES_BY_DEFAULT
from realtime.server.proxies import TrustedProxies
from realtime.settings import Settings as Engine

Names = Annotated[list[str], NoDecode]
MIN_SECRET_LENGTH = 32
MAX_FALLBACKS = 3
"""Each old key is tried for each token that is not valid."""
_SOURCE = re.compile(r"(?:https?|wss?)://(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::[0-9]{1,5})?", re.ASCII)
_E_MAIL = re.compile(r"[^\s@<>]+@[^\s@<>]+", re.ASCII)
SECRETS = frozenset(
    {
        "SECRET_KEY",
        "SECRET_KEY_FALLBACKS",
        "DATABASE_URL",
        "PGPASSWORD",
        "REDIS_URL",
        "AWS_ACCESS_KEY_ID",  # without its secret, boto3 would refuse to look further
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "MESSAGE_SMTP_URL",
        "MESSAGE_HTTP_URL",
        "MESSAGE_HTTP_TOKEN",
        "REALTIME_METRICS_TOKEN",
    }
)
"""Variables that hold a key or a password: what they say is never shown, and not kept in the environment."""


class Environment(BaseSettings):
    """One field a variable; the variable's name is the field's in capitals (`DATABASE_URL`)."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    secret_key: SecretStr
    secret_key_fallbacks: Annotated[list[SecretStr], NoDecode] = []
    allowed_hosts: Names = ["127.0.0.1", "localhost", "[::1]"]
    forwarded_allow_ips: str = PROXIES_BY_DEFAULT
    secure_ssl_redirect: Literal["off", "on"] = "off"
    secure_hsts_seconds: int = Field(0, ge=0, le=63_072_000)
    secure_hsts_include_subdomains: Literal["off", "on"] = "off"
    page_connect_origins: Names = []
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    admin_site: Literal["off", "on"] = "off"
    audit_log_file: str | None = None
    process_name: str = Field("manage", pattern=r"^[a-z_0-9-]{1,40}$")

    database_url: str = "postgresql://academy@127.0.0.1:5432/academy"
    pgpassword: SecretStr = SecretStr("")
    database_pool_size: int = Field(4, ge=1, le=200)
    redis_url: str = "redis://127.0.0.1:6379/0"

    password_min_length: int = Field(15, ge=8, le=64)
    password_hashing_threads: int = Field(0, ge=0, le=64)
    sign_in_account_limit: int = Field(30, ge=10, le=100_000)
    sign_in_address_limit: int = Field(100, ge=10, le=1_000_000)
    sign_in_tenant_limit: int = Field(300, ge=10, le=1_000_000)

    aws_region: str = "ap-northeast-2"
    aws_access_key_id: str | None = None
    aws_secret_access_key: SecretStr | None = Field(None, validate_default=True)
    aws_session_token: SecretStr | None = None
    sqs_endpoint_url: str | None = None
    sqs_queue_prefix: str = Field("academy", pattern=r"^[A-Za-z0-9_-]{1,40}$")
    s3_bucket: str | None = None
    s3_endpoint_url: str | None = None
    media_root: str = "media"
    video_max_bytes: int = Field(2_000_000_000, ge=1_000_000, le=5_000_000_000)

    body_grace_seconds: float = Field(20, gt=0, le=600)
    body_min_bytes_per_second: int = Field(2_000, ge=1, le=1_000_000)
    body_max_unfinished: int = Field(64, ge=1, le=10_000)
    body_max_unfinished_per_tenant: int = Field(16, ge=1, le=10_000)
    body_max_unfinished_per_user: int = Field(4, ge=1, le=10_000)
    body_total_bytes: int = Field(8_000_000_000, ge=1_000_000, validate_default=True)

    message_provider: Literal["folder", "smtp", "http"] = "folder"
    message_folder: str = "messages"
    message_smtp_url: SecretStr = Field(SecretStr(""), validate_default=True)
    message_smtp_from: str = Field("", validate_default=True)
    message_smtp_to: str = "{recipient}"
    message_http_url: str | None = Field(None, validate_default=True)
    message_http_token: SecretStr = SecretStr("")
    message_rate_per_minute: int = Field(600, ge=1, le=1_000_000)

    ai_worker_max_concurrency: int = Field(5, ge=1, le=100)
    video_worker_max_concurrency: int = Field(3, ge=1, le=100)
    messaging_worker_max_concurrency: int = Field(5, ge=1, le=100)
    worker_concurrency: int = Field(100, ge=1, le=100)
    worker_reserved_slots: int = Field(1, ge=0, le=99)
    worker_poll_seconds: int = Field(10, ge=1, le=20)
    worker_heartbeat_seconds: float = Field(10, gt=0, le=60)
    worker_lease_seconds: float = Field(Engine.lease_seconds, gt=0, le=600, validate_default=True)
    worker_visibility_seconds: int = Field(40, ge=1, le=43_200, validate_default=True)
    worker_retry_seconds: float = Field(30, ge=0, le=3600)
    worker_drain_seconds: float = Field(20, ge=0, le=600)
    worker_ready_file: str | None = None
    worker_metrics_port: int = Field(0, ge=0, le=65_535)

    quota_jobs: int = Field(200, ge=1, le=1_000_000)
    quota_encoding_minutes: int = Field(1440, ge=1, le=10_000_000)
    quota_storage_bytes: int = Field(200_000_000_000, ge=1, le=1_000_000_000_000_000)

    realtime_key_prefix: str = Field(Engine.key_prefix, pattern=r"^[A-Za-z0-9_:.-]{0,64}$")
    realtime_allowed_origins: Names = list(Engine.allowed_origins)
    realtime_terminal_ttl_seconds: int = Field(Engine.terminal_ttl_seconds, ge=0)
    realtime_legacy_keys: Literal["off", "read"] = Engine.legacy_keys
    realtime_recent_terminal: int = Field(Engine.recent_terminal, ge=1, le=10_000)
    realtime_ping_seconds: float = Field(Engine.ping_seconds, gt=0, le=300)
    realtime_connection_seconds: int = Field(Engine.connection_seconds, ge=1, le=86_400)
    realtime_slow_seconds: float = Field(Engine.slow_seconds, gt=0, le=600)
    realtime_flush_ms: float = Field(Engine.flush_ms, ge=5, le=20)
    realtime_probe_seconds: float = Field(Engine.probe_seconds, gt=0, le=60)
    realtime_drain_seconds: float = Field(Engine.drain_seconds, ge=0, le=600)
    realtime_max_connections: int = Field(Engine.max_connections, ge=1)
    realtime_max_connections_per_tenant: int = Field(Engine.max_connections_per_tenant, ge=1)
    realtime_max_connections_per_user: int = Field(Engine.max_connections_per_user, ge=1)
    realtime_metrics_token: SecretStr = SecretStr(Engine.metrics_token)

    def aws_credentials(self) -> dict[str, str | None]:
        """As boto3's clients take them."""
        secret, token = self.aws_secret_access_key, self.aws_session_token
        return {
            "aws_access_key_id": self.aws_access_key_id,
            "aws_secret_access_key": secret.get_secret_value() if secret else None,
            "aws_session_token": token.get_secret_value() if token else None,
        }

    @field_validator(
        "secret_key_fallbacks", "page_connect_origins", "allowed_hosts", "realtime_allowed_origins", mode="before"
    )
    @classmethod
    def _split_commas(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("allowed_hosts")
    @classmethod
    def _names_one(cls, value: list[str]) -> list[str]:
        if not value:
            raise ValueError("name at least one host, or no request is answered")
        return value

    @field_validator("forwarded_allow_ips")
    @classmethod
    def _are_addresses(cls, value: str) -> str:
        TrustedProxies.parse(value)
        return value

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < MIN_SECRET_LENGTH:
            raise ValueError(f"it has to be a random text of at least {MIN_SECRET_LENGTH} characters")
        return value

    @field_validator("secret_key_fallbacks")
    @classmethod
    def _long_enough_too(cls, value: list[SecretStr]) -> list[SecretStr]:
        if len(value) > MAX_FALLBACKS:
            raise ValueError(f"it may hold {MAX_FALLBACKS} old keys: take out those that signed nothing still valid")
        if any(len(key.get_secret_value()) < MIN_SECRET_LENGTH for key in value):
            raise ValueError(f"each key has to be a random text of at least {MIN_SECRET_LENGTH} characters")
        return value

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, value: str) -> str:
        if not value.startswith(("postgresql://", "postgres://")):
            raise ValueError("it has to begin with postgresql:// (PostgreSQL is the one database)")
        try:
            conninfo_to_dict(value)
        except ProgrammingError:  # whose text may hold the password
            raise ValueError("it is no address; write postgresql://user:password@host:5432/database") from None
        return value

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: str) -> str:
        if not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("it has to begin with redis://, rediss:// or unix://")
        try:
            parse_url(value)  # type: ignore[no-untyped-call]
        except ValueError:  # whose text may hold the password
            raise ValueError("it is no address; write redis://:password@host:6379/0") from None
        return value

    @field_validator("aws_secret_access_key")
    @classmethod
    def _belongs_to_a_key(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if (value is None) != (info.data.get("aws_access_key_id") is None):
            raise ValueError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are set together, or neither of them")
        return value

    @field_validator("sqs_endpoint_url", "s3_endpoint_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None and not (value.startswith(("http://", "https://")) and _has_host(value)):
            raise ValueError("it has to begin with http:// or https:// and a host (leave it out for AWS)")
        return value

    @field_validator("body_total_bytes")
    @classmethod
    def _holds_a_video(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("video_max_bytes", 0) + FORM_BYTES:
            raise ValueError("it has to exceed VIDEO_MAX_BYTES by 1 MB, or the largest video is never taken")
        return value

    @field_validator("message_smtp_url")
    @classmethod
    def _is_smtp(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        address = value.get_secret_value()
        _need_for("smtp", address, info)
        if address and not (address.startswith(("smtp://", "smtps://")) and _has_host(address)):
            raise ValueError("it is no address; write smtp:// or smtps://user:password@host:port")
        return value

    @field_validator("message_smtp_from")
    @classmethod
    def _is_sender(cls, value: str, info: ValidationInfo) -> str:
        _need_for("smtp", value, info)
        if value and not _E_MAIL.fullmatch(value):
            raise ValueError("it has to be an e-mail address and nothing else, as academy@example.com")
        return value

    @field_validator("message_smtp_to")
    @classmethod
    def _names_recipient(cls, value: str) -> str:
        if "{recipient}" not in value:
            raise ValueError("it has to say {recipient} where the phone number goes, as {recipient}@sms.example.com")
        return value

    @field_validator("message_http_url")
    @classmethod
    def _is_gateway(cls, value: str | None, info: ValidationInfo) -> str | None:
        _need_for("http", value, info)
        if value and not (value.startswith(("http://", "https://")) and _has_host(value)):
            raise ValueError("it has to begin with http:// or https:// and a host")
        return value

    @field_validator("worker_lease_seconds")
    @classmethod
    def _outlives_a_heartbeat(cls, value: float, info: ValidationInfo) -> float:
        if value <= info.data.get("worker_heartbeat_seconds", 0):
            raise ValueError("a lease has to outlive WORKER_HEARTBEAT_SECONDS, or running jobs are taken for dead")
        return value

    @field_validator("worker_visibility_seconds")
    @classmethod
    def _outlives_a_lease(cls, value: int, info: ValidationInfo) -> int:
        if value <= info.data.get("worker_lease_seconds", 0):
            raise ValueError("it has to exceed WORKER_LEASE_SECONDS, or messages come back before their lease is over")
        return value

    @field_validator("page_connect_origins")
    @classmethod
    def _are_sources(cls, value: list[str]) -> list[str]:
        for origin in value:
            if not _SOURCE.fullmatch(origin):
                raise ValueError(f"{origin!r} is no origin; write https://api.example.com or wss://push.example.com")
        return value

    @field_validator("realtime_allowed_origins")
    @classmethod
    def _are_origins(cls, value: list[str]) -> list[str]:
        for origin in value:
            if not origin.startswith(("http://", "https://")) or origin.count("/") != 2:  # noqa: PLR2004 - scheme://host
                raise ValueError(f"{origin!r} is no origin; write https://app.example.com, without a path")
        return value


def _need_for(provider: str, value: str | None, info: ValidationInfo) -> None:
    if not value and info.data.get("message_provider") == provider:
        raise ValueError(f"it is needed where MESSAGE_PROVIDER is {provider}")


def _has_host(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


class WrongEnvironmentError(ImproperlyConfigured):
    """Its text is a line for each wrong value."""


_hides_what_it_reads = False


def hide_secrets_once_read() -> None:
    """To be called first by a program of the product: what `read_environment` reads, nobody can read after it.

    The program must not start another one that needs the same secrets.
    """
    global _hides_what_it_reads  # noqa: PLW0603 - it is said of the process, before the settings are loaded
    _hides_what_it_reads = True


def read_environment(variables: Mapping[str, str] | None = None) -> Environment:
    """The environment, checked; `variables` go before this process's own. Raises WrongEnvironmentError."""
    fields = Environment.model_fields.keys()
    given: dict[str, Any] = {
        name.lower(): value for name, value in (variables or {}).items() if value and name.lower() in fields
    }
    try:
        environment = Environment(**given)
    except ValidationError as error:
        raise WrongEnvironmentError("\n".join(_sentence(item) for item in error.errors())) from None
    if _hides_what_it_reads:
        hide_variables(SECRETS)
    return environment


@contextmanager
def sentences_alone() -> Iterator[None]:
    """For the outermost lines of a program: a wrong environment ends it with 1 and its sentences, and no traceback."""
    try:
        yield
    except WrongEnvironmentError as problem:
        sys.exit(str(problem))


@contextmanager
def sentences_in_the_log() -> Iterator[None]:
    """The same for a process whose standard error is a log: each sentence is a line of it."""
    try:
        yield
    except WrongEnvironmentError as problem:
        for sentence in str(problem).splitlines():
            logging.getLogger("config.environment").critical(sentence)
        sys.exit(1)


def _sentence(item: Any) -> str:
    name = str(item["loc"][0]).upper()
    if item["type"] == "missing":
        return f"{name} is not set: set it in the environment (script/up makes one for the embedded system)."
    reason = str(item["msg"]).removeprefix("Value error, ")
    shown = "" if name in SECRETS or not item["input"] else f" (it is {item['input']!r})"
    return f"{name} is wrong: {reason}{shown}."


LINK_OPTIONS = {
    "connect_timeout": 5,
    # A server that cannot be reached any more is noticed within these seconds, whether something was sent or not.
    "tcp_user_timeout": 15_000,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
"""Of the C library of PostgreSQL, and of this side of the link: a pooler on the way never sees them."""


def database_settings(environment: Environment) -> dict[str, Any]:
    """Django's DATABASES entry of `DATABASE_URL`.

    The web server's threads share a pool of a fixed size: under ASGI persistent connections pile up, one for each
    thread that ever served. Every other process keeps its few connections for 15 s. `LINK_OPTIONS` may be overruled in
    the address, as `?tcp_user_timeout=30000`.
    """
    parts = conninfo_to_dict(environment.database_url)
    pooled = environment.process_name == "web"
    options: dict[str, Any] = {
        key: value for key, value in parts.items() if key not in {"dbname", "user", "password", "host", "port"}
    }
    options["application_name"] = environment.process_name
    for name, value in LINK_OPTIONS.items():
        options.setdefault(name, value)
    if environment.process_name != "manage":  # migrations may take long
        options["answer_seconds"] = 30.0 if pooled else 60.0
        options["idle_in_transaction_seconds"] = 30
    if pooled:
        # A connection that cannot be made is tried again each second. The pool's own pauses double, for five minutes.
        options["pool"] = {
            "min_size": 0,
            "max_size": environment.database_pool_size,
            "timeout": 5,
            "reconnect_timeout": 2,
            "connection_class": BoundedConnection,
        }
    return {
        "ENGINE": "config.postgresql",
        "NAME": parts.get("dbname", "academy"),
        "USER": parts.get("user", ""),
        # The C library of PostgreSQL would look for it at each connection, when the environment has it no longer.
        "PASSWORD": parts.get("password") or environment.pgpassword.get_secret_value(),
        "HOST": parts.get("host", ""),
        "PORT": str(parts.get("port", "")),
        "CONN_MAX_AGE": 0 if pooled else 15,
        "CONN_HEALTH_CHECKS": not pooled,
        "OPTIONS": options,
        "TEST": {"NAME": None},
    }
