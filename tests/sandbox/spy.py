"""Tries what a parser under the control of a hostile file could do. Prints the results of all attempts as JSON."""

import contextlib
import json
import os
import resource
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

secret_file, allowed_file, allowed_folder = map(Path, sys.argv[1:])
found: dict[str, str] = {}


def attempt(name: str, work: Callable[[], object]) -> None:
    try:
        found[name] = str(work())
    except (OSError, MemoryError, RuntimeError) as problem:
        found[name] = type(problem).__name__


def environments() -> str:
    """Return the environments of all processes that can be listed and read. The parent is tried even if not listed."""
    numbers = {str(os.getppid())}
    with contextlib.suppress(OSError):
        numbers |= {name for name in os.listdir("/proc") if name.isdigit()} - {str(os.getpid())}  # noqa: PTH208
    seen = ""
    for number in numbers:
        with contextlib.suppress(OSError):
            seen += Path("/proc", number, "environ").read_bytes().decode("utf-8", "replace")
    return seen


def memory_of_parent() -> str:
    with Path("/proc", str(os.getppid()), "mem").open("rb"):
        return "opened"


def fork() -> str:
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    return "forked"


def threads() -> str:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    return "made"


def write(path: Path, size: int) -> str:
    with path.open("wb") as file:
        for _ in range(size // 1_000_000):
            file.write(bytes(1_000_000))
    return "written"


def signal_to(pid: int) -> str:
    os.kill(pid, 0)
    return "sent"


def limits_of_parent() -> str:
    resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE)
    return "read"


attempt("secret file", lambda: secret_file.read_text(encoding="utf-8"))
attempt("allowed file", lambda: allowed_file.read_text(encoding="utf-8"))
attempt("write to allowed file", lambda: allowed_file.write_text("changed", encoding="utf-8"))
attempt("write in folder", lambda: write(allowed_folder / "new", 1_000_000))
attempt("rename in folder", lambda: (allowed_folder / "new").rename(allowed_folder / "renamed") and "renamed")
attempt("write elsewhere", lambda: write(secret_file.with_name("new"), 1_000_000))
attempt("too large a file", lambda: write(allowed_folder / "large", 30_000_000))
attempt("environments", environments)
attempt("memory of parent", memory_of_parent)
attempt("TCP", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM) and "made")
attempt("UDP", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM) and "made")
attempt("Unix socket", lambda: socket.socket(socket.AF_UNIX) and "made")
attempt("fork", fork)
attempt("thread", threads)
attempt("signal to parent", lambda: signal_to(os.getppid()))
attempt("signal to itself", lambda: signal_to(os.getpid()))
attempt("limits of parent", limits_of_parent)
attempt("memory", lambda: len(bytearray(400_000_000)))
attempt("core", lambda: resource.getrlimit(resource.RLIMIT_CORE))
json.dump(found, sys.stdout)
