"""Finds, tries and installs programs that only the tests need. `.tools/` has those that need no root to install."""

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
    """Run a program with an option that only prints something, such as `--version`. Return whether it succeeds."""
    try:
        return subprocess.run([program, option], capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A program: where it may be, and how to install it."""

    variable: str
    """The environment variable for the program's path. If it is set, the program is not looked for elsewhere."""
    kind: str
    """The program's name in messages, such as "an nginx"."""
    option: str
    """An option with which the program only prints something and ends, such as `--version`."""
    names: Sequence[str]
    """The program's names on PATH."""
    places: Sequence[Path]
    """Other places where the program may be, the best first."""
    installers: Sequence[Callable[[], None]]
    """Functions that install the program if they can, and otherwise do nothing. They are tried in this order."""
    missing: str
    """A sentence about what the user can do if the program was neither found nor installed."""

    def find(self) -> Path | None:
        """Return an installed program that runs, or None.

        Raises EmbeddedError if the environment variable names a program that does not run.
        """
        if named := os.environ.get(self.variable):
            if not runs(named, self.option):
                raise EmbeddedError(f"{self.variable} is {named}, which does not run as {self.kind}.")
            return Path(named)
        on_path = (Path(found) for name in self.names if (found := shutil.which(name)))
        # A program may exist but not run: Ubuntu's chromium-browser only prints a hint if the snap package is missing.
        return next((place for place in (*on_path, *self.places) if runs(place, self.option)), None)

    def get(self) -> Path:
        """Return the program. Install it if it is not found. Raises EmbeddedError if that fails."""
        found = self.find()
        for install in self.installers:
            if found is None:
                install()
                found = self.find()
        if found is None:
            raise EmbeddedError(self.missing)
        return found

    def main(self) -> int:
        """Print the path of the program, and return the exit code."""
        try:
            print(self.get())
        except EmbeddedError as error:
            print(error, file=sys.stderr)
            return 1
        return 0


def run_installer(
    *argv: str | Path, environment: dict[str, str] | None = None, folder: Path | None = None, quiet: bool = False
) -> bool:
    """Run an installer, and return whether it succeeded. If it failed, print the end of its output, unless `quiet`."""
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
