"""The interface of message providers, and the three errors with which sending can fail."""

from dataclasses import dataclass
from typing import Protocol


class MessageRefusedError(Exception):
    """The message was not accepted, but others may be. The error's message says why."""


class ProviderUnavailableError(Exception):
    """The message was certainly not accepted. It may be sent again later."""


class OutcomeUnknownError(Exception):
    """Nobody knows whether the message was accepted. It must not be sent again."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send. `key` is unique among all installations, so that a provider can recognise a duplicate."""

    key: str
    recipient: str
    text: str


class Provider(Protocol):
    """Sends messages for one thread. `close` closes the connections that it keeps."""

    def send(self, message: Outgoing) -> None:
        """Send a message, and return once it was accepted.

        Raises MessageRefusedError, ProviderUnavailableError or OutcomeUnknownError, and nothing else.
        """

    def close(self) -> None: ...
