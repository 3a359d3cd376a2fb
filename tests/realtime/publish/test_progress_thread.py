"""Tests of the thread of `Publisher`: with several threads, after a fork, and at the end of the interpreter."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from redis import Redis

from embedded.group import Servers
from realtime.publish import Publisher
from realtime.publish.pacing import NO_THREAD
from tests.docs.scripts import run_python
from tests.realtime.twins import NEVER_DUE, pacer_of

TOPIC = "job:a1"
THREAD = "realtime-progress"
CHILD_SECONDS = 120
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


@pytest.fixture
def publisher(redis: Redis) -> Iterator[Publisher]:
    with closing(Publisher(redis, pace=NEVER_DUE)) as made:
        yield made


def publish_progress(
    publisher: Publisher, tenant_id: int, percent: float, *, topic: str = TOPIC, milestone: bool = False
) -> bool:
    """Publish progress, and return whether it was sent at once."""
    answer = publisher.progress(tenant_id=tenant_id, topic=topic, attempt=1, percent=percent, milestone=milestone)
    return answer is not None


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


def in_child(do: Callable[[], bool]) -> bool:
    """Run `do` in a forked child, and return its result. The child runs no exit handlers of its parent."""
    child = os.fork()
    if child == 0:
        signal.alarm(CHILD_SECONDS)  # ends the child, whatever it waits for
        try:
            os._exit(0 if do() else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code != -signal.SIGALRM, f"The child waited for something, and was ended after {CHILD_SECONDS} s."
    return code == 0


@contextmanager
def held(lock: threading.Condition) -> Iterator[None]:
    """Let another thread hold the lock during the block."""
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            taken.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait()
    try:
        yield
    finally:
        done.set()
        holder.join()


def test_the_thread_begins_with_the_first_progress_and_ends_with_close(publisher: Publisher, tenant_id: int) -> None:
    before = threads()
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="PROCESSING")
    publisher.publish_many([])
    assert set(threads()) <= set(before)  # a thread of an earlier test may have ended
    publish_progress(publisher, tenant_id, 1)
    (thread,) = set(threads()) - set(before)
    assert thread.daemon
    publisher.close()
    thread.join(60)
    assert not thread.is_alive()


def test_an_idle_thread_ends_and_the_next_progress_starts_another(
    publisher: Publisher, tenant_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.publish.progress_thread.IDLE_SECONDS", 0.01)
    publish_progress(publisher, tenant_id, 1)
    first = publisher._progress._thread
    assert first is not None
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="DONE")  # no progress is left to be sent
    publish_progress(publisher, tenant_id, 1, topic="job:other")
    publisher.status(tenant_id=tenant_id, topic="job:other", attempt=1, status="DONE")
    first.join(60)
    assert not first.is_alive()
    assert publish_progress(publisher, tenant_id, 1, topic="job:third")


def test_threads_share_a_publisher_and_every_milestone_is_sent(
    redis: Redis, publisher: Publisher, tenant_id: int
) -> None:
    def work(number: int) -> int:
        left = [
            publish_progress(publisher, tenant_id, chunk, topic=f"job:{number % 4}", milestone=True)
            for chunk in range(50)
        ]
        return sum(left)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 8 * 50
    assert redis.hget(f"tenant:{tenant_id}:feed", "offset") == b"400"


def test_a_forked_child_begins_empty_and_the_parent_keeps_its_queue(
    redis: Redis, publisher: Publisher, tenant_id: int
) -> None:
    publish_progress(publisher, tenant_id, 1)
    publish_progress(publisher, tenant_id, 2)
    pacer_of(publisher).dropped["before"] += 1

    def child() -> bool:
        clean = pacer_of(publisher).next_at == float("inf") and publisher.dropped.total() == 0
        left = publish_progress(publisher, tenant_id, 3, topic="job:child")
        publish_progress(publisher, tenant_id, 4, topic="job:child")
        publisher.close()
        return clean and left

    assert in_child(child)
    assert redis.hget(f"tenant:{tenant_id}:feed", "offset") == b"3"
    publisher.close()
    assert redis.hget(f"tenant:{tenant_id}:feed", "offset") == b"4"


def test_a_lock_that_is_held_while_the_process_forks_does_not_stop_the_child(
    publisher: Publisher, tenant_id: int
) -> None:
    publish_progress(publisher, tenant_id, 1)
    with held(publisher._progress._changed):
        assert in_child(lambda: publish_progress(publisher, tenant_id, 1))


def test_if_no_thread_can_be_started_progress_is_dropped_without_an_error(
    publisher: Publisher, tenant_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert not publish_progress(publisher, tenant_id, 1)
    assert publisher.dropped == {NO_THREAD: 1}


SCRIPT = """
import atexit
from realtime.publish.publisher import Pace, Publisher

pace = Pace(interval_seconds=3600, patience_seconds=30, overdue_seconds=30)
publisher = Publisher.from_url({url!r}, pace=pace, timeout_seconds=30)
{end}
for percent in range(10):
    publisher.progress(tenant_id={tenant_id}, topic="job:a", attempt=1, percent=percent)
"""


@pytest.mark.parametrize(
    ("end", "published"),
    [
        ("atexit.register(publisher.close)", b"2"),
        ("", b"1"),  # without close the queued progress is lost, but the process does end
        (
            "atexit.register(lambda: publisher.progress(tenant_id={tenant_id}, topic='job:b', attempt=1, percent=1))",
            b"2",
        ),
    ],
    ids=["closed", "forgotten", "progress at the very end"],
)
def test_close_sends_waiting_progress_before_the_process_ends(
    redis: Redis, servers: Servers, tenant_id: int, tmp_path: Path, end: str, published: bytes
) -> None:
    end = end.format(tenant_id=tenant_id)
    assert run_python(SCRIPT.format(url=servers.redis.url, end=end, tenant_id=tenant_id), tmp_path) == ""
    if sys.version_info < (3, 12) or "lambda" not in end:  # from 3.12 on no thread can start so late
        assert redis.hget(f"tenant:{tenant_id}:feed", "offset") == published
