"""A fake of an old Redis: it answers the commands that read its version, and refuses almost all others.

    python harness/old_redis.py --port 7000

Other options of redis-server are ignored. `old_redis()` runs the fake in this process.
"""

from __future__ import annotations

import socketserver
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "127.0.0.1"
VERSION = "5.0.14"
ABOUT = "\r\n".join(
    ["# Server", f"redis_version:{VERSION}", "used_memory:1000", "maxmemory:0", "maxmemory_policy:noeviction", ""]
)


class _Answering(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while head := self.rfile.readline():
            words = [self._word() for _ in range(int(head[1:]))]
            self.wfile.write(_answer(words))

    def _word(self) -> str:
        length = int(self.rfile.readline()[1:])
        return self.rfile.read(length + 2)[:-2].decode()


def _answer(words: list[str]) -> bytes:
    name = words[0].upper()
    if name == "PING":
        return b"+PONG\r\n"
    if name == "CLIENT":  # a client sends its name
        return b"+OK\r\n"
    if name == "INFO" or (name == "EVAL" and "INFO" in words[1]):
        return f"${len(ABOUT)}\r\n{ABOUT}\r\n".encode()
    return f"-ERR unknown command `{name}`\r\n".encode()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def old_redis() -> Iterator[str]:
    """Run a server that answers like an old Redis, and yield its address."""
    with _Server((HOST, 0), _Answering) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"redis://{HOST}:{server.server_address[1]}/0"
        server.shutdown()


if __name__ == "__main__":
    with _Server((HOST, int(sys.argv[sys.argv.index("--port") + 1])), _Answering) as running:
        running.serve_forever()
