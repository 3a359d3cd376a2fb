"""Fixtures that let the engine use changed settings, and let relays try again at once."""

from collections.abc import Callable, Iterator

import pytest

from realtime import conf
from realtime.outbox.delivery import Delivery, RevocationDelivery


@pytest.fixture
def forget_clients() -> Iterator[Callable[[], None]]:
    """Yield a function to call after a change of settings: the engine then makes its publisher and clients again."""
    _forget()
    yield _forget
    _forget()


@pytest.fixture(autouse=True)
def _tried_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a relay try rows that it could not send again in its next round."""
    for kind in (Delivery, RevocationDelivery):
        monkeypatch.setattr(kind, "later_seconds", 0.0)


def _forget() -> None:
    conf.publisher().close()
    conf.redis().close()
    conf.publisher.cache_clear()
    conf.redis.cache_clear()
    conf.revocations.cache_clear()
