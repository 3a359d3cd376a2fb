"""Builds the two C programs of the benchmark, and runs the load generator. `load_generator.c` says what it does."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded.home import PROJECT
from embedded.tools import TOOLS

SOURCES = PROJECT / "benchmarks"
PROGRAMS = TOOLS / "bench"
NO_COMPILER = (
    "The benchmark's load generator is written in C, and no C compiler was found: install one (on Debian and Ubuntu: "
    "apt install gcc libc6-dev), then run this again."
)


class BenchmarkError(Exception):
    """A sentence for the user: the benchmark cannot go on."""


def build(name: str) -> Path:
    """Compile `benchmarks/<name>.c` unless that was done since its last change. Return the program.

    Raise BenchmarkError if there is no compiler, or if it fails.
    """
    source, program = SOURCES / f"{name}.c", PROGRAMS / name
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return program
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise BenchmarkError(NO_COMPILER)
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    words = [compiler, "-O2", "-std=gnu11", "-Wall", "-Wextra", "-o", str(program), str(source)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchmarkError(f"{source.name} cannot be compiled by {compiler}:\n{done.stderr}")
    return program


@dataclass(frozen=True)
class Clients:
    """The connections that the load generator opens. `requests` has a line for each kind of client, see its source."""

    port: int
    protocol: str
    requests: Sequence[str]
    connections: int
    ready_text: str = ""
    at_once: int = 200


class Generator:
    """A running load generator. `handshakes` is what it said when it had tried all connections."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.handshakes = self._answer()

    def announce(self, begin_us: int, end_us: int) -> None:
        """Say which window to measure: from one time to another, in microseconds since 1970."""
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        self._process.stdin.write(f"window {begin_us} {end_us}\n")
        self._process.stdin.flush()

    def result(self) -> dict[str, Any]:
        """Return the figures of the announced window. It is over a second ago."""
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        line = self._process.stdout.readline()
        if not line:
            raise BenchmarkError(f"The load generator ended with code {self._process.wait()}.")
        figures: dict[str, Any] = json.loads(line)
        return figures


@contextmanager
def connected(clients: Clients, folder: Path, cores: Sequence[int], *, may_refuse: bool = False) -> Iterator[Generator]:
    """Open the connections, and yield the generator. The connections are closed at the end of the `with` block.

    Raise BenchmarkError if the server refuses a connection, unless it `may_refuse` some.
    """
    requests = folder / "requests.txt"
    requests.write_text("".join(f"{line}\n" for line in clients.requests), encoding="utf-8")
    words: dict[str, object] = {
        "--port": clients.port,
        "--protocol": clients.protocol,
        "--requests": requests,
        "--connections": clients.connections,
        "--ready": clients.ready_text,
        "--at-once": clients.at_once,
    }
    argv = ["taskset", "-c", ",".join(map(str, cores)), str(build("load_generator"))]
    argv += [str(word) for option in words.items() for word in option]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            generator = Generator(process)
            if generator.handshakes["refused"] and not may_refuse:
                raise BenchmarkError(f"The server refused connections: {generator.handshakes}.")
            yield generator
        finally:
            process.kill()
