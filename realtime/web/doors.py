"""The doors: all places that accept a ticket, and how each reads it.

A ticket is checked in three ways: whether we signed it and it has not expired (here), whether it was revoked (`admit`
here, or `ServerProcess.admit` in the event loop), and whether it allows the requested topics (`handshake.allow`, or the
view). No other module reads tickets, and each door is used in one place. tests/contract/test_doors.py tries revoked
tickets at all doors, and fails if a door has no test.
"""

from enum import Enum, auto

from realtime import conf
from realtime.connect.tickets import Ticket, read_cookie_ticket, read_renewable, read_rights, read_ticket


class Door(Enum):
    """A place that accepts a ticket."""

    WEBSOCKET = auto()
    EVENTS = auto()
    SNAPSHOT = auto()
    REFRESH = auto()
    RENEWAL = auto()
    PROGRESS = auto()


_READERS = {Door.RENEWAL: read_renewable, Door.PROGRESS: read_rights}
"""The functions that read tickets at these doors. At the others a ticket is valid for 60 seconds, to connect."""


def read(door: Door, text: str) -> Ticket:
    """Read a ticket. The caller must still check whether it was revoked, with `ServerProcess.admit`.

    Raises TicketExpiredError or TicketError.
    """
    return _READERS.get(door, read_ticket)(text, *conf.ticket_keys())


def read_cookie(cookies: dict[str, str], tenant_code: str, *, reconnecting: bool) -> Ticket | None:
    """Read the ticket in this tenant's cookie; None if there is no cookie. Otherwise it is like `read`."""
    for secure in (True, False):
        name = cookie_name(tenant_code, secure=secure)
        if name in cookies:
            return read_cookie_ticket(cookies[name], name, *conf.ticket_keys(), reconnecting=reconnecting)
    return None


def cookie_name(tenant_code: str, *, secure: bool) -> str:
    """Return the name of the cookie with a tenant's ticket. A browser may be signed in to several tenants."""
    return guarded_name(f"realtime_{tenant_code}", secure=secure)


def guarded_name(name: str, *, secure: bool) -> str:
    """Return the name of a cookie that grants rights. With TLS it has the prefix `__Secure-`.

    A page that was loaded over plain HTTP cannot set a cookie with this prefix, not even one of another host of the
    domain (RFC 6265bis, section 4.1.3). With `__Host-` the cookie would be sent to every path.
    """
    return f"{'__Secure-' if secure else ''}{name}"


def admit(door: Door, text: str) -> Ticket:
    """Read a ticket and check that it was not revoked. This is for code outside the event loop.

    Raises TicketExpiredError, RevokedError or TicketError, and RedisError if revocations cannot be checked.
    """
    ticket = read(door, text)
    conf.revocations().check(ticket)
    return ticket
