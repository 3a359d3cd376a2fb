"""Runs a PostgreSQL with a database `academy` for the user `academy`, on the loopback address only."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

from embedded import postgres_user, process, programs
from embedded.errors import EmbeddedError
from embedded.files import private_text
from embedded.ports import HOST
from embedded.server import Server
from embedded.spawn import Order

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_BUILTIN_LOCALE_SINCE = 17
_PROTOCOL_3 = 196_608
_UNAVAILABLE = (b"53", b"57", b"58", b"XX")  # classes of SQLSTATE: too many clients, starting, shutting down, defects
_DATABASE = "academy"
_MAKE_SECONDS = 120.0


class PostgresServer(Server):
    """A PostgreSQL. Its `url` is `postgresql://academy:<password>@127.0.0.1:<port>/academy`; `academy` is a superuser.

    The password is generated once and stored in `<folder>/password` (0600). There is no Unix socket: its path could be
    too long for the system (107 bytes), and nobody needs it. With `durable=False` (tests) the server does not wait for
    the disk: a crash of the machine may corrupt the data, but a crash of the server does not.
    """

    kind = "postgres"
    variable = "DATABASE_URL"
    default_port = 5432
    end_signal = signal.SIGINT  # a "fast" shutdown; SIGTERM would wait until all clients disconnect

    @property
    def data_folder(self) -> Path:
        return self.folder / "data"

    @property
    def password(self) -> str:
        """The password of the user `academy`. It is generated at the first use."""
        file = self.folder / "password"
        if not file.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            private_text(file, secrets.token_hex(16))
        return file.read_text(encoding="utf-8").strip()

    @property
    def url(self) -> str:
        return self.external or f"postgresql://{_DATABASE}:{self.password}@{HOST}:{self.port}/{_DATABASE}"

    def _prepare(self) -> Order:
        # The user who runs PostgreSQL must be able to enter this folder. The data folder in it has the mode 0700, and
        # the file with the password 0600.
        self.folder.chmod(0o711)
        made_by = self._made_by()
        found, user = programs.first_working(programs.postgres_servers(made_by), self._make_ready)
        self._clear_leftover()
        postgres_user.give(self.data_folder, user)
        return Order(
            argv=[str(found.postgres), "-D", str(self.data_folder), *self._options()],
            log_file=self.log_file,
            environment=self._environment(),
            folder=self.folder,
            end_signal=self.end_signal,
            user=user,
        )

    def _made_by(self) -> str | None:
        """Return the version that made the data, or None if there are no data yet."""
        if not self.data_folder.exists():
            return None
        return (self.data_folder / "PG_VERSION").read_text(encoding="ascii").strip()

    def _make_ready(self, found: programs.PostgresPrograms) -> tuple[programs.PostgresPrograms, str | None]:
        """Make the data with these programs, if there are no data yet.

        Return the programs, and the user who is to run them (see `postgres_user.choose`). Raises EmbeddedError if the
        programs do not work, or cannot use the existing data.
        """
        made_by = self._made_by()
        if made_by is not None:
            self._refuse_other_version(made_by, found.version)
        programs.refuse_old_postgres(found)
        user = postgres_user.choose(self.folder, [found.postgres, found.initdb])
        if made_by is None:
            self._make_data(found, user)
        return found, user

    def _options(self) -> list[str]:
        settings = {
            "listen_addresses": HOST,
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 100,
            "shared_buffers": "64MB",
            "log_line_prefix": "%m [%p] %a ",
            "timezone": "UTC",
        }
        if not self.durable:
            # A commit is still handed to the operating system, so it survives if only the server is killed.
            settings |= {"fsync": "off", "full_page_writes": "off"}
        return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

    @staticmethod
    def _environment() -> dict[str, str]:
        # Leave out the user's PG* variables, which are for another server. The locale C makes the log English.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
        return kept | {"LC_ALL": "C"}

    def _refuse_other_version(self, made_by: str, version: int) -> None:
        if made_by != str(version):
            other = f"install PostgreSQL {made_by} or put it on PATH, or " if programs.suits(made_by) else ""
            raise EmbeddedError(
                f"The data in {self.data_folder} were made by PostgreSQL {made_by}, but this one is {version}: "
                f"{other}move that folder away to start with an empty one."
            )

    def _clear_leftover(self) -> None:
        """End a server of an earlier run in this folder. Delete its pid file if another program has that pid now."""
        file = self.data_folder / "postmaster.pid"
        try:
            pid = int(file.read_text(encoding="utf-8").split("\n", 1)[0])
        except (OSError, ValueError):
            return
        known = process.identity(pid)
        if known is not None and str(self.data_folder) in process.command_line(pid):
            process.end_proven(pid, known, self.end_signal)
        elif known is not None:
            file.unlink(missing_ok=True)

    def _make_data(self, found: programs.PostgresPrograms, user: str | None) -> None:
        """Make the database in a temporary folder, and rename the folder when it is complete."""
        aside = self.folder / "data.unfinished"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(mode=0o700)
        postgres_user.give(aside, user)
        command = [str(found.initdb), "-D", str(aside), "--username", _DATABASE, "--auth", "trust", "--no-sync"]
        self._run([*command, "--encoding", "UTF8", *_locale_options(found.version)], user)
        (aside / "pg_hba.conf").write_text(f"host all all {HOST}/32 scram-sha-256\n", encoding="ascii")
        # Single-user mode needs no client and opens no port, so the password is set before anybody can connect.
        statements = f"ALTER ROLE {_DATABASE} PASSWORD '{self.password}'\nCREATE DATABASE {_DATABASE}\n"
        self._run([str(found.postgres), "--single", "-D", str(aside), "postgres"], user, statements)
        aside.rename(self.data_folder)

    def _run(self, argv: Sequence[str], user: str | None, said: str = "") -> None:
        """Run one of PostgreSQL's programs with the input `said`. If it fails, raise EmbeddedError with its output."""
        order = Order(argv=argv, log_file=self.log_file, user=user, end_signal=signal.SIGTERM)
        try:
            run = subprocess.run(
                order.command(),
                input=said,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=_MAKE_SECONDS,
                env=self._environment(),
                cwd=self.folder,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise EmbeddedError(f"{argv[0]} did not end within {_MAKE_SECONDS:.0f} s") from None
        if run.returncode != 0 or "ERROR:" in run.stdout or "FATAL:" in run.stdout:
            raise EmbeddedError(
                f"PostgreSQL's database could not be made in {self.folder} by {argv[0]}:\n{run.stdout.strip()}"
            )

    def _is_ready(self) -> bool:
        """Connect like a client, and return whether the server is ready. This check does not log in.

        A ready server asks for the password. A server that is still starting refuses the connection. An external
        server may also refuse it because of the user's name, or because it requires TLS. Then it counts as ready.
        """
        words = b"user\0academy\0database\0academy\0application_name\0readiness\0\0"
        message = struct.pack("!ii", len(words) + 8, _PROTOCOL_3) + words
        with self._connect() as connection:
            connection.sendall(message)
            with connection.makefile("rb") as answer:
                kind, length = struct.unpack("!ci", answer.read(5).ljust(5, b"\0"))
                said = answer.read(max(0, length - 4)) if kind == b"E" else b""
        if kind != b"E":
            return bool(kind == b"R")
        codes = [part[1:] for part in said.split(b"\0") if part.startswith(b"C")]
        return self.external is not None and not any(code.startswith(_UNAVAILABLE) for code in codes)


def _locale_options(version: int) -> list[str]:
    """Return the options of initdb with which text sorts by code point, so that all machines behave the same.

    Upper and lower case follow Unicode, except for a PostgreSQL before 17 on a system without the locale C.UTF-8.
    """
    if version >= _BUILTIN_LOCALE_SINCE:
        return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    return ["--locale=C.UTF-8", "--lc-messages=C"] if _system_has("C.UTF-8") else ["--locale=C"]


def _system_has(name: str) -> bool:
    """Return whether the C library has this locale.

    Try it in a separate process, because setting a locale changes the whole process.
    """
    code = "import locale, sys; locale.setlocale(locale.LC_ALL, sys.argv[1])"
    return subprocess.run([sys.executable, "-I", "-c", code, name], capture_output=True, check=False).returncode == 0
