"""Programs that only the tests need, kept in `.tools/`: how they are found, tried and installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from embedded.errors import EmbeddedError
from embedded.home import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TOOLS = PROJECT / ".tools"


def runs(program: str | Path, option: str) -> bool:
    """Whether a program runs with an option that does nothing, such as `--version`."""
    try:
        return subprocess.run([program, option], capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A program, where it may be, and how to get it."""

    variable: str
    """The environment variable that names one, which goes before all others."""
    kind: str
    """What it is, as "an nginx"."""
    option: str
    """With which it does nothing but run."""
    names: Sequence[str]
    """As which it stands on PATH."""
    places: Sequence[Path]
    """Where it may be besides, the best first."""
    installers: Sequence[Callable[[], None]]
    """Each gets one where it can, and does nothing where it cannot; tried in this order."""
    missing: str
    """What to do where there is none, and none could be had."""

    def find(self) -> Path | None:
        """One that is there already. Raises EmbeddedError if the variable names one that does not run."""
        if named := os.environ.get(self.variable):
            if not runs(named, self.option):
                raise EmbeddedError(f"{self.variable} is {named}, which does not run as {self.kind}.")
            return Path(named)
        on_path = (Path(found) for name in self.names if (found := shutil.which(name)))
        # One that is there may not run: Ubuntu's chromium-browser, without snap, is only a hint to install one.
        return next((place for place in (*on_path, *self.places) if runs(place, self.option)), None)

    def get(self) -> Path:
        """One, installed if need be. Raises EmbeddedError if none can be had."""
        found = self.find()
        for install in self.installers:
            if found is None:
                install()
                found = self.find()
        if found is None:
            raise EmbeddedError(self.missing)
        return found

    def main(self) -> int:
        """Print the path of one; returns the exit code."""
        try:
            print(self.get())
        except EmbeddedError as error:
            print(error, file=sys.stderr)
            return 1
        return 0


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
