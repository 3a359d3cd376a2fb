"""What the tests of relays share."""

import pytest
from pytest_django import Settings

from tests.realtime.outbox import project


@pytest.fixture
def this_project(settings: Settings) -> None:
    """A project with a source and a sender of letters."""
    settings.REALTIME_SOURCE = f"{project.__name__}.source"
    settings.REALTIME_OUTBOX_SENDERS = {"letter": f"{project.__name__}.deliver"}
    project.renew()
