"""Running ffmpeg: bounded, watched, and never left behind."""

import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
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
"""An ffmpeg that says nothing for so long hangs."""

SAFE_INPUT = ("-protocol_whitelist", "file,pipe", "-format_whitelist", _FORMATS)
"""Before `-i`: a playlist or a script in place of a video must not make ffmpeg read other files, or the network."""


class FfmpegError(Exception):
    """It ended with an error; `log` is the end of what it said."""

    def __init__(self, log: str) -> None:
        super().__init__(log.strip()[-500:])
        self.log = log


@cache
def ffmpeg_program() -> str:
    """`$FFMPEG`, else the one on PATH, else that of imageio-ffmpeg."""
    found = os.environ.get("FFMPEG") or shutil.which("ffmpeg") or imageio_ffmpeg.get_ffmpeg_exe()
    return str(Path(found).resolve())


def run_ffmpeg(
    arguments: Sequence[str | Path],
    on_progress: Callable[[dict[str, str]], None],
    *,
    quiet_seconds: float = QUIET_SECONDS,
) -> str:
    """Runs it to its end, and returns what it said. Raises FfmpegError, and what `on_progress` raises.

    `on_progress` is called several times a second, with the values of ffmpeg's last report (`-progress`; `out_time_us`,
    `speed`), none at first. Whatever it raises ends ffmpeg at once. Gets none of our environment: it holds secrets.
    """
    command = [sys.executable, "-I", str(_CHILD), str(os.getpid()), ffmpeg_program()]
    options = ["-hide_banner", "-nostdin", "-y", "-nostats", "-progress", "pipe:1", *map(str, arguments)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, *options],
            env={"PATH": "", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        try:
            _watch(process, on_progress, quiet_seconds)
        finally:
            process.kill()
            process.wait()
        text = _end_of(log)
        if process.returncode != 0:
            raise FfmpegError(text)
        return text


def _watch(
    process: "subprocess.Popen[bytes]", on_progress: Callable[[dict[str, str]], None], quiet_seconds: float
) -> None:
    """Until it has closed its output and ended. Raises FfmpegError if it falls silent."""
    assert process.stdout is not None  # noqa: S101 - tells the type
    report: dict[str, str] = {}
    buffered, heard = b"", time.monotonic()
    with process.stdout as output, selectors.DefaultSelector() as selector:
        os.set_blocking(output.fileno(), False)
        selector.register(output, selectors.EVENT_READ)
        while True:
            if selector.select(LOOK_SECONDS):
                part = os.read(output.fileno(), 65_536)
                if not part:
                    break
                heard = time.monotonic()
                *lines, buffered = (buffered + part).split(b"\n")
                report.update(_values(lines))
            elif time.monotonic() - heard > quiet_seconds:
                raise FfmpegError(f"It said nothing for {quiet_seconds:.0f} s.")
            on_progress(report)
    process.wait(quiet_seconds)


def _values(lines: Sequence[bytes]) -> dict[str, str]:
    pairs = (line.decode("utf-8", "replace").partition("=") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _end_of(log: IO[bytes]) -> str:
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - _LOG_BYTES))
    return log.read().decode("utf-8", "replace")
