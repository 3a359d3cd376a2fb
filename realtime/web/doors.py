"""The doors: every place that takes a ticket, and what each asks of it.

A ticket is looked at in three ways: whether it is ours and in time (here), whether it was revoked since it was issued
(`admit` here, `ServerProcess.admit` for what runs in the event loop), and whether it allows the topics asked for
(`handshake.allow`, or the view). No other module reads tickets, and each door is used in one place:
tests/contract/test_doors.py knocks at all of them with revoked tickets, and fails where a door is missing.
"""

from enum import Enum, auto

from realtime import conf
from realtime.connect.tickets import Ticket, read_cookie_ticket, read_renewable, read_rights, read_ticket


class Door(Enum):
    """Where a ticket is taken."""

    WEBSOCKET = auto()
    EVENTS = auto()
    SNAPSHOT = auto()
    REFRESH = auto()
    RENEWAL = auto()
    PROGRESS = auto()


_READERS = {Door.RENEWAL: read_renewable, Door.PROGRESS: read_rights}
"""At the other doors a ticket is to connect with: 60 seconds."""


def read(door: Door, text: str) -> Ticket:
    """Return the ticket. Whether it was revoked is still to be asked, of `ServerProcess.admit`.

    Raises TicketExpiredError or TicketError.
    """
    return _READERS.get(door, read_ticket)(text, *conf.ticket_keys())


def read_cookie(cookies: dict[str, str], tenant_code: str, *, reconnecting: bool) -> Ticket | None:
    """Return the ticket of this tenant's cookie, or None without one. Otherwise as `read`."""
    for secure in (True, False):
        name = cookie_name(tenant_code, secure=secure)
        if name in cookies:
            return read_cookie_ticket(cookies[name], name, *conf.ticket_keys(), reconnecting=reconnecting)
    return None


def cookie_name(tenant_code: str, *, secure: bool) -> str:
    """Name the cookie that holds a tenant's ticket: a browser may be signed in to several."""
    return guarded_name(f"realtime_{tenant_code}", secure=secure)


def guarded_name(name: str, *, secure: bool) -> str:
    """Return the name of a cookie that grants something: behind TLS with a prefix.

    A page that came by plain HTTP, or that another host of the domain served, can set no cookie whose name begins
    `__Secure-` (RFC 6265bis, section 4.1.3). `__Host-` would send it to every path.
    """
    return f"{'__Secure-' if secure else ''}{name}"


def admit(door: Door, text: str) -> Ticket:
    """Return the ticket if it holds, for code outside the event loop.

    Raises TicketExpiredError, RevokedError or TicketError, and RedisError where it cannot be known whether it was
    revoked: never a pass.
    """
    ticket = read(door, text)
    conf.revocations().check(ticket)
    return ticket
