"""Limits which files a process may open (Landlock, Linux 5.13). Even root cannot open other files.

Landlock also keeps the process from connecting by TCP (Linux 6.7). It keeps the process from reading the memory and the
environment of processes outside the confinement, and from sending them signals (Linux 6.12). See landlock(7).
"""

import ctypes
import os
import stat
from collections.abc import Iterable

from academy.adapters.sandbox.kernel import LIBC, syscall

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture
_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_FILE, _MAKE_REG, _TRUNCATE = 1 << 5, 1 << 8, 1 << 14
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE

READ = _READ_FILE | _READ_DIR
RUN = READ | _EXECUTE
WRITE = READ | _WRITE_FILE | _TRUNCATE | _MAKE_REG | _REMOVE_FILE
"""The rights to read, write, create and remove files, but not to create folders."""

_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_FILE_RIGHTS_OF_LATER = 16
"""How many rights to files Landlock has from version 5 on. `_FILE_RIGHTS` has the number for each earlier version."""
_KNOWS_TCP, _KNOWS_SCOPES = 4, 6
_ALL_TCP, _ALL_SCOPES = 3, 3

_PRESENT = ("/dev/null", "/dev/zero", "/dev/urandom")


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("tcp", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("descriptor", ctypes.c_int32))


def version() -> int:
    """Return the version of the kernel's Landlock interface, or 0 if the kernel has none."""
    return max(
        0, int(LIBC.syscall(ctypes.c_long(_CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION)))
    )


def restrict_files(allowed: Iterable[tuple[str, int]]) -> None:
    """Let this thread, and a program that it executes, open only the allowed files and what is in the allowed folders.

    `allowed` has pairs of a path and its rights: `READ`, `RUN` or `WRITE`. Paths that do not exist are skipped. The
    devices in `_PRESENT` are always allowed. The thread must have set no_new_privs. Does nothing if the kernel has no
    Landlock. Raises OSError if a system call fails.
    """
    known = version()
    if not known:
        return
    handled = (1 << _FILE_RIGHTS.get(known, _FILE_RIGHTS_OF_LATER)) - 1
    ruleset = _Ruleset(handled, _ALL_TCP if known >= _KNOWS_TCP else 0, _ALL_SCOPES if known >= _KNOWS_SCOPES else 0)
    size = 24 if known >= _KNOWS_SCOPES else 16 if known >= _KNOWS_TCP else 8
    rules = syscall(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size), ctypes.c_uint32(0))
    try:
        for path, rights in [*allowed, *((device, _READ_FILE | _WRITE_FILE) for device in _PRESENT)]:
            _allow(rules, path, rights & handled)
        syscall(_RESTRICT_SELF, ctypes.c_int(rules), ctypes.c_uint32(0))
    finally:
        os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # a path that does not exist or cannot be reached needs no permission
        return
    try:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        rule = _PathBeneath(rights if is_folder else rights & _OF_FILES, descriptor)
        syscall(_ADD_RULE, ctypes.c_int(rules), ctypes.c_int(_PATH_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0))
    finally:
        os.close(descriptor)
