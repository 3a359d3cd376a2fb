"""If Redis or PostgreSQL is too old, each program says so in one sentence when it starts, and ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.db.backends.base import base

from config.postgresql import OLDEST_POSTGRES
from config.postgresql.base import DatabaseTooOldError
from config.postgresql.features import DatabaseFeatures
from embedded.home import PROJECT
from embedded.ports import free_port
from harness.old_redis import VERSION, old_redis
from realtime.operate.doctor_servers import check_database, check_redis
from realtime.records.errors import CheckFailedError
from realtime.redis.oldest_version import OLDEST_REDIS, is_too_old

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import Settings

    from embedded.group import Servers

NEWER = "99"  # a later version than any PostgreSQL has
# Runs `manage.py migrate` as if it needed PostgreSQL 99.
TO_THE_NEWER = f"""
import os, sys
sys.argv = ["manage.py", "migrate"]
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
from config.postgresql.features import DatabaseFeatures
DatabaseFeatures.minimum_database_version = ({NEWER},)
import manage
manage.main()
"""


@pytest.fixture
def old_address() -> Iterator[str]:
    with old_redis() as address:
        yield address


@pytest.mark.parametrize(
    "words",
    [
        ["-m", "realtime.serve", "asgi:application", "--port", str(free_port())],
        ["-m", "apps.worker.ai_worker"],
        ["manage.py", "realtime_relay"],
    ],
    ids=["web", "worker", "relay"],
)
def test_a_program_with_an_old_redis_says_so_and_ends(words: list[str], old_address: str, servers: Servers) -> None:
    ended = subprocess.run(
        [sys.executable, *words],
        cwd=PROJECT,
        env={**os.environ, **servers.environment(), "REDIS_URL": old_address},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    (line,) = [json.loads(line) for line in ended.stderr.splitlines()]
    assert (ended.returncode, line["event"], line["level"]) == (
        1,
        f"Redis is of version {VERSION}: Redis 7.0 or later, or Valkey, is needed.",
        "critical",
    )


def test_the_doctor_says_that_redis_is_too_old(old_address: str, settings: Settings) -> None:
    settings.REALTIME_REDIS_URL = old_address
    with pytest.raises(CheckFailedError, match=f"version {VERSION} is too old") as found:
        check_redis()
    assert found.value.mend == "Redis 7.0 or later, or Valkey, is needed."


@pytest.mark.parametrize(
    ("version", "too_old"),
    [("6.2.14", True), ("2.8.0", True), ("7.0.0", False), ("7.2.4", False), ("10.0.1", False), ("unstable", False)],
)
def test_a_version_is_compared_as_numbers(version: str, *, too_old: bool) -> None:
    assert is_too_old(version) == too_old
    assert OLDEST_REDIS == (7, 0)


@pytest.fixture
def old_postgres(monkeypatch: pytest.MonkeyPatch) -> None:
    """Require a later PostgreSQL than the tests have, and let Django check the version again."""
    monkeypatch.setattr(DatabaseFeatures, "minimum_database_version", (int(NEWER),))
    monkeypatch.setattr(base, "RAN_DB_VERSION_CHECK", set())


@pytest.mark.usefixtures("old_postgres")
@pytest.mark.django_db
def test_the_first_connection_to_an_old_postgres_is_refused_with_one_sentence() -> None:
    another = connection.copy()
    with pytest.raises(DatabaseTooOldError, match=rf"^PostgreSQL {NEWER} or later is required \(found \d+\.\d+\)\.$"):
        another.connect()
    another.close()


@pytest.mark.usefixtures("old_postgres")
@pytest.mark.django_db
def test_the_doctor_says_that_postgres_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    another = connection.copy()
    monkeypatch.setattr("realtime.operate.doctor_servers.connection", another)
    with pytest.raises(CheckFailedError, match=rf"^too old: PostgreSQL {NEWER} or later is required") as found:
        check_database()
    another.close()
    assert found.value.mend == "Use a later version."


def test_a_command_with_an_old_postgres_ends_with_only_the_sentence(servers: Servers) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", TO_THE_NEWER],
        cwd=PROJECT,
        env={**os.environ, **servers.environment()},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"PostgreSQL {NEWER} or later is required (found ")
    assert len(ended.stderr.splitlines()) == 1


def test_django_itself_would_accept_an_older_postgres() -> None:
    assert DatabaseFeatures.minimum_database_version == (OLDEST_POSTGRES,)
    assert super(DatabaseFeatures, DatabaseFeatures).minimum_database_version < (OLDEST_POSTGRES,)
