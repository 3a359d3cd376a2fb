"""Tests of short runs of the benchmarks: each prints its figures, and watching by push costs no SELECT."""

import re
import subprocess
import sys

import pytest

from embedded.home import PROJECT

pytestmark = pytest.mark.slow


def printed(name: str, *options: str) -> str:
    """Return what a benchmark prints. The benchmark starts its own servers, and does not use those of the tests."""
    command = [sys.executable, "-W", "error", "-m", f"benchmarks.{name}", *options]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_watching_is_measured_and_costs_no_select() -> None:
    text = printed("watching", "--seconds", "4", "--jobs", "4")
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


def test_remaining_times_are_measured() -> None:
    text = printed("remaining", "--encodes", "2")
    assert re.search(r"^all +\d+ told from half-way on: off by [\d.]+ % \(median\), [\d.]+ % ", text, re.MULTILINE)
    assert "percent never went back" in text


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("watching", ["--seconds", "900"], "'900' is no whole number from 2 to 140"),
        ("watching", ["--jobs", "1"], "'1' is no whole number from 2 to 80"),
        ("remaining", ["--encodes", "0"], "'0' is no whole number from 1 to 40"),
    ],
)
def test_a_run_is_bounded(name: str, options: list[str], sentence: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.{name}", *options]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert sentence in done.stderr
