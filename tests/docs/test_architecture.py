"""Tests that the architecture page agrees with the code: its diagram, and the files and functions that it names."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.home import PROJECT
from tests.docs.pages import page

PAGE = page("docs/explanation/architecture.md")
_PLACE = re.compile(r"`([\w/]+\.py)`\s+`([\w.]+)`")
_NAME = re.compile(r"`([A-Za-z_]\w*(?:\.\w+)?)`")
_STEP = re.compile(r"^\d+\. .*(?:\n   +\S.*)*", re.MULTILINE)
PATHS = ["an event", "a connection", "a progress report", "a terminal state"]


def steps_of(path: str) -> list[str]:
    """Return the steps of one of the `PATHS` that the page describes."""
    section = PAGE.text.partition(f"## The path of {path}\n")[2].partition("\n## ")[0]
    return _STEP.findall(section)


def names_in(file: str) -> Iterator[str]:
    """Yield the functions, classes and methods that a file defines, as the page writes them."""
    for node in ast.parse((PROJECT / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from (
                f"{node.name}.{inner.name}"
                for inner in node.body
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
            )


def test_the_picture_is_the_one_that_the_script_draws_of_the_code() -> None:
    command = [sys.executable, "script/architecture", "--check"]
    checked = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("path", PATHS)
def test_each_function_on_a_path_is_in_the_file_that_is_named_with_it(path: str) -> None:
    places = [place for step in steps_of(path) for place in _PLACE.findall(step)]
    assert len(places) > 4
    assert [(file, name) for file, name in places if name not in names_in(file)] == []


@pytest.mark.parametrize("path", PATHS)
def test_each_step_of_a_path_names_a_file_and_functions_of_such_files(path: str) -> None:
    steps = steps_of(path)
    files = {file for step in steps for file in re.findall(r"`([\w/]+\.(?:py|lua))`", step)}
    assert all(Path(PROJECT / file).is_file() for file in files)
    assert [step for step in steps if not re.search(r"`[\w/]+\.(?:py|lua)`", step)] == []
    defined = {name for file in files if file.endswith(".py") for name in names_in(file)}
    assert {name for step in steps for name in _NAME.findall(step)} - defined == set()
