"""A temporary folder inside the project, for the servers of tests."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from embedded.home import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALL = PROJECT / ".tools" / "scratch"


@contextlib.contextmanager
def scratch_folder(name: str = "servers") -> Iterator[Path]:
    """A new folder for the length of a `with` block, deleted afterwards with all that is in it.

    pytest's own temporary folders are closed to other users, so that PostgreSQL, which must not be root, cannot reach
    its data in them where a container forbids user namespaces. What a killed run left behind goes at the next call.
    """
    _ALL.mkdir(parents=True, exist_ok=True)
    with (_ALL / "lock").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        _remove_abandoned()
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=_ALL))
        held = _hold(folder)
    try:
        folder.chmod(0o711)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if held is not None:
            held.close()


def _hold(folder: Path) -> IO[str] | None:
    """The kernel lets go of this lock when we end, however; None if another process holds it."""
    held = (folder / "lock").open("a")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        return None
    return held


def _remove_abandoned() -> None:
    for folder in _ALL.iterdir():
        if not folder.is_dir():
            continue
        held = _hold(folder)
        if held is not None:
            shutil.rmtree(folder, ignore_errors=True)
            held.close()
