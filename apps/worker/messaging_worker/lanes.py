"""Threads that send messages to the provider. The job's own thread claims the messages and saves their outcomes."""

import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from academy.adapters.messages.choice import open_provider
from academy.adapters.messages.provider import Outgoing, Provider
from apps.domains.messaging.models import Message

LANES = 4
"""How many messages of one job may be at the provider at once."""


class Lanes:
    """Sends messages in parallel. Each thread has a `Provider` of its own. Call `close` at the end."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(LANES, thread_name_prefix="lane")
        self._own = threading.local()
        self._providers: list[Provider] = []
        self._sending: dict[Future[None], Message] = {}

    def __len__(self) -> int:
        """Return how many messages are being sent: the provider has been given them, and has not answered yet."""
        return len(self._sending)

    def send(self, message: Message, key: str) -> None:
        """Start sending a message. `ended` returns its outcome later."""
        outgoing = Outgoing(key, message.recipient, message.text)
        self._sending[self._pool.submit(self._send, outgoing)] = message

    def ended(self, seconds: float | None = 0.0) -> list[tuple[Message, Exception | None]]:
        """Wait up to `seconds` until a message is sent or fails. With None, wait for all messages.

        Return the messages that were sent or failed, each with its error or None.
        """
        done, _ = wait(self._sending, seconds, FIRST_COMPLETED) if seconds is not None else wait(self._sending)
        return [(self._sending.pop(future), _raised(future)) for future in done]

    def close(self) -> None:
        self._pool.shutdown()
        for provider in self._providers:
            provider.close()

    def _send(self, outgoing: Outgoing) -> None:
        provider: Provider | None = getattr(self._own, "provider", None)
        if provider is None:
            provider = self._own.provider = open_provider()
            self._providers.append(provider)
        provider.send(outgoing)


def _raised(future: Future[None]) -> Exception | None:
    problem = future.exception()
    if problem is not None and not isinstance(problem, Exception):
        raise problem
    return problem
