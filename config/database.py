"""Makes Django's DATABASES entry from the environment."""

from typing import Any

from psycopg.conninfo import conninfo_to_dict

from config.environment import Environment
from config.postgresql.driver import BoundedConnection

LINK_OPTIONS = {
    "connect_timeout": 5,
    # These options detect an unreachable server, while a statement is sent or while the connection is idle.
    "tcp_user_timeout": 15_000,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
"""Options of PostgreSQL's C library. They apply only to this end of the connection, and are not sent to a pooler."""


def database_settings(environment: Environment) -> dict[str, Any]:
    """Return Django's DATABASES entry for `DATABASE_URL`.

    The web server's threads share a pool of limited size, because under ASGI each thread that ever served a request
    would keep a persistent connection. All other processes keep their few connections for 15 s. `DATABASE_URL` may
    override `LINK_OPTIONS`, for example by `?tcp_user_timeout=30000`.
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
        # During an outage the pool retries for two seconds, and after that only when a request needs a connection. By
        # default it would retry for five minutes with ever longer pauses, and notice late that the outage is over.
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
        # The C library itself reads PGPASSWORD at each connection, but the variable is removed from the environment.
        "PASSWORD": parts.get("password") or environment.pgpassword.get_secret_value(),
        "HOST": parts.get("host", ""),
        "PORT": str(parts.get("port", "")),
        "CONN_MAX_AGE": 0 if pooled else 15,
        "CONN_HEALTH_CHECKS": not pooled,
        "OPTIONS": options,
        "TEST": {"NAME": None},
    }
