"""Tests of the contents of the npm package. The tools that judge packages must find nothing wrong with it."""

import gzip
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import realtime
from embedded.home import PROJECT
from tests.realtime.client.package.conftest import PACKAGE, run

DESCRIPTION = json.loads((PACKAGE / "package.json").read_text(encoding="utf-8"))
ENTRIES = ["client.js", "native.js", "react.js", "tanstack-db.js", "testing.js", "devtools.js"]
MAX_CORE_BYTES = 6144


def test_the_version_is_the_engines() -> None:
    assert DESCRIPTION["version"] == realtime.__version__


def test_the_license_is_the_projects() -> None:
    assert (PACKAGE / "LICENSE").read_bytes() == (PROJECT / "LICENSE").read_bytes()


def test_the_tarball_has_each_module_its_types_and_what_people_read(tarball: Path) -> None:
    with tarfile.open(tarball) as opened:
        names = {name.removeprefix("package/") for name in opened.getnames()}
    modules = {module.name for module in PACKAGE.glob("*.js")}
    types = {f"types/{name.removesuffix('.js')}{end}" for name in modules for end in (".d.ts", ".d.ts.map")}
    assert names == modules | types | {"types/frames.d.ts"} | {"package.json", "README.md", "LICENSE"}
    assert set(ENTRIES) <= modules


def test_publint_finds_nothing(tarball: Path) -> None:
    assert "All good!" in run("publint", "run", tarball, "--strict", folder=PACKAGE)


def test_the_types_are_found_wherever_modules_can_be_imported(tarball: Path) -> None:
    """Check with the tool "Are the types wrong", and leave out `require()`, because the package has only ES modules."""
    judged = json.loads(run("attw", tarball, "--profile", "esm-only", "--format", "json", folder=PACKAGE))
    assert set(judged["analysis"]["entrypoints"]) == set(DESCRIPTION["exports"])


def test_a_server_can_import_every_module_and_nothing_happens(in_node: Callable[[str], Any]) -> None:
    names = [name.replace(".", "realtime-client", 1) for name in DESCRIPTION["exports"] if not name.endswith("json")]
    imported = in_node(
        f"export const result = Promise.all({names}.map(async (name) => Object.keys(await import(name))));"
    )
    assert len(imported) == len(names)
    assert all(imported)


def test_react_native_gets_what_browsers_get(bundle: Callable[..., str], in_node: Callable[[str], Any]) -> None:
    text = 'import * as client from "realtime-client"; export const result = Object.keys(client);'
    native = bundle(text, "--conditions=react-native", "--alias:react-native=./react-native.mts")
    assert in_node(native) == in_node(text)


@pytest.mark.parametrize("entry", ENTRIES)
def test_each_size_is_shown_and_the_core_is_under_6_kilobytes(
    entry: str, bundle: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    peers = [f"--external:{name}" for name in DESCRIPTION["peerDependencies"]]
    text = f'export * from "./node_modules/realtime-client/{entry}";'
    minified = bundle(text, "--minify", "--target=es2022", *peers).encode()
    size = len(gzip.compress(minified, mtime=0))
    with capsys.disabled():
        print(f"\n{entry}: {len(minified)} bytes minified, {size} bytes with gzip")  # noqa: T201
    assert entry != "client.js" or size < MAX_CORE_BYTES
