"""Finds or downloads libfaketime for the tests of wrong clocks. `python -m embedded.faketime` prints its path.

A process that is started with `environment(…)` sees another time than this one, and the same monotonic clock. It tries
in this order: `$FAKETIME_LIBRARY`; the package of the system; one that an earlier run put into `.tools/faketime`; the
package of Debian or Ubuntu.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from embedded import debian
from embedded.errors import EmbeddedError
from embedded.tools import TOOLS

_FOLDER = TOOLS / "faketime"
_NAME = "libfaketime.so.1"
_MISSING = (
    "No libfaketime was found for the tests of wrong clocks, and none could be downloaded: set FAKETIME_LIBRARY to the "
    f"path of {_NAME}, or install it (on Debian: apt install libfaketime)."
)


def environment(library: Path, offset_file: Path) -> dict[str, str]:
    """Return variables with which a process sees another time. It reads the offset, such as "+25h", from a file.

    The process reads the file each time that it needs the time.
    """
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(offset_file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


def find() -> Path | None:
    """Return an installed library that works, or None."""
    if named := os.environ.get("FAKETIME_LIBRARY"):
        return Path(named)
    folders = [Path("/usr/lib"), Path("/usr/local/lib"), _FOLDER / "usr/lib"]
    found = [path for folder in folders for path in (*folder.glob(f"*/{_NAME}"), *folder.glob(f"*/faketime/{_NAME}"))]
    return next(filter(_works, found), None)


def get() -> Path:
    """Return a library. Download it if it is not installed. Raises EmbeddedError if that fails."""
    found = find()
    if found is None:
        debian.unpack("libfaketime", _FOLDER, "libfaketime")
        found = find()
    if found is None:
        raise EmbeddedError(_MISSING)
    return found


def _works(library: Path) -> bool:
    """Return whether a program sees another year with it. A library for another processor or libc is not loaded."""
    variables = {**os.environ, "LD_PRELOAD": str(library), "FAKETIME": "@2001-02-03 04:05:06"}
    year = subprocess.run(["date", "+%Y"], capture_output=True, env=variables, check=False, timeout=30)
    return year.stdout.strip() == b"2001"


def main() -> int:
    try:
        print(get())
    except EmbeddedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
