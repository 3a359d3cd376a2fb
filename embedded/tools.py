"""Programs that only the tests need, kept in `.tools/`: how they are tried and installed."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from embedded.home import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

TOOLS = PROJECT / ".tools"


def runs(program: str | Path, option: str) -> bool:
    """Whether a program runs with an option that does nothing, such as `--version`."""
    try:
        return subprocess.run([program, option], capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def run_installer(
    *argv: str | Path, environment: dict[str, str] | None = None, folder: Path | None = None, quiet: bool = False
) -> bool:
    """Run an installer, and show what it says only if it fails and is not `quiet`. Returns whether it succeeded."""
    run = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        check=False,
    )
    if run.returncode != 0 and not quiet:
        print(run.stdout.decode("utf-8", "replace")[-2000:], file=sys.stderr)
    return run.returncode == 0
