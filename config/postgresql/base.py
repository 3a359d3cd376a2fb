"""Checks connections before they are used, normally with one system call and no round trip.

After a restart of PostgreSQL all open connections are dead. The socket of a dead connection is readable, because the
server has closed its end. So only a connection with a readable socket is tested with a statement. Django's own check
(`CONN_HEALTH_CHECKS`) would send a test statement for each request.
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
"""Options that psycopg does not have: how long to wait for the answer to a statement, and how long a transaction may
pause between two statements. PostgreSQL aborts a transaction that pauses longer, so a frozen process keeps no locks."""


class DatabaseTooOldError(NotSupportedError):
    """The server's version is too old. The text says which version is needed."""


class DatabaseWrapper(base.DatabaseWrapper):
    """Replaces a dead connection, be it pooled or kept by the thread, before a statement is sent."""

    features_class = DatabaseFeatures
    Database = driver

    def get_connection_params(self) -> dict[str, Any]:
        """Return the parameters for psycopg, without our own options."""
        given: dict[str, Any] = super().get_connection_params()
        return {name: value for name, value in given.items() if name not in OWN_OPTIONS}

    def _configure_connection(self, connection: driver.BoundedConnection) -> bool:
        """Set the time limits of a new connection (`OWN_OPTIONS`).

        `idle_in_transaction_seconds` is set by a statement, because a pooler may refuse connection parameters.
        """
        super()._configure_connection(connection)  # type: ignore[misc]
        options = self.settings_dict["OPTIONS"]
        connection.answer_seconds = options.get("answer_seconds")
        if seconds := options.get("idle_in_transaction_seconds"):
            connection.execute(f"SET idle_in_transaction_session_timeout = {1000 * seconds:d}")
        return True

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Take a connection from the pool, or make one. Raises OperationalError if PostgreSQL cannot be reached."""
        connection = super().get_new_connection(conn_params)
        while self.pool and not is_alive(connection):
            connection.close()
            self.pool.putconn(connection)
            self.pool.check()  # after a restart the pool's other connections are dead, too
            connection = super().get_new_connection(conn_params)
        return connection

    def check_database_version_supported(self) -> None:
        """Raise DatabaseTooOldError if the server is too old. Django calls it at the first connection of a process."""
        try:
            super().check_database_version_supported()
        except NotSupportedError as problem:
            raise DatabaseTooOldError(str(problem)) from None

    def is_usable(self) -> bool:
        """Return whether the connection is alive.

        With CONN_HEALTH_CHECKS, Django calls this before the first statement of each request. Normally nothing is sent.
        After an error, Django calls it, too. Then a statement is sent, as Django's own back end does.
        """
        if self.errors_occurred:
            return bool(super().is_usable())
        return self.connection is not None and is_alive(self.connection)


def is_alive(connection: "psycopg.Connection[Any]") -> bool:
    """Return whether the connection is open at both ends. This sends a statement only if the socket can be read."""
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
