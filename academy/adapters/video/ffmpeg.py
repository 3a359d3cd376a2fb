"""Running ffmpeg: bounded, watched, and never left behind."""

import errno
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import IO

import imageio_ffmpeg

_CHILD = Path(__file__).with_name("child.py")
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,mp3,wav,aac,flac"
"""The last four only to be told that they hold no picture."""
_LOG_BYTES = 20_000
LOOK_SECONDS = 0.25
QUIET_SECONDS = 60.0
"""An ffmpeg that gets no further for so long hangs."""

SAFE_INPUT = ("-protocol_whitelist", "file,pipe", "-format_whitelist", _FORMATS)
"""Before `-i`: a playlist or a script in place of a video must not make ffmpeg read other files, or the network."""

_TRIAL_INPUT = ["-f", "lavfi", "-i", "color=size=64x64:duration=0.1"]
_TRIAL_OUTPUT = ["-c:v", "libx264", "-f", "null", "-"]
_TRIAL_SECONDS = 20.0

OnProgress = Callable[[dict[str, str]], None]


class FfmpegError(Exception):
    """It ended with an error; `log` is the end of what it said."""

    def __init__(self, log: str) -> None:
        super().__init__(log.strip()[-500:])
        self.log = log


class FfmpegKilledError(FfmpegError):
    """It did not end by itself: we killed it, as it hung, or a signal did. Says nothing of the file."""


class FfmpegMissingError(Exception):
    """There is no ffmpeg that can do what we need: for who runs the system, not for the teacher."""


@cache
def ffmpeg_program() -> str:
    """`$FFMPEG`, else the one on PATH, else that of imageio-ffmpeg. Raises FfmpegMissingError.

    The one on PATH is passed over if it cannot encode H.264, as that of some distributions.
    """
    named = os.environ.get("FFMPEG")
    found = shutil.which(named or "ffmpeg")
    if found and _can_encode(found):
        return str(Path(found).absolute())
    if named:
        raise FfmpegMissingError(
            f"$FFMPEG is {named!r}, which cannot be run or cannot encode H.264. Name an ffmpeg with libx264, or unset "
            "FFMPEG for the one that came with the packages."
        )
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def _can_encode(program: str) -> bool:
    """Whether a picture comes out: other programs end well, too."""
    report: dict[str, str] = {}
    with suppress(FfmpegError):
        _run(str(Path(program).absolute()), [*_TRIAL_INPUT, *_TRIAL_OUTPUT], report.update, _TRIAL_SECONDS)
    return report.get("frame", "0") != "0"


def run_ffmpeg(
    arguments: Sequence[str | Path], on_progress: OnProgress, *, quiet_seconds: float = QUIET_SECONDS
) -> str:
    """Runs it to its end, and returns what it said. Raises FfmpegError, or OSError where the disk is full.

    `on_progress` is called at once and then several times a second, with the values of ffmpeg's last report
    (`-progress`; `out_time_us`, `speed`), none at first. Whatever it raises ends ffmpeg at once, and is raised.
    """
    return _run(ffmpeg_program(), arguments, on_progress, quiet_seconds)


def _run(program: str, arguments: Sequence[str | Path], on_progress: OnProgress, quiet_seconds: float) -> str:
    """It gets none of our environment: it holds secrets."""
    # A Path is made absolute, as ffmpeg takes `1:30.mp4` for a protocol.
    words = [str(word.absolute()) if isinstance(word, Path) else word for word in arguments]
    options = ["-hide_banner", "-nostdin", "-y", "-nostats", "-progress", "pipe:1", *words]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-I", str(_CHILD), str(os.getpid()), program, *options],
            env={"PATH": "", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            process_group=0,  # no Ctrl-C of ours; in our session, as Linux shares the processor out by session
        )
        try:
            _watch(process, on_progress, quiet_seconds)
        finally:
            process.kill()
            process.wait()
        text = _end_of(log)
    _judge(process.returncode, text)
    return text


def _judge(code: int, log: str) -> None:
    if code and os.strerror(errno.ENOSPC) in log:  # not the video's fault, and worth another try
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if code < 0:
        raise FfmpegKilledError(f"{log}\nIt was ended by signal {-code}.")
    if code:
        raise FfmpegError(log)


def _watch(process: "subprocess.Popen[bytes]", on_progress: OnProgress, quiet_seconds: float) -> None:
    """Until it has ended. Raises FfmpegKilledError if it gets no further."""
    report: dict[str, str] = {}
    rest, reached, reached_at = b"", ("", ""), time.monotonic()
    with closing(_parts(process)) as parts:
        for part in parts:
            *lines, rest = (rest + part).split(b"\n")
            report.update(_values(lines))
            # One whose input hangs goes on reporting, but always the same place.
            place = (report.get("frame", ""), report.get("out_time_us", ""))
            if place != reached:
                reached, reached_at = place, time.monotonic()
            elif time.monotonic() - reached_at > quiet_seconds:
                raise FfmpegKilledError(f"It got no further for {quiet_seconds:.0f} s.")
            on_progress(report)


def _parts(process: "subprocess.Popen[bytes]") -> Generator[bytes, None, None]:
    """What it writes, and b"" at first and whenever it wrote nothing for LOOK_SECONDS, until it has ended."""
    assert process.stdout is not None  # noqa: S101 - tells the type
    with process.stdout as output, selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        yield b""
        while True:
            part = os.read(output.fileno(), 65_536) if selector.select(LOOK_SECONDS) else None
            if part == b"":
                break
            yield part or b""
    while process.poll() is None:  # it has closed its output, and tidies up
        with suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_SECONDS)
        yield b""


def _values(lines: Sequence[bytes]) -> dict[str, str]:
    pairs = (line.decode("utf-8", "replace").partition("=") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _end_of(log: IO[bytes]) -> str:
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - _LOG_BYTES))
    return log.read().decode("utf-8", "replace")
