"""Counts the connections of this process, limits their number, and ends them when the process ends."""

import asyncio
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import structlog

from realtime.connect.tickets import Ticket
from realtime.connect.timer_wheel import TimerWheel
from realtime.protocol.close_codes import CloseCode
from realtime.records.errors import TooManyConnectionsError
from realtime.records.metrics import counts

log = structlog.get_logger(__name__)

DRAIN_STEPS_A_SECOND = 20
LAST_SECONDS = 5.0
"""How long the drain waits at its end for connections that are still closing."""


@dataclass(frozen=True, slots=True)
class MaxConnections:
    """The largest numbers of connections that one process accepts."""

    of_a_user: int
    of_a_tenant: int
    of_the_process: int


class OpenConnection(Protocol):
    """The attributes of a connection that are needed to count and end it."""

    transport_name: str

    @property
    def ticket(self) -> Ticket: ...

    @property
    def silent(self) -> bool:
        """Whether the peer seems to be gone."""

    def end(self, code: CloseCode, retry_after_ms: int | None = None) -> None:
        """Send the client the reason, and close the connection."""

    def give_up(self) -> None:
        """End the connection at once, without a last frame, because the peer is gone."""


class Connections:
    """All open connections of this process."""

    def __init__(self, most: MaxConnections) -> None:
        self._most = most
        self._open: dict[int, set[OpenConnection]] = {}
        self._of_user: dict[tuple[int, int], dict[OpenConnection, None]] = {}
        """The connections of each user, in the order in which they were opened."""
        self.by_tenant: dict[int, Counter[str]] = {}
        """How many connections each tenant has, by transport."""
        self.wheel = TimerWheel()
        """The timers of the connections."""
        self._count = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self.draining = False

    def __len__(self) -> int:
        return self._count

    @property
    def tenants(self) -> Iterable[int]:
        return self._open.keys()

    def add(self, connection: OpenConnection) -> None:
        """Count a new connection. Raise TooManyConnectionsError if a limit is reached.

        At the user's limit, first end the oldest of this user's connections whose peer seems to be gone, if there is
        one.
        """
        ticket = connection.ticket
        user = ticket.tenant_id, ticket.user_id
        if len(self._of_user.get(user, ())) >= self._most.of_a_user:
            self._give_up_silent(user)
        if len(self) >= self._most.of_the_process:
            raise TooManyConnectionsError(
                "This server has as many connections as it takes; try again later.", "process"
            )
        if len(self._open.get(ticket.tenant_id, ())) >= self._most.of_a_tenant:
            raise TooManyConnectionsError(
                "Your organisation has as many connections as it may; try again later.", "tenant"
            )
        if len(self._of_user.get(user, ())) >= self._most.of_a_user:
            raise TooManyConnectionsError("You have as many connections as you may; close another tab.", "user")
        self._open.setdefault(ticket.tenant_id, set()).add(connection)
        self._of_user.setdefault(user, {})[connection] = None
        self._count += 1
        self.by_tenant.setdefault(ticket.tenant_id, Counter())[connection.transport_name] += 1
        counts.connections[connection.transport_name] += 1
        self._empty.clear()

    def _give_up_silent(self, user: tuple[int, int]) -> None:
        oldest = next((connection for connection in self._of_user[user] if connection.silent), None)
        if oldest is not None:
            log.info("silent_connection_replaced", tenant=user[0], transport=oldest.transport_name)
            oldest.give_up()

    def remove(self, connection: OpenConnection) -> None:
        ticket = connection.ticket
        of_tenant = self._open.get(ticket.tenant_id, set())
        if connection not in of_tenant:
            return
        of_tenant.discard(connection)
        self.by_tenant[ticket.tenant_id][connection.transport_name] -= 1
        counts.connections[connection.transport_name] -= 1
        user = ticket.tenant_id, ticket.user_id
        self._count -= 1
        del self._of_user[user][connection]
        if not self._of_user[user]:
            del self._of_user[user]
        if not of_tenant:
            del self._open[ticket.tenant_id], self.by_tenant[ticket.tenant_id]
        if not self._open:
            self._empty.set()

    def end_revoked(self, tenant_id: int, is_revoked: Callable[[Ticket], bool]) -> None:
        """End those connections of this tenant whose ticket was revoked."""
        for connection in list(self._open.get(tenant_id, ())):
            if is_revoked(connection.ticket):
                connection.end(CloseCode.REVOKED)

    async def drain(self, seconds: float) -> None:
        """End all connections, spread evenly over `seconds`. Until a connection is ended, it is served as before.

        Each client also receives a short random time after which it reconnects. So the process that takes over does not
        get all clients at once, and no client is without a connection for long. Return early if no connection is left.
        """
        self.draining = True
        waiting = [connection for of_tenant in self._open.values() for connection in of_tenant]
        random.shuffle(waiting)
        steps = max(1, round(seconds * DRAIN_STEPS_A_SECOND))
        turns = [math.ceil(len(waiting) * step / steps) for step in range(steps + 1)]
        for first, end in pairwise(turns):
            for connection in waiting[first:end]:
                connection.end(CloseCode.SERVER_RESTART, round(seconds * random.uniform(0, 100)))  # noqa: S311 - jitter
            if await self._emptied(seconds / steps):
                return
        if not await self._emptied(LAST_SECONDS):
            log.warning("drain_left_connections", connections=len(self))

    async def _emptied(self, within_seconds: float) -> bool:
        try:
            async with asyncio.timeout(within_seconds):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True
