"""The project whose relays are tested: its `REALTIME_SOURCE`, and its sender of letters, which can be made to fail."""

import threading
from typing import Any

from django.db import connection

from realtime.records.errors import UnsendableError
from tests.realtime.sources import ListedSource

the_source = ListedSource()
delivered: list[dict[str, Any]] = []
closed_ways: set[str] = set()
hangs, answers = threading.Event(), threading.Event()


def source() -> ListedSource:
    return the_source


def deliver(payload: dict[str, Any]) -> None:
    if "letter" in closed_ways:
        raise OSError("no stamps")
    if "hanging" in closed_ways:
        hangs.set()
        answers.wait(300)
    if "unsendable" in closed_ways:
        raise UnsendableError("no address")
    if payload["number"] < 0:
        connection.cursor().execute("SELECT * FROM no_such_table")
    delivered.append(payload)


def renew() -> None:
    """Forget what earlier tests have set."""
    the_source.__init__()  # type: ignore[misc]
    delivered.clear()
    closed_ways.clear()
    hangs.clear()
    answers.clear()
