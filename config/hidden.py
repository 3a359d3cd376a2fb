"""Hides the secrets in the environment of this process from other processes, after this process has read them.

All processes of the same user can read the initial environment of a process in `/proc/<pid>/environ`, and its memory in
`/proc/<pid>/mem`. One of these processes may be a program that parses a hostile file.
"""

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path

_PR_SET_DUMPABLE = 4
_ENVIRONMENT_START, _ENVIRONMENT_END = 47, 48
"""Indexes in the list of fields after the program's name in `/proc/self/stat`.

proc(5) describes them as fields 50 and 51: it counts from 1, and the name is field 2.
"""
_FILLER = ord("*")


def hide_variables(names: Iterable[str]) -> None:
    """Remove these variables from the environment of this process and, on Linux, hide its memory.

    Afterwards `os.environ` and child processes do not have these variables. On Linux, `/proc/<pid>/environ` shows
    asterisks as their values, and other processes of the user can read neither the memory nor core dumps of this
    process. Root still can, for example to debug.
    """
    hidden = {os.fsencode(name) for name in names}
    for name in hidden:
        os.environ.pop(os.fsdecode(name), None)  # this also calls unsetenv
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
