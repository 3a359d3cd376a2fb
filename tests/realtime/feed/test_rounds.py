"""Tests that the feeds of a process share the event loop."""

import asyncio

import pytest

from realtime.feed.rounds import AT_ONCE, Rounds


class Feed:
    """A feed with some deliveries to make. It writes its name to `log` in each turn."""

    def __init__(self, rounds: Rounds, log: list[str], name: str, left: int, *, urgent: bool = False) -> None:
        self.rounds, self.log, self.name, self.left, self.urgent = rounds, log, name, left, urgent

    @property
    def waiting(self) -> bool:
        return self.left > 0

    def serve(self, limit: int) -> int:
        self.log.append(self.name)
        made = min(self.left, limit)
        self.left -= made
        return made


class Process:
    """The rounds of a process, and the order in which its feeds had their turns."""

    def __init__(self) -> None:
        self.rounds = Rounds()
        self.log: list[str] = []

    def feed(self, name: str, left: int, *, urgent: bool = False) -> Feed:
        feed = Feed(self.rounds, self.log, name, left, urgent=urgent)
        self.rounds.request(feed)
        return feed

    def use_up_this_turn(self) -> None:
        self.feed("", AT_ONCE)
        self.log.clear()


@pytest.fixture
async def process() -> Process:
    return Process()


async def test_a_feed_is_served_at_once_while_no_other_waits(process: Process) -> None:
    assert process.feed("a", AT_ONCE - 1).left == 0
    assert process.feed("b", 1).left == 0


async def test_all_feeds_together_make_a_limited_number_of_deliveries_in_a_turn_of_the_loop(process: Process) -> None:
    feeds = [process.feed(name, AT_ONCE // 2) for name in "abcde"]
    assert [feed.left for feed in feeds] == [0, 0, *[AT_ONCE // 2] * 3]
    await asyncio.sleep(0)
    assert [feed.left for feed in feeds] == [0, 0, 0, 0, AT_ONCE // 2]
    await asyncio.sleep(0)
    assert not any(feed.left for feed in feeds)


async def test_a_large_feed_lets_small_ones_go_first_after_its_turn(process: Process) -> None:
    large = process.feed("large", 20 * AT_ONCE)
    small = [process.feed(name, 1) for name in "ab"]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert large.left
    assert not any(feed.left for feed in small)
    assert process.log == ["large", "large", "a", "b", "large"]


async def test_an_urgent_feed_is_served_before_the_others(process: Process) -> None:
    process.use_up_this_turn()
    for name in "ab":
        process.feed(name, 1)
    process.feed("urgent", 1, urgent=True)
    await asyncio.sleep(0)
    assert process.log == ["urgent", "a", "b"]


async def test_a_waiting_feed_can_become_urgent(process: Process) -> None:
    process.use_up_this_turn()
    feeds = {name: process.feed(name, 1) for name in "abc"}
    feeds["c"].urgent = True
    process.rounds.request(feeds["c"])
    await asyncio.sleep(0)
    assert process.log == ["c", "a", "b"]


async def test_feeds_that_are_always_urgent_leave_every_second_turn_to_the_others(process: Process) -> None:
    process.use_up_this_turn()
    urgent = [process.feed(name, 1000 * AT_ONCE, urgent=True) for name in ("u", "v")]
    others = [process.feed(name, 1000 * AT_ONCE) for name in ("a", "b")]
    for _ in range(8):
        await asyncio.sleep(0)
    assert process.log == ["u", "a", "v", "b"] * 2
    assert all(feed.left for feed in [*urgent, *others])


async def test_an_error_in_one_feed_does_not_stop_the_others(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Feed, limit: int) -> int:
        self.left = 0
        raise ValueError("a defect")

    process.use_up_this_turn()
    broken = process.feed("broken", 1)
    monkeypatch.setattr(broken, "serve", fail.__get__(broken))
    whole = process.feed("whole", 1)
    await asyncio.sleep(0)
    assert whole.left == 0


async def test_a_removed_feed_gets_no_turn(process: Process) -> None:
    process.use_up_this_turn()
    gone = process.feed("gone", 1)
    process.rounds.remove(gone)
    await asyncio.sleep(0)
    assert process.log == []
