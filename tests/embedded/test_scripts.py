"""What the scripts print, for example on machines without Python or a network.

Most tests run a copy of the scripts, with a PATH that the test made.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from embedded.home import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

TOOLS = ("sh", "chmod", "env", "dirname", "cat", "cksum", "cut", "rm", "mkdir", "sed")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "a clone"
    shutil.copytree(PROJECT / "script", folder / "script")
    for name in ("pyproject.toml", "uv.lock"):
        shutil.copy(PROJECT / name, folder)
    return folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a folder for PATH that has the tools which every system has, but no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (folder / tool).symlink_to(found)
    return folder


def _stub(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    file.chmod(0o755)


def _run(clone: Path, path: Path, script: str = "up", *options: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(path), "HOME": "/nonexistent", "PYENV_ROOT": "/nonexistent"}
    return subprocess.run(
        [clone / "script" / script, *options],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("script", ["up", "test"])
def test_without_a_suitable_python_one_sentence_says_what_to_install(script: str, clone: Path, path: Path) -> None:
    _stub(path / "python3", "exit 1")  # like Python 3.10, it fails the check of its version
    ended = _run(clone, path, script)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        "No Python 3.11, 3.12 or 3.13 was found: install one (on Debian and Ubuntu: apt install python3 python3-venv), "
        "then run this again.\n"
    )


def test_manage_installs_nothing_and_says_that_nothing_runs(clone: Path, path: Path) -> None:
    ended = _run(clone, path, "manage", "check")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "script/manage: Nothing runs: start script/up first.\n"
    assert not (clone / ".tools").exists()


def test_without_venv_and_pip_one_sentence_says_what_to_install(clone: Path, path: Path) -> None:
    _stub(
        path / "python3",
        f'case "$*" in *ensurepip*|*pip*) exit 1 ;; *executable*) echo {path}/python3 ;; esac',
    )
    ended = _run(clone, path)
    assert ended.returncode == 1
    assert ended.stderr == (
        "Python's modules venv and ensurepip are missing: install them (on Debian and Ubuntu: apt install "
        "python3-venv) or put uv on PATH.\n"
    )


def test_without_a_network_one_sentence_says_so(clone: Path, path: Path) -> None:
    (path / "python3").symlink_to(sys.executable)
    _stub(path / "uv", '[ "$1" = --version ] || { echo "error: no route to host" >&2; exit 2; }')
    ended = _run(clone, path)
    assert ended.returncode == 1
    assert ended.stderr.endswith(
        "The packages could not be downloaded from pypi.org (see above): check the network, then run this again.\n"
    )
    assert "no route to host" in ended.stderr


def test_an_environment_that_is_current_is_not_made_again(clone: Path, path: Path) -> None:
    (path / "python3").symlink_to(sys.executable)
    _stub(path / "uv", f'[ "$1" = --version ] || {{ echo "$@" >>{path}/calls; mkdir -p .venv/bin; {_FAKE_PYTHON}; }}')
    for _ in range(2):
        ended = _run(clone, path)
        assert (ended.returncode, ended.stderr) == (0, "")
    calls = (path / "calls").read_text(encoding="utf-8").splitlines()
    assert len(calls) == 1
    assert calls[0].startswith("sync --frozen --quiet")
    assert calls[0].endswith("--no-dev --group embedded --inexact")
    (clone / "uv.lock").write_text("changed", encoding="utf-8")
    _run(clone, path)
    assert len((path / "calls").read_text(encoding="utf-8").splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (["tests/relatime"], ["tests/relatime"]),
        (["-x", "tests/core", "tests/cor/test_x.py::test_y"], ["tests/cor/test_x.py"]),
        (["-k", "name", "--maxfail", "3", "one", "two"], ["one", "two"]),
        (["--faults", "tests/nowhere"], ["tests/nowhere"]),
    ],
)
def test_a_path_that_does_not_exist_is_named_before_anything_runs(words: list[str], missing: list[str]) -> None:
    ended = subprocess.run([PROJECT / "script" / "test", *words], capture_output=True, text=True, check=False)
    said = [f"script/test: {path} does not exist, so no test was run." for path in missing]
    assert (ended.returncode, ended.stdout, ended.stderr.splitlines()) == (1, "", said)


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ([], "all chromium firefox nginx haproxy"),
        (["-x", "-q", "--maxfail", "3", "--durations=5", "-n", "2"], "all chromium firefox nginx haproxy"),
        (["tests/core", "-q"], "some"),
        (["tests/core/test_tokens.py::test_any"], "some"),
        (["tests/proxies", "tests/core"], "some chromium nginx haproxy"),
        (["tests/realtime/client/test_fold.py::test_any"], "some chromium"),
        (["tests/page/test_event_source.py"], "some chromium firefox"),
        (["tests", "-k", "bar"], "some chromium firefox nginx haproxy"),
        (["-k", "tokens and not slow"], "some chromium firefox nginx haproxy"),
        (["-m", "browser"], "some chromium firefox nginx haproxy"),
        (["--lf"], "some chromium firefox nginx haproxy"),
    ],
)
def test_the_arguments_of_script_test_are_read_as_pytest_reads_them(words: list[str], chosen: str) -> None:
    # Like script/test, do not pass on DJANGO_SETTINGS_MODULE: pytest-django would load the project's settings.
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, "-m", "tests.chosen", *words]
    read = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert (read.returncode, read.stdout, read.stderr) == (0, f"{chosen}\n", "")


_FAKE_PYTHON = 'printf "#!/bin/sh\\n" >.venv/bin/python; chmod +x .venv/bin/python'


def test_the_scripts_write_nothing_outside_the_project(clone: Path, path: Path) -> None:
    (path / "python3").symlink_to(sys.executable)
    _stub(path / "uv", f'[ "$1" = --version ] || env >{path}/environment; mkdir -p .venv; exit 0')
    _run(clone, path)
    environment = dict(
        line.split("=", 1) for line in (path / "environment").read_text(encoding="utf-8").splitlines() if "=" in line
    )
    for name in ("UV_CACHE_DIR", "PIP_CACHE_DIR", "TMPDIR"):
        assert environment[name].startswith(f"{clone}/.tools/"), name
    assert environment["UV_PYTHON_DOWNLOADS"] == "never"
