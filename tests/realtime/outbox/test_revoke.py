"""Tests of revocations that Redis does not accept at once: what they revoke, when Redis gets them, and the answers."""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from pytest_django import Settings
from redis import Redis
from structlog.testing import capture_logs

from embedded.group import Servers
from embedded.redis import RedisServer
from realtime import conf
from realtime.connect.revocation import Revocations, parse_revocation
from realtime.connect.revocation_marks import KEPT_SECONDS
from realtime.connect.unwritten_revocations import CommittedMark, UnwrittenMarks
from realtime.identity import Identity
from realtime.models import OutboxEntry
from realtime.outbox.relay import Relay
from realtime.outbox.revoke import REVOCATION, committed_marks, revoke, revoke_on_commit
from realtime.records.errors import BadRecordError, MarksUnreadableError, RevokedError
from realtime.web.middleware import tell_untold_revocations
from tests.faults.refusing import REFUSING, memory_full, read_only
from tests.realtime.outbox.rows import aged, left_behind, note_filled, sent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "forget_clients")]


@pytest.fixture
def server(own_redis: RedisServer, settings: Settings, forget_clients: Callable[[], None]) -> RedisServer:
    """Let the engine use a Redis of this module, which is empty and accepts writes, and return it."""
    settings.REALTIME_REDIS_URL = own_redis.url
    forget_clients()
    conf.redis().flushall()
    note_filled()
    return own_redis


def is_revoked(tenant_id: int, issued_at: float, revocations: Revocations | None = None, session_id: str = "s") -> bool:
    try:
        (revocations or conf.revocations()).check(Identity(tenant_id, 1, session_id, "owner", issued_at=issued_at))
    except RevokedError:
        return True
    return False


def another_process(server: RedisServer) -> Revocations:
    """Return the revocations as seen by a process that received no messages."""
    redis: Redis = Redis.from_url(server.url)
    return Revocations(redis, unwritten=UnwrittenMarks(redis, committed_marks))


@pytest.mark.parametrize("code", REFUSING)
def test_a_mark_that_redis_refuses_applies_at_once_and_is_written_later_with_its_time(
    server: RedisServer, tenant_id: int, code: str
) -> None:
    before = time.time()
    with REFUSING[code](server):
        with transaction.atomic():
            revoke_on_commit(tenant_id, user_id=1)
        after = time.time()
        for process in (None, another_process(server)):
            assert is_revoked(tenant_id, before, process)
            assert not is_revoked(tenant_id, after, process)
        entry = OutboxEntry.objects.get(kind=REVOCATION)
        assert entry.sent_at is None
    aged(entry, 60)
    Relay().round()
    assert OutboxEntry.objects.get(kind=REVOCATION).sent_at is not None
    written = conf.redis().zscore(f"tenant:{tenant_id}:revoked", "user:1")
    assert written is not None
    assert 1000 * before <= written <= 1000 * after


@pytest.mark.parametrize("code", [*REFUSING, "taken"])
def test_all_processes_are_told_even_if_redis_refuses_the_mark(server: RedisServer, tenant_id: int, code: str) -> None:
    with Redis.from_url(server.url) as client, client.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe("realtime:revocations")
        channel.get_message(timeout=60)
        with REFUSING.get(code, nullcontext)(server):
            revoke(tenant_id, session_id="s")
            message = channel.get_message(timeout=60)
        assert message is not None
        revoked = parse_revocation(message["data"])
    assert (revoked.tenant_id, revoked.subject, revoked.written) == (tenant_id, "session:s", code == "taken")


def test_at_the_memory_limit_a_mark_is_written_at_once(server: RedisServer, tenant_id: int) -> None:
    before = time.time()
    with memory_full(server):
        revoke(tenant_id, session_id="s")
        assert conf.redis().zscore(f"tenant:{tenant_id}:revoked", "session:s") is not None
        assert is_revoked(tenant_id, before, another_process(server))
    assert OutboxEntry.objects.get(kind=REVOCATION).sent_at is not None


def test_a_revocation_that_was_never_sent_gets_its_time_from_the_relay_and_keeps_it(
    server: RedisServer, tenant_id: int
) -> None:
    """The process died after its commit, and Redis refuses writes."""
    payload = {"tenant": tenant_id, "subject": "user:1"}
    entry = aged(OutboxEntry.objects.create(kind=REVOCATION, tenant_id=tenant_id, payload=payload), 60)
    with read_only(server):
        Relay().round()
        noted = OutboxEntry.objects.get(pk=entry.pk).payload["at"]
        Relay().round()
    Relay().round()
    assert OutboxEntry.objects.get(pk=entry.pk).payload["at"] == noted
    assert conf.redis().zscore(f"tenant:{tenant_id}:revoked", "user:1") == noted


def test_people_who_sign_in_after_a_revocation_stay_signed_in(server: RedisServer, tenant_id: int) -> None:
    """The row was written by hand. A web process reads it first, and the relay sends it later."""
    before = time.time()
    written_by_hand(tenant_id, {"tenant": tenant_id, "subject": "user:1"})
    web = another_process(server)
    with read_only(server):
        assert is_revoked(tenant_id, before, web)
        signed_in_again = time.time()
        Relay().round()
        assert not is_revoked(tenant_id, signed_in_again)
    Relay().round()
    assert is_revoked(tenant_id, before)
    assert not is_revoked(tenant_id, signed_in_again)


def test_an_emptied_redis_that_refuses_writes_does_not_admit_revoked_users(server: RedisServer, tenant_id: int) -> None:
    before = time.time()
    revoke(tenant_id, session_id="s")
    conf.redis().flushall()
    with read_only(server):
        assert is_revoked(tenant_id, before, another_process(server))
    note_filled()


def test_a_process_that_starts_after_the_fault_knows_the_marks_that_are_not_written_yet(
    server: RedisServer, tenant_id: int
) -> None:
    before = time.time()
    with read_only(server):
        revoke(tenant_id, session_id="s")
    conf.revocations().unwritten.look()  # by a process that ran during the fault
    starting = another_process(server)
    starting.unwritten.look(in_background=True)
    assert is_revoked(tenant_id, before, starting)


def test_if_the_database_cannot_be_read_either_nobody_is_admitted(server: RedisServer, tenant_id: int) -> None:
    def fails(seconds: float) -> list[CommittedMark]:
        raise OSError("away")

    redis: Redis = Redis.from_url(server.url)
    revocations = Revocations(redis, unwritten=UnwrittenMarks(redis, fails))
    assert not is_revoked(tenant_id, time.time(), revocations)
    with read_only(server):
        revocations = Revocations(redis, unwritten=UnwrittenMarks(redis, fails))
        for _ in range(2):
            with pytest.raises(MarksUnreadableError, match="READONLY"):
                is_revoked(tenant_id, time.time(), revocations)


def test_a_request_whose_revocation_could_not_be_announced_answers_503(
    server: RedisServer, settings: Settings, forget_clients: Callable[[], None], tenant_id: int
) -> None:
    def log_out(request: HttpRequest) -> HttpResponse:
        with transaction.atomic():
            revoke_on_commit(tenant_id, session_id="s")
        return HttpResponse(status=204)

    view = tell_untold_revocations(log_out)
    request = RequestFactory().post("/")
    assert view(request).status_code == 204  # type: ignore[union-attr]
    with read_only(server):
        assert view(request).status_code == 204  # type: ignore[union-attr]
    settings.REALTIME_REDIS_URL = "redis://127.0.0.1:1/0"
    forget_clients()
    answer = view(request)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")  # type: ignore[union-attr, index]
    settings.REALTIME_REDIS_URL = server.url
    forget_clients()


@pytest.fixture
def while_redis_is_asked(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], list[object]]:
    """Return `watch`. After `results = watch(look)`, each mark that is sent to Redis adds `look()` to `results`."""

    def watch(look: Callable[[], object]) -> list[object]:
        seen: list[object] = []
        add = Revocations.add

        def watched(revocations: Revocations, tenant_id: int, subject: str, at: float) -> None:
            seen.append(look())
            add(revocations, tenant_id, subject, at)

        monkeypatch.setattr(Revocations, "add", watched)
        return seen

    return watch


def connection_is_held() -> bool:
    return connection.connection is not None


def test_no_database_connection_is_held_while_a_revocation_is_sent(
    tenant_id: int,
    while_redis_is_asked: Callable[[Callable[[], object]], list[object]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)  # as with a pool
    held = while_redis_is_asked(connection_is_held)
    with transaction.atomic():
        revoke_on_commit(tenant_id, user_id=1)
    revoke(tenant_id, session_id="s")
    written_by_hand(tenant_id, {"tenant": tenant_id, "subject": "user:2"})
    Relay().round()
    assert held == [False] * 4  # `revoke` sends its mark twice


def test_the_relay_locks_no_row_while_it_sends_a_revocation(
    servers: Servers, tenant_id: int, while_redis_is_asked: Callable[[Callable[[], object]], list[object]]
) -> None:
    entry = written_by_hand(tenant_id, {"tenant": tenant_id, "subject": "user:2"})
    address = servers.postgres.url.rpartition("/")[0] + f"/{connection.settings_dict['NAME']}"

    def can_be_written() -> bool:
        with psycopg.connect(address) as other:
            locked = other.execute("SELECT id FROM realtime_outbox WHERE id = %s FOR UPDATE SKIP LOCKED", [entry.pk])
            return locked.fetchone() is not None

    written = while_redis_is_asked(can_be_written)
    Relay().round()
    assert written == [True]
    entry.refresh_from_db()
    assert entry.sent_at is not None


NO_REVOCATIONS = [[], 5, "user:1", {}, {"tenant": 1, "subject": "user:1", "at": "soon"}]


@pytest.mark.parametrize("payload", NO_REVOCATIONS)
def test_an_invalid_row_stops_neither_the_relay_nor_the_reading_of_marks(
    redis: Redis, tenant_id: int, payload: object
) -> None:
    bad = written_by_hand(tenant_id, payload)
    good = written_by_hand(tenant_id, {"tenant": tenant_id, "subject": "user:2"})
    record = left_behind(tenant_id)
    with capture_logs() as logs:
        for _ in range(2):
            assert [mark.id for mark in committed_marks(KEPT_SECONDS)] == [good.pk]
            assert good.pk in [mark.id for mark in committed_marks(0)]
    assert [line["id"] for line in logs if line["event"] == "revocation_row_bad"] == [bad.pk]
    Relay().round()
    assert sent(bad, good, record) == [False, True, True]
    assert redis.get("realtime:relay") == conf.publisher().run_id().encode()  # Redis was filled


def written_by_hand(tenant_id: int, payload: object) -> OutboxEntry:
    return OutboxEntry.objects.create(kind=REVOCATION, tenant_id=tenant_id, payload=payload)


@pytest.mark.parametrize("message", [b"", b"{}", b"[1]", b'[7,"user:1","soon",true]', b"[[],1,1,1]"])
def test_a_message_that_is_not_a_revocation_is_refused(message: bytes) -> None:
    with pytest.raises(BadRecordError):
        parse_revocation(message)


@pytest.fixture
def read_only_database() -> Iterator[None]:
    """Let the database refuse writes, like a replica."""
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    yield
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = off")


@pytest.mark.usefixtures("read_only_database")
def test_a_revocation_whose_row_cannot_be_written_applies_at_once(tenant_id: int, settings: Settings) -> None:
    settings.REALTIME_END_SESSIONS = None
    before = time.time()
    with capture_logs() as logs:
        revoke(tenant_id, user_id=1)
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["revocation_not_kept"]
    assert is_revoked(tenant_id, before)
    assert conf.redis().zscore(f"tenant:{tenant_id}:revoked", "user:1") is not None


@pytest.mark.usefixtures("read_only_database")
def test_if_the_sessions_cannot_be_ended_the_caller_is_told_but_the_revocation_applies(tenant_id: int) -> None:
    before = time.time()
    with pytest.raises(DatabaseError, match="read-only"):
        revoke(tenant_id, user_id=1)
    assert is_revoked(tenant_id, before)
