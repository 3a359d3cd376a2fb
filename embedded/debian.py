"""Unpacks packages of Debian and Ubuntu into `.tools/` for the tests, without installing them and without root."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from embedded.tools import TOOLS, run_installer

if TYPE_CHECKING:
    from pathlib import Path

_APT = TOOLS / "apt"


def unpack(what: str, folder: Path, *packages: str) -> None:
    """Download the packages that exist, and unpack them into `folder`, which must be below `.tools/`.

    `what` names the packages in a message to the user. Do nothing if the system has no apt-get or no dpkg.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        return
    print(f"Downloading {what} for the tests into .tools/ with apt-get", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if not _download(folder, packages):
        # The system's lists of packages are missing or old, and only root may change them. Download lists to .tools/.
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
    """Download the packages. Return whether at least one could be downloaded."""
    got = [run_installer("apt-get", *options, "download", name, folder=folder, quiet=True) for name in packages]
    return any(got)
