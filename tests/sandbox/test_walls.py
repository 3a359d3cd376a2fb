"""Tests of what a parser can still do when a hostile file controls it.

If root runs the tests, `spy.py` runs once as root and once as `nobody`.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from academy.adapters.sandbox import landlock, seccomp
from academy.adapters.sandbox.child import CANNOT_START
from academy.adapters.sandbox.start import Walls, missing_walls, start
from embedded.home import PROJECT

USERS = ["root", "nobody"] if os.geteuid() == 0 else ["this user"]
HERE = Path(__file__).parent
SECRET = "the-secret-of-the-parent"
REFUSED = "PermissionError"
PYTHON = os.path.realpath(sys.executable)


@pytest.fixture(params=USERS)
def found(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Run the spy, and return the result of each of its attempts."""
    (tmp_path / "work").mkdir()
    (tmp_path / "secret").write_text(SECRET, encoding="utf-8")
    (tmp_path / "allowed").write_text("allowed", encoding="utf-8")
    paths = [str(HERE / "spy.py"), *(str(tmp_path / name) for name in ("secret", "allowed", "work"))]
    done = subprocess.run(
        [sys.executable, str(HERE / "parent.py"), request.param, *paths],
        env={**os.environ, "SECRET_KEY": SECRET, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, str] = json.loads(done.stdout)
    return told


def test_it_sees_and_reaches_nothing_but_what_it_was_given(found: dict[str, str]) -> None:
    assert SECRET not in json.dumps(found)
    assert found == {
        "secret file": REFUSED,
        "allowed file": "allowed",
        "write to allowed file": REFUSED,
        "write in folder": "written",
        "rename in folder": "renamed",
        "write elsewhere": REFUSED,
        "too large a file": "OSError",
        "environments": "",
        "memory of parent": REFUSED,
        "TCP": REFUSED,
        "UDP": REFUSED,
        "Unix socket": REFUSED,
        "fork": REFUSED,
        "thread": "made",
        "signal to parent": REFUSED,
        "signal to itself": "sent",
        "limits of parent": REFUSED,
        "memory": "MemoryError",
        "core": "(0, 0)",
    }


def test_nothing_is_missing_on_the_kernel_that_the_tests_run_on() -> None:
    assert missing_walls() == []


def walls(cpu_seconds: int = 20) -> Walls:
    return Walls(memory_bytes=200_000_000, cpu_seconds=cpu_seconds, file_bytes=1_000_000, cleanup_seconds=1)


def ended(*words: str, cpu_seconds: int = 20) -> tuple[int, str]:
    """Run a confined Python, and return its exit code and its output."""
    process = start([PYTHON, "-I", "-S", *words], walls(cpu_seconds), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = process.communicate()[0].decode()
    return process.returncode, said


def test_one_that_computes_for_ever_is_ended() -> None:
    assert ended("-c", "while True: pass", cpu_seconds=1)[0] == -signal.SIGXCPU


def test_one_that_ignores_the_end_of_its_time_is_killed() -> None:
    ignores = "import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"
    assert ended("-c", ignores, cpu_seconds=1)[0] == -signal.SIGKILL


def test_it_is_told_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", SECRET)
    code, said = ended("-c", "import os; print(os.environ)")
    assert code == 0
    assert SECRET not in said


def test_what_lies_beside_the_program_is_closed(tmp_path: Path) -> None:
    """An operator may keep a self-built ffmpeg in the folder of the product's `.env`."""
    program = tmp_path / "program"
    shutil.copy("/bin/cat", program)
    (tmp_path / ".env").write_text(SECRET, encoding="utf-8")
    process = start([str(program), str(tmp_path / ".env")], walls(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = process.communicate()[0].decode()
    assert SECRET not in said
    assert "Permission denied" in said


def test_it_inherits_no_open_file(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        listed = "import os\nfor n in range(3, 64):\n try: print(n, os.fstat(n))\n except OSError: pass"
        assert ended("-c", listed) == (0, "")


def test_a_program_that_is_not_there_is_told_as_such(tmp_path: Path) -> None:
    process = start([str(tmp_path / "none")], walls(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said = process.communicate()[1].decode()
    assert process.returncode == CANNOT_START
    assert "cannot start" in said
    assert "No such file" in said


def test_a_kernel_without_the_walls_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)
    monkeypatch.setattr(seccomp, "available", lambda: False)
    files, network = missing_walls()
    assert files.startswith("Landlock (Linux 5.13)")
    assert network.startswith("a seccomp filter")


def test_the_secrets_of_a_project_are_not_among_what_every_program_may_read() -> None:
    process = start(
        [PYTHON, "-I", "-S", "-c", f"open({str(PROJECT / 'pyproject.toml')!r})"],
        walls(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert REFUSED in process.communicate()[1].decode()
