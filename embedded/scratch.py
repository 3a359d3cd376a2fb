"""Makes temporary folders inside the project, for the servers of tests."""

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
    """Yield a new folder, and delete it with its contents at the end of the `with` block.

    Servers cannot use pytest's temporary folders, which only their owner can enter: if root runs the tests in a
    container without user namespaces, PostgreSQL runs as another user. If a run is killed, its folders remain until the
    next call of this function deletes them.
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
    """Lock a folder, and return the open lock file, or None if another process has locked the folder.

    The kernel releases the lock when this process ends in any way.
    """
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
        with contextlib.suppress(FileNotFoundError):  # its owner is deleting it now
            held = _hold(folder)
            if held is not None:
                shutil.rmtree(folder, ignore_errors=True)
                held.close()
