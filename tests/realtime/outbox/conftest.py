"""Fixtures of the tests of relays."""

import pytest
from pytest_django import Settings

from tests.realtime.outbox import project


@pytest.fixture
def this_project(settings: Settings) -> None:
    """Set up a project with a source and a sender of letters."""
    settings.REALTIME_SOURCE = f"{project.__name__}.source"
    settings.REALTIME_OUTBOX_SENDERS = {"letter": f"{project.__name__}.deliver"}
    project.renew()
