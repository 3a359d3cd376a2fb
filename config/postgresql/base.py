"""A connection is looked at before it is used, at the cost of one system call and no round trip.

After a restart of PostgreSQL all connections that were open are dead, and their sockets say so: there is something to
read on them, the end. Django's own `CONN_HEALTH_CHECKS` sends a statement for each request instead.
"""

import select
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from django.db.utils import NotSupportedError
from psycopg_pool import ConnectionPool

from config.postgresql import driver
from config.postgresql.features import DatabaseFeatures

OWN_OPTIONS = {"answer_seconds", "idle_in_transaction_seconds"}
"""How long to wait for the answer to a statement; how long a transaction may rest between two. A process that is frozen
for longer loses its transaction, and its locks are free."""


class DatabaseTooOldError(NotSupportedError):
    """The server's version is too old; the sentence says which is needed."""


class DatabaseWrapper(base.DatabaseWrapper):
    """Replaces dead connections, of the pool and of a thread's own, before a statement is sent on one."""

    features_class = DatabaseFeatures
    Database = driver

    def get_connection_params(self) -> dict[str, Any]:
        """Return what psycopg takes; our own options are not among it."""
        given: dict[str, Any] = super().get_connection_params()
        return {name: value for name, value in given.items() if name not in OWN_OPTIONS}

    def _configure_connection(self, connection: driver.BoundedConnection) -> bool:
        """Prepare a new connection. Statements do it, because a pooler may refuse what is asked at the start."""
        super()._configure_connection(connection)  # type: ignore[misc]
        options = self.settings_dict["OPTIONS"]
        connection.answer_seconds = options.get("answer_seconds")
        if seconds := options.get("idle_in_transaction_seconds"):
            connection.execute(f"SET idle_in_transaction_session_timeout = {1000 * seconds:d}")
        return True

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Take a connection from the pool, or make one. Raises OperationalError where PostgreSQL cannot be reached."""
        connection = super().get_new_connection(conn_params)
        while self.pool and not is_alive(connection):
            connection.close()
            self.pool.putconn(connection)
            self.pool.check()  # what one restart did to this one, it did to the others
            connection = super().get_new_connection(conn_params)
        return connection

    def check_database_version_supported(self) -> None:
        """Raises DatabaseTooOldError. Django calls it at the first connection of a process."""
        try:
            super().check_database_version_supported()
        except NotSupportedError as problem:
            raise DatabaseTooOldError(str(problem)) from None

    def is_usable(self) -> bool:
        """Say whether the connection is alive. Django asks before the first statement where CONN_HEALTH_CHECKS is on.

        After an error it asks too, and then a statement has to be answered.
        """
        if self.errors_occurred:
            return bool(super().is_usable())
        return self.connection is not None and is_alive(self.connection)


def is_alive(connection: "psycopg.Connection[Any]") -> bool:
    """Whether the server still holds its end. Only where something has arrived it is asked."""
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if not poll.poll(0):
        return True
    try:
        ConnectionPool.check_connection(connection)
    except psycopg.Error:
        return False
    return True
