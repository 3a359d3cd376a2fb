"""What can go wrong, one class each; the sentence is for people."""

from redis.exceptions import RedisError


class RealtimeError(Exception):
    """Something in the push engine went wrong."""


class BadTopicError(RealtimeError):
    """A topic is no topic."""


class BadRecordError(RealtimeError):
    """A record cannot be published as it is."""


class TicketError(RealtimeError):
    """The ticket is not valid."""


class TicketExpiredError(TicketError):
    """The ticket has expired: get a new one."""


class RevokedError(TicketError):
    """The session was ended, or the account changed: sign in again."""


class WritesRefusedError(RealtimeError, RedisError):
    """Redis takes no writes: all processes were told of the revocation, but its mark is still to be written."""


class MarksUnreadableError(RealtimeError, RedisError):
    """Who was revoked cannot be known: Redis takes no writes, and the database cannot be asked."""


class TooManyConnectionsError(RealtimeError):
    """The user, the tenant or the process holds as many connections as it may; `limit` says which of them."""

    def __init__(self, message: str, limit: str) -> None:
        super().__init__(message)
        self.limit = limit


class ForbiddenTopicError(RealtimeError):
    """The caller may not see this topic."""


class BadFrameError(RealtimeError):
    """A frame from the client is not one of the protocol's."""


class FeedUnavailableError(RealtimeError):
    """The feed cannot be read at the moment, because Redis cannot be reached."""


class UnsendableError(RealtimeError):
    """A row of the outbox can never be sent. A sender raises it: the row is set aside for the operator."""


class NotNowError(RealtimeError):
    """A row of the outbox cannot be sent now, through no fault of its own. A sender raises it; it is sent later."""


class LeaseLostError(RealtimeError):
    """Another process has taken over what this one was doing."""


class CheckFailedError(RealtimeError):
    """A check of the doctor found something wrong; `mend` says how to mend it."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.mend = mend
