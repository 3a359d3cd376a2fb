"""Measures the import of an Excel list: the product's, row by row, and a bare COPY. `import_child.py` does the work."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.speed.generator import BenchmarkError
from benchmarks.speed.servers import SECRET
from embedded.home import PROJECT
from embedded.postgres import PostgresServer

_SECONDS = 600


@dataclass(frozen=True)
class Importing:
    how: str
    rows: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.rows} rows, {self.how}: {self.seconds:.3f} s, {self.rows / self.seconds:.0f} rows/s"

    def json(self) -> dict[str, Any]:
        return asdict(self)


def measure(folder: Path, sizes: Sequence[int]) -> Iterator[Importing]:
    """Import lists of these sizes into a new database. Yield the figures of each size and way."""
    with PostgresServer(folder / "postgres-importing") as postgres:
        environment = {
            **os.environ,
            "DATABASE_URL": postgres.url,
            "SECRET_KEY": SECRET,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "LOG_LEVEL": "WARNING",
        }
        _run([sys.executable, "manage.py", "migrate", "--no-input", "-v", "0"], environment)
        words = [sys.executable, "-m", "benchmarks.speed.import_child", *map(str, sizes)]
        for line in _run(words, environment).splitlines():
            yield Importing(**json.loads(line))


def _run(words: Sequence[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        words, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS
    )
    if done.returncode != 0:
        raise BenchmarkError(f"{' '.join(words)} ended with code {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout
