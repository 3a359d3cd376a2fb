"""After a process has read the secrets in its environment, other processes cannot read them there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from config.environment import SECRETS, Environment
from embedded.home import PROJECT
from harness.servers import SECRET
from harness.system import System

PROGRAM = """
import ctypes, os, subprocess, sys
from config.hidden import hide_variables
block = open("/proc/self/environ", "rb")  # while everybody may
hide_variables(["SECRET_KEY", "REDIS_URL", "NOT_SET"])
print(block.read().replace(bytes(1), b"\\n").decode())
print("known here:", sorted(os.environ.keys() & {"SECRET_KEY", "REDIS_URL", "SHOWN"}))
c = ctypes.CDLL(None)
c.getenv.restype = ctypes.c_char_p
print("known to C:", c.getenv(b"SECRET_KEY"), flush=True)
subprocess.run([sys.executable, "-c", "import os; print('known to a child:', 'SECRET_KEY' in os.environ)"])
print("dumpable:", c.prctl(3, 0, 0, 0, 0))
"""


def test_neither_the_kernel_nor_the_c_library_nor_a_child_has_hidden_variables() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=PROJECT,
        env={"SECRET_KEY": SECRET, "REDIS_URL": "redis://:pw@host", "SHOWN": "as it was", "SECRET_KEYS": "other"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert f"SECRET_KEY={'*' * len(SECRET)}" in lines
    assert f"REDIS_URL={'*' * len('redis://:pw@host')}" in lines
    assert {"SHOWN=as it was", "SECRET_KEYS=other"} <= set(lines)
    assert "known here: ['SHOWN']" in lines
    assert "known to C: None" in lines
    assert "known to a child: False" in lines
    assert "dumpable: 0" in lines


CLIENTS = """
import django
from config.environment import hide_secrets_once_read
hide_secrets_once_read()
django.setup()
import os
from django.core.files.storage import default_storage
from academy.adapters.queue.sqs import sending_client, sqs_client
assert not [name for name in os.environ if name.startswith("AWS_SECRET")]
for client in (sqs_client(), sending_client(), default_storage.connection.meta.client):
    print(client._request_signer._credentials.secret_key)
"""


def test_every_client_of_aws_has_the_credentials_that_were_hidden() -> None:
    told = {"DJANGO_SETTINGS_MODULE": "config.settings", "SECRET_KEY": SECRET, "S3_BUCKET": "bucket"}
    credentials = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "the secret of AWS"}
    done = subprocess.run(
        [sys.executable, "-c", CLIENTS],
        cwd=PROJECT,
        env={**told, **credentials},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["the secret of AWS"] * 3


def test_clients_of_aws_are_made_in_one_place() -> None:
    """A client made elsewhere has no credentials: boto3 looks for them in the environment, which no longer has them."""
    made = [
        path.relative_to(PROJECT).as_posix()
        for folder in ("academy", "apps", "realtime", "config", "embedded")
        for path in (PROJECT / folder).rglob("*.py")
        if re.search(r"boto3\.(client|resource|session|Session)\b", path.read_text(encoding="utf-8"))
    ]
    assert made == ["academy/adapters/queue/sqs.py"]


def test_every_variable_that_is_typed_as_a_secret_is_hidden() -> None:
    typed = {name.upper() for name, field in Environment.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert "SECRET_KEY" in typed
    assert typed <= SECRETS


def seen_of(pid: int) -> str:
    """Return the environment of the process `pid`, or an empty text if the process of the tests may not read it."""
    try:
        return Path(f"/proc/{pid}/environ").read_text(encoding="utf-8")
    except PermissionError:
        return ""


@pytest.mark.parametrize("kind", ["web", "ai_worker", "video_worker", "messaging_worker"])
def test_no_program_of_the_product_shows_its_secrets(kind: str, system: System) -> None:
    if kind in {"web", "ai_worker"}:
        running = system.web if kind == "web" else system.worker
        assert running.pid is not None
        seen = seen_of(running.pid)
    else:
        with system.running_worker(kind) as worker:
            assert worker.pid is not None
            seen = seen_of(worker.pid)
    told = {name: value for name, value in system.environment.items() if name in SECRETS and value}
    assert {"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "AWS_SECRET_ACCESS_KEY"} <= set(told)
    assert [name for name, value in told.items() if f"{name}={value}" in seen] == []
    if os.geteuid() == 0:
        assert "PROCESS_NAME=" in seen, "nothing was looked at"


def test_a_command_shows_no_secrets_either(system: System) -> None:
    look = "import os, pathlib; os.geteuid() or print(pathlib.Path('/proc/self/environ').read_text())"
    said = subprocess.check_output(
        [sys.executable, "manage.py", "shell", "--no-imports", "-v", "0", "-c", look],
        cwd=PROJECT,
        env=system.environment,
        text=True,
    )
    assert SECRET not in said
    if os.geteuid() == 0:  # other users may not read the file
        assert "SECRET_KEY=***" in said
