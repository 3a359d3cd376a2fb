"""Tests of the folders of jobs: those of killed workers are deleted, and those of running ones stay."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from apps.worker.workspace import sweep_workspaces, workspace

HOLD = (
    "from apps.worker.workspace import workspace\nwith workspace() as folder:\n    print(folder, flush=True); input()"
)
LONG_AGO = (1.0, 1.0)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def held_by_another_process(temporary: Path) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip()).parent
    os.utime(folder, LONG_AGO)
    return process, folder


def test_a_folder_is_gone_when_its_job_has_ended(temporary: Path) -> None:
    with workspace() as folder:
        (folder / "file").write_text("content")
        os.utime(folder.parent, LONG_AGO)
        assert sweep_workspaces() == 0
    assert list(temporary.iterdir()) == []


def test_folders_of_killed_processes_are_swept_and_those_of_running_ones_stay(temporary: Path) -> None:
    process, folder = held_by_another_process(temporary)
    (folder / "work" / "video.mp4").write_bytes(b"personal")
    os.utime(folder, LONG_AGO)
    assert sweep_workspaces() == 0
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert sweep_workspaces() == 1
    assert list(temporary.iterdir()) == []


def test_a_folder_that_has_just_been_made_is_left_alone(temporary: Path) -> None:
    young = temporary / "academy-work-young"
    young.mkdir()
    assert sweep_workspaces() == 0
    assert young.exists()
