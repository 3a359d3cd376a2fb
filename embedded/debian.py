"""Packages of Debian and Ubuntu for the tests, unpacked into `.tools/`: nothing is installed, and no root is needed."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from embedded.tools import TOOLS, run_installer

if TYPE_CHECKING:
    from pathlib import Path

_APT = TOOLS / "apt"


def unpack(what: str, folder: Path, *packages: str) -> None:
    """Download those of the packages that there are with apt-get, and unpack them into a folder below `.tools/`.

    `what` they are is said to the user. Does nothing where there is no apt-get.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        return
    print(f"Downloading {what} for the tests into .tools/ with apt-get", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if not _download(folder, packages):
        # The lists of packages are missing or old. Fetch some into .tools/, as those of the system are not ours.
        for part in ("state/lists/partial", "cache/archives/partial"):
            (_APT / part).mkdir(parents=True, exist_ok=True)
        own = [f"Dir::State={_APT}/state", "Dir::State::status=/var/lib/dpkg/status", f"Dir::Cache={_APT}/cache"]
        options = [word for option in own for word in ("-o", option)]
        if run_installer("apt-get", *options, "update"):
            _download(folder, packages, *options)
    for package in folder.glob("*.deb"):
        run_installer("dpkg", "-x", package, folder)
        package.unlink()


def _download(folder: Path, packages: tuple[str, ...], *options: str) -> bool:
    """Whether at least one of them could be downloaded."""
    got = [run_installer("apt-get", *options, "download", name, folder=folder, quiet=True) for name in packages]
    return any(got)
