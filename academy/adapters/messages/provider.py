"""The interface of message providers, and the three errors that sending a message can raise."""

from dataclasses import dataclass
from typing import Protocol


class MessageRefusedError(Exception):
    """The provider refused this message, but may accept others. The text of the error says why."""


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
    """Sends messages. Two threads must not call `send` at the same time. `close` closes the connections kept open."""

    def send(self, message: Outgoing) -> None:
        """Send a message, and return when the provider has accepted it.

        Raises MessageRefusedError, ProviderUnavailableError or OutcomeUnknownError, and nothing else.
        """

    def close(self) -> None: ...
