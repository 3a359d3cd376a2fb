"""The servers of the tests, as a plugin of pytest (`-p harness.servers`).

It is a plugin because Django's settings are read before any conftest. The plugin chooses the addresses, and puts them
into the environment, when pytest begins. The servers start when the first test needs one.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from embedded.group import Servers, choose, start_all, stop_all
from embedded.scratch import scratch_folder

SECRET = "a-key-of-the-tests-only-0123456789abcdef"

# If tests run in several processes (pytest-xdist), each process chooses its ports from a different share.
os.environ["PORT_SHARE"] = "{}/{}".format(
    os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"), os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")
)

# A background process of a script ignores SIGINT. The programs that a test starts would inherit this, and Ctrl-C could
# not end them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_stack = ExitStack()
_folder = _stack.enter_context(scratch_folder())
_servers = choose(_folder)

# Never touch a system that runs beside the tests, even if the environment has its addresses.
for name in ("DATABASE_URL", "REDIS_URL", "SQS_ENDPOINT_URL", "S3_BUCKET", "S3_ENDPOINT_URL", "WORKER_READY_FILE"):
    os.environ.pop(name, None)
os.environ.update(_servers.environment(), SECRET_KEY=SECRET, PROCESS_NAME="tests", LOG_LEVEL="INFO")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


def pytest_unconfigure() -> None:
    _stack.close()


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Run PostgreSQL, Redis and the emulator of SQS and S3. Their folder is deleted when the tests end."""
    print("starting PostgreSQL, Redis and ministack for the tests", file=sys.stderr)  # noqa: T201 - progress
    try:
        start_all(_servers)
        yield _servers
    finally:
        stop_all(_servers)
