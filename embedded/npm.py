"""Installs the npm packages that check, bundle and try the project's JavaScript, and runs their programs.

`python -m embedded.npm vite build` runs the command `vite build` with the packages and Node on PATH.

The versions and checksums of the npm packages are in `package-lock.json`. The packages are installed into
`.tools/npm/`, and into no other place. npm and Node are themselves packages of `uv.lock`, so the machine needs neither.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

from embedded.errors import EmbeddedError
from embedded.home import PROJECT
from embedded.tools import TOOLS, run_installer

PROGRAMS = Path(sys.prefix) / "bin"
"""The folder of `npm` and `node`."""
FOLDER = TOOLS / "npm"
_LISTS = ("package.json", "package-lock.json")
_MISSING = (
    "The npm packages of package-lock.json could not be installed from registry.npmjs.org. Check the network, then run "
    "this again."
)


def packages() -> Path:
    """Return the folder `node_modules` with the packages of `package-lock.json`.

    Install them if they are missing, or if a file of `_LISTS` has changed. Raises EmbeddedError if this fails.
    """
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "npm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if not _are_installed():
            _install()
    return FOLDER / "node_modules"


def environment() -> dict[str, str]:
    """Return the environment variables with which Node and the programs of the packages run."""
    path = [str(FOLDER / "node_modules" / ".bin"), str(PROGRAMS), os.environ.get("PATH", os.defpath)]
    return {
        **os.environ,
        "PATH": os.pathsep.join(path),
        "npm_config_cache": str(TOOLS / "cache" / "npm"),
        "npm_config_update_notifier": "false",
        "NODE_USE_SYSTEM_CA": "1",  # a network may have certificates of its own
    }


def _are_installed() -> bool:
    """Return whether npm finished the last installation, and the files of `_LISTS` have not changed since then."""
    if not (FOLDER / "finished").exists():
        return False
    return all((FOLDER / name).read_bytes() == (PROJECT / name).read_bytes() for name in _LISTS)


def _install() -> None:
    print("Installing the packages of package-lock.json into .tools/npm/ (once, and when it changes)", file=sys.stderr)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for name in _LISTS:
        shutil.copy(PROJECT / name, FOLDER)
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    npm = PROGRAMS / "npm"
    if not (npm.exists() and run_installer(npm, "ci", *options, "--prefix", FOLDER, environment=environment())):
        raise EmbeddedError(_MISSING)
    (FOLDER / "finished").touch()


def main(argv: list[str]) -> int:
    """Install the packages, run the command `argv` with them, and return its exit code.

    If `argv` is empty, print the folder of the packages instead.
    """
    try:
        folder = packages()
    except EmbeddedError as error:
        print(error, file=sys.stderr)
        return 1
    if argv:
        return subprocess.run(argv, env=environment(), check=False).returncode
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
