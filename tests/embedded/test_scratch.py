"""Tests of the temporary folders of tests."""

import shutil
from pathlib import Path
from typing import IO

import pytest

from embedded import scratch
from embedded.scratch import scratch_folder


def test_a_folder_that_its_owner_deletes_meanwhile_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    hold = scratch._hold

    def delete_before(folder: Path) -> IO[str] | None:
        if folder.name.startswith("deleted-"):
            shutil.rmtree(folder)
        return hold(folder)

    monkeypatch.setattr(scratch, "_hold", delete_before)
    (scratch._ALL / "deleted-by-its-owner").mkdir(parents=True)
    with scratch_folder("kept") as kept:
        assert kept.is_dir()
    assert not (scratch._ALL / "deleted-by-its-owner").exists()
