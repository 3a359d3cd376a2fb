"""Runs each test that is marked `every_server` twice, with our server and with daphne: both must keep the contract."""

from collections.abc import Iterator

import pytest

from embedded.group import Servers
from embedded.scratch import scratch_folder
from harness.system import SERVERS, System, running_system
from realtime.publish import Publisher


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" in metafunc.fixturenames:
        marked = metafunc.definition.get_closest_marker("every_server")
        metafunc.parametrize("server", SERVERS if marked else ["uvicorn"], scope="module")


@pytest.fixture(scope="session")
def daphne_system(template: Servers) -> Iterator[System]:
    """Yield a running product like `system`, but with daphne as its server."""
    with scratch_folder("system") as folder, running_system(template, folder, "daphne_system", "daphne") as running:
        yield running


@pytest.fixture(scope="module")
def system(server: str, request: pytest.FixtureRequest, system: System) -> System:
    """Return one of the two running products that tests share: the one with the server of this test."""
    found: System = request.getfixturevalue("daphne_system") if server == "daphne" else system
    return found


@pytest.fixture
def publisher_of(system: System) -> Publisher:
    return Publisher.from_url(system.redis.url)
