"""Chooses the order of the tests, and has fixtures for all tests: an empty Redis, a publisher, the running product."""

import gc
import os
import random
from collections.abc import Iterator
from functools import cache
from itertools import count

import pytest
from django.db import connections
from httpx._config import DEFAULT_TIMEOUT_CONFIG
from httpx._transports import default as http_transports
from hypothesis import HealthCheck, settings
from redis import Redis
from websockets.asyncio.client import connect

from embedded.group import Servers
from embedded.redis import RedisServer
from embedded.scratch import scratch_folder
from harness.descriptions import share_descriptions
from harness.flush import use_fast_flush
from harness.hashing import use_few_rounds
from harness.system import (
    MIGRATED,
    PATIENCE_SECONDS,
    STEADY,
    System,
    forget_attempts,
    prepare_migrated,
    prepare_template,
    running_system,
)
from realtime.publish import Publisher

# By default Hypothesis fails an example that takes longer than 200 ms. On a busy machine any example may take longer,
# because other processes use the processor.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# Each client of httpx, and each call such as `httpx.get`, reads a list of certificate authorities, which takes 30 ms of
# CPU time. The tests make thousands of clients, and use no HTTPS. So let all clients share one TLS context.
http_transports.create_ssl_context = cache(http_transports.create_ssl_context)  # type: ignore[attr-defined]

# httpx gives up after 5 s by default, and websockets after 10 s. On a busy machine a process may answer later.
for step in ("connect", "read", "write", "pool"):
    setattr(DEFAULT_TIMEOUT_CONFIG, step, PATIENCE_SECONDS)
connect.__init__.__kwdefaults__["open_timeout"] = PATIENCE_SECONDS  # type: ignore[index]

use_few_rounds(os.environ)
share_descriptions()
use_fast_flush()

SLOW = (
    "tests/benchmarks/",
    "tests/docs/test_asyncapi.py",
    "tests/embedded/",
    "tests/excel/test_bounded.py",
    "tests/faults/",
    "tests/page/",
    "tests/realtime/conformance/test_clients.py",
    "tests/realtime/feed/test_hub_machine.py",
    "tests/realtime/publish/test_publish_machine.py",
)
"""Tests that may take several minutes. Most of the time they only wait."""
SLOW_SHARE = 0.6
"""The share of the run, from its beginning, over which the slow tests are spread. While they wait, other tests use the
processor. No slow test begins near the end, so all processes of pytest end at about the same time."""

PROGRAMS = (
    "tests/config/test_hidden.py",
    "tests/config/test_wrong_values.py",
    "tests/docker/",
    "tests/embedded/",
    "tests/excel/test_bounded.py",
    "tests/faults/",
    "tests/operators/test_checks.py",
    "tests/proxies/",
    "tests/realtime/client/package/",
    "tests/sandbox/",
    "tests/video/",
    "tests/worker/test_fleet.py",
)
"""Tests that start programs themselves: servers, proxies, ffmpeg, the product's processes."""

_tenants = count(1000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need servers or other programs, and choose the order of all tests.

    With the environment variable SHUFFLE the order is random, and SHUFFLE is its seed. Otherwise the files with slow
    tests are spread among the files without.
    """
    for item in items:
        if item.nodeid.startswith(PROGRAMS) or needs_servers(item):
            item.add_marker("programs")
    if seed := os.environ.get("SHUFFLE"):
        shuffle(items, seed)
        return
    files = list(dict.fromkeys(file_of(item) for item in items))
    slow = [file for file in files if file.startswith(SLOW)]
    others = [file for file in files if not file.startswith(SLOW)]
    place = {file: SLOW_SHARE * number / len(slow) for number, file in enumerate(slow)}
    place |= {file: number / len(others) for number, file in enumerate(others)}
    items.sort(key=lambda item: place[file_of(item)])


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what exists before the first test: the tests, and all imported modules.

    There are more than a million such objects, so each full collection would take a third of a second.
    """
    gc.freeze()


def shuffle(items: list[pytest.Item], seed: str) -> None:
    """Put the files, and the tests of each file, into an order that depends only on the seed.

    In a random order, a test fails if it depends on what another test leaves behind. All processes of pytest must use
    the same order.
    """
    chance = random.Random(seed)
    order = {item.nodeid: chance.random() for item in sorted(items, key=lambda item: item.nodeid)}
    files = {file: chance.random() for file in sorted({file_of(item) for item in items})}
    items.sort(key=lambda item: (files[file_of(item)], order[item.nodeid]))


def file_of(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def needs_servers(item: pytest.Item) -> bool:
    """Return whether a test, or a fixture that it uses, needs PostgreSQL or Redis."""
    fixtures = getattr(item, "fixturenames", ())
    return "servers" in fixtures or "own_redis" in fixtures or item.get_closest_marker("django_db") is not None


@pytest.fixture(scope="session")
def migrated(servers: Servers) -> Servers:
    """Return the servers, with a database that has the schema. All other databases of the tests are copies of it."""
    prepare_migrated(servers)
    return servers


@pytest.fixture(scope="session")
def django_db_modify_db_settings(migrated: Servers) -> None:
    """Let pytest-django copy the migrated database for its test database. Remove two time limits of connections.

    The limits are removed so that a test can wait for an answer, or leave a transaction idle, as long as it needs.
    """
    connections["default"].settings_dict["TEST"]["TEMPLATE"] = MIGRATED
    for name in ("answer_seconds", "idle_in_transaction_seconds"):
        connections["default"].settings_dict["OPTIONS"].pop(name, None)


@pytest.fixture(autouse=True)
def _sign_ins_of_earlier_tests_are_forgotten() -> None:
    forget_attempts()


@pytest.fixture
def redis(servers: Servers) -> Iterator[Redis]:
    """Yield a client of an empty Redis."""
    client: Redis = Redis.from_url(servers.redis.url)
    client.flushdb()
    yield client
    client.close()


@pytest.fixture(scope="module")
def own_redis() -> Iterator[RedisServer]:
    """Yield a Redis for the tests of one module only. They may fill it, empty it, change its settings and kill it."""
    with scratch_folder("own-redis") as folder, RedisServer(folder) as server:
        yield server


@pytest.fixture
def tenant_id() -> int:
    """Return the id of a tenant whose feed no other test uses."""
    return next(_tenants)


@pytest.fixture
def publisher(redis: Redis) -> Publisher:
    return Publisher(redis)


@pytest.fixture(scope="session")
def template(migrated: Servers) -> Servers:
    """Return the servers, with a prepared database that each system copies."""
    prepare_template(migrated)
    return migrated


@pytest.fixture(scope="session")
def system(template: Servers) -> Iterator[System]:
    """Yield a running product that many tests share. They may add data, but must not change what other tests need."""
    with scratch_folder("system") as folder, running_system(template, folder, "shared_system") as running:
        yield running


@pytest.fixture
def own_system(template: Servers) -> Iterator[System]:
    """Yield a running product for one test alone, with short leases. The test may kill its processes."""
    with scratch_folder("system") as folder:
        with running_system(template, folder, "own_system", **STEADY) as running:
            yield running
