"""Finds an nginx for the tests of a server behind a proxy, or gets one: `python -m embedded.nginx` prints its path.

In this order: `$NGINX`; a program on PATH or in /usr/sbin; one that an earlier run put into `.tools/nginx`; the package
of Debian or Ubuntu, which `apt-get` downloads and `dpkg` unpacks there. Nothing is installed into the system, and no
root is needed.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from embedded.errors import EmbeddedError
from embedded.tools import TOOLS, run_installer, runs

_FOLDER = TOOLS / "nginx"
_APT = TOOLS / "apt"
_PACKAGES = ("nginx", "nginx-core")  # Ubuntu 22.04 keeps the program in the second
_MISSING = (
    "No nginx was found for the tests of a server behind a proxy, and none could be downloaded: set NGINX to the path "
    "of one, or install nginx (on Debian: apt install nginx)."
)


def find() -> Path | None:
    """An nginx that is there already. Raises EmbeddedError if `$NGINX` names one that does not run."""
    if named := os.environ.get("NGINX"):
        if not runs(named, "-v"):
            raise EmbeddedError(f"NGINX is {named}, which does not run as an nginx.")
        return Path(named)
    on_path = shutil.which("nginx")
    places = [Path(on_path)] if on_path else []
    places += [Path("/usr/sbin/nginx"), Path("/usr/local/sbin/nginx"), _FOLDER / "usr/sbin/nginx"]
    return next((place for place in places if runs(place, "-v")), None)


def get() -> Path:
    """An nginx, downloaded if need be. Raises EmbeddedError if none can be had."""
    found = find()
    if found is None and shutil.which("apt-get") and shutil.which("dpkg"):
        _download()
        found = find()
    if found is None:
        raise EmbeddedError(_MISSING)
    return found


def _download() -> None:
    print("Downloading nginx for the tests into .tools/ with apt-get", file=sys.stderr)
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    if not _download_packages():
        # The lists of packages are missing or old. Fetch some into .tools/, as those of the system are not ours.
        for part in ("state/lists/partial", "cache/archives/partial"):
            (_APT / part).mkdir(parents=True, exist_ok=True)
        own = [f"Dir::State={_APT}/state", "Dir::State::status=/var/lib/dpkg/status", f"Dir::Cache={_APT}/cache"]
        options = [word for option in own for word in ("-o", option)]
        if run_installer("apt-get", *options, "update"):
            _download_packages(*options)
    for package in _FOLDER.glob("*.deb"):
        run_installer("dpkg", "-x", package, _FOLDER)
        package.unlink()


def _download_packages(*options: str) -> bool:
    """Whether at least one of them could be downloaded."""
    got = [run_installer("apt-get", *options, "download", name, folder=_FOLDER, quiet=True) for name in _PACKAGES]
    return any(got)


def main() -> int:
    try:
        print(get())
    except EmbeddedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
