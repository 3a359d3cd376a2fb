"""Fixtures of the tests in this folder: scratch folders, and runs of `script/up`."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from embedded import PostgresServer, scratch_folder
from tests.embedded.runs import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    with scratch_folder("embedded-tests") as folder:
        yield folder


@pytest.fixture
def home() -> Iterator[Path]:
    """Yield an ACADEMY_HOME whose path has spaces and Korean letters, as real paths may."""
    with scratch_folder("home of 학원") as folder:
        yield folder


@pytest.fixture(scope="package", autouse=True)
def hang_ups_end_processes() -> Iterator[None]:
    """Let SIGHUP end processes. Under nohup the tests ignore SIGHUP, and their child processes would, too."""
    ours = signal.getsignal(signal.SIGHUP)
    if ours is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, ours)


@pytest.fixture(scope="module")
def made_postgres(scratch: Path) -> Path:
    """Return the folder of a PostgreSQL that has run once, and so contains a database."""
    with PostgresServer(scratch / "made") as server:
        return server.folder


@pytest.fixture
def up(home: Path, made_postgres: Path) -> Iterator[Callable[..., Run]]:
    """Yield a function that starts `script/up` with stand-ins for the product's commands. End all runs afterwards.

    In a folder without a database, a run begins with a copy of one, because to create one takes a second of CPU time.
    With `from_nothing=True`, the run creates its own database.
    """
    started: list[Run] = []

    def begin(*options: str, folder: Path = home, from_nothing: bool = False, **environment: str) -> Run:
        if not from_nothing and not (folder / "postgres").exists():
            (folder / "postgres").mkdir(parents=True)
            for name in ("data", "password"):  # not the port
                subprocess.run(["cp", "-a", made_postgres / name, folder / "postgres"], check=True)
        run = Run(folder, *options, **environment)
        started.append(run)
        return run

    yield begin
    for run in started:
        run.end_for_certain()
