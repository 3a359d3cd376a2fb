"""Tests of the doctor's checks of push: a server closes the connection, or messages from Redis do not arrive."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

from realtime.feed.hub import Hub
from realtime.operate import doctor_push
from realtime.operate.doctor_push import check_hub, check_server
from realtime.protocol.close_codes import CloseCode
from realtime.records.errors import CheckFailedError
from realtime.web.handshake import SUBPROTOCOL

pytestmark = pytest.mark.usefixtures("redis", "forget_clients")


@contextmanager
def closing(code: int) -> Iterator[str]:
    """Run a server that closes every connection with this code, and yield its URL."""

    def close(connection: ServerConnection) -> None:
        connection.close(code, "sorry")

    with serve(close, "127.0.0.1", 0, subprotocols=[Subprotocol(SUBPROTOCOL)]) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (CloseCode.TICKET_INVALID, "SECRET_KEY"),
        (CloseCode.LIFETIME_OVER, "synchronize both by NTP"),
        (CloseCode.TOO_MANY_CONNECTIONS, "REALTIME_MAX_CONNECTIONS"),
        (CloseCode.FEED_UNAVAILABLE, "/readyz"),
    ],
)
def test_the_close_code_decides_what_is_to_be_done(code: CloseCode, words: str) -> None:
    with (
        closing(code) as url,
        pytest.raises(CheckFailedError, match=f"closed the connection: {int(code)} sorry") as found,
    ):
        check_server(url)()
    assert words in found.value.mend


def test_a_redis_whose_messages_do_not_arrive_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_push, "PUSH_SECONDS", 0.05)
    monkeypatch.setattr(Hub, "on_messages", lambda *_messages: None)
    with pytest.raises(CheckFailedError, match="nothing arrived within") as found:
        check_hub()
    assert "Pub/sub does not work" in found.value.mend
