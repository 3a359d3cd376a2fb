"""Makes system calls of Linux that Python does not offer.

The modules of this package that run inside the confined process import only the standard library.
"""

import ctypes
import os
from typing import Any

PR_SET_PDEATHSIG = 1
PR_GET_SECCOMP = 21
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38

LIBC = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, *arguments: Any) -> int:
    """Set or read a property of this process, and return the result. Raises OSError if the system call fails."""
    words = [word if isinstance(word, ctypes._SimpleCData) else ctypes.c_ulong(word) for word in arguments]  # noqa: SLF001 - the base of all C numbers
    words += [ctypes.c_ulong(0)] * (4 - len(words))
    return checked(LIBC.prctl(option, *words), f"prctl({option})")


def syscall(number: int, *arguments: Any) -> int:
    """Make the system call with this number, and return its result. Raises OSError if it fails."""
    return checked(LIBC.syscall(ctypes.c_long(number), *arguments), f"syscall({number})")


def checked(result: int, what: str) -> int:
    """Return the result of a C function. If it is -1, raise OSError with the `errno` of the C library."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result
