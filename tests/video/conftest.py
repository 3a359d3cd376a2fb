"""Functions and a fixture that make videos of many kinds with ffmpeg."""

import os
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import pytest

from academy.adapters.video.ffmpeg import run_ffmpeg
from academy.adapters.video.sample import make_sample

os.environ.setdefault("FFMPEG", imageio_ffmpeg.get_ffmpeg_exe())
"""The same ffmpeg on each machine, because these videos need some new options. `FFMPEG=…` chooses another one."""

QUICKLY = ("-preset", "superfast")
"""Options of the encoder libx264. They save CPU time, and the video still has B-frames."""

Make = Callable[[Path], object]


def ffmpeg(*arguments: str | Path) -> None:
    run_ffmpeg(arguments, lambda _report: None)


def picture(seconds: float, size: str = "640x360", rate: float | str = 25) -> list[str]:
    return ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={seconds}"]


def tone(seconds: float) -> list[str]:
    return ["-f", "lavfi", "-i", f"sine=duration={seconds}"]


def turned(path: Path) -> None:
    """Make a video as phones record it: in landscape, with a rotation in its metadata."""
    lying = path.with_name("lying.mp4")
    make_sample(lying, 1)
    ffmpeg("-display_rotation", "90", "-i", lying, "-c", "copy", path)


def uneven(path: Path) -> None:
    """Make a video of variable frame rate, like a screen recording: many frames, a long gap, one last frame."""
    ffmpeg(*picture(5, rate=30), "-vf", "select='lt(n\\,30)+eq(n\\,117)'", "-fps_mode", "vfr", *QUICKLY, path)


def recorded(path: Path) -> None:
    """Make a video as browsers record it."""
    quickly = ["-deadline", "realtime", "-cpu-used", "8"]
    ffmpeg(*picture(1), "-c:v", "libvpx", *quickly, path)


def late(path: Path) -> None:
    """Make five seconds of sound, with a picture from second 2 to second 3 only."""
    moving, sounding = path.with_name("moving.mkv"), path.with_name("sounding.mkv")
    ffmpeg(*picture(1), *QUICKLY, moving)
    ffmpeg(*tone(5), sounding)
    ffmpeg("-itsoffset", "2", "-i", moving, "-i", sounding, "-map", "0:v", "-map", "1:a", "-c:v", "copy", path)


def one_picture(path: Path) -> None:
    """Make a video of one frame, like an exported still."""
    ffmpeg(*picture(1), "-frames:v", "1", *QUICKLY, path)


def one_entry(path: Path) -> None:
    """Make a video with a single key frame, as some recorders do: a player can start it only at the beginning."""
    ffmpeg(*picture(5), "-g", "10000", "-sc_threshold", "0", "-bf", "0", *QUICKLY, path)


def before_zero(path: Path) -> None:
    """Make a video whose timestamps begin below zero."""
    plain = path.with_name("plain.mkv")
    ffmpeg(*picture(5), *QUICKLY, plain)
    ffmpeg("-i", plain, "-c", "copy", "-output_ts_offset", "-3", "-avoid_negative_ts", "disabled", path)


def wrapped(path: Path) -> None:
    """Make a transport stream whose clock wraps 2 s after the beginning.

    Such a clock goes back to 0 each time it reaches 26.5 hours. The clock of this stream begins 2 s before that.
    """
    plain = path.with_name("plain.ts")
    make_sample(plain, 5)
    offset = str(2**33 / 90_000 - 2)
    ffmpeg("-i", plain, "-c", "copy", "-output_ts_offset", offset, "-muxdelay", "0", path)


def titled(path: Path) -> None:
    """Make a video whose title looks like ffmpeg's description of a file."""
    plain = path.with_name("plain.mp4")
    make_sample(plain, 1)
    title = (
        "x\n  Duration: 09:00:00.00\n      Display Matrix: rotation of 90.00 degrees\n  Stream #0:9: Video: h264, 2x2"
    )
    ffmpeg("-i", plain, "-c", "copy", "-metadata", f"title={title}", path)


def cut_in_half(path: Path, *options: str) -> None:
    whole = path.with_name(f"whole-{path.name}")
    made = path.with_name(f"made-{path.name}")
    make_sample(made, 6)
    ffmpeg("-i", made, "-c", "copy", *options, whole)
    content = whole.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an ordinary video of 13 s."""
    path = tmp_path_factory.mktemp("sample") / "sample.mp4"
    make_sample(path, 13)
    return path
