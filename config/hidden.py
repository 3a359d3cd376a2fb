"""Taking secrets out of sight once they are read.

What a process was started with stays readable in `/proc/<pid>/environ`, and what it holds in `/proc/<pid>/mem`, for all
processes of the same user, a program that reads a hostile file among them.
"""

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path

_PR_SET_DUMPABLE = 4
_ENVIRONMENT_START, _ENVIRONMENT_END = 47, 48
"""Of the fields of `/proc/self/stat` after the name, from 0: proc(5) counts them from 1, and the name is the second."""
_FILLER = ord("*")


def hide_variables(names: Iterable[str]) -> None:
    """Remove these variables from the environment of this process, and hide its memory.

    Afterwards `os.environ` and children do not have them, and the block that the kernel shows has asterisks in their
    place. Memory and core dumps are closed to other processes of the user; root may still look, as for debugging.
    """
    hidden = {os.fsencode(name) for name in names}
    for name in hidden:
        os.environ.pop(os.fsdecode(name), None)  # which also tells the C library
    if sys.platform != "linux":
        return
    _overwrite(hidden)
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _overwrite(names: set[bytes]) -> None:
    fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    start, end = int(fields[_ENVIRONMENT_START]), int(fields[_ENVIRONMENT_END])
    place = start
    for entry in ctypes.string_at(start, end - start).split(b"\0"):
        name, _, value = entry.partition(b"=")
        if name in names:
            ctypes.memset(place + len(name) + 1, _FILLER, len(value))
        place += len(entry) + 1
