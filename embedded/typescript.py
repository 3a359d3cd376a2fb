"""Checks the types of the project's JavaScript: `python -m embedded.typescript` runs TypeScript with `tsconfig.json`.

TypeScript's version and checksums are in `package-lock.json`. npm, which is a package of `uv.lock`, installs it into
`.tools/`, so neither Node nor npm has to be on the machine.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from embedded.errors import EmbeddedError
from embedded.home import PROJECT
from embedded.tools import TOOLS, Tool, run_installer

_LISTS = ("package.json", "package-lock.json")
_NPM = Path(sys.prefix) / "bin" / "npm"
_PROCESSOR = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())  # npm's name for it


def _version() -> str:
    listed = json.loads((PROJECT / "package.json").read_text(encoding="utf-8"))
    return str(listed["devDependencies"]["typescript"])


_FOLDER = TOOLS / f"typescript-{_version()}"
_MISSING = (
    f"JavaScript was not checked: TypeScript {_version()} could not be installed from registry.npmjs.org. Check the "
    "network, then run this again, or set TSC to the path of a tsc of this version."
)


def _install_by_npm() -> None:
    if not _NPM.exists():
        return
    print(f"Installing TypeScript {_version()} into .tools/ with npm (once)", file=sys.stderr)
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    for name in _LISTS:
        shutil.copy(PROJECT / name, _FOLDER)
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    environment = {
        "npm_config_cache": str(TOOLS / "cache" / "npm"),
        "NODE_USE_SYSTEM_CA": "1",  # a network may have certificates of its own
    }
    run_installer(_NPM, "ci", *options, "--prefix", _FOLDER, environment=environment)


TYPESCRIPT = Tool(
    variable="TSC",
    kind="a tsc",
    option="--version",
    names=(),  # one on PATH may have another version
    places=(_FOLDER / "node_modules" / "@typescript" / f"typescript-{sys.platform}-{_PROCESSOR}" / "lib" / "tsc",),
    installers=(_install_by_npm,),
    missing=_MISSING,
)


def main(options: list[str]) -> int:
    """Run TypeScript on the project. Return its exit code, or 1 if there is no TypeScript."""
    try:
        tsc = TYPESCRIPT.get()
    except EmbeddedError as error:
        print(error, file=sys.stderr)
        return 1
    return subprocess.run([tsc, "--project", PROJECT, *options], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
