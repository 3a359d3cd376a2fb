"""Finds or installs a Firefox for the browser tests. `python -m embedded.firefox` prints its path.

It tries in this order: `$FIREFOX`; a program on PATH; one that an earlier run put into `.tools/`; for root, Debian's
package, which is installed; the same package, unpacked into `.tools/` (needs GTK on the system, but no root).
"""

from __future__ import annotations

import os
import shutil
import sys

from embedded import debian
from embedded.tools import TOOLS, Tool, run_installer

_FOLDER = TOOLS / "firefox"
_PACKAGE = "firefox-esr"
_MISSING = (
    "No Firefox was found for the browser tests, and none could be installed: set FIREFOX to the path of one, or "
    "install Firefox (on Debian: apt install firefox-esr)."
)


def _install_by_apt() -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    print("Installing Firefox for the browser tests with apt-get", file=sys.stderr)
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    install = ("apt-get", "install", "-y", "--no-install-recommends", _PACKAGE)
    # Try without `apt-get update` first. The lists of packages are up to date if Chromium was installed a moment ago.
    if run_installer(*install, environment=environment, quiet=True):
        return
    if run_installer("apt-get", "update", environment=environment):
        run_installer(*install, environment=environment)


def _unpack() -> None:
    debian.unpack("Firefox", _FOLDER, _PACKAGE)


FIREFOX = Tool(
    variable="FIREFOX",
    kind="a Firefox",
    option="--version",
    names=("firefox-esr", "firefox"),
    places=(_FOLDER / "usr/lib/firefox-esr/firefox-esr",),
    installers=(_install_by_apt, _unpack),
    missing=_MISSING,
)

if __name__ == "__main__":
    sys.exit(FIREFOX.main())
