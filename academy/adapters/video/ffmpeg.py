"""Runs ffmpeg with limits, watches its progress, and never leaves it running."""

import os
import re
import selectors
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import IO

import imageio_ffmpeg

from academy.adapters.sandbox.start import Walls, start
from academy.adapters.video.blame import Blame, blame

_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,mp3,wav,aac,flac"
"""The formats that ffmpeg may read. The last four have only sound. ffmpeg may read them, so that the error can
say that the picture is missing."""
_LOG_BYTES = 20_000
_SHOWN_LETTERS = 1000
_CHATTER = re.compile(
    r"^(?: |\[(?:libx264|aac) @ \w+\] (?!.*(?:error|fail|invalid))).*\n", re.MULTILINE | re.IGNORECASE
)
LOOK_SECONDS = 0.25
QUIET_SECONDS = 60.0
"""An ffmpeg that makes no progress for this long is ended, because it hangs."""
_LONGEST_LOOK_SECONDS = 4 * LOOK_SECONDS
"""Between two looks at ffmpeg, at most this many seconds count as time without progress. If more seconds have passed,
this process itself was paused or waiting."""

MAX_MEMORY_BYTES = 4_000_000_000
"""The most memory that ffmpeg may use. Encoding 8K with eight threads takes half of that."""
MAX_FILE_BYTES = 2_000_000_000
CPU_SECONDS = 6 * 3600
THREADS = ("-threads", str(min(8, len(os.sched_getaffinity(0)))))
"""Options for each input and each output. They keep ffmpeg from using more memory on a machine with many cores."""
SAFE_INPUT = ("-protocol_whitelist", "file,pipe", "-format_whitelist", _FORMATS, *THREADS)
"""Options before `-i`. They keep an upload that is a playlist or script from reading other files or the network."""

_TRIAL_INPUT = ["-f", "lavfi", "-i", "color=size=64x64:duration=0.1"]
_TRIAL_OUTPUT = ["-c:v", "libx264", "-f", "null", "-"]
_TRIAL_SECONDS = 20.0

OnProgress = Callable[[dict[str, str]], None]


class _LogError(Exception):
    """ffmpeg failed. `log` is the end of its log."""

    def __init__(self, log: str) -> None:
        # Leave out the file's description and the encoder's statistics, which would hide the error.
        super().__init__(_CHATTER.sub("", log).strip()[-_SHOWN_LETTERS:])
        self.log = log


class FfmpegError(_LogError):
    """ffmpeg failed because of its input."""


class FfmpegTroubleError(_LogError):
    """ffmpeg failed, and its input is not to blame. Another attempt may succeed."""


class FfmpegKilledError(FfmpegTroubleError):
    """ffmpeg was killed: by this module because it hung, or by a signal, such as that of the OOM killer."""


class FfmpegLimitError(FfmpegError):
    """Reading or encoding the file needs more memory or CPU time than we allow."""


class FfmpegMissingError(Exception):
    """There is no usable ffmpeg. The message is for the operator, not for the teacher."""


@cache
def ffmpeg_program() -> str:
    """Return the path of `$FFMPEG`, else of the ffmpeg on PATH, else of the ffmpeg in the package imageio-ffmpeg.

    An ffmpeg on PATH that cannot encode H.264, as in some distributions, is skipped. Raises FfmpegMissingError if
    `$FFMPEG` is set, but cannot be run or cannot encode H.264.
    """
    named = os.environ.get("FFMPEG")
    found = shutil.which(named or "ffmpeg")
    if found and _can_encode(found):
        return str(Path(found).absolute())
    if named:
        raise FfmpegMissingError(
            f"$FFMPEG is {named!r}, which cannot be run or cannot encode H.264. Name an ffmpeg with libx264 that needs "
            "no files but the programs and libraries in its own folder, lib beside it and the system's folders, "
            "or unset FFMPEG for the one that came with the packages."
        )
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def _can_encode(program: str) -> bool:
    """Return whether the program encodes a picture. An exit code of 0 is not enough: other programs end with 0, too."""
    report: dict[str, str] = {}
    with suppress(FfmpegError, FfmpegTroubleError):
        _run(str(Path(program).absolute()), [*_TRIAL_INPUT, *_TRIAL_OUTPUT], report.update, _TRIAL_SECONDS)
    return report.get("frame", "0") != "0"


def run_ffmpeg(
    arguments: Sequence[str | Path],
    on_progress: OnProgress,
    *,
    quiet_seconds: float = QUIET_SECONDS,
    cpu_seconds: int = CPU_SECONDS,
) -> str:
    """Run ffmpeg to its end, and return the end of its log.

    Of the `arguments`, ffmpeg can read each Path that directly follows `-i`. It can write in the folder of each other
    Path. `on_progress` is called at once with an empty dict, and then several times a second with the values of
    ffmpeg's last report (`-progress`, such as `out_time_us` and `speed`). If it raises, ffmpeg is ended and the error
    is raised.

    Raises FfmpegMissingError if there is no usable ffmpeg, FfmpegError if the input is to blame for a failure, and
    FfmpegTroubleError for any other failure of ffmpeg.
    """
    return _run(ffmpeg_program(), arguments, on_progress, quiet_seconds, cpu_seconds)


def _run(
    program: str,
    arguments: Sequence[str | Path],
    on_progress: OnProgress,
    quiet_seconds: float,
    cpu_seconds: int = CPU_SECONDS,
) -> str:
    # Make each Path absolute, because ffmpeg would read the `1:` of `1:30.mp4` as the name of a protocol.
    words = [str(word.absolute()) if isinstance(word, Path) else word for word in arguments]
    options = ["-hide_banner", "-nostdin", "-y", "-nostats", "-progress", "pipe:1", *words]
    walls = _walls(arguments, cpu_seconds)
    with tempfile.TemporaryFile() as log:
        process = start([program, *options], walls, stdout=subprocess.PIPE, stderr=log)
        try:
            _watch(process, on_progress, quiet_seconds)
        finally:
            process.kill()
            process.wait()
        text = _end_of(log)
    _judge(process.returncode, text, cpu_seconds)
    return text


def _walls(arguments: Sequence[str | Path], cpu_seconds: int) -> Walls:
    before = ["", *arguments]
    paths = [
        (word, previous == "-i") for previous, word in zip(before, arguments, strict=False) if isinstance(word, Path)
    ]
    return Walls(
        memory_bytes=MAX_MEMORY_BYTES,
        cpu_seconds=cpu_seconds,
        file_bytes=MAX_FILE_BYTES,
        reads=[path for path, is_input in paths if is_input],
        writes=[path.absolute().parent for path, is_input in paths if not is_input],
    )


def _judge(code: int, log: str, cpu_seconds: int) -> None:
    match blame(code, log, memory_bytes=MAX_MEMORY_BYTES, cpu_seconds=cpu_seconds):
        case Blame.INPUT:
            raise FfmpegError(log)
        case Blame.LIMIT:
            raise FfmpegLimitError(log)
        case Blame.SIGNAL:
            raise FfmpegKilledError(f"{log}\nIt was ended by signal {-code}.")
        case Blame.MACHINE:
            raise FfmpegTroubleError(f"{log}\nIt ended with {code}.")
        case Blame.NOBODY:
            pass


def _watch(process: "subprocess.Popen[bytes]", on_progress: OnProgress, quiet_seconds: float) -> None:
    """Report ffmpeg's progress until ffmpeg ends. Raises FfmpegKilledError after `quiet_seconds` without progress."""
    report: dict[str, str] = {}
    rest, reached, quiet, looked_at = b"", ("", ""), 0.0, time.monotonic()
    with closing(_parts(process)) as parts:
        for part in parts:
            *lines, rest = (rest + part).split(b"\n")
            report.update(_values(lines))
            now = time.monotonic()
            quiet += min(now - looked_at, _LONGEST_LOOK_SECONDS)
            looked_at = now
            # If its input hangs, ffmpeg continues to report, but always the same frame and time.
            place = (report.get("frame", ""), report.get("out_time_us", ""))
            if place != reached:
                reached, quiet = place, 0.0
            elif quiet > quiet_seconds:
                raise FfmpegKilledError(f"It got no further for {quiet_seconds:.0f} s.")
            on_progress(report)


def _parts(process: "subprocess.Popen[bytes]") -> Generator[bytes, None, None]:
    """Until a process ends, yield its output. Yield b"" at first, and after each LOOK_SECONDS without output."""
    assert process.stdout is not None  # noqa: S101 - tells the type
    with process.stdout as output, selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        yield b""
        while True:
            part = os.read(output.fileno(), 65_536) if selector.select(LOOK_SECONDS) else None
            if part == b"":
                break
            yield part or b""
    while process.poll() is None:  # the process has closed its output, but not ended yet
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
