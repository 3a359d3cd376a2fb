"""Reading ffmpeg's description of a file."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from academy.adapters.video import probe as prober
from academy.adapters.video.errors import NoVideoStreamError, PictureTooLargeError, TooLongError
from academy.adapters.video.ffmpeg import FfmpegError, FfmpegKilledError, FfmpegTroubleError
from academy.adapters.video.probe import Probe, check_readable, probe, read_description

TEXT = """Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'x.mp4':
  Metadata:
    title           : Video: none, 1x1
                    :   Display Matrix: rotation of 90.00 degrees
  Duration: {duration}, start: 0.000000, bitrate: 1000 kb/s
  Stream #0:0[0x1](und): Video: h264 (High) (avc1 / 0x31637661), yuv420p(progressive), {size}, 29.97 fps, 30 tbr
      Metadata:
        handler_name    : x
                        :   Display Matrix: rotation of 90.00 degrees
      Side data:
        {side}
  Stream #0:1[0x2](und): Audio: aac (LC) (mp4a / 0x6134706D), 44100 Hz, stereo, fltp, 128 kb/s
  Stream #0:2: Video: mjpeg (Baseline), yuvj420p(pc), 300x200, 90k tbr, 90k tbn (attached pic)
      Side data:
        displaymatrix: rotation of 90.00 degrees
"""


def description(duration: str = "00:01:02.50", size: str = "1280x720 [SAR 1:1 DAR 16:9]", side: str = "-") -> str:
    return TEXT.format(duration=duration, size=size, side=side)


@pytest.mark.parametrize(
    ("size", "side", "width", "height"),
    [
        ("1280x720", "-", 1280, 720),
        ("1280x720 [SAR 1:1 DAR 16:9]", "-", 1280, 720),
        ("720x576 [SAR 16:15 DAR 4:3]", "-", 768, 576),
        ("1920x1080", "displaymatrix: rotation of -90.00 degrees", 1080, 1920),
        ("1920x1080", "Display Matrix: rotation of 90.00 degrees", 1080, 1920),
        ("1920x1080", "displaymatrix: rotation of 180.00 degrees", 1920, 1080),
        ("720x576 [SAR 0:1 DAR 0:1]", "-", 720, 576),
    ],
)
def test_the_size_is_that_of_the_displayed_picture(size: str, side: str, width: int, height: int) -> None:
    assert read_description(description(size=size, side=side)) == Probe(62.5, width, height, True, 29.97, 30)


def test_a_missing_length_is_none() -> None:
    assert read_description(description("N/A")).duration is None


def test_a_length_that_ffmpeg_guesses_is_none() -> None:
    warning = "[mpegvideo @ 0x5] Estimating duration from bitrate, this may be inaccurate\n"
    assert read_description(warning + description()).duration is None


def test_a_killed_ffmpeg_is_not_blamed_on_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_arguments: Sequence[str | Path], _look: object, *, quiet_seconds: float, cpu_seconds: int) -> str:
        raise FfmpegKilledError(f"It got no further for {quiet_seconds:.0f} s.")

    monkeypatch.setattr(prober, "run_ffmpeg", killed)
    (tmp_path / "lesson.mp4").write_bytes(b"anything")
    with pytest.raises(FfmpegTroubleError, match="It got no further for 30 s"):
        probe(tmp_path / "lesson.mp4")


def test_cover_art_does_not_count_as_video() -> None:
    text = description().replace("30 tbr", "30 tbr (attached pic)")
    with pytest.raises(NoVideoStreamError):
        read_description(text)


def test_more_than_six_hours_or_8k_are_refused() -> None:
    with pytest.raises(TooLongError):
        read_description(description("06:00:01.00"))
    with pytest.raises(PictureTooLargeError):
        read_description(description(size="16384x16384"))


def test_an_ffmpeg_that_said_nothing_of_the_file_is_not_blamed_on_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_arguments: object, **_options: object) -> str:
        raise FfmpegError("Killed by a wrapper.")

    monkeypatch.setattr(prober, "run_ffmpeg", fails)
    (tmp_path / "lesson.mp4").write_bytes(b"anything")
    with pytest.raises(FfmpegTroubleError, match="nothing of its input"):
        probe(tmp_path / "lesson.mp4")


def test_a_file_that_the_disk_cannot_read_is_not_called_damaged(tmp_path: Path) -> None:
    report = f"{tmp_path}: Input/output error"
    (tmp_path / "readable").write_bytes(b"truncated")
    check_readable(tmp_path / "readable", report)
    with pytest.raises(OSError, match="directory"):
        check_readable(tmp_path, report)
    check_readable(tmp_path, "Invalid data found when processing input")
