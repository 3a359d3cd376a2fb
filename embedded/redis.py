"""Redis with the eviction policy that production has: `volatile-lru`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from embedded import programs
from embedded.errors import EmbeddedError
from embedded.ports import HOST
from embedded.server import Server
from embedded.spawn import Order

if TYPE_CHECKING:
    from pathlib import Path

_MEMORY = "256mb"


class RedisServer(Server):
    """`url` is `redis://127.0.0.1:<port>/0`, without a password.

    No password, since nobody beyond this machine can connect, the dangerous commands (CONFIG SET dir, MODULE, DEBUG)
    are shut by default since Redis 7, and a test may put a plain server in this one's place at the same address.

    `durable=False` (tests): a dump is written by `save()` and by `stop()`; `kill()` loses what came after the last one.
    `durable=True` (script/up): an append-only file, at most the last second is lost.
    """

    kind = "redis"
    variable = "REDIS_URL"
    default_port = 6379

    @property
    def data_folder(self) -> Path:
        return self.folder / "data"

    @property
    def dump_file(self) -> Path:
        """Where the dump is written to and read from."""
        return self.data_folder / "dump.rdb"

    @property
    def url(self) -> str:
        return self.external or f"redis://{HOST}:{self.port}/0"

    def start(self, *, empty: bool = False, dump: Path | None = None) -> None:
        """Start with the data of the last time; with `empty=True` without any; with `dump` with that file's.

        A dump can be given to a server that is not durable only: the append-only file would win over it.
        """
        if not self.running and (empty or dump is not None):
            shutil.rmtree(self.data_folder, ignore_errors=True)
        if not self.running and dump is not None:
            if self.durable:
                raise EmbeddedError("A durable Redis cannot be started from a dump: its append-only file goes first.")
            self.data_folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(dump, self.dump_file)
        super().start()

    def arguments(self) -> list[str]:
        """What redis-server is started with, after its own name."""
        # Without a save point SIGTERM would not write a dump. This one never comes due by itself in a test's time.
        keep = ["--appendonly", "yes", "--save", ""] if self.durable else ["--save", "86400 1"]
        limits = ["--maxmemory", _MEMORY, "--maxmemory-policy", "volatile-lru"]
        # The folder is the working one, so that blanks and quotes in its path need no quoting rules.
        return ["--bind", HOST, "--port", str(self.port), "--dir", ".", "--daemonize", "no", *limits, *keep]

    def _prepare(self) -> Order:
        self.data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        argv = [str(programs.redis_server()), *self.arguments()]
        return Order(argv=argv, log_file=self.log_file, folder=self.data_folder)

    def command(self, *words: str, timeout: float = 30.0) -> str:
        """Send one command and return the first line of the answer, such as "+PONG"; an error starts with "-"."""
        parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
        with self._connect() as connection:
            connection.settimeout(timeout)
            connection.sendall(f"*{len(words)}\r\n{''.join(parts)}".encode())
            with connection.makefile("rb") as answer:
                return answer.readline().decode().rstrip("\r\n")

    def save(self) -> Path:
        """Write the dump now; returns its file, to be copied and given to `start(dump=…)` later."""
        answer = self.command("SAVE")
        if answer != "+OK":
            raise EmbeddedError(f"Redis could not write its dump: {answer.lstrip('-')}.")
        return self.dump_file

    def _is_ready(self) -> bool:
        answer = self.command("PING", timeout=2.0)
        # A password or TLS of an external server is the clients' matter: it is there, and that is what we ask.
        return answer == "+PONG" or (self.external is not None and bool(answer))
