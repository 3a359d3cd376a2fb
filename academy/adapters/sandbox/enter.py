"""What a process does to itself before it touches a stranger's file. None of it can be undone, by itself or others."""

import ctypes
import json
import os
import resource
import signal
import sys

from academy.adapters.sandbox.kernel import (
    LIBC,
    PR_CAPBSET_DROP,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    checked,
    prctl,
)
from academy.adapters.sandbox.landlock import restrict_files
from academy.adapters.sandbox.seccomp import restrict_calls

_LIMITS = {
    "memory": resource.RLIMIT_DATA,
    "address_space": resource.RLIMIT_AS,
    "cpu": resource.RLIMIT_CPU,
    "file": resource.RLIMIT_FSIZE,
    "files": resource.RLIMIT_NOFILE,
    "core": resource.RLIMIT_CORE,
    "processes": resource.RLIMIT_NPROC,
}
_AFTER_CPU_SECONDS = 5
"""From the signal that a program may end well on to the one that it cannot catch."""
_CAPABILITY_VERSION = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH, _LAST_POSSIBLE = 1, 2, 63
_KEPT = 1 << _DAC_OVERRIDE | 1 << _DAC_READ_SEARCH


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


class Order:
    """A JSON of `parent` (its pid), `limits` (a number each) and `allowed` (pairs of a path and the rights to it)."""

    def __init__(self, text: str) -> None:
        order = json.loads(text)
        self._parent: int = order["parent"]
        self._limits: dict[str, int] = order["limits"]
        self._allowed: list[tuple[str, int]] = order["allowed"]

    def set_limits(self) -> None:
        """Never above what is allowed already. Raises OSError."""
        for name, most in self._limits.items():
            kind = _LIMITS[name]
            hard = resource.getrlimit(kind)[1]
            wanted = (most, most + _AFTER_CPU_SECONDS if kind == resource.RLIMIT_CPU else most)
            low, high = wanted if hard == resource.RLIM_INFINITY else (min(number, hard) for number in wanted)
            resource.setrlimit(kind, (low, high))

    def raise_walls(self, *, may_execute: bool) -> None:
        """No other files, no network, no new process, no privilege. Raises OSError."""
        _drop_capabilities()
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        restrict_files(self._allowed)
        restrict_calls(may_execute=may_execute)

    def end_with_parent(self) -> None:
        """SIGKILL when the thread ends that started us; at once if it has. Raises OSError."""
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._parent:  # it died before the line above
            sys.exit(1)


def _drop_capabilities() -> None:
    """Root keeps what passes by the owners of files: it may work in a folder of somebody else's."""
    header, sets = _Header(_CAPABILITY_VERSION, 0), (_Sets * 2)()
    checked(LIBC.capget(ctypes.byref(header), sets), "capget")
    if not any(half.permitted for half in sets):
        return
    for number in range(_LAST_POSSIBLE + 1):
        if not _KEPT >> number & 1:
            try:
                prctl(PR_CAPBSET_DROP, number)
            except OSError:  # beyond the last one, or we may not; no_new_privs keeps it from coming back
                break
    for half, kept in zip(sets, (_KEPT, 0), strict=True):
        half.permitted &= kept
        half.effective &= kept
        half.inheritable = 0
    checked(LIBC.capset(ctypes.byref(header), sets), "capset")
