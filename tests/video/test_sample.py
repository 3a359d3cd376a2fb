"""`script/sample-video`, run from a shell."""

import subprocess
from pathlib import Path

import pytest

from academy.adapters.video.probe import probe
from embedded.home import PROJECT


def sample_video(*options: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROJECT / "script" / "sample-video", *options], cwd=folder, capture_output=True, text=True, check=False
    )


def test_a_sample_has_the_requested_length_and_size(tmp_path: Path) -> None:
    made = sample_video("--seconds", "2", "--size", "320x240", "--no-audio", "수업 1.mp4", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    assert made.stdout.endswith("수업 1.mp4: 2 s, 320x240\n")
    found = probe(tmp_path / "수업 1.mp4")
    assert (found.width, found.height, found.has_audio) == (320, 240, False)
    assert found.duration == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--size", "3x3", "a.mp4"], "'3x3' is no size; write two even numbers, like 1280x720"),
        (["--seconds", "soon", "a.mp4"], "'soon' is no length; give seconds"),
        (["--seconds", "0", "a.mp4"], "'0' is no length; give seconds"),
        (["a.unknown"], "'a.unknown' does not end like a video; name it with one of .mp4"),
        (["missing/a.mp4"], "'missing/a.mp4' is in a folder that does not exist; make the folder first"),
        ([], "the following arguments are required: FILE"),
    ],
)
def test_a_sample_that_cannot_be_made_is_refused_with_the_reason(
    options: list[str], sentence: str, tmp_path: Path
) -> None:
    made = sample_video(*options, folder=tmp_path)
    assert made.returncode != 0
    assert sentence in made.stderr
    assert "Traceback" not in made.stderr
