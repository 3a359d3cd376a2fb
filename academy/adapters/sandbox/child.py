"""Runs as a program of its own: confines this process, then becomes the program, so that the pid stays the same.

Its arguments: the order (see `start.py`), then the program and its own arguments.
"""

import os
import sys

from academy.adapters.sandbox.enter import Order

CANNOT_START = 126
"""As shells do for "found but cannot be run"."""


def main() -> None:
    program = sys.argv[2:]
    try:
        order = Order(sys.argv[1])
        order.raise_walls(may_execute=True)
        order.set_limits()
        order.end_with_parent()
        os.execv(program[0], program)  # noqa: S606 - no shell, and a list that we built
    except OSError as problem:
        sys.stderr.write(f"cannot start: {problem}\n")
        sys.exit(CANNOT_START)
