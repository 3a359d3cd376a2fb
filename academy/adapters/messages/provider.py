"""What takes a message away: the interface of every provider, and the three ways in which it can fail."""

from dataclasses import dataclass
from typing import Protocol


class MessageRefusedError(Exception):
    """One message was not accepted, and others may be; the sentence says why."""


class ProviderUnavailableError(Exception):
    """Nothing was accepted, for certain: the same message may be sent again later."""


class OutcomeUnknownError(Exception):
    """The message may have been accepted or not, and nobody can tell: it must not be sent again."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """`key` is this message's alone, in all installations: what a provider may tell a second one by."""

    key: str
    recipient: str
    text: str


class Provider(Protocol):
    """For one thread. Whatever it keeps open, `close` closes."""

    def send(self, message: Outgoing) -> None:
        """Returns once the message was accepted.

        Raises MessageRefusedError, ProviderUnavailableError or OutcomeUnknownError, and nothing else.
        """

    def close(self) -> None: ...
