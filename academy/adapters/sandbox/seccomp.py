"""Limits which system calls a process may make (seccomp): no sockets, no new processes, no access to other processes.

A process can set such a filter even in a container in which it cannot create namespaces.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterable

from academy.adapters.sandbox.kernel import PR_GET_SECCOMP, PR_SET_SECCOMP, prctl

_FILTER = 2
_CLONE_THREAD = 0x10000
_X32 = 0x40000000

# Offsets in struct seccomp_data, the filter's input. On x86-64 and ARM64 an argument begins with its low half.
_NUMBER, _ARCHITECTURE, _ARGUMENT_0 = 0, 4, 16
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_REFUSED = {
    "x86_64": {
        "socket": 41, "fork": 57, "vfork": 58, "ptrace": 101, "pivot_root": 155, "chroot": 161, "mount": 165,
        "umount2": 166, "init_module": 175, "rt_sigqueueinfo": 129, "kexec_load": 246, "add_key": 248,
        "request_key": 249, "keyctl": 250, "unshare": 272, "rt_tgsigqueueinfo": 297, "perf_event_open": 298,
        "open_by_handle_at": 304, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311,
        "finit_module": 313, "bpf": 321, "userfaultfd": 323,
    },
    "aarch64": {
        "socket": 198, "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "unshare": 97, "kexec_load": 104,
        "init_module": 105, "ptrace": 117, "rt_sigqueueinfo": 138, "add_key": 217, "request_key": 218, "keyctl": 219,
        "rt_tgsigqueueinfo": 240, "perf_event_open": 241, "open_by_handle_at": 265, "setns": 268,
        "process_vm_readv": 270, "process_vm_writev": 271, "finit_module": 273, "bpf": 280, "userfaultfd": 282,
    },
}  # fmt: skip
_REFUSED_EVERYWHERE = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "open_tree": 428, "move_mount": 429, "fsopen": 430,
    "pidfd_open": 434, "pidfd_getfd": 438, "mount_setattr": 442,
}  # fmt: skip
_CLONE3 = 435
_CLONE = {"x86_64": 56, "aarch64": 220}
_SIGNALS = {"x86_64": (62, 200, 234), "aarch64": (129, 130, 131)}
"""The numbers of the system calls kill, tkill and tgkill. A process may call them only to send itself a signal."""
_PRLIMIT = {"x86_64": 302, "aarch64": 261}

_Line = tuple[int, int, int, int]
"""An instruction: operation, how many lines to skip if the test is true, how many if it is false, and operand."""


class _Program(ctypes.Structure):
    _fields_ = (("lines", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def available() -> bool:
    """Return whether this kernel supports filters and this module has a filter for this machine's architecture."""
    try:
        prctl(PR_GET_SECCOMP)
    except OSError:
        return False
    return os.uname().machine in _ARCHITECTURES and struct.calcsize("P") == 8  # noqa: PLR2004 - bytes of a pointer


def restrict_calls(*, may_execute: bool) -> None:
    """Refuse dangerous system calls of this thread, and of a program that it executes.

    A refused call fails with EPERM, clone3 with ENOSYS. `may_execute` allows execve. The thread must have set
    no_new_privs. Does nothing if no filter is `available`. Raises OSError if the kernel does not accept the filter.
    """
    if not available():
        return
    lines = list(_lines(os.uname().machine, os.getpid(), may_execute=may_execute))
    code = b"".join(struct.pack("=HBBI", *line) for line in lines)
    program = _Program(len(lines), code)
    prctl(PR_SET_SECCOMP, _FILTER, ctypes.c_void_p(ctypes.addressof(program)))


def _lines(machine: str, pid: int, *, may_execute: bool) -> Iterable[_Line]:
    refuse = (_RETURN, 0, 0, _REFUSE | errno.EPERM)
    yield _LOAD, 0, 0, _ARCHITECTURE
    yield _EQUAL, 1, 0, _ARCHITECTURES[machine]
    yield _RETURN, 0, 0, _KILL
    yield _LOAD, 0, 0, _NUMBER
    if machine == "x86_64":
        yield _AT_LEAST, 0, 1, _X32
        yield refuse
    refused = [*_REFUSED[machine].values(), *_REFUSED_EVERYWHERE.values()]
    if not may_execute:
        refused += {"x86_64": [59, 322], "aarch64": [221, 281]}[machine]  # execve, execveat
    for number in refused:
        yield _EQUAL, 0, 1, number
        yield refuse
    # After ENOSYS for clone3 the C library uses clone, whose flags a filter can check.
    yield _EQUAL, 0, 1, _CLONE3
    yield _RETURN, 0, 0, _REFUSE | errno.ENOSYS
    yield from _unless_argument(_CLONE[machine], (_ANY_BIT, _CLONE_THREAD), refuse)
    for number in _SIGNALS[machine]:
        yield from _unless_argument(number, (_EQUAL, pid), refuse)
    yield from _unless_argument(_PRLIMIT[machine], (_EQUAL, 0), refuse)
    yield _RETURN, 0, 0, _ALLOW


def _unless_argument(number: int, allowed: tuple[int, int], refuse: _Line) -> Iterable[_Line]:
    """Yield the lines that refuse a system call unless its first argument passes `allowed` (operation and operand)."""
    test, operand = allowed
    yield _EQUAL, 0, 4, number
    yield _LOAD, 0, 0, _ARGUMENT_0
    yield test, 1, 0, operand
    yield refuse
    yield _LOAD, 0, 0, _NUMBER
