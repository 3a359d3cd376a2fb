"""The engine's settings with their defaults. This module needs no Django, so that workers can use it without Django.

Each field is the Django setting `REALTIME_…` of the same name. `README.md` says what each is for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

PREFIX = "REALTIME_"
REQUIRED = ("redis_url", "authenticator", "topic_rules")
"""The settings without which the engine refuses to work."""


@dataclass(frozen=True)
class Settings:
    """The settings of a project. The class attributes are the defaults, such as `Settings.ping_seconds`."""

    redis_url: str = ""
    authenticator: str = ""
    topic_rules: str = ""
    key_prefix: str = ""
    allowed_origins: tuple[str, ...] = ()
    cors_paths: tuple[str, ...] = ()
    ping_seconds: float = 25.0
    slow_seconds: float = 30.0
    connection_seconds: int = 3600
    max_connections: int = 30_000
    max_connections_per_tenant: int = 10_000
    max_connections_per_user: int = 20
    drain_seconds: float = 20.0
    probe_seconds: float = 15.0
    recent_terminal: int = 100
    terminal_ttl_seconds: int = 604_800
    lease_seconds: float = 30.0
    outbox_senders: Mapping[str, str] = field(default_factory=dict)
    source: str = "realtime.outbox.source.OutboxSource"
    metrics_token: str = ""
    end_sessions: str = ""
    doctor_checks: tuple[str, ...] = ()
    figures: str = ""
    legacy_keys: Literal["off", "read"] = "off"

    @classmethod
    def read(cls, project: object) -> Self:
        """Return the settings of a project: the attributes `REALTIME_…` of this object. None counts as not set."""
        defaults = cls()
        given: dict[str, Any] = {each.name: getattr(project, variable(each.name), None) for each in fields(cls)}
        return cls(**{name: type(getattr(defaults, name))(value) for name, value in given.items() if value is not None})


def variable(name: str) -> str:
    """Return the name of the Django setting for a field of `Settings`."""
    return PREFIX + name.upper()
