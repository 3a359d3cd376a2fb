"""Folders and runs of `script/up` for the tests of this folder."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from embedded import scratch_folder
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
    """An ACADEMY_HOME whose path has blanks and letters beyond ASCII, as those of people do."""
    with scratch_folder("home of 학원") as folder:
        yield folder


@pytest.fixture(scope="package", autouse=True)
def hang_ups_end_processes() -> Iterator[None]:
    """Even if the tests themselves were started with nohup, which processes pass on to those that they start."""
    ours = signal.getsignal(signal.SIGHUP)
    if ours is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, ours)


@pytest.fixture
def up(home: Path) -> Iterator[Callable[..., Run]]:
    """Starts `script/up` with stand-ins for the product; whatever still runs in the end is ended."""
    started: list[Run] = []

    def begin(*options: str, folder: Path = home, **environment: str) -> Run:
        run = Run(folder, *options, **environment)
        started.append(run)
        return run

    yield begin
    for run in started:
        run.end_for_certain()
