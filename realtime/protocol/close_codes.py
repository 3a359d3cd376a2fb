"""The close codes of connections, and the HTTP statuses of refusals. A close code tells the client what to do next.

4000-4099: reconnect. 4100-4199: do what the code demands, then reconnect. 4400-4499: stop. (RFC 6455, section 7.4.2:
4000-4999 are for applications. 1012 is registered with the IANA as "Service Restart".)
"""

from enum import IntEnum

from realtime.records.errors import RealtimeError

RETRY_AFTER_MS = 2000
"""How long a refused client has to wait by default before it tries again, in milliseconds."""


class CloseCode(IntEnum):
    SERVER_RESTART = 1012
    NO_PONG = 4001
    TOO_SLOW = 4002
    FEED_UNAVAILABLE = 4003
    LIFETIME_OVER = 4100
    TOO_MANY_CONNECTIONS = 4101
    TOO_MANY_FRAMES = 4102
    BAD_FRAMES = 4400
    TICKET_INVALID = 4401
    NOT_ALLOWED = 4403
    REVOKED = 4410


REASONS = {
    CloseCode.SERVER_RESTART: "server restart",
    CloseCode.NO_PONG: "no pong for two periods",
    CloseCode.TOO_SLOW: "too slow",
    CloseCode.FEED_UNAVAILABLE: "the feed cannot be read at the moment",
    CloseCode.LIFETIME_OVER: "ticket or connection lifetime over",
    CloseCode.TOO_MANY_CONNECTIONS: "too many connections",
    CloseCode.TOO_MANY_FRAMES: "too many frames",
    CloseCode.BAD_FRAMES: "bad frames",
    CloseCode.TICKET_INVALID: "ticket invalid",
    CloseCode.NOT_ALLOWED: "not allowed",
    CloseCode.REVOKED: "revoked",
}

HTTP_STATUSES = {
    CloseCode.LIFETIME_OVER: 401,
    CloseCode.TICKET_INVALID: 401,
    CloseCode.REVOKED: 401,
    CloseCode.NOT_ALLOWED: 403,
    CloseCode.BAD_FRAMES: 400,
    CloseCode.TOO_MANY_CONNECTIONS: 429,
    CloseCode.FEED_UNAVAILABLE: 503,
    CloseCode.SERVER_RESTART: 503,
}
"""The HTTP status of each close code that can refuse a client. A WebSocket gets the code, an HTTP request the
status."""

HTTP_ERRORS = {
    400: "invalid",
    401: "ticket_invalid",
    403: "forbidden_topic",
    429: "too_many_connections",
    503: "unavailable",
}
"""The `code` in the JSON body of a refusal, for each HTTP status."""


class RefusedError(RealtimeError):
    """The connection is refused. `code` tells the client what to do, and `retry_after_ms` when.

    `limit` says whose limit of connections is reached: that of the user, the tenant or the process.
    """

    def __init__(
        self, code: CloseCode, message: str, retry_after_ms: int | None = None, *, limit: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_ms = retry_after_ms
        self.limit = limit
