"""The exceptions of the engine. Their messages are for people."""

from redis.exceptions import RedisError


class RealtimeError(Exception):
    """The base class of the engine's exceptions."""


class BadTopicError(RealtimeError):
    """A text is not a valid topic."""


class BadRecordError(RealtimeError):
    """A record or a pub/sub message is not valid: a field has a wrong value, or a text has a wrong form."""


class TicketError(RealtimeError):
    """The ticket is not valid."""


class TicketExpiredError(TicketError):
    """The ticket has expired. The client has to get a new one."""


class RevokedError(TicketError):
    """The session was ended, or the account was changed. The user has to sign in again."""


class WritesRefusedError(RealtimeError, RedisError):
    """Redis refused the mark of a revocation. All processes were informed, but the mark still has to be written."""


class MarksUnreadableError(RealtimeError, RedisError):
    """Revocations cannot be checked: Redis refuses writes or does not answer, and the database cannot be read."""


class TooManyConnectionsError(RealtimeError):
    """A limit of connections is reached. `limit` says whose: `user`, `tenant` or `process`."""

    def __init__(self, message: str, limit: str) -> None:
        super().__init__(message)
        self.limit = limit


class ForbiddenTopicError(RealtimeError):
    """The caller may not watch this topic."""


class BadFrameError(RealtimeError):
    """A frame from the client does not follow the protocol."""


class FeedUnavailableError(RealtimeError):
    """The feed cannot be read, or revocations cannot be checked, mostly because Redis does not answer."""


class UnsendableError(RealtimeError):
    """A row of the outbox can never be sent. Raised by a sender; the row is set aside for the operator."""


class NotNowError(RealtimeError):
    """A row of the outbox cannot be sent now, but can be later: the reason is not in the row. Raised by a sender."""


class LeaseLostError(RealtimeError):
    """Another process has taken over the lease. The work that needs the lease must stop in this process."""


class CheckFailedError(RealtimeError):
    """A check of the doctor found a fault. `mend` says how to fix the fault."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.mend = mend
