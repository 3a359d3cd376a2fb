"""Temporary folders of jobs. A folder is deleted when its job ends or, if the process was killed, by another worker."""

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
"""A folder that is younger than this has perhaps not been locked yet, so it is not swept."""


@contextmanager
def workspace() -> Iterator[Path]:
    """Yield an empty folder, and delete it at the end of the `with` block."""
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
        return False  # the folder was deleted meanwhile, or belongs to another user
    except BlockingIOError:
        return False  # a process works in the folder
    shutil.rmtree(folder, ignore_errors=True)
    return True
