"""Folders in which jobs work: gone when they end, and swept by the next worker where a process was killed."""

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
"""A folder so young may be one that is not locked yet."""


@contextmanager
def workspace() -> Iterator[Path]:
    """An empty folder of this process's own."""
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name, Path(name, _HELD).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # which the kernel gives up with the process, however that ends
        folder = Path(name, "work")
        folder.mkdir()
        yield folder


def sweep_workspaces() -> int:
    """Removes what killed processes left; how many folders that were."""
    folders = Path(tempfile.gettempdir()).glob(f"{_PREFIX}*")
    return sum(_sweep(folder) for folder in folders)


def _sweep(folder: Path) -> bool:
    try:
        if time.time() - folder.stat().st_mtime < _NEW_SECONDS:
            return False
        with Path(folder, _HELD).open("r") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (FileNotFoundError, PermissionError):
        return False  # it went meanwhile, or is another user's
    except BlockingIOError:
        return False  # somebody works in it
    shutil.rmtree(folder, ignore_errors=True)
    return True
