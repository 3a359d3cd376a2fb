"""What a file holds, as ffmpeg tells it when it opens it (there is no ffprobe in the wheel)."""

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from academy.adapters.video.errors import (
    EmptyFileError,
    NotAVideoError,
    NoVideoStreamError,
    PictureTooLargeError,
    TooLongError,
    TruncatedError,
)
from academy.adapters.video.ffmpeg import SAFE_INPUT, FfmpegError, run_ffmpeg

MAX_SECONDS = 6 * 3600
MAX_PIXELS = 8192 * 4608
_PROBE_QUIET_SECONDS = 30.0

_DURATION = re.compile(r"^  Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)", re.MULTILINE)
_STREAM = re.compile(r"^  Stream #0:\d+.*?: (Video|Audio): (.*)$", re.MULTILINE)
_SIZE = re.compile(r", (\d{1,5})x(\d{1,5})(?: \[SAR (\d+):(\d+) )?")
_RATE = re.compile(r", (\d+(?:\.\d+)?) fps")
_ROTATION = re.compile(r"rotation of (-?\d+(?:\.\d+)?) degrees")


@dataclass(frozen=True, slots=True)
class Probe:
    """`width` and `height` as the picture is shown: square pixels, turned upright. `duration` in seconds, if told."""

    duration: float | None
    width: int
    height: int
    has_audio: bool
    frame_rate: float | None


def probe(path: Path) -> Probe:
    """Raises VideoError for a file that is no video."""
    if path.stat().st_size == 0:
        raise EmptyFileError
    text = _ask(path)
    if "Input #0" not in text:
        raise TruncatedError(text) if _is_headless_mp4(path, text) else NotAVideoError(text[-300:])
    return read_description(text)


def _is_headless_mp4(path: Path, text: str) -> bool:
    """An MP4 without what often stands at its end, as a copy is that broke off; and no other file of that name."""
    with path.open("rb") as file:
        return "moov atom not found" in text and file.read(8)[4:] in {b"ftyp", b"mdat", b"wide", b"free"}


def read_description(text: str) -> Probe:
    """What ffmpeg says of its input 0. Raises VideoError."""
    streams = _STREAM.findall(text)
    pictures = [what for kind, what in streams if kind == "Video" and "attached pic" not in what]
    size = _SIZE.search(pictures[0]) if pictures else None
    if size is None:
        raise NoVideoStreamError
    width, height = _shown_size(size, _ROTATION.search(text))
    if width * height > MAX_PIXELS:
        raise PictureTooLargeError(f"{width}x{height}")
    duration = _DURATION.search(text)
    seconds = int(duration[1]) * 3600 + int(duration[2]) * 60 + float(duration[3]) if duration else None
    if seconds is not None and seconds > MAX_SECONDS:
        raise TooLongError
    rate = _RATE.search(pictures[0])
    has_audio = any(kind == "Audio" for kind, _ in streams)
    return Probe(seconds, width, height, has_audio, float(rate[1]) if rate else None)


def _shown_size(size: "re.Match[str]", rotation: "re.Match[str] | None") -> tuple[int, int]:
    width, height = int(size[1]), int(size[2])
    if size[3] and int(size[3]) and int(size[4]):
        width = max(2, round(width * Fraction(int(size[3]), int(size[4]))))
    turned = rotation is not None and round(abs(float(rotation[1]))) % 180 == 90  # noqa: PLR2004 - a quarter turn
    return (height, width) if turned else (width, height)


def _ask(path: Path) -> str:
    try:
        return run_ffmpeg([*SAFE_INPUT, "-i", path], lambda _report: None, quiet_seconds=_PROBE_QUIET_SECONDS)
    except FfmpegError as told:  # always: no output was named
        return told.log
