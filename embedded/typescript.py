"""Checks the types of the project's JavaScript: `python -m embedded.typescript` runs TypeScript with `tsconfig.json`.

TypeScript, and the packages whose types the project's modules use, are packages of `package-lock.json`.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

from embedded import npm
from embedded.errors import EmbeddedError
from embedded.home import PROJECT

_PROCESSOR = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())  # npm's name for it


def compiler() -> Path:
    """Return the program `tsc`, which needs no Node. Install it if it is not there.

    Raises EmbeddedError if that fails.
    """
    return npm.packages() / "@typescript" / f"typescript-{sys.platform}-{_PROCESSOR}" / "lib" / "tsc"


def main(options: list[str]) -> int:
    """Run TypeScript on the project. Return its exit code, or 1 if there is no TypeScript."""
    try:
        tsc = compiler()
    except EmbeddedError as error:
        print(f"JavaScript was not checked. {error}", file=sys.stderr)
        return 1
    return subprocess.run([tsc, "--project", PROJECT, *options], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
