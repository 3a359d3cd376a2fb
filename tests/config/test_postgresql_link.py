"""Silent links to PostgreSQL: no process waits for ever for an answer, and no transaction stays open for ever."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connections

from config.database import LINK_OPTIONS, database_settings
from config.environment import read_environment
from config.postgresql.driver import BoundedConnection
from embedded.group import Servers
from harness.proxy import Proxy


@contextmanager
def silent_proxy(port: int) -> Iterator[tuple[Proxy, Any]]:
    """Yield a proxy that runs in its own thread, and a function that calls a method of the proxy in that thread."""
    loop, proxy = asyncio.new_event_loop(), Proxy(port)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def call(action: Any) -> None:
        async def act() -> None:
            action()

        asyncio.run_coroutine_threadsafe(act(), loop).result(60)

    asyncio.run_coroutine_threadsafe(proxy.__aenter__(), loop).result(60)
    try:
        yield proxy, call
    finally:
        asyncio.run_coroutine_threadsafe(proxy.__aexit__(None, None, None), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_missing_answer_closes_the_connection(servers: Servers) -> None:
    port = servers.postgres.port
    with silent_proxy(port) as (proxy, call):
        link = BoundedConnection.connect(servers.postgres.url.replace(f":{port}/", f":{proxy.port}/"), autocommit=True)
        assert link.execute("SELECT 1").fetchone() == (1,)
        link.answer_seconds = 0.2
        call(proxy.stall)
        with pytest.raises(psycopg.OperationalError, match=r"has not answered for 0\.2 s"):
            link.execute("SELECT 1")
        assert link.closed


def test_a_statement_that_takes_longer_than_the_limit_is_given_up(servers: Servers) -> None:
    with BoundedConnection.connect(servers.postgres.url, autocommit=True) as link:
        link.answer_seconds = 0.2
        with pytest.raises(psycopg.OperationalError, match="has not answered"):
            link.execute("SELECT pg_sleep(5)")


@pytest.mark.parametrize("process", ["web", "ai_worker", "realtime_relay"])
def test_every_process_limits_its_links(process: str) -> None:
    found = database_settings(read_environment({"PROCESS_NAME": process}))["OPTIONS"]
    assert found.items() >= LINK_OPTIONS.items()
    assert found["answer_seconds"] > 0
    assert found["idle_in_transaction_seconds"] > 0


def test_an_address_overrules_the_limits_of_links() -> None:
    environment = read_environment({"DATABASE_URL": "postgresql://a@127.0.0.1/a?tcp_user_timeout=30000"})
    assert database_settings(environment)["OPTIONS"]["tcp_user_timeout"] == "30000"


@pytest.mark.django_db(transaction=True)
def test_the_server_ends_a_transaction_that_pauses_for_too_long() -> None:
    """The locks of a process that is frozen during a transaction are released."""
    link = connections["default"].copy()
    link.settings_dict["OPTIONS"]["idle_in_transaction_seconds"] = 30  # changes only the settings of the copy
    try:
        with link.cursor() as cursor:
            cursor.execute("SHOW idle_in_transaction_session_timeout")
            assert cursor.fetchone() == ("30s",)
            cursor.execute("SET idle_in_transaction_session_timeout = 100")
            cursor.execute("BEGIN")
            threading.Event().wait(0.5)
            with pytest.raises(DatabaseError):
                cursor.execute("SELECT 1")
    finally:
        link.close()
