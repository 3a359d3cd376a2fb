"""Tests that the lock files name only public registries, even if the files were made with a mirror."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

PROJECT = Path(__file__).resolve().parents[2]
PUBLIC = {"pypi.org", "files.pythonhosted.org"}


def test_the_lock_of_python_packages_names_public_hosts_only() -> None:
    text = (PROJECT / "uv.lock").read_text(encoding="utf-8")
    hosts = {urlsplit(url).hostname for url in re.findall(r"[a-z+]+://[^\"'\s]+", text)}
    assert hosts == PUBLIC


def test_each_locked_file_has_its_checksum() -> None:
    packages = tomllib.loads((PROJECT / "uv.lock").read_text(encoding="utf-8"))["package"]
    files = [file for package in packages for file in (*package.get("wheels", ()), package.get("sdist")) if file]
    assert len(files) > 100
    assert [file["url"] for file in files if not file.get("hash", "").startswith("sha256:")] == []


def test_locks_of_npm_packages_name_the_public_registry_or_no_host() -> None:
    for lock in PROJECT.glob("package-lock.json"):
        urls = re.findall(r'"resolved": "([^"]+)"', lock.read_text(encoding="utf-8"))
        assert {urlsplit(url).hostname for url in urls} <= {"registry.npmjs.org"}
