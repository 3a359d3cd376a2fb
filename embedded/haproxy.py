"""Finds or downloads an HAProxy for the tests of a server behind a proxy. `python -m embedded.haproxy` prints its path.

It tries in this order: `$HAPROXY`; a program on PATH or in /usr/sbin; one that an earlier run put into
`.tools/haproxy`; the package of Debian or Ubuntu, with the libraries that a system may lack.
"""

from __future__ import annotations

import sys
from pathlib import Path

from embedded import debian
from embedded.tools import TOOLS, Tool

_FOLDER = TOOLS / "haproxy"
_PACKAGES = (
    "haproxy",
    # Each release of Debian and Ubuntu has some of these libraries.
    *("liblua5.3-0", "liblua5.4-0", "libopentracing-c-wrapper0", "libopentracing1"),
)
_MISSING = (
    "No HAProxy was found for the tests of a server behind a proxy, and none could be downloaded: set HAPROXY to the "
    "path of one, or install haproxy (on Debian: apt install haproxy)."
)
_STARTER = """\
#!/bin/sh
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
for folder in "$here"/usr/lib/*-linux-gnu; do
    LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder"
done
export LD_LIBRARY_PATH
exec "$here/usr/sbin/haproxy" "$@"
"""


def _download() -> None:
    debian.unpack("HAProxy", _FOLDER, *_PACKAGES)
    if _FOLDER.is_dir():
        starter = _FOLDER / "haproxy"
        starter.write_text(_STARTER, encoding="utf-8")
        starter.chmod(0o755)


HAPROXY = Tool(
    variable="HAPROXY",
    kind="an HAProxy",
    option="-v",
    names=("haproxy",),
    places=(Path("/usr/sbin/haproxy"), Path("/usr/local/sbin/haproxy"), _FOLDER / "haproxy"),
    installers=(_download,),
    missing=_MISSING,
)

if __name__ == "__main__":
    sys.exit(HAPROXY.main())
