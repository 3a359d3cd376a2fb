"""What a process keeps of the engine, made anew for each test that asks."""

from collections.abc import Callable, Iterator

import pytest

from realtime import conf
from realtime.outbox.delivery import Delivery, RevocationDelivery


@pytest.fixture
def anew() -> Iterator[Callable[[], None]]:
    """Call it after settings have changed: publisher and clients are then made with the new ones."""
    _forget()
    yield _forget
    _forget()


@pytest.fixture(autouse=True)
def _tried_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a relay could not send is due in its next round."""
    for kind in (Delivery, RevocationDelivery):
        monkeypatch.setattr(kind, "later_seconds", 0.0)


def _forget() -> None:
    conf.publisher().close()
    conf.redis().close()
    conf.publisher.cache_clear()
    conf.redis.cache_clear()
    conf.revocations.cache_clear()
