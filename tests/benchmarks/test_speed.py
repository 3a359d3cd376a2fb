"""Tests of the smallest form of `script/bench`: what it prints, not how fast anything is."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks.speed import generator
from benchmarks.speed.__main__ import main
from benchmarks.speed.report import table
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


def test_the_smallest_run_writes_its_figures_its_tables_and_its_charts(tmp_path: Path) -> None:
    printed = bench("--smallest", "--into", str(tmp_path))
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    measures = {row["measure"] for row in results["rows"]}
    assert measures == {"fan-out", "connecting", "polls", "publishing", "importing"}
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    rows = [line for line in table.splitlines() if line.startswith("| **ours** |")]
    assert len(rows) == 4  # fan-out and connections, each by WebSocket and by SSE
    assert all(line in printed for line in rows)
    charts = sorted(tmp_path.glob("*.svg"))
    assert [chart.name for chart in charts] == ["sse-cpu.svg", "sse-p99.svg", "websocket-cpu.svg", "websocket-p99.svg"]
    for chart in charts:
        assert "ours" in "".join(ET.parse(chart).getroot().itertext())  # noqa: S314 - our own file


def row(server: str, rate: float, cpu_us: float, **more: object) -> dict[str, object]:
    figures = {"protocol": "websocket", "p99_ms": 3.0, "keeps_up": True, "is_the_limit": True, "redis_cpu_us": 0}
    return {"measure": "fan-out", "server": server, "rate": rate, "cpu_us": cpu_us, **figures, **more}


def test_the_table_has_medians_and_their_ratios_to_the_limit_and_to_the_best_peer() -> None:
    runs = [row("ours", 10_000, cpu) for cpu in (9.0, 12.0, 90.0)]
    late = row("ours", 50_000, 5.0, p99_ms=900.0, keeps_up=False)
    others = [row("limit", 10_000, 6.0), row("nchan", 10_000, 10.0), row("node-ws", 10_000, 20.0)]
    (line,) = [line for line in table([*runs, late, *others]).splitlines() if line.startswith("| **ours**")]
    assert line == "| **ours** | 12.0 | 2.00 × | 1.20 × | 3.0 ms | 10,000 |"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["fan-out", "--connections", "200000"], "'200000' is no number above 0, up to 100000"),
        (["fan-out", "--seconds", "-1"], "'-1' is no number above 0, up to 600"),
        ([], "say --quick, --full or a command"),
    ],
)
def test_a_run_is_bounded(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(words)
    assert sentence in capsys.readouterr().err


def test_without_a_compiler_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "PROGRAMS", PROJECT / "no such folder")
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(generator.BenchmarkError, match="no C compiler was found: install one"):
        generator.build("load_generator")
