"""Writes the results of a run: the raw figures as JSON, the tables, and the charts."""

import json
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.speed.plot import Chart
from benchmarks.speed.report import fan_outs, table
from benchmarks.speed.suite import SLOW_SERVERS
from embedded.home import PROJECT

RESULTS, TABLE = "results.json", "table.md"


def machine() -> dict[str, Any]:
    """Describe this machine and the code."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    return {
        "processor": names[0] if names else platform.machine(),
        "cores": len(names),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "revision": revision.stdout.strip(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def write(folder: Path, rows: Sequence[dict[str, Any]], how: str) -> list[Path]:
    """Write all files into `folder`, and return them."""
    folder.mkdir(parents=True, exist_ok=True)
    described = machine()
    files = {
        RESULTS: json.dumps({"run": how, "machine": described, "rows": list(rows)}, indent=1) + "\n",
        TABLE: f"`script/bench {how}`, {_sentence(described)}\n\n{table(rows)}\n",
    }
    for protocol, title in (("websocket", "WebSocket"), ("sse", "Server-Sent Events")):
        for figure, y_label, log_y in (("cpu_us", "µs CPU a record", False), ("p99_ms", "p99 in ms", True)):
            lines = _lines(rows, protocol, figure)
            if lines:
                chart = Chart(f"{title}: {y_label}", "deliveries a second", lines, log_y=log_y)
                files[f"{protocol}-{figure.partition('_')[0]}.svg"] = chart.svg()
    grown = {
        kind: sorted((row[kind], row["cpu_us"]) for row in rows if row["measure"] == f"growth of {kind}")
        for kind in ("connections", "tenants", "topics")
    }
    grown = {kind: points for kind, points in grown.items() if points}
    if grown:
        title = "What a record costs ours as it grows: µs CPU a record"
        files["growth.svg"] = Chart(title, "connections, tenants, topics of each tenant", grown, log_x=True).svg()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in files]


def _sentence(described: dict[str, Any]) -> str:
    return (
        f"{described['date']}, revision {described['revision']}: {described['cores']} cores ({described['processor']}),"
        f" Linux {described['kernel']}, Python {described['python']}. Medians of its runs."
    )


def _lines(rows: Sequence[dict[str, Any]], protocol: str, figure: str) -> dict[str, list[tuple[float, float]]]:
    """Return a line for each server: its figure at each rate with which it keeps up.

    The servers that are far slower are only in the table.
    """
    lines = {}
    for server, found in fan_outs(rows, protocol).items():
        points = [(rate, max(row[figure], 0.01)) for rate, row in sorted(found.items()) if row["keeps_up"]]
        if points and server not in SLOW_SERVERS:
            lines[server] = points
    return lines
