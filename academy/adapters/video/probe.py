"""Finds out from ffmpeg's log what a video file contains, because imageio-ffmpeg has no ffprobe."""

import errno
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from academy.adapters.video.errors import (
    EmptyFileError,
    NotAVideoError,
    NoVideoStreamError,
    PictureTooLargeError,
    TooHeavyError,
    TooLongError,
    TruncatedError,
)
from academy.adapters.video.ffmpeg import SAFE_INPUT, FfmpegError, FfmpegLimitError, FfmpegTroubleError, run_ffmpeg

MAX_SECONDS = 6 * 3600
MAX_PIXELS = 8192 * 4608
_PROBE_QUIET_SECONDS = 30.0
_PROBE_CPU_SECONDS = 60
_READ_BYTES = 1_000_000

_DURATION = re.compile(r"^  Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)", re.MULTILINE)
_GUESS = "Estimating duration from bitrate"
_STREAM = re.compile(r"^ +Stream #0:\d+.*?: (Video|Audio): (.*)\n((?:(?! +Stream #) .*\n)*)", re.MULTILINE)
"""Matches a stream in the log. The groups are its kind, its description, and the lines that follow."""
_SIZE = re.compile(r", (\d{1,5})x(\d{1,5})(?: \[SAR (\d+):(\d+) )?")
_RATE = re.compile(r", (\d+(?:\.\d+)?) fps")
_FINEST_RATE = re.compile(r", (\d+(?:\.\d+)?) tbr")
_ROTATION = re.compile(r"^ +(?:Display Matrix|displaymatrix): rotation of (-?\d+(?:\.\d+)?) degrees", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Probe:
    """What a video file contains.

    `width` and `height` are those of the picture as it is shown: with square pixels and upright. `duration` is in
    seconds, or None if the file does not state it, as in raw streams and in what browsers record. `frame_rate` is the
    average number of pictures a second. `finest_rate` is ffmpeg's `tbr`, an estimate of the lowest constant frame rate
    that can show each picture at its own time. Each of the two rates is None if ffmpeg does not report it.
    """

    duration: float | None
    width: int
    height: int
    has_audio: bool
    frame_rate: float | None
    finest_rate: float | None = None


def probe(path: Path, look: Callable[[], None] = lambda: None) -> Probe:
    """Return what a video file contains. `look` is called several times a second, and its errors are raised.

    Raises VideoError if the file is not a usable video. Raises FfmpegMissingError, FfmpegTroubleError or OSError if the
    probe fails for another reason.
    """
    if path.stat().st_size == 0:
        raise EmptyFileError
    text = _ask(path, look)
    if "Input #0" not in text:
        check_readable(path, text)
        if str(path.absolute()) not in text:
            raise FfmpegTroubleError(f"It said nothing of its input. {text}")
        raise TruncatedError(text) if _is_headless_mp4(path, text) else NotAVideoError(text[-300:])
    return read_description(text)


def check_readable(path: Path, log: str) -> None:
    """Read the file to its end if ffmpeg reported an I/O error. Raises OSError if the file cannot be read.

    If the file can be read, the machine is not to blame: ffmpeg also reports an I/O error for some truncated files.
    """
    if os.strerror(errno.EIO) in log:
        with path.open("rb") as file:
            while file.read(_READ_BYTES):
                pass


def _is_headless_mp4(path: Path, text: str) -> bool:
    """Return whether the file is an MP4 without its `moov` atom, which a truncated file often lacks."""
    with path.open("rb") as file:
        return "moov atom not found" in text and file.read(8)[4:] in {b"ftyp", b"mdat", b"wide", b"free"}


def read_description(text: str) -> Probe:
    """Return what input 0 contains, according to ffmpeg's log.

    Raises VideoError if input 0 has no picture, if the picture has more than `MAX_PIXELS` pixels, or if the video is
    longer than `MAX_SECONDS`.
    """
    streams = _STREAM.findall(text)
    pictures = [(what, more) for kind, what, more in streams if kind == "Video" and "attached pic" not in what]
    what, more = pictures[0] if pictures else ("", "")
    size = _SIZE.search(what)
    if size is None:
        raise NoVideoStreamError
    width, height = _shown_size(size, _ROTATION.search(more))
    if width * height > MAX_PIXELS:
        raise PictureTooLargeError(f"{width}x{height}")
    duration = None if _GUESS in text else _DURATION.search(text)
    seconds = int(duration[1]) * 3600 + int(duration[2]) * 60 + float(duration[3]) if duration else None
    if seconds is not None and seconds > MAX_SECONDS:
        raise TooLongError
    rate, finest = _RATE.search(what), _FINEST_RATE.search(what)
    has_audio = any(kind == "Audio" for kind, _, _ in streams)
    return Probe(seconds, width, height, has_audio, _number(rate), _number(finest))


def _number(found: "re.Match[str] | None") -> float | None:
    return float(found[1]) if found else None


def _shown_size(size: "re.Match[str]", rotation: "re.Match[str] | None") -> tuple[int, int]:
    width, height = int(size[1]), int(size[2])
    if size[3] and int(size[3]) and int(size[4]):
        width = max(2, round(width * Fraction(int(size[3]), int(size[4]))))
    turned = rotation is not None and round(abs(float(rotation[1]))) % 180 == 90  # noqa: PLR2004 - a quarter turn
    return (height, width) if turned else (width, height)


def _ask(path: Path, look: Callable[[], None]) -> str:
    try:
        return run_ffmpeg(
            [*SAFE_INPUT, "-i", path],
            lambda _report: look(),
            quiet_seconds=_PROBE_QUIET_SECONDS,
            cpu_seconds=_PROBE_CPU_SECONDS,
        )
    except FfmpegLimitError as problem:
        raise TooHeavyError(str(problem)) from problem
    except FfmpegError as error:  # always raised, because no output is named
        return error.log
