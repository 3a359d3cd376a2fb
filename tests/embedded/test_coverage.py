"""`script/test --coverage` also measures the processes that tests start, even if SIGTERM or `os._exit` ends them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from embedded.home import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], cwd=sys.argv[2], stdout=subprocess.PIPE)
child.stdout.readline()
child.terminate()
child.wait()
"""
CHILD = "import realtime.records.topics, time; {handler}; print('ready', flush=True); time.sleep(60)"


FORKED = """
import os
if os.fork():
    os.wait()
else:
    import realtime.records.topics
    os._exit(0)
"""


@pytest.mark.parametrize("handler", ["pass", "import signal; signal.signal(signal.SIGTERM, lambda *_: sys.exit())"])
def test_a_process_in_another_folder_that_is_told_to_end_is_measured(handler: str, tmp_path: Path) -> None:
    child = "import sys; " + CHILD.format(handler=handler)
    assert "realtime/records/topics.py" in measured_files(tmp_path, PARENT, child, str(tmp_path))


def test_a_forked_process_that_ends_at_once_is_measured(tmp_path: Path) -> None:
    assert "realtime/records/topics.py" in measured_files(tmp_path, FORKED)


def measured_files(tmp_path: Path, program: str, *arguments: str) -> set[str]:
    """Run a program as `script/test --coverage` runs pytest.

    Return the files in `realtime/records` of which at least one line ran.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    environment |= {"COVERAGE_DATA": str(tmp_path / "data"), "PYTHONPATH": str(PROJECT)}
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    for command in (
        ["run", str(tmp_path / "program.py"), *arguments],
        ["combine", "--quiet"],
        ["json", "--quiet", "--fail-under=0", "--include=realtime/records/*", "-o", str(tmp_path / "report.json")],
    ):
        coverage = [sys.executable, "-m", "coverage", *command]
        done = subprocess.run(coverage, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    measured = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["files"]
    return {name for name, found in measured.items() if found["executed_lines"]}
