"""Temporary folders of jobs. They are deleted when the job ends, or by the next worker if the process was killed."""

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "academy-work-"
_HELD = "held"
_NEW_SECONDS = 60.0
"""A folder younger than this may not be locked yet."""


@contextmanager
def workspace() -> Iterator[Path]:
    """Make an empty folder for the length of a `with` block."""
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name, Path(name, _HELD).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # the kernel releases the lock when the process ends in any way
        folder = Path(name, "work")
        folder.mkdir()
        yield folder


def sweep_workspaces() -> int:
    """Delete the folders that killed processes left behind, and return how many were deleted."""
    folders = Path(tempfile.gettempdir()).glob(f"{_PREFIX}*")
    return sum(_sweep(folder) for folder in folders)


def _sweep(folder: Path) -> bool:
    try:
        if time.time() - folder.stat().st_mtime < _NEW_SECONDS:
            return False
        with Path(folder, _HELD).open("r") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (FileNotFoundError, PermissionError):
        return False  # it was deleted meanwhile, or belongs to another user
    except BlockingIOError:
        return False  # a process works in it
    shutil.rmtree(folder, ignore_errors=True)
    return True
