"""ffmpeg is never left behind, says what is wrong, and is given up when it hangs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from academy.adapters.video.ffmpeg import FfmpegError, ffmpeg_program, run_ffmpeg
from embedded.home import PROJECT
from tests.embedded.runs import eventually

FOREVER = ["-re", "-f", "lavfi", "-i", "testsrc2=duration=3600", "-f", "null", "-"]
HOLD = f"""
from academy.adapters.video.ffmpeg import run_ffmpeg
run_ffmpeg({FOREVER!r}, lambda report: print(report.get("frame", ""), flush=True))
"""


class Enough(Exception):  # noqa: N818 - what a report may raise
    pass


def children() -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process().children(recursive=True)
    return found


def test_it_is_gone_when_the_report_raises() -> None:
    before = {process.pid for process in children()}
    seen: list[psutil.Process] = []

    def watch(report: dict[str, str]) -> None:
        if report:
            seen.extend(process for process in children() if process.pid not in before)
            raise Enough

    with pytest.raises(Enough):
        run_ffmpeg(FOREVER, watch)
    assert seen
    assert not any(process.is_running() for process in seen)


def test_it_dies_with_its_parent_however_that_ends() -> None:
    parent = subprocess.Popen([sys.executable, "-c", HOLD], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    while not parent.stdout.readline().strip():
        pass
    (child,) = psutil.Process(parent.pid).children(recursive=True)
    assert child.exe() == ffmpeg_program()
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "the end of ffmpeg")


def test_it_sees_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "a secret")
    environments: list[dict[str, str]] = []

    def look(report: dict[str, str]) -> None:
        if report:
            environments.extend(process.environ() for process in children() if process.exe() == ffmpeg_program())
            raise Enough

    with pytest.raises(Enough):
        run_ffmpeg(FOREVER, look)
    assert environments
    assert all("SECRET_KEY" not in environment for environment in environments)


def test_one_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # nobody ever writes into it
    with pytest.raises(FfmpegError, match="It said nothing for 1 s"):
        run_ffmpeg(["-i", pipe, "-f", "null", "-"], lambda _report: None, quiet_seconds=1.0)


def test_what_it_said_comes_with_its_error(tmp_path: Path) -> None:
    with pytest.raises(FfmpegError, match="No such file or directory"):
        run_ffmpeg(["-i", tmp_path / "missing.mp4", "-f", "null", "-"], lambda _report: None)


def test_the_one_that_is_named_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    ffmpeg_program.cache_clear()
    monkeypatch.setenv("FFMPEG", sys.executable)
    try:
        assert ffmpeg_program() == str(Path(sys.executable).resolve())
    finally:
        ffmpeg_program.cache_clear()
