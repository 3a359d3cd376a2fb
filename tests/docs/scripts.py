"""Runs code blocks of the documentation as programs, with the tests' servers in place of the documented ones."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from embedded.home import PROJECT, Home
from embedded.plan import environment_of_commands
from embedded.runfile import Ledger, write_environment
from harness.system import System
from realtime.publish import Publisher

DOCUMENTED_ADDRESS = "http://127.0.0.1:8000"
DOCUMENTED_REDIS = "redis://127.0.0.1:6379/0"
PATIENCE_SECONDS = 60.0


def pointed_at(text: str, *, address: str | None = None, redis_url: str | None = None) -> str:
    """Return the block with each given address in place of the documented one, which must be in the block."""
    for documented, real in ((DOCUMENTED_ADDRESS, address), (DOCUMENTED_REDIS, redis_url)):
        if real is not None:
            assert documented in text
            text = text.replace(documented, real)
    return text


def bare_environment(**variables: str) -> dict[str, str]:
    """Return an environment without the addresses that are in the environment of the tests."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR"}}
    return {**kept, "PYTHONPATH": str(PROJECT), "PYTHONWARNINGS": "error", "PYTHONUTF8": "1", **variables}


def run_python(text: str, folder: Path, **environment: str) -> str:
    """Run a script to its end, and return its output.

    The script can import the project's packages, unless PYTHONPATH is given.
    """
    file = folder / "script.py"
    file.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, file],
        cwd=folder,
        env=bare_environment(**environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_run_files(system: System, folder: Path) -> None:
    """Write into the home `folder` the files that `script/up` writes for a system that it has started."""
    home = Home(folder)
    Ledger(home).record(system.web)
    entries = {
        "web": {"pid": system.web.pid, "address": system.address},
        "postgres": {"pid": None, "url": system.database_url},
        "redis": {"pid": None, "url": system.redis.url},
    }
    home.run_file.write_text(json.dumps(entries), encoding="utf-8")
    write_environment(home, environment_of_commands(system.environment, os.environ))


def run_shell(text: str, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a block of shell in the project's folder, with this Python in place of the documented one."""
    for python in (".venv/bin/python", "python3", "python"):
        if f"{python} " in text:
            text = text.replace(f"{python} ", f"'{sys.executable}' ")
            break
    return subprocess.run(
        ["/bin/sh", "-eu"],
        input=text,
        cwd=PROJECT,
        env=bare_environment(**environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


class Lines:
    """The lines that a running script prints."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.seen: list[str] = []

    async def until(self, text: str) -> str:
        """Read up to the first line that contains `text`, and return that line."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while read := await self._process.stdout.readline():
                line = read.decode().rstrip("\n")
                self.seen.append(line)
                if text in line:
                    return line
        raise AssertionError(f"The script ended without {text!r}: it printed {self.seen}.")


@asynccontextmanager
async def running_script(text: str, folder: Path) -> AsyncIterator[Lines]:
    """Run a script, yield its lines, and end it when the `with` block ends."""
    file = folder / "script.py"
    file.write_text(text, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, file, cwd=folder, env=bare_environment(), stdout=asyncio.subprocess.PIPE
    )
    try:
        yield Lines(process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


@contextmanager
def publishing_to_hanbit(system: System) -> Iterator[Callable[[str, str], int]]:
    """Yield a function that publishes a status, and returns its offset."""
    ((tenant_id,),) = system.query("SELECT id FROM tenant WHERE code = 'hanbit'")
    publisher = Publisher.from_url(system.redis.url)
    try:
        yield lambda topic, status: publisher.status(tenant_id=tenant_id, topic=topic, attempt=1, status=status).offset
    finally:
        publisher.close()
