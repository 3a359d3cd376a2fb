"""Finds a Chromium for the browser tests, or gets one: `python -m embedded.chromium` prints its path.

In this order: `$CHROMIUM`; a program on PATH; one that an earlier run put into `.tools/`; for root, Debian's package
with Korean fonts (complete, and seconds to install); the npm package `@sparticuz/chromium` into `.tools/` (headless,
74 MB, needs no root, but draws Korean letters as boxes where the system has no font for them).
"""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
from pathlib import Path

from embedded.errors import EmbeddedError
from embedded.tools import TOOLS, run_installer, runs

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PACKAGE = "@sparticuz/chromium@147.0.0"
_FOLDER = TOOLS / "chromium"
_MISSING = (
    "No Chromium was found for the browser tests, and none could be installed: set CHROMIUM to the path of one, "
    "install chromium (on Debian: apt install chromium fonts-noto-cjk), or install npm and run this again."
)
# The package's parts are brotli files, which Node reads by itself.
_UNPACK = """
const {brotliDecompressSync} = require("zlib"), fs = require("fs"), [from, to] = process.argv.slice(1);
for (const [part, name] of [["chromium.br", "chromium-bin"], ["al2023.tar.br", "al2023.tar"],
    ["swiftshader.tar.br", "swiftshader.tar"], ["fonts.tar.br", "fonts.tar"]])
  fs.writeFileSync(to + "/" + name, brotliDecompressSync(fs.readFileSync(from + "/" + part)), {mode: 0o755});
"""
_STARTER = """\
#!/bin/sh
# Its own libraries come last: those of the system, where it has them, fit better.
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu:/usr/lib64:$here/lib"
export LD_LIBRARY_PATH
[ -e /etc/fonts/fonts.conf ] || export FONTCONFIG_PATH="$here"
exec "$here/chromium-bin" "$@"
"""


def find() -> Path | None:
    """A Chromium that is there already. Raises EmbeddedError if `$CHROMIUM` names one that does not run."""
    named = os.environ.get("CHROMIUM")
    if named:
        if not runs(named, "--version"):
            raise EmbeddedError(f"CHROMIUM is {named}, which does not run as a Chromium.")
        return Path(named)
    on_path = (Path(found) for name in _NAMES if (found := shutil.which(name)))
    # Ubuntu's chromium-browser, without snap, is only a hint to install one.
    return next((place for place in (*on_path, _FOLDER / "chromium") if runs(place, "--version")), None)


def get() -> Path:
    """A Chromium, installed if need be. Raises EmbeddedError if none can be had."""
    found = find()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _install_by_apt()
        found = find()
    if found is None and shutil.which("npm") and shutil.which("node"):
        _install_by_npm()
        found = find()
    if found is None:
        raise EmbeddedError(_MISSING)
    return found


def _install_by_apt() -> None:
    print("Installing Chromium and Korean fonts for the browser tests with apt-get", file=sys.stderr)
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    if run_installer("apt-get", "update", environment=environment):
        run_installer("apt-get", "install", "-y", "chromium", "fonts-noto-cjk", environment=environment)


def _install_by_npm() -> None:
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
                # The filter came with 3.11.4; the package's checksum has been verified by npm either way.
                if hasattr(tarfile, "data_filter"):
                    opened.extraction_filter = tarfile.data_filter
                opened.extractall(_FOLDER)  # noqa: S202
            archive.unlink()
        starter = _FOLDER / "chromium"
        starter.write_text(_STARTER, encoding="utf-8")
        starter.chmod(0o755)
    shutil.rmtree(_FOLDER / "node_modules", ignore_errors=True)


def main() -> int:
    try:
        print(get())
    except EmbeddedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
