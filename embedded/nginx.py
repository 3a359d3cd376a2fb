"""Finds an nginx for the tests of a server behind a proxy, or gets one: `python -m embedded.nginx` prints its path.

In this order: `$NGINX`; a program on PATH or in /usr/sbin; one that an earlier run put into `.tools/nginx`; the package
of Debian or Ubuntu, which `apt-get` downloads and `dpkg` unpacks there. Nothing is installed into the system, and no
root is needed.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from embedded.tools import TOOLS, Tool, run_installer

_FOLDER = TOOLS / "nginx"
_APT = TOOLS / "apt"
_PACKAGES = ("nginx", "nginx-core")  # Ubuntu 22.04 keeps the program in the second
_MISSING = (
    "No nginx was found for the tests of a server behind a proxy, and none could be downloaded: set NGINX to the path "
    "of one, or install nginx (on Debian: apt install nginx)."
)


def _download() -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        return
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


NGINX = Tool(
    variable="NGINX",
    kind="an nginx",
    option="-v",
    names=("nginx",),
    places=(Path("/usr/sbin/nginx"), Path("/usr/local/sbin/nginx"), _FOLDER / "usr/sbin/nginx"),
    installers=(_download,),
    missing=_MISSING,
)

if __name__ == "__main__":
    sys.exit(NGINX.main())
