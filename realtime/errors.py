"""What can go wrong, one class each; the sentence is for people."""


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


class ForbiddenTopicError(RealtimeError):
    """The caller may not see this topic."""


class BadFrameError(RealtimeError):
    """A frame from the client is not one of the protocol's."""


class FeedUnavailableError(RealtimeError):
    """The feed cannot be read at the moment, because Redis cannot be reached."""
