"""`ACADEMY_HOME`: the folder with the data, logs, secrets and run file of one system."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from embedded.errors import EmbeddedError
from embedded.files import private_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROJECT = Path(__file__).resolve().parent.parent
_LOG_LIMIT = 20_000_000  # bytes; a longer log is renamed at the next start


class AlreadyRunsError(Exception):
    """Another `script/up` uses this folder."""


class Home:
    """The paths in `folder`. Nothing is created before `prepare`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.run_file = folder / "run.json"
        self.processes_file = folder / "processes.json"
        self.environment_file = folder / "environment.json"
        self.media = folder / "media"
        self.messages = folder / "messages"
        self.temporary = folder / "tmp"

    def ready_file(self, worker: str) -> Path:
        """Return the file that a worker writes each time that it polls its queue."""
        return self.folder / f"{worker}.ready"

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Home:
        """Return the home at the path in `ACADEMY_HOME`. If that is not set, return `.academy` in the project."""
        chosen = environment.get("ACADEMY_HOME") or ""
        return cls(Path(os.path.abspath(chosen)) if chosen else PROJECT / ".academy")  # noqa: PTH100 (keep links)

    def prepare(self) -> None:
        """Create the folders, and rename logs that are too long. Raises EmbeddedError if the folder cannot be used."""
        # If root starts the system, PostgreSQL runs as another user, who must be able to enter this folder. The secrets
        # in it have the mode 0600, or 0700 for folders.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        try:
            self.folder.mkdir(mode=mode, parents=True, exist_ok=True)
            self.logs.mkdir(mode=0o700, exist_ok=True)
            for private in (self.media, self.messages, self.temporary):
                private.mkdir(mode=0o700, exist_ok=True)
            for log in self.logs.glob("*.log"):
                if log.stat().st_size > _LOG_LIMIT:
                    log.replace(log.with_suffix(".log.old"))
        except OSError as error:
            raise EmbeddedError(
                f"The folder {self.folder} cannot be used ({error.strerror}): "
                "set ACADEMY_HOME to a folder that you may write to."
            ) from None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder for this process during the `with` block.

        If the process ends within the block, even by `kill -9`, the kernel releases the lock.

        Raises AlreadyRunsError if another process has locked it, and EmbeddedError if the folder cannot be used.
        """
        try:
            lock = (self.folder / "up.lock").open("a", encoding="utf-8")
        except OSError as error:
            raise EmbeddedError(f"The folder {self.folder} cannot be used: {error.strerror}.") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunsError from None
            yield

    def secret_key(self) -> str:
        """Return the secret key. It is generated once and stored (0600), so that tokens stay valid after a restart."""
        file = self.folder / "secret_key"
        if not file.exists():
            private_text(file, secrets.token_urlsafe(48))
        return file.read_text(encoding="utf-8").strip()
