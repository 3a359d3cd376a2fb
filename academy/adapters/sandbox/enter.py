"""Confines the current process before it reads an uploaded file. A process cannot undo its confinement."""

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
_CAPABILITY_VERSION = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH, _LAST_POSSIBLE = 1, 2, 63
_KEPT = 1 << _DAC_OVERRIDE | 1 << _DAC_READ_SEARCH


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


class Confinement:
    """The limits and permissions of a process.

    They are read from JSON: `parent` (the pid of the process that started this one), `limits` (a number for each name
    in `_LIMITS`), `cleanup_seconds` (the CPU seconds between SIGXCPU and SIGKILL) and `allowed` (pairs of a path
    and the rights to it).
    """

    def __init__(self, text: str) -> None:
        fields = json.loads(text)
        self._parent: int = fields["parent"]
        self._limits: dict[str, int] = fields["limits"]
        self._cleanup_seconds: int = fields["cleanup_seconds"]
        self._allowed: list[tuple[str, int]] = fields["allowed"]

    def set_limits(self) -> None:
        """Set the resource limits. A limit above the present hard limit is lowered to it.

        Raises OSError if a system call fails.
        """
        for name, most in self._limits.items():
            kind = _LIMITS[name]
            hard = resource.getrlimit(kind)[1]
            wanted = (most, most + self._cleanup_seconds if kind == resource.RLIMIT_CPU else most)
            low, high = wanted if hard == resource.RLIM_INFINITY else (min(number, hard) for number in wanted)
            resource.setrlimit(kind, (low, high))

    def raise_walls(self, *, may_execute: bool) -> None:
        """Forbid the network, new processes, privileges, and all files not in `allowed`.

        `may_execute` allows execve. A wall that the kernel does not support is left out. Raises OSError if a supported
        wall cannot be raised.
        """
        _drop_capabilities()
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        restrict_files(self._allowed)
        restrict_calls(may_execute=may_execute)

    def end_with_parent(self) -> None:
        """Let the kernel kill this process when the thread that started it ends. Exit if the parent has ended already.

        Raises OSError if the system call fails.
        """
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._parent:  # the parent died before the line above
            sys.exit(1)


def _drop_capabilities() -> None:
    """Drop all capabilities except those for opening the files of other users.

    A process of root needs these, because the folders that it uses may belong to another user.
    """
    header, sets = _Header(_CAPABILITY_VERSION, 0), (_Sets * 2)()
    checked(LIBC.capget(ctypes.byref(header), sets), "capget")
    if not any(half.permitted for half in sets):
        return
    for number in range(_LAST_POSSIBLE + 1):
        if not _KEPT >> number & 1:
            try:
                prctl(PR_CAPBSET_DROP, number)
            except OSError:  # past the last capability, or not permitted; no_new_privs prevents regaining one anyway
                break
    for half, kept in zip(sets, (_KEPT, 0), strict=True):
        half.permitted &= kept
        half.effective &= kept
        half.inheritable = 0
    checked(LIBC.capset(ctypes.byref(header), sets), "capset")
