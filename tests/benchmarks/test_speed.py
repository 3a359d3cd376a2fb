"""Tests of the smallest form of `script/bench`: what it prints, not how fast anything is."""

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest

from benchmarks.speed import generator
from embedded.home import PROJECT

SMALL = ["--connections", "8", "--tenants", "2", "--rate", "80", "--seconds", "1"]


def bench(*words: str) -> str:
    """Return what the benchmark prints."""
    command = [sys.executable, "-W", "error", "-m", "benchmarks.speed", *words]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fan_outs(protocol: str) -> list[dict[str, Any]]:
    text = bench("fan-out", "--server", "limit", "ours", "--protocol", protocol, "--json", *SMALL)
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("protocol", ["websocket", "sse"])
def test_every_record_arrives_at_every_client_of_its_tenant(protocol: str) -> None:
    for found in fan_outs(protocol):
        assert found["lost"] == 0
        assert found["delivered_a_second"] > 0
        assert found["cpu_us"] > 0
        assert 0 < found["p50_ms"] <= found["p99_ms"] <= found["max_ms"]


def test_without_a_compiler_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "PROGRAMS", PROJECT / "no such folder")
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(generator.BenchmarkError, match="no C compiler was found: install one"):
        generator.build("load_generator")
