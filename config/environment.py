"""Reads the process's environment variables into typed fields, and describes each wrong value in a sentence."""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from django.core.exceptions import ImproperlyConfigured
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from config.form_size import FORM_BYTES
from config.hidden import hide_variables
from config.values import (
    EmulatorAddress,
    Hosts,
    OldKeys,
    Origins,
    PostgresqlAddress,
    Proxies,
    RecipientPattern,
    RedisAddress,
    SecretKey,
    Sources,
    has_host,
    is_e_mail,
    is_http,
)
from realtime.server.proxies import DEFAULT as PROXIES_BY_DEFAULT
from realtime.settings import Settings as Engine

SECRETS = frozenset(
    {
        "SECRET_KEY",
        "SECRET_KEY_FALLBACKS",
        "DATABASE_URL",
        "PGPASSWORD",
        "REDIS_URL",
        "AWS_ACCESS_KEY_ID",  # if this variable alone stayed, boto3 would not look for other credentials
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "MESSAGE_SMTP_URL",
        "MESSAGE_HTTP_URL",
        "MESSAGE_HTTP_TOKEN",
        "REALTIME_METRICS_TOKEN",
    }
)
"""Variables with a key or a password. Messages never show their values.

After `hide_secrets_once_read`, `read_environment` removes these variables from the environment.
"""


class Environment(BaseSettings):
    """The variables of the product. A variable's name is that of its field in capitals (`DATABASE_URL`)."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    secret_key: SecretKey
    secret_key_fallbacks: OldKeys = []
    allowed_hosts: Hosts = ["127.0.0.1", "localhost", "[::1]"]
    forwarded_allow_ips: Proxies = PROXIES_BY_DEFAULT
    secure_ssl_redirect: Literal["off", "on"] = "off"
    secure_hsts_seconds: int = Field(0, ge=0, le=63_072_000)
    secure_hsts_include_subdomains: Literal["off", "on"] = "off"
    page_connect_origins: Sources = []
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    admin_site: Literal["off", "on"] = "off"
    audit_log_file: str | None = None
    process_name: str = Field("manage", pattern=r"^[a-z_0-9-]{1,40}$")

    database_url: PostgresqlAddress = "postgresql://academy@127.0.0.1:5432/academy"
    pgpassword: SecretStr = SecretStr("")
    database_pool_size: int = Field(4, ge=1, le=200)
    redis_url: RedisAddress = "redis://127.0.0.1:6379/0"

    password_min_length: int = Field(15, ge=8, le=64)
    password_hashing_threads: int = Field(0, ge=0, le=64)
    sign_in_account_limit: int = Field(30, ge=10, le=100_000)
    sign_in_address_limit: int = Field(100, ge=10, le=1_000_000)
    sign_in_tenant_limit: int = Field(300, ge=10, le=1_000_000)
    one_time_code_seconds: int = Field(86_400, ge=60, le=604_800)

    aws_region: str = "ap-northeast-2"
    aws_access_key_id: str | None = None
    aws_secret_access_key: SecretStr | None = Field(None, validate_default=True)
    aws_session_token: SecretStr | None = None
    sqs_endpoint_url: EmulatorAddress | None = None
    sqs_queue_prefix: str = Field("academy", pattern=r"^[A-Za-z0-9_-]{1,40}$")
    s3_bucket: str | None = None
    s3_endpoint_url: EmulatorAddress | None = None
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
    message_smtp_to: RecipientPattern = "{recipient}"
    message_http_url: str | None = Field(None, validate_default=True)
    message_http_token: SecretStr = SecretStr("")
    message_rate_per_minute: int = Field(600, ge=1, le=1_000_000)
    message_price_sms: float | None = Field(None, ge=0, le=100_000)
    message_price_lms: float | None = Field(None, ge=0, le=100_000)

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
    quota_changes_per_user: int = Field(300, ge=10, le=1_000_000)
    quota_changes_per_tenant: int = Field(1500, ge=10, le=10_000_000, validate_default=True)

    realtime_key_prefix: str = Field(Engine.key_prefix, pattern=r"^[A-Za-z0-9_:.-]{0,64}$")
    realtime_allowed_origins: Origins = list(Engine.allowed_origins)
    realtime_terminal_ttl_seconds: int = Field(Engine.terminal_ttl_seconds, ge=0)
    realtime_legacy_keys: Literal["off", "read"] = Engine.legacy_keys
    realtime_recent_terminal: int = Field(Engine.recent_terminal, ge=1, le=10_000)
    realtime_ping_seconds: float = Field(Engine.ping_seconds, gt=0, le=300)
    realtime_connection_seconds: int = Field(Engine.connection_seconds, ge=1, le=86_400)
    realtime_slow_seconds: float = Field(Engine.slow_seconds, gt=0, le=600)
    realtime_probe_seconds: float = Field(Engine.probe_seconds, gt=0, le=60)
    realtime_drain_seconds: float = Field(Engine.drain_seconds, ge=0, le=600)
    realtime_max_connections: int = Field(Engine.max_connections, ge=1)
    realtime_max_connections_per_tenant: int = Field(Engine.max_connections_per_tenant, ge=1)
    realtime_max_connections_per_user: int = Field(Engine.max_connections_per_user, ge=1)
    realtime_metrics_token: SecretStr = SecretStr(Engine.metrics_token)

    def aws_credentials(self) -> dict[str, str | None]:
        """Return the credentials as arguments for boto3's clients."""
        secret, token = self.aws_secret_access_key, self.aws_session_token
        return {
            "aws_access_key_id": self.aws_access_key_id,
            "aws_secret_access_key": secret.get_secret_value() if secret else None,
            "aws_session_token": token.get_secret_value() if token else None,
        }

    @field_validator("aws_secret_access_key")
    @classmethod
    def _belongs_to_a_key(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if (value is None) != (info.data.get("aws_access_key_id") is None):
            raise ValueError("set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither of them")
        return value

    @field_validator("body_total_bytes")
    @classmethod
    def _holds_a_video(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("video_max_bytes", 0) + FORM_BYTES:
            raise ValueError("it must exceed VIDEO_MAX_BYTES by 1 MB, or the largest video is never accepted")
        return value

    @field_validator("message_smtp_url")
    @classmethod
    def _is_smtp(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        address = value.get_secret_value()
        _need_for("smtp", address, info)
        if address and not (address.startswith(("smtp://", "smtps://")) and has_host(address)):
            raise ValueError("it is not an address; write smtp:// or smtps://user:password@host:port")
        return value

    @field_validator("message_smtp_from")
    @classmethod
    def _is_sender(cls, value: str, info: ValidationInfo) -> str:
        _need_for("smtp", value, info)
        if value and not is_e_mail(value):
            raise ValueError("it must be an e-mail address without a name, such as academy@example.com")
        return value

    @field_validator("message_http_url")
    @classmethod
    def _is_gateway(cls, value: str | None, info: ValidationInfo) -> str | None:
        _need_for("http", value, info)
        if value and not is_http(value):
            raise ValueError("it must begin with http:// or https:// and a host")
        return value

    @field_validator("worker_lease_seconds")
    @classmethod
    def _outlives_a_heartbeat(cls, value: float, info: ValidationInfo) -> float:
        if value <= info.data.get("worker_heartbeat_seconds", 0):
            raise ValueError("it must exceed WORKER_HEARTBEAT_SECONDS, or running jobs seem dead")
        return value

    @field_validator("worker_visibility_seconds")
    @classmethod
    def _outlives_a_lease(cls, value: int, info: ValidationInfo) -> int:
        if value <= info.data.get("worker_lease_seconds", 0):
            raise ValueError("it must exceed WORKER_LEASE_SECONDS, or messages come back before their leases end")
        return value

    @field_validator("quota_changes_per_tenant")
    @classmethod
    def _leaves_something_for_others(cls, value: int, info: ValidationInfo) -> int:
        if value < 2 * info.data.get("quota_changes_per_user", 0):
            raise ValueError("it must be at least twice QUOTA_CHANGES_PER_USER, or one user can block an academy")
        return value


def _need_for(provider: str, value: str | None, info: ValidationInfo) -> None:
    if not value and info.data.get("message_provider") == provider:
        raise ValueError(f"it is required if MESSAGE_PROVIDER is {provider}")


class WrongEnvironmentError(ImproperlyConfigured):
    """Some variables are wrong. The text has a line for each of them."""


_hides_secrets = False


def hide_secrets_once_read() -> None:
    """Let `read_environment` remove the secrets from the environment. Programs of the product call this first.

    A program that calls this must not start another program that needs the same secrets.
    """
    global _hides_secrets  # noqa: PLW0603 - it is set for the process before Django loads the settings
    _hides_secrets = True


def read_environment(variables: Mapping[str, str] | None = None) -> Environment:
    """Read and check the environment. `variables` override those of the process.

    Raises WrongEnvironmentError if a variable is wrong.
    """
    fields = Environment.model_fields.keys()
    given: dict[str, Any] = {
        name.lower(): value for name, value in (variables or {}).items() if value and name.lower() in fields
    }
    try:
        environment = Environment(**given)
    except ValidationError as error:
        raise WrongEnvironmentError("\n".join(_sentence(item) for item in error.errors())) from None
    if _hides_secrets:
        hide_variables(SECRETS)
    return environment


@contextmanager
def sentences_alone() -> Iterator[None]:
    """Exit with code 1 if the `with` block finds a wrong variable.

    Print a sentence for each one, without a traceback.
    """
    try:
        yield
    except WrongEnvironmentError as problem:
        sys.exit(str(problem))


@contextmanager
def sentences_in_the_log() -> Iterator[None]:
    """Exit with code 1 if the `with` block finds a wrong variable. Log a sentence for each one, without a traceback."""
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
