"""`script/test --static` checks the types of all JavaScript strictly. If it cannot, it says why and fails."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from embedded import npm, typescript
from embedded.home import PROJECT

if TYPE_CHECKING:
    from pathlib import Path


def _tsc(*options: str | Path) -> subprocess.CompletedProcess[str]:
    tsc = typescript.compiler()
    return subprocess.run([tsc, *options], cwd=PROJECT, capture_output=True, text=True, check=False)


def test_every_script_that_is_ours_is_checked() -> None:
    listing = subprocess.run(["git", "ls-files", "*.js", "*.mjs"], cwd=PROJECT, capture_output=True, check=True)
    ours = {name for name in listing.stdout.decode().splitlines() if "/vendor/" not in name}
    listed = _tsc("--project", PROJECT, "--listFilesOnly").stdout.splitlines()
    assert len(ours) > 20
    assert ours - {name.removeprefix(f"{PROJECT}/") for name in listed} == set()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("/** @type {number} */ export const count = 'three';", "TS2322"),
        ("export function same(value) { return value; }", "TS7006"),
        ("document.getElementById('id').remove();", "TS2531"),
    ],
)
def test_a_wrong_type_a_missing_one_and_a_forgotten_null_are_found(line: str, code: str, tmp_path: Path) -> None:
    config = {"extends": str(PROJECT / "tsconfig.json"), "include": ["*.js"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "wrong.js").write_text(line, encoding="utf-8")
    checked = _tsc("--project", tmp_path, "--pretty", "false")
    assert checked.returncode != 0
    assert f"error {code}:" in checked.stdout


def test_without_npm_one_sentence_says_so_and_the_check_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(npm, "FOLDER", tmp_path / "npm")
    monkeypatch.setattr(npm, "PROGRAMS", tmp_path / "bin")
    assert typescript.main([]) == 1
    sentence = capsys.readouterr().err.splitlines()[-1]
    assert sentence.startswith(
        "JavaScript was not checked. The npm packages of package-lock.json could not be installed"
    )


def test_packages_are_installed_again_when_the_lock_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install = Mock(return_value=True)
    monkeypatch.setattr(npm, "FOLDER", tmp_path / "npm")
    monkeypatch.setattr(npm, "run_installer", install)
    npm.packages()
    npm.packages()
    assert install.call_count == 1
    (tmp_path / "npm" / "package-lock.json").write_text("the packages of yesterday", encoding="utf-8")
    npm.packages()
    assert install.call_count == 2


def test_the_lock_has_the_versions_that_are_asked_for_and_a_checksum_of_each_file() -> None:
    packages = json.loads((PROJECT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    asked = packages.pop("")["devDependencies"]
    assert asked == json.loads((PROJECT / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in asked} == asked
    assert [name for name, found in packages.items() if not found["integrity"].startswith("sha512-")] == []
