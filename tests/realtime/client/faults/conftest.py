"""Fixtures: tabs of a real Chromium and a real Firefox, and a running system that the tests may damage."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from embedded.group import Servers
from embedded.scratch import scratch_folder
from harness.browser import new_context, running_chromium
from harness.firefox import running_firefox
from harness.system import System, running_system
from tests.realtime.client.faults.watching import Browser, ChromiumBrowser, Tabs

PINGS = {"REALTIME_PING_SECONDS": "1"}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["chromium", "firefox"])
async def driven(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """Run one of the browsers."""
    if request.param == "firefox":
        async with running_firefox(tmp_path_factory.mktemp("firefox")) as firefox:
            yield firefox
    else:
        async with running_chromium() as chromium:
            yield ChromiumBrowser(await new_context(chromium))


@pytest_asyncio.fixture(loop_scope="module")
async def tabs(driven: Browser, damaged: System) -> AsyncIterator[Tabs]:
    """Open tabs that watch the damaged system, and close them after the test."""
    tabs = Tabs(driven, damaged)
    yield tabs
    await tabs.close()


@pytest.fixture(scope="session")
def damaged(template: Servers) -> Iterator[System]:
    """Yield a running product that pings each second. A test may stop its processes, and has to start them again."""
    with scratch_folder("damaged") as folder, running_system(template, folder, "damaged", **PINGS) as system:
        yield system
