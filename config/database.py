"""Django's DATABASES entry, made of the environment."""

from typing import Any

from psycopg.conninfo import conninfo_to_dict

from config.environment import Environment
from config.postgresql.driver import BoundedConnection

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
