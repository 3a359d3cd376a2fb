"""Threads that hand messages to the provider. Claims and saves stay with the thread of the job."""

import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from academy.adapters.messages.choice import open_provider
from academy.adapters.messages.provider import Outgoing, Provider
from apps.domains.messaging.models import Message

LANES = 4
"""Messages of one job that may be at the provider at once."""


class Lanes:
    """Sends messages side by side, each thread with a provider of its own. Close it in the end."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(LANES, thread_name_prefix="lane")
        self._own = threading.local()
        self._providers: list[Provider] = []
        self._sending: dict[Future[None], Message] = {}

    def __len__(self) -> int:
        """How many messages are at the provider."""
        return len(self._sending)

    def send(self, message: Message, key: str) -> None:
        """Start sending a message. `ended` returns its outcome later."""
        outgoing = Outgoing(key, message.recipient, message.text)
        self._sending[self._pool.submit(self._send, outgoing)] = message

    def ended(self, seconds: float | None = 0.0) -> list[tuple[Message, Exception | None]]:
        """Wait up to `seconds` for the first one (None: for all). Return those that ended, with what was raised."""
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
