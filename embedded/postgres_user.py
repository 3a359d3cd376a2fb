"""Chooses the user who runs PostgreSQL, because PostgreSQL refuses root and users without a name."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from embedded.child import NOBODY
from embedded.errors import EmbeddedError

if TYPE_CHECKING:
    from collections.abc import Sequence

_WRAPPER = Path(__file__).with_name("child.py")


@cache
def _can_use(user: str, folder: Path, programs: tuple[Path, ...]) -> bool:
    """Return whether the user can enter the folder and run the programs.

    Run each program. To check the permissions of its file is not enough: it may be a script that starts another
    program, which the user may not be allowed to run.
    """
    for program in programs:
        argv = [str(program), "--version"]
        order = {"user": user, "check": str(folder), "parent": os.getpid(), "signal": signal.SIGKILL, "argv": argv}
        command = [sys.executable, "-I", "-S", str(_WRAPPER), json.dumps(order)]
        try:
            if subprocess.run(command, capture_output=True, timeout=20, check=False).returncode != 0:
                return False
        except subprocess.TimeoutExpired:
            return False
    return True


def _has_name() -> bool:
    """Return whether our user has a name in the system, which PostgreSQL's programs require."""
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return True


def choose(folder: Path, programs: Sequence[Path]) -> str | None:
    """Return the user for PostgreSQL: None for our own user, or "set" or "map" as in `embedded.child`.

    The user must be able to enter `folder`, which is for the data, and to run `programs`. Raises EmbeddedError if no
    user can.
    """
    if os.geteuid() != 0:
        if _has_name():
            return None
        if _can_use("map", folder, tuple(programs)):
            return "map"
        raise EmbeddedError(
            f"PostgreSQL does not run as user {os.geteuid()}, who has no name on this system: add a line for this "
            "number to /etc/passwd, allow user namespaces, or set DATABASE_URL to a PostgreSQL that runs elsewhere."
        )
    # First try to become the user nobody ("set"), since containers often forbid the user namespace that "map" needs.
    for user in ("set", "map"):
        if _can_use(user, folder, tuple(programs)):
            return user
    raise EmbeddedError(
        f"PostgreSQL does not run as root, and the user nobody cannot reach {folder} or run {programs[0]}: "
        "start as an ordinary user, or set ACADEMY_HOME to a folder that everybody can enter (such as one under /srv)."
    )


def give(folder: Path, user: str | None) -> None:
    """Make the user of the server the owner of everything in `folder`, because the last start may have chosen another.

    With `user` "set", the owner is nobody. Otherwise it is the user of this process. With None, change nothing.
    """
    if user is None:
        return
    owner, group = (NOBODY, NOBODY) if user == "set" else (os.geteuid(), os.getegid())
    if folder.stat().st_uid == owner:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner, group, follow_symlinks=False)
