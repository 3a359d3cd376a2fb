"""Runs a Redis with the same eviction policy as in production: `volatile-lru`."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from embedded import programs, redis_data
from embedded.errors import EmbeddedError, NotReadyError
from embedded.ports import HOST
from embedded.server import Server
from embedded.spawn import Order, last_lines
from realtime.redis.oldest_version import is_too_old, needed

_MEMORY = "256mb"
_TRY_SECONDS = 10.0
_SAVING = "Background save already in progress"
_OPEN_SECONDS = 60.0  # reading 256 MB takes some seconds
_SCRIPT = "return redis.call('INFO', 'server')"


class RedisServer(Server):
    """A Redis with the `url` `redis://127.0.0.1:<port>/0`, without a password.

    It needs no password: nobody outside this machine can connect, and the dangerous commands (CONFIG SET dir, MODULE,
    DEBUG) are disabled by default since Redis 7. A password would also make tests harder: if a test starts another
    server at the same address, that server would need the same password.

    With `durable=False` (tests), `save()` and `stop()` write a dump, and `kill()` loses what came after the last dump.
    With `durable=True` (script/up) it has an append-only file, and a crash loses at most the last second.
    """

    program: Path | None = None
    """The server program. By default it is the first one found that works and can open the data."""
    _proven: Path | None = None
    """The program of the last start, which can open the data. None before that, and after a dump was copied."""
    kind = "redis"
    variable = "REDIS_URL"
    default_port = 6379

    @property
    def data_folder(self) -> Path:
        return self.folder / "data"

    @property
    def dump_file(self) -> Path:
        """The file of the dump."""
        return self.data_folder / "dump.rdb"

    @property
    def url(self) -> str:
        return self.external or f"redis://{HOST}:{self.port}/0"

    def start(self, *, empty: bool = False, dump: Path | None = None) -> None:
        """Start with the data of the last run. With `empty=True`, start without data; with `dump`, from that file.

        Raises EmbeddedError for a dump if the server is durable: Redis would ignore it, and read the append-only file.
        """
        if not self.running and dump is not None and self.durable:
            raise EmbeddedError("A durable Redis cannot start from a dump: it reads its append-only file instead.")
        if not self.running and (empty or dump is not None):
            shutil.rmtree(self.data_folder, ignore_errors=True)
        if not self.running and dump is not None:
            self.data_folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(dump, self.dump_file)
            self._proven = None  # another program may have written the dump
        super().start()

    def arguments(self) -> list[str]:
        """Return the arguments of redis-server."""
        # Redis writes a dump on SIGTERM only if it has a save point. This save point comes after a day: no test runs
        # so long.
        keep = ["--appendonly", "yes", "--save", ""] if self.durable else ["--save", "86400 1"]
        limits = ["--maxmemory", _MEMORY, "--maxmemory-policy", "volatile-lru"]
        # Use the working folder, so that spaces and quotes in its path need no quoting.
        return ["--bind", HOST, "--port", str(self.port), "--dir", ".", "--daemonize", "no", *limits, *keep]

    def _prepare(self) -> Order:
        self.data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._proven = self.program or self._proven or self.choose_program()
        argv = [str(self._proven), *self.arguments()]
        return Order(argv=argv, log_file=self.log_file, folder=self.data_folder)

    def choose_program(self) -> Path:
        """Return the first program that works and can open the existing data. Raises EmbeddedError if none does."""
        first = working_program(os.environ.get("PATH", ""))
        if not redis_data.is_there(self.data_folder):
            return first
        found = programs.redis_servers()
        openings = [_Opening(program, self.data_folder) for program in found[found.index(first) :]]
        try:
            return programs.first_working(openings, self._open).program
        except _UnreadableError as problem:
            raise EmbeddedError(f"{problem} {self._advice()}") from None

    def _open(self, opening: _Opening) -> _Opening:
        """Start the program with the data, kill it, and return `opening`. Raises EmbeddedError if it cannot start.

        Only a trial proves that a program can read the data. A dump begins with the version of its format (REDIS0012),
        but Redis and Valkey count these versions differently, and the append-only file may have commands that only
        later programs know. A Redis that cannot read all of its data ends before it writes anything.
        """
        _tried(opening.program)
        logged = self.log_file.stat().st_size if self.log_file.exists() else 0
        with tempfile.TemporaryDirectory() as folder:
            trial = _Trial(Path(folder), durable=self.durable, log_file=self.log_file)
            trial.program, trial.tried_folder = opening.program, self.data_folder
            try:
                trial.start()
                trial.wait_ready(_OPEN_SECONDS)
            except NotReadyError as problem:
                reason = redis_data.complaint(self.log_file, logged) or problem.how
                raise _UnreadableError(f"{opening} cannot open the data in {self.data_folder}: {reason}.") from None
            finally:
                trial.kill()
        return opening

    def _advice(self) -> str:
        """Return what to do with data that no program can open."""
        writer = redis_data.writer(self.data_folder)
        whose = f"{writer} or a later version wrote it" if writer else "It may be damaged"
        return (
            f"Nothing in it was changed. {whose}: put the redis-server that wrote it before all others on PATH, "
            "repair a copy of the data (redis-check-aof, redis-check-rdb), or move the data away to start without any. "
            f"The log is {self.log_file}."
        )

    def command(self, *words: str, timeout: float = 30.0) -> str:
        """Send a command and return its answer: a text, or a line such as "+PONG". An error starts with "-"."""
        parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
        with self._connect() as connection:
            connection.settimeout(timeout)
            connection.sendall(f"*{len(words)}\r\n{''.join(parts)}".encode())
            with connection.makefile("rb") as answer:
                first = answer.readline().decode()
                if first.startswith("$"):  # a text of this length follows
                    return answer.read(max(0, int(first[1:]))).decode()
                return first.rstrip("\r\n")

    def save(self) -> Path:
        """Write the dump now, and return its file. A copy of it can be given to `start(dump=…)`."""
        until = time.monotonic() + _TRY_SECONDS
        while (answer := self.command("SAVE")).endswith(_SAVING) and time.monotonic() < until:
            time.sleep(0.02)  # Redis is still writing another dump, for a replica
        if answer != "+OK":
            raise EmbeddedError(f"Redis could not write its dump: {answer.lstrip('-')}.")
        return self.dump_file

    def _is_ready(self) -> bool:
        answer = self.command("PING", timeout=2.0)
        # An external server may require a password or TLS, and so answer with an error. The server works nevertheless,
        # unless the error is one of those below.
        if self.external is None:
            return answer == "+PONG"
        return bool(answer) and not answer.startswith(("-LOADING", "-MASTERDOWN", "-ERR max number of clients"))


@dataclass(frozen=True)
class _Opening:
    """A program and the data that it is to open.

    If it fails, `first_working` skips this pair from then on, but still tries the program with other data.
    """

    program: Path
    data_folder: Path

    def __str__(self) -> str:
        return str(self.program)


class _UnreadableError(EmbeddedError):
    """A program cannot open the existing data."""


class _Trial(RedisServer):
    """A Redis that runs for a moment to try a program. It uses the data in `tried_folder`, and writes no dump."""

    tried_folder: Path | None = None

    @property
    def data_folder(self) -> Path:
        return self.tried_folder or super().data_folder

    def arguments(self) -> list[str]:
        return [*super().arguments(), "--save", "", "--auto-aof-rewrite-percentage", "0"]


@cache
def working_program(_search_path: str) -> Path:
    """Return the first redis-server on PATH that works, or the packaged one. Raises EmbeddedError if none does.

    The argument, the value of PATH, is only the key of the cache.
    """
    return programs.first_working(programs.redis_servers(), _tried)


@cache
def _tried(program: Path) -> Path:
    """Run a program for a moment with our options, and return it. Raises EmbeddedError if it is not suitable.

    The packaged program is returned without this trial.
    """
    if program == programs.packaged_redis():
        return program
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder), durable=True)
        server.program = program
        try:
            server.start()
            server.wait_ready(_TRY_SECONDS)
            _refuse_unsuitable(program, server)
        except NotReadyError as problem:
            said = last_lines(server.log_file, 1).strip()
            raise EmbeddedError(f"{program} does not work: {problem.how}{': ' if said else ''}{said}") from None
        finally:
            server.kill()
    return program


def _refuse_unsuitable(program: Path, server: RedisServer) -> None:
    """Raise EmbeddedError if the program is too old, or was built without a feature that the product uses."""
    for words in (("EVAL", _SCRIPT, "0"), ("SPUBLISH", "channel", "message")):
        answer = server.command(*words)
        if answer.startswith("-"):
            raise EmbeddedError(f"{program} refuses {words[0]}: {answer.lstrip('-')}.")
        version = re.search(r"redis_version:(\S+)", answer)
        if version and is_too_old(version[1]):
            raise EmbeddedError(f"{program} is Redis {version[1]}: {needed()}.")
