"""A stand-in for an HTTP gateway, in a thread. It keeps the requests, and sends the responses that the test sets."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Message = dict[str, str]


class Gateway(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[Message] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Callable[[Message], int] = lambda _message: 202

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/send?from=academy"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore the error: in some tests the client disappears on purpose."""


class _Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.received.append(message)
        self.server.headers.append({**self.headers, "path": self.path})
        status = self.server.answer(message)
        if status:  # with 0, closes the connection without a response
            self.send_response(status)
            self.end_headers()
            self.wfile.write(f"answer {status}".encode())

    def log_message(self, *_words: Any) -> None:
        """Log nothing."""


@contextmanager
def running_gateway() -> Iterator[Gateway]:
    with Gateway() as gateway:
        thread = threading.Thread(target=gateway.serve_forever, args=[0.02])
        thread.start()
        try:
            yield gateway
        finally:
            gateway.shutdown()
            thread.join()


class DeafListener:
    """Accepts connections and never sends a byte, so that a TLS client waits in the handshake and sends no request."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._taken: list[socket.socket] = []
        self.asked = threading.Event()
        self._thread = threading.Thread(target=self._take)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._socket.getsockname()[1]}/send"

    def _take(self) -> None:
        try:
            while True:
                self._taken.append(self._socket.accept()[0])
                self.asked.set()
        except OSError:
            return  # closed

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        for taken in self._taken:
            taken.close()
