"""The contract of connections holds on every ASGI server: its tests run on the product's own and on daphne."""

from collections.abc import Iterator

import pytest

from embedded.group import Servers
from embedded.scratch import scratch_folder
from tests.system import SERVERS, System, running_system

ON_ALL_SERVERS = {"test_websocket", "test_connections", "test_sse", "test_revocation", "test_as_described"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" in metafunc.fixturenames and metafunc.module.__name__.rpartition(".")[2] in ON_ALL_SERVERS:
        metafunc.parametrize("server", SERVERS, scope="module")


@pytest.fixture(scope="module")
def server() -> str:
    """The server below the product."""
    return "uvicorn"


@pytest.fixture(scope="session")
def daphne_system(template: Servers) -> Iterator[System]:
    """As `system` is, behind daphne."""
    with scratch_folder("system") as folder, running_system(template, folder, "daphne_system", "daphne") as running:
        yield running


@pytest.fixture(scope="module")
def system(server: str, request: pytest.FixtureRequest, system: System) -> System:
    """The product that the session shares, behind the server whose turn it is."""
    found: System = request.getfixturevalue("daphne_system") if server == "daphne" else system
    return found
