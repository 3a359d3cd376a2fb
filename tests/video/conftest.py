"""Videos of all kinds, made on the spot."""

from collections.abc import Callable
from pathlib import Path

import pytest

from academy.adapters.video.ffmpeg import run_ffmpeg
from academy.adapters.video.sample import make_sample

Make = Callable[[Path], object]


def ffmpeg(*arguments: str | Path) -> None:
    run_ffmpeg(arguments, lambda _report: None)


def picture(seconds: float, size: str = "640x360", rate: int = 25) -> list[str]:
    return ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={seconds}"]


def tone(seconds: float) -> list[str]:
    return ["-f", "lavfi", "-i", f"sine=duration={seconds}"]


def turned(path: Path) -> None:
    """As phones record: lying, with a note that it is to be turned."""
    lying = path.with_name("lying.mp4")
    make_sample(lying, 1)
    ffmpeg("-display_rotation", "90", "-i", lying, "-c", "copy", path)


def uneven(path: Path) -> None:
    """Of variable frame rate: smooth at first, then seven times slower."""
    ffmpeg(*picture(4, rate=30), "-vf", "select='not(mod(n\\,7))+lt(n\\,30)'", "-fps_mode", "vfr", path)


def cut_in_half(path: Path, *options: str) -> None:
    whole = path.with_name(f"whole-{path.name}")
    made = path.with_name(f"made-{path.name}")
    make_sample(made, 6)
    ffmpeg("-i", made, "-c", "copy", *options, whole)
    content = whole.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ordinary video of 13 s."""
    path = tmp_path_factory.mktemp("sample") / "sample.mp4"
    make_sample(path, 13)
    return path
