"""Runs ffmpeg with limits, watches its progress, and always ends it."""

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
"""The last four are accepted only to report that they have no picture."""
_LOG_BYTES = 20_000
_SHOWN_LETTERS = 1000
_CHATTER = re.compile(
    r"^(?: |\[(?:libx264|aac) @ \w+\] (?!.*(?:error|fail|invalid))).*\n", re.MULTILINE | re.IGNORECASE
)
LOOK_SECONDS = 0.25
QUIET_SECONDS = 60.0
"""An ffmpeg without any progress for this long has hung."""
_LONGEST_LOOK_SECONDS = 4 * LOOK_SECONDS
"""A longer time between two looks counts as this much, since then this process was paused or waited."""

MAX_MEMORY_BYTES = 4_000_000_000
"""8K with eight threads takes half of it."""
MAX_FILE_BYTES = 2_000_000_000
CPU_SECONDS = 6 * 3600
THREADS = ("-threads", str(min(8, len(os.sched_getaffinity(0)))))
"""Options before an input and before an output. They keep a machine of many cores from using more memory a video."""
SAFE_INPUT = ("-protocol_whitelist", "file,pipe", "-format_whitelist", _FORMATS, *THREADS)
"""Options before `-i`. They keep a playlist or script, uploaded as a video, from reading other files or the network."""

_TRIAL_INPUT = ["-f", "lavfi", "-i", "color=size=64x64:duration=0.1"]
_TRIAL_OUTPUT = ["-c:v", "libx264", "-f", "null", "-"]
_TRIAL_SECONDS = 20.0

OnProgress = Callable[[dict[str, str]], None]


class _LogError(Exception):
    """`log` is the end of ffmpeg's log."""

    def __init__(self, log: str) -> None:
        # Leave out the file's description and the encoder's statistics, which would hide the error.
        super().__init__(_CHATTER.sub("", log).strip()[-_SHOWN_LETTERS:])
        self.log = log


class FfmpegError(_LogError):
    """ffmpeg failed because of its input."""


class FfmpegTroubleError(_LogError):
    """ffmpeg failed for a reason that is not its input's fault. Another attempt may succeed."""


class FfmpegKilledError(FfmpegTroubleError):
    """ffmpeg was killed: by us because it hung, or by a signal such as that of the OOM killer."""


class FfmpegLimitError(FfmpegError):
    """The file needs more memory or CPU time than it may use."""


class FfmpegMissingError(Exception):
    """There is no usable ffmpeg. The message is for the administrator, not for the teacher."""


@cache
def ffmpeg_program() -> str:
    """Return `$FFMPEG`, else the ffmpeg on PATH, else that of imageio-ffmpeg. Raises FfmpegMissingError.

    The one on PATH is skipped if it cannot encode H.264, like that of some distributions.
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
    """Return whether the program encodes a picture. Its exit code says too little: other programs end with 0, too."""
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

    Raises FfmpegError, or FfmpegTroubleError if its input is not to blame.

    ffmpeg can read those `arguments` that are a Path after `-i`, and write in the folders of all other Paths.
    `on_progress` is called at once and then several times a second, with the values of ffmpeg's last report
    (`-progress`, such as `out_time_us` and `speed`), at first with none. If it raises, ffmpeg is ended and the error is
    raised.
    """
    return _run(ffmpeg_program(), arguments, on_progress, quiet_seconds, cpu_seconds)


def _run(
    program: str,
    arguments: Sequence[str | Path],
    on_progress: OnProgress,
    quiet_seconds: float,
    cpu_seconds: int = CPU_SECONDS,
) -> str:
    # Make each Path absolute, because ffmpeg would take `1:30.mp4` for a protocol.
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
    """Report ffmpeg's progress until it ends. Raises FfmpegKilledError if it makes no progress."""
    report: dict[str, str] = {}
    rest, reached, quiet, looked_at = b"", ("", ""), 0.0, time.monotonic()
    with closing(_parts(process)) as parts:
        for part in parts:
            *lines, rest = (rest + part).split(b"\n")
            report.update(_values(lines))
            now = time.monotonic()
            quiet += min(now - looked_at, _LONGEST_LOOK_SECONDS)
            looked_at = now
            # An ffmpeg whose input hangs still reports, but always the same place.
            place = (report.get("frame", ""), report.get("out_time_us", ""))
            if place != reached:
                reached, quiet = place, 0.0
            elif quiet > quiet_seconds:
                raise FfmpegKilledError(f"It got no further for {quiet_seconds:.0f} s.")
            on_progress(report)


def _parts(process: "subprocess.Popen[bytes]") -> Generator[bytes, None, None]:
    """Yield the process's output until it ends, and b"" at first and after LOOK_SECONDS without output."""
    assert process.stdout is not None  # noqa: S101 - tells the type
    with process.stdout as output, selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        yield b""
        while True:
            part = os.read(output.fileno(), 65_536) if selector.select(LOOK_SECONDS) else None
            if part == b"":
                break
            yield part or b""
    while process.poll() is None:  # it has closed its output, but not ended yet
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
