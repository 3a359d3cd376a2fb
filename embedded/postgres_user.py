"""Which user PostgreSQL runs as. It refuses root, so for root somebody else is found."""

from __future__ import annotations

import json
import os
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
def _can_use(user: str, paths: tuple[str, ...]) -> bool:
    order = json.dumps({"user": user, "check": paths})
    run = subprocess.run(
        [sys.executable, "-I", "-S", str(_WRAPPER), order], capture_output=True, timeout=20, check=False
    )
    return run.returncode == 0


def choose(folder: Path, needed: Sequence[Path]) -> str | None:
    """How to run it: None (as we are), "set" or "map" as in `embedded.child`.

    `folder` will hold the data; `needed` are paths that it must be able to read. Raises EmbeddedError if no way works.
    """
    if os.geteuid() != 0:
        return None
    paths = tuple(str(path) for path in (folder, *needed))
    # A real other user first: it works in containers too, where user namespaces are often forbidden.
    for user in ("set", "map"):
        if _can_use(user, paths):
            return user
    raise EmbeddedError(
        f"PostgreSQL does not run as root, and the user nobody cannot reach {folder}: "
        "start as an ordinary user, or set ACADEMY_HOME to a folder that everybody can enter (such as one under /srv)."
    )


def give(folder: Path, user: str | None) -> None:
    """Make everything in `folder` belong to the one who will run it (it may have been another at the last start)."""
    if user is None:
        return
    owner = NOBODY if user == "set" else os.geteuid()
    if folder.stat().st_uid == owner:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner, owner, follow_symlinks=False)
