"""Finds or downloads an nginx for the tests of a server behind a proxy. `python -m embedded.nginx` prints its path.

It tries in this order: `$NGINX`; a program on PATH or in /usr/sbin; one that an earlier run put into `.tools/nginx`;
the package of Debian or Ubuntu, downloaded by `apt-get` and unpacked there by `dpkg`. Nothing is installed into the
system, and no root is needed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from embedded import debian
from embedded.tools import TOOLS, Tool

_FOLDER = TOOLS / "nginx"
_PACKAGES = ("nginx", "nginx-core")  # in Ubuntu 22.04 the program is in the second one
_MISSING = (
    "No nginx was found for the tests of a server behind a proxy, and none could be downloaded: set NGINX to the path "
    "of one, or install nginx (on Debian: apt install nginx)."
)


def _download() -> None:
    debian.unpack("nginx", _FOLDER, *_PACKAGES)


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
