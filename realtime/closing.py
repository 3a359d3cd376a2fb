"""Close codes: the number says what the client does.

4000-4099: reconnect. 4100-4199: reconnect after doing something. 4400-4499: stop. (RFC 6455, section 7.4.2: 4000-4999
are for applications; 1012 is registered as "Service Restart".)
"""

from enum import IntEnum

RETRY_AFTER_MS = 2000
"""So long a client that was refused waits, if nothing else is said."""


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
