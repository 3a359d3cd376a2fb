"""How a program that only the tests need is found or installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from embedded import EmbeddedError
from embedded.tools import Tool

if TYPE_CHECKING:
    from collections.abc import Callable


def _program(file: Path, code: int = 0) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\nexit {code}\n", encoding="utf-8")
    file.chmod(0o755)
    return file


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that is the only one on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("LATHE", raising=False)
    return folder


def lathe(*places: Path, installers: tuple[Callable[[], None], ...] = ()) -> Tool:
    return Tool(
        variable="LATHE",
        kind="a lathe",
        option="--version",
        names=("lathe", "big-lathe"),
        places=places,
        installers=installers,
        missing="There is no lathe: buy one.",
    )


def test_the_program_in_the_variable_goes_before_all_others(
    bin_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _program(bin_folder / "lathe")
    named = _program(tmp_path / "named")
    monkeypatch.setenv("LATHE", str(named))
    assert lathe().find() == named
    _program(named, code=1)
    with pytest.raises(EmbeddedError, match=f"^LATHE is {named}, which does not run as a lathe\\.$"):
        lathe().find()


def test_a_program_on_path_goes_before_other_places_and_one_that_does_not_run_is_skipped(
    bin_folder: Path, tmp_path: Path
) -> None:
    elsewhere = _program(tmp_path / "opt" / "lathe")
    assert lathe(tmp_path / "nowhere", elsewhere).find() == elsewhere
    big = _program(bin_folder / "big-lathe")
    _program(bin_folder / "lathe", code=1)
    assert lathe(elsewhere).find() == big


def test_installers_are_tried_in_order_until_one_succeeds(bin_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    called = []

    def in_vain() -> None:
        called.append("in vain")

    def in_earnest() -> None:
        called.append("in earnest")
        _program(bin_folder / "lathe")

    tool = lathe(installers=(in_vain, in_earnest, in_vain))
    assert tool.main() == 0
    assert called == ["in vain", "in earnest"]
    assert capsys.readouterr().out == f"{bin_folder}/lathe\n"
    assert tool.get() == bin_folder / "lathe"
    assert called == ["in vain", "in earnest"]


@pytest.mark.usefixtures("bin_folder")
def test_if_no_installer_succeeds_the_sentence_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert lathe().main() == 1
    assert capsys.readouterr().err == "There is no lathe: buy one.\n"
