"""The real `script/up` with the real product, as somebody who has just cloned the project uses it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from embedded import process, scratch_folder
from embedded.home import PROJECT
from tests.embedded.runs import PATIENCE, Run, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

SCRIPT = PROJECT / "script" / "up"


@pytest.fixture
def home() -> Iterator[Path]:
    with scratch_folder("whole") as folder:
        yield folder


@pytest.fixture
def started(home: Path) -> Iterator[list[Run]]:
    runs: list[Run] = []
    yield runs
    for run in runs:
        run.end_for_certain()


def _sign_in(run: Run, academy: str, account: str) -> int:
    """Sign in with the demo's password, and return the HTTP status of the answer."""
    body = {"tenant": academy, "username": account, "password": "academy-demo"}
    request = urllib.request.Request(  # noqa: S310 (an address of our own)
        f"{run.run_file()['web']['address']}/api/v1/auth/token/",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
            status: int = answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    return status


def _manage(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROJECT / "script" / "manage", *words],
        env={"PATH": os.environ["PATH"], "ACADEMY_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def _query(run: Run, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(run.run_file()["postgres"]["url"]) as connection:
        return connection.execute(query.encode()).fetchall()


def test_up_sign_in_end_and_up_again_with_the_same_data(home: Path, started: list[Run]) -> None:
    run = Run(home, program=[SCRIPT])
    started.append(run)
    run.ready()
    for academy in ("hanbit", "saebom"):
        for account in ("owner", "staff", "teacher", "student"):
            assert _sign_in(run, academy, account) == 200
    students = _query(run, "select count(*) from students")
    assert students[0][0] >= 300
    names = {name for (name,) in _query(run, "select distinct application_name from pg_stat_activity")}
    assert "web" in names, "PostgreSQL's statistics can tell the processes apart"

    shown = _manage(home, "showmigrations", "realtime")
    assert (shown.returncode, "[X] 0001_initial" in shown.stdout) == (0, True), shown.stderr
    assert _manage(home, "no_such_command").returncode == 1

    processes = run.processes()
    family = {**processes, **{pid: known for parent in processes for pid, known in process.children(parent).items()}}
    run.send(signal.SIGTERM)
    assert run.wait_end() == 0
    assert process.wait_gone(family, 0)
    nothing = _manage(home, "check")
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert nothing.stderr == f"script/manage: Nothing runs in {home}: start script/up first.\n"

    again = Run(home, program=[SCRIPT])
    started.append(again)
    again.ready()
    assert _query(again, "select count(*) from students") == students


def test_without_the_demo_nobody_can_sign_in_and_a_dead_redis_comes_back(home: Path, started: list[Run]) -> None:
    run = Run(home, "--no-demo", program=[SCRIPT])
    started.append(run)
    run.ready()
    assert "academy-demo" not in run.text
    assert _sign_in(run, "hanbit", "owner") == 401
    address = f"{run.run_file()['web']['address']}/readyz"

    def ready() -> bool:
        try:
            with urllib.request.urlopen(address, timeout=PATIENCE) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            with error:
                return False

    assert ready()
    process.end_proven(pid := run.run_file()["redis"]["pid"], process.identity(pid) or "", signal.SIGKILL)
    eventually(lambda: not ready(), "the web process to notice")
    run.wait_for("redis runs again")
    eventually(ready, "the web process to recover")
