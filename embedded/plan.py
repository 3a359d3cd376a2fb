"""The product's programs that `script/up` runs, and their environment."""

from __future__ import annotations

import http.client
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from embedded.errors import EmbeddedError
from embedded.home import PROJECT, Home
from embedded.ports import HOST, answers
from embedded.service import Service
from embedded.spawn import Order
from embedded.sqs import REGION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

WORKERS = ("ai_worker", "video_worker", "messaging_worker")
_POLLS_WITHIN = 60.0  # seconds; a poll may last 20, and a failing queue is polled again after a pause


@dataclass(frozen=True)
class Step:
    """A command that must succeed before the next one begins.

    `demo`: whether --no-demo skips the step. `again_after`: the server after whose crash the step runs again.
    """

    name: str
    says: str
    argv: Sequence[str]
    demo: bool = False
    again_after: str = ""


def _manage(*words: str) -> list[str]:
    return [sys.executable, "manage.py", *words]


def _web(port: int) -> list[str]:
    return [sys.executable, "-m", "realtime.serve", "asgi:application", "--host", HOST, "--port", str(port)]


@dataclass(frozen=True)
class Plan:
    """The commands that `script/up` runs. The defaults are those of the product. Tests set other commands.

    `{port}` in `web_argv` is replaced by the port of the web server.
    """

    folder: Path = PROJECT
    steps: Sequence[Step] = field(
        default_factory=lambda: [
            Step("migrate", "Preparing the database", _manage("migrate", "--no-input")),
            Step("provision", "Making queues and bucket", _manage("provision"), again_after="sqs"),
            Step("load_demo", "Loading the demo data", _manage("load_demo"), demo=True),
        ]
    )
    web_argv: Sequence[str] | None = None
    workers: Mapping[str, Sequence[str]] = field(
        default_factory=lambda: {name: (sys.executable, "-m", f"apps.worker.{name}") for name in WORKERS}
    )

    def web(self, port: int) -> Sequence[str]:
        return [word.replace("{port}", str(port)) for word in self.web_argv] if self.web_argv else _web(port)


class Program(Service):
    """A process of the product, run with `environment` in `folder`."""

    def __init__(self, name: str, argv: Sequence[str], log_file: Path, environment: Mapping[str, str]) -> None:
        super().__init__(name, log_file)
        self.argv = argv
        self.environment = environment
        self.folder = PROJECT

    def _prepare(self) -> Order:
        return Order(argv=self.argv, log_file=self.log_file, environment=self.environment, folder=self.folder)

    def _is_ready(self) -> bool:
        return True


_READYZ_SECONDS = 6.0
"""How long the web process may take to answer `/readyz`. It waits up to 4 s for a Redis that hangs."""


class Web(Program):
    """The web server. It is ready when `/readyz` answers 200."""

    port = 8000

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def where(self) -> str:
        return f"{HOST}:{self.port}"

    def is_taken(self) -> bool:
        return answers(self.port)

    @property
    def elsewhere(self) -> str:
        return "choose another port with --port N"

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=_READYZ_SECONDS)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except http.client.HTTPException:
            return False
        finally:
            connection.close()


class Worker(Program):
    """A worker. It is ready when it has written its ready file, which it does each time that it polls its queue."""

    def __init__(
        self, name: str, argv: Sequence[str], log_file: Path, environment: Mapping[str, str], ready_file: Path
    ) -> None:
        super().__init__(name, argv, log_file, {**environment, "WORKER_READY_FILE": str(ready_file)})
        self.ready_file = ready_file

    def _prepare(self) -> Order:
        self.ready_file.unlink(missing_ok=True)
        return super()._prepare()

    def _is_ready(self) -> bool:
        if not self.ready_file.exists():
            return False
        silent = time.time() - self.ready_file.stat().st_mtime
        if silent > _POLLS_WITHIN:
            raise TimeoutError(f"{self.name} has not polled its queue for {silent:.0f} s")
        return True


def environment_of_commands(environment: Mapping[str, str], users: Mapping[str, str]) -> dict[str, str]:
    """Return the part of the product's environment that `script/manage` adds to its own.

    These are the product's variables, those for AWS, and all others whose values differ from those in `users`, the
    environment of the user who runs `script/up`.
    """
    from config.environment import Environment  # noqa: PLC0415 (the import is slow, and `--status` does not need it)

    ours = {name.upper() for name in Environment.model_fields} - {"PROCESS_NAME"}
    return {
        name: value
        for name, value in environment.items()
        if name in ours or name.startswith("AWS_") or users.get(name) != value
    }


def refuse_wrong_values(environment: Mapping[str, str]) -> None:
    """Raise EmbeddedError, with a line for each wrong value, if processes would not start with this environment."""
    from config.environment import WrongEnvironmentError, read_environment  # noqa: PLC0415 (the import is slow)

    try:
        read_environment(environment)
    except WrongEnvironmentError as problem:
        raise EmbeddedError(str(problem)) from None


def product_environment(home: Home, users: Mapping[str, str], servers: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the product's processes.

    The user's own variables (`users`) override the addresses of the servers, which override the defaults. Some fixed
    values override all of them. Variables of the user that are empty or begin with `UVICORN_` are left out.
    """
    given = {name: value for name, value in users.items() if value and not name.startswith("UVICORN_")}
    defaults = {
        "SECRET_KEY": given.get("SECRET_KEY") or home.secret_key(),
        "ALLOWED_HOSTS": f"{HOST},localhost,[::1]",
        "AWS_REGION": REGION,
        "MEDIA_ROOT": str(home.media),
        "ADMIN_SITE": "on",
        # Drain for a short time only, because after Ctrl-C the user waits for the end.
        "REALTIME_DRAIN_SECONDS": "2",
        "WORKER_DRAIN_SECONDS": "3",
        "WORKER_POLL_SECONDS": "2",
        "MESSAGE_FOLDER": str(home.messages),
        "TMPDIR": str(home.temporary),
    }
    loopback = ",".join(filter(None, (given.get("NO_PROXY") or given.get("no_proxy"), HOST, "localhost")))
    fixed = {
        # The user's own values may belong to another project, start several web processes, or send the requests for
        # our servers to a proxy.
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "WEB_CONCURRENCY": "1",
        "NO_PROXY": loopback,
        "no_proxy": loopback,
        "PYTHONUNBUFFERED": "1",
    }
    return {**defaults, **servers, **given, **fixed}
