"""Tests that all connections of a process share reads of revocation marks from the database while Redis is silent."""

import asyncio

import pytest

import realtime.connect.revocations_in_database
from realtime.connect.revocation_marks import KEPT_SECONDS
from realtime.connect.revocations_in_database import OVERLAP_SECONDS, DatabaseMarks
from realtime.records.errors import FeedUnavailableError, MarksUnreadableError


class Database:
    """A database that records how far back each read of marks goes, in seconds."""

    def __init__(self) -> None:
        self.reads: list[float] = []
        self.answers = asyncio.Event()
        self.answers.set()
        self.problem: Exception | None = None

    async def read(self, seconds: float) -> None:
        self.reads.append(seconds)
        await self.answers.wait()
        if self.problem is not None:
            raise self.problem


async def test_callers_at_the_same_time_share_one_read_of_the_database() -> None:
    database = Database()
    marks = DatabaseMarks(database.read)
    await asyncio.gather(*(marks.refresh() for _ in range(300)))
    await marks.refresh()
    assert len(database.reads) == 1


async def test_the_first_read_of_an_outage_is_of_all_marks_and_the_next_of_new_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(realtime.connect.revocations_in_database, "FRESH_SECONDS", 0.0)
    database = Database()
    marks = DatabaseMarks(database.read)
    await marks.refresh()
    await marks.refresh()
    marks.begin()
    await marks.refresh()
    first, second, third = database.reads
    assert first == third == KEPT_SECONDS
    assert OVERLAP_SECONDS <= second < KEPT_SECONDS


async def test_while_the_database_fails_or_hangs_nobody_is_admitted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(realtime.connect.revocations_in_database, "READ_SECONDS", 0.05)
    database = Database()
    marks = DatabaseMarks(database.read)
    for problem in (MarksUnreadableError("away"), OSError("a bug")):
        database.problem = problem
        with pytest.raises(FeedUnavailableError):
            await marks.refresh()
    database.problem = None
    database.answers.clear()
    for _ in range(2):
        with pytest.raises(FeedUnavailableError):
            await marks.refresh()
    assert len(database.reads) == 3  # the last two calls share one read
    database.answers.set()
    monkeypatch.setattr(realtime.connect.revocations_in_database, "READ_SECONDS", 60.0)
    await marks.refresh()
    assert database.reads == [KEPT_SECONDS] * 3
