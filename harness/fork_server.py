"""A fork server: starts the product's processes without importing the libraries again.

Starting the product takes more than a second of CPU time, nine tenths of it for imports. This process imports the
libraries once, and forks a child for each order. The child runs the ordered module or script as `python` would. It has
its own pid, session, environment, folder and log, so tests stop, kill and freeze it like any other process.

    python -m harness.fork_server <number of an open socket>

`harness/forked.py` sends each order as one message, in JSON, and receives {"started": pid}, and later {"ended": pid,
"code": 0}. The server ends when the other side of the socket is closed. The kernel then sends the children their end
signals.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import warnings
from pathlib import Path
from typing import Any

import boto3
from django.conf import settings

from embedded.child import end_with_parent, reset_signals
from harness.descriptions import share_descriptions
from harness.hashing import use_few_rounds

MESSAGE_BYTES = 1 << 20
LIBRARIES = (
    "boto3",
    "botocore.client",
    "botocore.session",
    "channels.generic.websocket",
    "channels.routing",
    "concurrent.futures.process",
    "cryptography.hazmat.primitives.serialization",
    "django.contrib.auth.hashers",
    "django.contrib.auth.password_validation",
    "django.contrib.messages",
    "django.contrib.postgres.fields",
    "django.contrib.sessions.backends.base",
    "django.core.handlers.asgi",
    "django.core.mail",
    "django.core.management",
    "django.core.serializers.json",
    "django.core.servers.basehttp",
    "django.db.backends.postgresql.base",
    "django.db.migrations.operations",
    "django.db.models",
    "django.forms",
    "django.template.backends.django",
    "django.views.decorators.csrf",
    "httptools",
    "jwt",
    "openpyxl",
    "orjson",
    "phonenumbers",
    "prometheus_client",
    "psycopg_pool",
    "pydantic_settings",
    "redis.asyncio",
    "rest_framework.compat",
    "servestatic",
    "structlog",
    "urllib.request",
    "uvicorn.main",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.protocols.websockets.websockets_sansio_impl",
    "uvloop",
    "yaml",
)
"""Libraries that read no setting and start no thread at import."""
OURS = (
    "academy.adapters.cache.records",
    "academy.adapters.doctor",
    "academy.adapters.excel",
    "academy.adapters.queue.sqs",
    "academy.adapters.storage.folders",
    "academy.adapters.storage.presigned",
    "academy.adapters.video.whole",
    "academy.passwords",
    "apps.core.openapi",
    "config.database",
    "config.environment",
    "config.headers",
    "config.logging",
    "config.postgresql.base",
    "config.requests",
    "realtime.operate.checks",
    "realtime.server.bounded_http",
    "realtime.server.bounded_websocket",
    "realtime.server.process_memory",
    "realtime.server.proxies",
    "realtime.web.drain",
    "realtime.web.routing",
)
"""Modules of the product that read no setting at import. They import most of the other modules that read no setting.

Do not add a module that is run as a program (`python -m`): runpy would warn that the module is already imported.
"""


def main() -> None:
    for name in (*LIBRARIES, *OURS):
        importlib.import_module(name)
    if settings.configured:
        raise RuntimeError("One of these modules reads a setting at import, so all children would have that setting.")
    warm_botocore()
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as control:
        order = serve(control)
    if order is not None:
        become(order)


def warm_botocore() -> None:
    """Read the descriptions of SQS and S3 for all children."""
    share_descriptions()
    session = boto3.session.Session("test", "test", region_name="us-east-1")
    session.client("sqs")
    session.resource("s3")


def serve(control: socket.socket) -> dict[str, Any] | None:
    """Fork a child for each order. In a child, return its order. In the server, return None when the socket closes."""
    children: set[int] = set()
    server = os.getpid()
    wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select()}
            if wake in ready:
                os.read(wake, 4096)
                collect(children, control)
            if control.fileno() not in ready:
                continue
            message = control.recv(MESSAGE_BYTES)
            if not message:
                return None
            order: dict[str, Any] = json.loads(message)
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.close(wake)
                os.close(woken)
                return {**order, "parent": server}
            children.add(pid)
            control.send(json.dumps({"started": pid}).encode())


def collect(children: set[int], control: socket.socket) -> None:
    """Report the children that have ended, and kill the processes that they left behind."""
    for pid in list(children):
        # Do not reap the child yet: while it is a zombie, the system does not reuse its pid or its group's id.
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            continue
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        children.discard(pid)
        control.send(json.dumps({"ended": pid, "code": os.waitstatus_to_exitcode(status)}).encode())


def become(order: dict[str, Any]) -> None:
    """Run the ordered program in this process.

    `argv` has the interpreter, the program, and the program's arguments. The program is either two words, `-m` and a
    module, or one word, the path of a script.
    """
    os.setsid()
    end_with_parent(order["parent"], order["signal"])
    reset_signals()
    # Handle these signals as a new interpreter does.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    log = os.open(order["log_file"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    for opened, target in ((os.open(os.devnull, os.O_RDONLY), 0), (log, 1), (log, 2)):
        os.dup2(opened, target)
    os.closerange(3, 256)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    if os.environ.get("PYTHONWARNINGS") == "error":
        warnings.simplefilter("error")
    use_few_rounds(os.environ)
    _, *words = order["argv"]
    if words[0] == "-m":
        sys.argv = words[1:]
        sys.path[0] = order["folder"]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        sys.path[0] = str(Path(words[0]).resolve().parent)
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    main()
