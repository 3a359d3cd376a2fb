"""Tests of short runs of the benchmarks: each prints its figures, and watching by push costs no SELECT."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from embedded.home import PROJECT
from harness.videos import slow_ffmpeg

pytestmark = pytest.mark.slow


def printed(name: str, *options: str, **environment: str) -> str:
    """Return what a benchmark prints. The benchmark starts its own servers, and does not use those of the tests."""
    command = [sys.executable, "-W", "error", "-m", f"benchmarks.{name}", *options]
    done = subprocess.run(
        command, cwd=PROJECT, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_watching_is_measured_and_costs_no_select(tmp_path: Path) -> None:
    text = printed("watching", "--seconds", "3", "--jobs", "2", FFMPEG=slow_ffmpeg(tmp_path / "tools"))
    push, details = figures(text, "SELECTs of the web process")
    assert push == 0
    requests = figures(text, "requests")
    assert details >= requests[1] > 0
    assert figures(text, "records delivered by push")[0] > 0
    assert all(used > 0 for used in figures(text, "CPU-µs of the web process per request"))
    assert "CPU per request, B : A = " in text


def figures(text: str, what: str) -> tuple[float, float]:
    """Return the two figures, one for each phase, in the line that begins with `what`."""
    found = re.search(rf"^{re.escape(what)} +([\d.]+) +([\d.]+)$", text, re.MULTILINE)
    assert found is not None, text
    return float(found[1]), float(found[2])


def test_remaining_times_are_measured(tmp_path: Path) -> None:
    text = printed("remaining", "--encodes", "2", "--longest", "10", FFMPEG=slow_ffmpeg(tmp_path / "tools"))
    assert re.search(r"^all +\d+ told from half-way on: off by [\d.]+ % \(median\), [\d.]+ % ", text, re.MULTILINE)
    assert "percent never went back" in text


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("watching", ["--seconds", "900"], "'900' is no whole number from 2 to 140"),
        ("watching", ["--jobs", "1"], "'1' is no whole number from 2 to 80"),
        ("remaining", ["--encodes", "0"], "'0' is no whole number from 1 to 40"),
        ("remaining", ["--longest", "301"], "'301' is no whole number from 10 to 300"),
    ],
)
def test_a_run_is_bounded(
    name: str,
    options: list[str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", [name, *options])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"benchmarks.{name}").main()
    assert ended.value.code not in {None, 0}
    assert sentence in capsys.readouterr().err
