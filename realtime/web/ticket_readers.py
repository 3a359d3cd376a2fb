"""All places that accept a ticket, and how each reads it.

A ticket is checked in three ways: whether we signed it and it has not expired (here), whether it was revoked (`admit`
here, or `ServerProcess.admit` in the event loop), and whether it allows the requested topics (`handshake.allow`, or the
view). No other module reads tickets, and each `TicketReader` is used in one place. The tests in
tests/contract/test_ticket_readers.py send a revoked ticket to every reader, and fail if a reader has no test.
"""

from enum import Enum, auto

from realtime import conf
from realtime.connect.tickets import Ticket, read_cookie_ticket, read_renewable, read_rights, read_ticket


class TicketReader(Enum):
    """A place that accepts a ticket."""

    WEBSOCKET = auto()
    EVENTS = auto()
    SNAPSHOT = auto()
    REFRESH = auto()
    RENEWAL = auto()
    PROGRESS = auto()


_FUNCTIONS = {TicketReader.RENEWAL: read_renewable, TicketReader.PROGRESS: read_rights}
"""The functions with which these two read a ticket. All other readers use `read_ticket`, which accepts a ticket for 60
seconds after its issue."""


def read(reader: TicketReader, text: str) -> Ticket:
    """Read a ticket. The caller must still check whether it was revoked, as `admit` and `ServerProcess.admit` do.

    Raise TicketExpiredError if the ticket is too old, and TicketError if it is not valid.
    """
    return _FUNCTIONS.get(reader, read_ticket)(text, *conf.ticket_keys())


def read_cookie(cookies: dict[str, str], tenant_code: str, *, reconnecting: bool) -> Ticket | None:
    """Return the ticket in this tenant's cookie, or None if there is no cookie.

    The caller must still check whether the ticket was revoked. Raise TicketExpiredError if the ticket is too old, and
    TicketError if it is not valid.
    """
    for secure in (True, False):
        name = cookie_name(tenant_code, secure=secure)
        if name in cookies:
            return read_cookie_ticket(cookies[name], name, *conf.ticket_keys(), reconnecting=reconnecting)
    return None


def cookie_name(tenant_code: str, *, secure: bool) -> str:
    """Return the name of the cookie with a tenant's ticket.

    The name contains the tenant's code, so that a browser can have tickets of several tenants.
    """
    return guarded_name(f"realtime_{tenant_code}", secure=secure)


def guarded_name(name: str, *, secure: bool) -> str:
    """Return the name of a cookie that grants rights. With TLS it has the prefix `__Secure-`.

    No page that was loaded over plain HTTP can set a cookie with this prefix, even if the page is from another host of
    the same domain (RFC 6265bis, section 4.1.3). The prefix `__Host-` is not used, because a browser sends a cookie
    with that prefix to every path.
    """
    return f"{'__Secure-' if secure else ''}{name}"


def admit(reader: TicketReader, text: str) -> Ticket:
    """Read a ticket and check that it was not revoked. This is for code outside the event loop.

    Raise TicketExpiredError if the ticket is too old, TicketError if it is not valid, RevokedError if it was revoked,
    and RedisError if revocations cannot be checked.
    """
    ticket = read(reader, text)
    conf.revocations().check(ticket)
    return ticket
