"""Fixtures that let the engine use changed settings, and let relays retry rows without a pause."""

from collections.abc import Callable, Iterator

import pytest

from realtime import conf
from realtime.outbox.delivery import Delivery, RevocationDelivery


@pytest.fixture
def forget_clients() -> Iterator[Callable[[], None]]:
    """Yield a function to call after a change of settings: the engine then creates a new publisher and new clients."""
    _forget()
    yield _forget
    _forget()


@pytest.fixture(autouse=True)
def _tried_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a relay retry, in its next round, the rows that it could not send."""
    for kind in (Delivery, RevocationDelivery):
        monkeypatch.setattr(kind, "later_seconds", 0.0)


def _forget() -> None:
    conf.publisher().close()
    conf.redis().close()
    conf.publisher.cache_clear()
    conf.redis.cache_clear()
    conf.revocations.cache_clear()
