"""Confines its own process, and then runs a program in the same process (`exec`), so that the pid stays the same.

Its arguments are a `Confinement` as JSON (see `enter.py`), then the program and the program's arguments.
"""

import os
import sys

from academy.adapters.sandbox.enter import Confinement

CANNOT_START = 126
"""The exit code that shells use for a program that was found but cannot be run."""


def main() -> None:
    program = sys.argv[2:]
    try:
        confinement = Confinement(sys.argv[1])
        confinement.raise_walls(may_execute=True)
        confinement.set_limits()
        confinement.end_with_parent()
        os.execv(program[0], program)  # noqa: S606 - no shell, and a list that we built
    except OSError as problem:
        sys.stderr.write(f"cannot start: {problem}\n")
        sys.exit(CANNOT_START)
