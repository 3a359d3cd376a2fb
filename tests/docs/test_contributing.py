"""Tests that the files and programs that CONTRIBUTING.md names exist."""

import shlex
import subprocess

import yaml

from embedded.home import PROJECT
from tests.docs.pages import page


def test_each_program_of_the_hooks_before_a_commit_is_one_of_the_environment() -> None:
    config = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert [hook["id"] for hook in hooks] == ["ruff-check", "ruff-format", "imports", "javascript", "lock"]
    programs = [shlex.split(hook["entry"])[0] for hook in hooks if hook["id"] != "lock"]
    assert [program for program in programs if not (PROJECT / program).is_file()] == []


def test_the_hook_of_the_lock_finds_a_lock_that_is_that_of_the_project() -> None:
    config = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (entry,) = (hook["entry"] for repo in config["repos"] for hook in repo["hooks"] if hook["id"] == "lock")
    checked = subprocess.run(shlex.split(entry), cwd=PROJECT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_what_the_page_names_beside_the_sources_is_there() -> None:
    for name in (".pre-commit-config.yaml", ".editorconfig", "SECURITY.md", "realtime/py.typed"):
        assert (PROJECT / name).is_file()
    assert "`.pre-commit-config.yaml`" in page("CONTRIBUTING.md").text
