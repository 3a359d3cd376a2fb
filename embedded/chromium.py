"""Finds or installs a Chromium for the browser tests. `python -m embedded.chromium` prints its path.

It tries in this order: `$CHROMIUM`; a program on PATH; one that an earlier run put into `.tools/`; for root, Debian's
package with Korean fonts (installed in seconds); the npm package `@sparticuz/chromium` in `.tools/` (74 MB, needs no
root, but draws Korean letters as boxes if the system has no font for them).

It prefers the headless shell, a Chromium without windows, which needs a third of the processor time for the same tests.
"""

from __future__ import annotations

import os
import shutil
import sys
import tarfile

from embedded.tools import TOOLS, Tool, run_installer

_PACKAGE = "@sparticuz/chromium@147.0.0"
_FOLDER = TOOLS / "chromium"
_MISSING = (
    "No Chromium was found for the browser tests, and none could be installed: set CHROMIUM to the path of one, "
    "or install chromium (on Debian: apt install chromium fonts-noto-cjk)."
)
# The package's parts are brotli files, which Node can unpack by itself.
_UNPACK = """
const {brotliDecompressSync} = require("zlib"), fs = require("fs"), [from, to] = process.argv.slice(1);
for (const [part, name] of [["chromium.br", "chromium-bin"], ["al2023.tar.br", "al2023.tar"],
    ["swiftshader.tar.br", "swiftshader.tar"], ["fonts.tar.br", "fonts.tar"]])
  fs.writeFileSync(to + "/" + name, brotliDecompressSync(fs.readFileSync(from + "/" + part)), {mode: 0o755});
"""
_STARTER = """\
#!/bin/sh
# The package's own libraries come last, because those of the system fit better.
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu:/usr/lib64:$here/lib"
export LD_LIBRARY_PATH
[ -e /etc/fonts/fonts.conf ] || export FONTCONFIG_PATH="$here"
exec "$here/chromium-bin" "$@"
"""


def _install_by_apt() -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    print("Installing Chromium and Korean fonts for the browser tests with apt-get", file=sys.stderr)
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    if not run_installer("apt-get", "update", environment=environment):
        return
    for package in ("chromium-headless-shell", "chromium"):
        # Some versions of Debian have no package of the headless shell.
        quiet = package != "chromium"
        words = ["apt-get", "install", "-y", package, "fonts-noto-cjk"]
        if run_installer(*words, environment=environment, quiet=quiet):
            return


def _install_by_npm() -> None:
    if not (shutil.which("npm") and shutil.which("node")):
        return
    print(f"Installing {_PACKAGE} for the browser tests into .tools/ with npm", file=sys.stderr)
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    options = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=dev", "--loglevel=error"]
    cache = {"npm_config_cache": str(TOOLS / "cache" / "npm")}
    if not run_installer("npm", "install", *options, "--prefix", _FOLDER, _PACKAGE, environment=cache):
        return
    if run_installer("node", "-e", _UNPACK, _FOLDER / "node_modules" / "@sparticuz" / "chromium" / "bin", _FOLDER):
        for archive in _FOLDER.glob("*.tar"):
            with tarfile.open(archive) as opened:
                # The filter refuses unsafe paths. Python before 3.11.4 lacks the filter, but npm has verified the
                # package's checksum.
                if hasattr(tarfile, "data_filter"):
                    opened.extraction_filter = tarfile.data_filter
                opened.extractall(_FOLDER)  # noqa: S202
            archive.unlink()
        starter = _FOLDER / "chromium"
        starter.write_text(_STARTER, encoding="utf-8")
        starter.chmod(0o755)
    shutil.rmtree(_FOLDER / "node_modules", ignore_errors=True)


CHROMIUM = Tool(
    variable="CHROMIUM",
    kind="a Chromium",
    option="--version",
    names=("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    places=(_FOLDER / "chromium",),
    installers=(_install_by_apt, _install_by_npm),
    missing=_MISSING,
)

if __name__ == "__main__":
    sys.exit(CHROMIUM.main())
