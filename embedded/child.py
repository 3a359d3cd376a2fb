"""A program that prepares its process and then becomes a server (`exec`), so that the pid stays the same.

    python -I -S embedded/child.py '{"parent": 12, "signal": 2, "user": "map", "argv": ["postgres", …]}'

* `signal`: the kernel sends it to this process when the parent dies, even by `kill -9`, so that nothing is left
  running.
* `user`: absent to keep the user; "set" to become `NOBODY`; "map" to enter a user namespace in which this process only
  seems to be `NOBODY`. PostgreSQL needs this, because it refuses to run as root or as a user without a name. With "map"
  the process can still read files under /root, which the real `NOBODY` cannot.
* `check`: a folder. If the chosen user cannot read and enter it, the program ends with the exit code `FAILED`.

This module imports nothing of the package: with `-I -S` Python starts in about 15 ms, but does not find the package.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

NOBODY = 65534  # nobody and nogroup on every common Linux
_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
FAILED = 126  # the exit code of shells for "found but cannot be run"


def become_nobody() -> None:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def map_to(user: int) -> None:
    """Enter a user namespace in which this process has the user id `user`. Raises OSError if the kernel forbids it."""
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/setgroups").write_text("deny")  # the kernel requires it before gid_map
    Path("/proc/self/uid_map").write_text(f"{user} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{user} {gid} 1")


def end_with_parent(parent: int, number: int) -> None:
    """Ask the kernel to send signal `number` when the parent ends. If the parent has already ended, exit.

    A later change of user would undo the request.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:  # the parent died before this request
        sys.exit(FAILED)


def reset_signals() -> None:
    """Reset ignored signals to their default actions, and unblock all signals.

    A background job of a shell ignores SIGINT, and its children inherit that.
    """
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def main() -> None:
    order: dict[str, Any] = json.loads(sys.argv[1])
    if order.get("user") == "set":
        become_nobody()
    elif order.get("user") == "map":
        map_to(NOBODY)
    if "check" in order and not os.access(order["check"], os.R_OK | os.X_OK):
        sys.exit(FAILED)
    end_with_parent(order["parent"], order["signal"])
    reset_signals()
    argv = [str(part) for part in order["argv"]]
    os.execvp(argv[0], argv)  # noqa: S606 (no shell is needed)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        print(f"cannot start: {error}", file=sys.stderr)
        sys.exit(FAILED)
