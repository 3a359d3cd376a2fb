"""Tests of hosts whose clocks are wrong by minutes or a day: nothing is lost, and revocations work."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import transaction
from redis import Redis

from realtime import conf
from realtime.connect.tickets import Ticket, issue_ticket, read_ticket
from realtime.feed.mirror import Mirror
from realtime.identity import Identity
from realtime.outbox.revoke import revoke_on_commit
from realtime.publish import Publisher
from realtime.records.errors import RevokedError, TicketExpiredError
from realtime.records.keys import Keys
from realtime.records.record import draft_record, parse_record
from realtime.records.scripts import Limits, Snapshot
from realtime.records.topics import TopicFilter
from realtime.redis.clock import RedisClock, clock
from realtime.repair.sweeper import Sweeper
from tests.realtime.sources import ListedSource

MINUTES, HOURS = 60.0, 3600.0
UNCERTAIN = 5.0
"""The error, in seconds, that the time of a revocation may have. A slow answer of Redis makes the error larger."""
WRONG = pytest.mark.parametrize("seconds", [-10 * MINUTES, 10 * MINUTES, -25 * HOURS, 25 * HOURS])


@contextmanager
def clock_of_the_host(seconds: float) -> Iterator[None]:
    """Behave as if the process had started on a host whose clock is this many seconds ahead."""
    wall = time.time
    there = RedisClock(wall=lambda: wall() + seconds)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: wall() + seconds)
        for name in ("_ahead", "_synchronized", "_doubted"):
            patch.setattr(clock, name, getattr(there, name))
        yield


def ticket() -> Ticket:
    return Ticket(
        tenant_id=1,
        user_id=1,
        session_id="s",
        role="owner",
        topics=TopicFilter.of(["*"]),
        connection_seconds=3600,
    )


def is_revoked(tenant_id: int, issued_at: float) -> bool:
    try:
        conf.revocations().check(Identity(tenant_id, 1, "s", "owner", issued_at=issued_at))
    except RevokedError:
        return True
    return False


@WRONG
@pytest.mark.usefixtures("redis", "forget_clients")
@pytest.mark.django_db(transaction=True)
def test_a_revocation_on_such_a_host_ends_only_what_was_issued_before(tenant_id: int, seconds: float) -> None:
    before = time.time() - UNCERTAIN
    with clock_of_the_host(seconds), transaction.atomic():
        revoke_on_commit(tenant_id, user_id=1)
    assert is_revoked(tenant_id, before)
    assert not is_revoked(tenant_id, time.time() + UNCERTAIN)


@pytest.mark.usefixtures("forget_clients")
@pytest.mark.django_db(transaction=True)
def test_a_host_that_is_a_day_ahead_does_not_forget_marks_of_others(redis: Redis, tenant_id: int) -> None:
    before = time.time()
    with transaction.atomic():
        revoke_on_commit(tenant_id, user_id=1)
    # Act as a process whose clock is 25 hours ahead, because it is not synchronized yet. To this process, all stored
    # marks look old.
    oldest = (time.time() + 25 * HOURS) * 1000
    conf.revocations()._record(
        [Keys().revoked(tenant_id)], ["user:2", oldest, oldest, Keys().revocations(), b"", 13 * HOURS * 1000]
    )
    assert redis.zcard(f"tenant:{tenant_id}:revoked") == 2
    assert is_revoked(tenant_id, before)


@WRONG
@pytest.mark.usefixtures("forget_clients")
def test_a_ticket_issued_or_read_on_such_a_host_is_valid_as_long_as_any_other(redis: Redis, seconds: float) -> None:
    conf.revocations().unwritten.look()
    key = b"k" * 32
    with clock_of_the_host(seconds):
        conf.revocations.cache_clear()
        conf.revocations().unwritten.look()
        there = issue_ticket(ticket(), key, seconds=60)
        stale = issue_ticket(ticket(), key, seconds=-1)
    here = issue_ticket(ticket(), key, seconds=60)
    assert read_ticket(there, key).user_id == 1
    with clock_of_the_host(seconds):
        conf.revocations.cache_clear()
        conf.revocations().unwritten.look()
        assert read_ticket(here, key).user_id == 1
    with pytest.raises(TicketExpiredError):
        read_ticket(stale, key)


def test_a_web_process_whose_clock_is_a_day_ahead_for_a_moment_hides_no_ended_topic(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ended(offset: int) -> Snapshot:
        draft = draft_record(topic=f"job:{offset}", attempt=1, status="DONE", published_at=time.time())
        body = b'{"offset":' + str(offset).encode() + draft.text[:-1] + b',"progress":null}'
        return Snapshot("e", offset, 0, offset == 1, [parse_record(body)])

    mirror = Mirror(Limits())
    wall = time.time
    for offset in range(1, 40):
        mirror.load(ended(offset))
    monkeypatch.setattr(time, "time", lambda: wall() + 25 * HOURS)
    mirror.load(ended(40))
    monkeypatch.undo()
    mirror.load(ended(41))
    assert len(mirror) == 41


def test_a_lease_that_was_renewed_while_the_clock_of_redis_was_ahead_runs_out_with_the_others(
    redis: Redis, tenant_id: int
) -> None:
    publisher = Publisher(redis)
    for topic in ("job:jumped", "job:right"):
        publisher.status(tenant_id=tenant_id, topic=topic, attempt=1, status="PROCESSING")
    redis.zincrby(f"tenant:{tenant_id}:leases", 25 * HOURS, "job:jumped")
    assert publisher.lease_seconds_left(tenant_id=tenant_id, topic="job:jumped") <= Limits().lease_seconds
    sweeper = Sweeper(redis, ListedSource(tenant_ids=[tenant_id]))
    sweeper.sweep_if_due()
    deadlines = dict(redis.zrange(f"tenant:{tenant_id}:leases", 0, -1, withscores=True))  # type: ignore[arg-type]
    assert abs(deadlines[b"job:jumped"] - deadlines[b"job:right"]) < Limits().lease_seconds
    assert sweeper.leases.cap([tenant_id]) == 0
