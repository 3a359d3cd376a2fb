"""Finds or downloads libfaketime for the tests of wrong clocks. `python -m embedded.faketime` prints its path.

A process that is started with `environment(…)` sees a wrong time, but the right monotonic clock. The module tries in
this order: `$FAKETIME_LIBRARY`; an installed libfaketime; one that an earlier run put into `.tools/faketime`; the
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
    """Return the environment variables with which a process sees a wrong time.

    `offset_file` has the offset, such as "+25h". The process reads this file each time that it needs the time.
    """
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(offset_file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


def find() -> Path | None:
    """Return a library that works. Search the system and `.tools/faketime`. Return None if there is none.

    A library that FAKETIME_LIBRARY names is returned without a trial.
    """
    if named := os.environ.get("FAKETIME_LIBRARY"):
        return Path(named)
    folders = [Path("/usr/lib"), Path("/usr/local/lib"), _FOLDER / "usr/lib"]
    found = [path for folder in folders for path in (*folder.glob(f"*/{_NAME}"), *folder.glob(f"*/faketime/{_NAME}"))]
    return next(filter(_works, found), None)


def get() -> Path:
    """Return the library that `find` finds. If it finds none, download one. Raises EmbeddedError if none works."""
    found = find()
    if found is None:
        debian.unpack("libfaketime", _FOLDER, "libfaketime")
        found = find()
    if found is None:
        raise EmbeddedError(_MISSING)
    return found


def _works(library: Path) -> bool:
    """Return whether this library makes a program see a wrong year.

    A library for another processor or libc is not loaded, so the program sees the right year.
    """
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
