"""Tests of the limits on connections, of ending them by a revocation, and of the drain."""

import asyncio

import pytest

from realtime.connect.connections import Connections, MaxConnections
from realtime.connect.revocation import Marks
from realtime.connect.tickets import Ticket
from realtime.protocol.close_codes import CloseCode
from realtime.records.errors import TooManyConnectionsError
from realtime.records.topics import TopicFilter

EVERYTHING = TopicFilter.of(["*"])


class FakeConnection:
    """A connection that is removed as soon as `end` is called, unless it is `stubborn`."""

    transport_name = "recording"

    def __init__(self, connections: Connections, tenant_id: int = 7, user_id: int = 1, session: str = "s") -> None:
        self.ticket = Ticket(tenant_id, user_id, session, "owner", EVERYTHING, 3600, issued_at=1000.0)
        self.given_up = False
        self.ended: list[tuple[CloseCode, int | None]] = []
        self.stubborn = self.silent = False
        self._connections = connections

    def end(self, code: CloseCode, retry_after_ms: int | None = None) -> None:
        self.ended.append((code, retry_after_ms))
        if not self.stubborn:
            self._connections.remove(self)

    def give_up(self) -> None:
        self.given_up = True
        self._connections.remove(self)


@pytest.fixture
async def connections() -> Connections:
    return Connections(MaxConnections(of_a_user=2, of_a_tenant=3, of_the_process=5))


def opened(connections: Connections, tenant_id: int = 7, user_id: int = 1, session: str = "s") -> FakeConnection:
    held = FakeConnection(connections, tenant_id, user_id, session)
    connections.add(held)
    return held


async def test_a_user_a_tenant_and_the_process_have_limits_with_a_sentence_each(connections: Connections) -> None:
    opened(connections), opened(connections)
    with pytest.raises(TooManyConnectionsError, match="You have as many"):
        opened(connections)
    opened(connections, user_id=2)
    with pytest.raises(TooManyConnectionsError, match="Your organisation"):
        opened(connections, user_id=3)
    opened(connections, tenant_id=8), opened(connections, tenant_id=9)
    with pytest.raises(TooManyConnectionsError, match="This server"):
        opened(connections, tenant_id=10)


async def test_a_new_connection_replaces_the_users_oldest_one_whose_peer_is_gone(connections: Connections) -> None:
    first, second = opened(connections), opened(connections)
    second.silent = True
    third = opened(connections)
    assert (first.given_up, second.given_up) == (False, True)
    first.silent = third.silent = True
    opened(connections)
    assert (first.given_up, third.given_up) == (True, False)
    stranger = opened(connections, tenant_id=8)
    stranger.silent, third.silent = True, False
    with pytest.raises(TooManyConnectionsError, match="You have as many"):
        opened(connections)
    assert not stranger.given_up


async def test_a_connection_that_ends_makes_room_for_another(connections: Connections) -> None:
    first = opened(connections)
    opened(connections)
    connections.remove(first)
    connections.remove(first)
    opened(connections)
    assert len(connections) == 2


async def test_a_mark_ends_the_connections_that_it_concerns(connections: Connections) -> None:
    session = opened(connections, session="ends")
    other_session = opened(connections, session="stays")
    other_user = opened(connections, user_id=2)
    other_tenant = opened(connections, tenant_id=8)
    connections.end_revoked(
        7, Marks({"session:ends": 999_999.9}).concern
    )  # this mark is older than the ticket, but a session that has ended never begins again
    assert [held.ended for held in (session, other_session, other_user, other_tenant)] == [
        [(CloseCode.REVOKED, None)],
        [],
        [],
        [],
    ]
    connections.end_revoked(7, Marks({"user:2": 999_999.9}).concern)  # older than this user's ticket
    assert other_user.ended == []
    connections.end_revoked(7, Marks({"tenant": 1_000_000.1}).concern)
    assert other_user.ended == other_session.ended == [(CloseCode.REVOKED, None)]
    assert other_tenant.ended == []


async def test_a_drain_ends_connections_one_after_another_each_with_a_time_to_reconnect() -> None:
    connections = Connections(MaxConnections(1000, 1000, 1000))
    held = [opened(connections) for _ in range(100)]
    drain = asyncio.ensure_future(connections.drain(0.5))
    await asyncio.sleep(0)
    gone = sum(bool(one.ended) for one in held)
    assert 0 < gone < 50
    assert connections.draining
    await drain
    assert [one.ended[0][0] for one in held] == [CloseCode.SERVER_RESTART] * 100
    waits = [one.ended[0][1] for one in held]
    assert all(wait is not None and 0 <= wait <= 50 for wait in waits)
    assert len(set(waits)) > 5


async def test_a_drain_ends_early_when_no_connection_is_left(connections: Connections) -> None:
    opened(connections)
    await asyncio.wait_for(connections.drain(10_000), 60)


async def test_a_drain_has_a_time_limit(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.connect.connections.LAST_SECONDS", 0.01)
    opened(connections).stubborn = True
    await asyncio.wait_for(connections.drain(0.01), 60)
    assert len(connections) == 1
