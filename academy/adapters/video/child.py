"""`python -I child.py <parent> <program> <argument>…`: becomes the program, which dies with its parent.

The kernel kills it when the THREAD ends that started it (prctl(2), PR_SET_PDEATHSIG), also by SIGKILL, so that thread
has to be the one that waits for it. Run as a file, so that nothing of the product is loaded.
"""

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1
MAX_FILE_BYTES = 8_000_000_000


def main(parent: int, program: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:  # it died before the line above
        sys.exit(1)
    for kind, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, MAX_FILE_BYTES)):
        hard = resource.getrlimit(kind)[1]
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (value, value))
    os.execv(program[0], program)  # noqa: S606 - no shell, and a list that we built


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
