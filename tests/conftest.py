"""What tests of every part use: the servers, an own database, an empty Redis."""

from collections.abc import Iterator
from itertools import count

import pytest
from redis import Redis

from embedded.group import Servers
from realtime.publish import Publisher

_tenants = count(1000)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(servers: Servers) -> None:
    """pytest-django makes its test database on our PostgreSQL, which therefore has to run first."""


@pytest.fixture
def redis(servers: Servers) -> Iterator["Redis[bytes]"]:
    """An empty Redis."""
    client: Redis[bytes] = Redis.from_url(servers.redis.url)
    client.flushdb()
    yield client
    client.close()


@pytest.fixture
def tenant_id() -> int:
    """A tenant whose feed nobody has used before."""
    return next(_tenants)


@pytest.fixture
def publisher(redis: "Redis[bytes]") -> Publisher:
    return Publisher(redis)
