"""`script/manage`: runs manage.py with the environment that a running `script/up` gave to its processes."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from embedded import runfile
from embedded.home import PROJECT, Home

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(words: Sequence[str]) -> None:
    """Replace this process with manage.py. If no system runs, print a message and exit with the code 1."""
    home = Home.of(os.environ)
    environment = runfile.environment_of_running(home)
    if not environment:
        sys.exit(f"script/manage: Nothing runs in {home.folder}: start script/up first.")
    command = [sys.executable, str(PROJECT / "manage.py"), *words]
    os.execve(sys.executable, command, {**os.environ, **environment})  # noqa: S606 - no shell is needed


if __name__ == "__main__":
    main(sys.argv[1:])
