"""Starts programs that read uploaded files, behind walls and without the environment variables of this process.

The walls allow only the named files. They forbid the network, new processes and access to other processes, and limit
memory, CPU time and output. Walls that the kernel does not support are logged once, and `manage.py doctor` lists them.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

import structlog

import academy
from academy.adapters.sandbox import landlock, seccomp

log = structlog.get_logger(__name__)

ROOT = Path(academy.__file__).resolve().parent.parent
ENVIRONMENT = {"PATH": "", "LC_ALL": "C", "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}
"""The whole environment of a confined program."""
MAX_FILES = 256
MAX_PROCESSES = 8192
"""The limit on the number of threads in all processes of the user. The kernel has no such limit for a single process.
Root is exempt. A confined process can create threads, but no processes."""

_BOOT = "import importlib, sys; sys.path.insert(0, sys.argv.pop(1)); importlib.import_module(sys.argv.pop(1)).main()"
_CHILD = "academy.adapters.sandbox.child"
_LIBRARIES = (
    "/lib",
    "/lib32",
    "/lib64",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/bin",
    "/usr/share",
    "/usr/local/bin",
    "/usr/local/lib",
    "/usr/local/share",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
    "/etc/alternatives",
)
_BESIDE_PROGRAM = ("lib", "lib64", "libexec", "share")


@dataclass(frozen=True, slots=True, kw_only=True)
class Walls:
    """What a program may use. It may read the files and folders `reads`, and read and write the folders `writes`.

    A folder includes all that is in it, at any depth. `memory_bytes` limits the memory that the program fills, and
    `address_bytes` the address space that it reserves (None: no limit). `file_bytes` is the largest file that it may
    write. `cleanup_seconds` are the CPU seconds between SIGXCPU and SIGKILL, in which the program may still clean up.
    """

    memory_bytes: int
    cpu_seconds: int
    file_bytes: int
    reads: Sequence[Path] = ()
    writes: Sequence[Path] = ()
    address_bytes: int | None = None
    cleanup_seconds: int = 5

    def limits(self) -> dict[str, int]:
        limits = {
            "memory": self.memory_bytes,
            "cpu": self.cpu_seconds,
            "file": self.file_bytes,
            "files": MAX_FILES,
            "core": 0,
            "processes": MAX_PROCESSES,
        }
        return limits if self.address_bytes is None else {**limits, "address_space": self.address_bytes}

    def allowed(self) -> list[tuple[str, int]]:
        """Return pairs of a path and its rights, for `landlock.restrict_files`."""
        read = [(str(path.absolute()), landlock.READ) for path in self.reads]
        return read + [(str(path.absolute()), landlock.WRITE) for path in self.writes]


def start(
    program: Sequence[str], walls: Walls, *, stdout: int | IO[bytes], stderr: int | IO[bytes]
) -> "subprocess.Popen[bytes]":
    """Start a program, and return its process. `program` is its path and its arguments.

    The process is killed when the calling thread ends. If the program cannot be started, the exit code is
    `child.CANNOT_START` and standard error says why.
    """
    confinement = _confinement(walls, _parts_of(program[0]))
    return _start(["-S", "-c", _BOOT, str(ROOT), _CHILD, confinement, *program], stdout, stderr)


def start_reader(
    module: str, words: Sequence[str], walls: Walls, *, stdout: int | IO[bytes], stderr: int | IO[bytes]
) -> "subprocess.Popen[bytes]":
    """Start a process that calls `main` of a module of this project, and return the process.

    `main` must raise the walls itself, after its imports. The arguments of the process are an `enter.Confinement` as
    JSON, and then `words`. The process is killed when the calling thread ends.
    """
    return _start(["-c", _BOOT, str(ROOT), module, _confinement(walls, _parts_of_python()), *words], stdout, stderr)


def _confinement(walls: Walls, parts: Sequence[tuple[str, int]]) -> str:
    return json.dumps(
        {
            "parent": os.getpid(),
            "limits": walls.limits(),
            "cleanup_seconds": walls.cleanup_seconds,
            "allowed": [*walls.allowed(), *parts],
        }
    )


def _start(words: Sequence[str], stdout: int | IO[bytes], stderr: int | IO[bytes]) -> "subprocess.Popen[bytes]":
    log_missing_walls()
    return subprocess.Popen(
        [sys.executable, "-I", *words],
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        process_group=0,  # Ctrl-C does not end it. No new session, because Linux shares CPU time by session.
    )


def _parts_of(program: str) -> list[tuple[str, int]]:
    """Return the paths, with rights, that a program needs: itself, programs and libraries beside it, and `_LIBRARIES`.

    The other files of its folder are left out, because there may be an `.env` beside a self-installed ffmpeg.
    """
    real = Path(program).resolve()
    own: list[Path] = [Path(program), real]
    if real.parent.is_dir() and not any(real.is_relative_to(folder) for folder in _LIBRARIES):
        own += [path for path in real.parent.iterdir() if path.is_file() and _is_code(path)]
        own += [real.parent.parent / name for name in _BESIDE_PROGRAM if real.parent != real.parent.parent]
    return [(str(path), landlock.RUN) for path in [*own, *_LIBRARIES]]


def _is_code(path: Path) -> bool:
    return ".so" in path.suffixes or os.access(path, os.X_OK)


def _parts_of_python() -> list[tuple[str, int]]:
    """Return the paths, with rights, that Python may have to load.

    They are the standard library, the installed packages, the folder `academy` and the folders of the system.
    """
    own = [Path(folder, "lib") for folder in (sys.prefix, sys.base_prefix)]
    return [(str(path), landlock.READ) for path in [*own, ROOT / "academy", *_LIBRARIES]]


def missing_walls() -> list[str]:
    """Return a description of each wall that this kernel does not support."""
    missing = []
    if not landlock.version():
        missing.append("Landlock (Linux 5.13), so that parsers read what this user may read")
    if not seccomp.available():
        missing.append("a seccomp filter for this machine, so that parsers reach the network")
    return missing


@cache
def log_missing_walls() -> None:
    if missing := missing_walls():
        log.warning("parser_walls_missing", missing=missing)
