"""Running ffmpeg: bounded, watched, and never left behind."""

import errno
import os
import re
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import IO

import imageio_ffmpeg

from academy.adapters.sandbox.child import CANNOT_START
from academy.adapters.sandbox.start import Walls, start

_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,mp3,wav,aac,flac"
"""The last four only to be told that they hold no picture."""
_LOG_BYTES = 20_000
_SHOWN_LETTERS = 1000
LOOK_SECONDS = 0.25
QUIET_SECONDS = 60.0
"""An ffmpeg that gets no further for so long hangs."""
_LONGEST_LOOK_SECONDS = 4 * LOOK_SECONDS
"""No look counts for more: this process was paused meanwhile, or waited for something else."""

MAX_MEMORY_BYTES = 4_000_000_000
"""8K with eight threads fills half of it."""
MAX_FILE_BYTES = 2_000_000_000
CPU_SECONDS = 6 * 3600
THREADS = ("-threads", str(min(8, len(os.sched_getaffinity(0)))))
"""Before an input and before an output: a machine of many cores does not multiply the memory that one video takes."""
_NO_MEMORY = re.compile(
    r"^(?! ).*(?:Cannot allocate memory|malloc of size \d+ failed|pthread_create\(\) failed)", re.MULTILINE
)
"""Lines that begin with a blank may be the file's own words."""
_NO_MORE_CPU = re.compile(rf"received signal {signal.SIGXCPU:d}\b|Received > 3 system signals")
"""The kernel sends one each second, until ffmpeg has ended what it had begun, or gives up."""

_CANNOT_LOAD = 127
"""The exit code of a program whose libraries are missing."""


def _says(*numbers: int) -> str:
    return "|".join(re.escape(os.strerror(number)) for number in numbers)


_DISK = re.compile(rf"^(?! ).*(?:{_says(errno.ENOSPC, errno.EDQUOT, errno.EROFS)})", re.MULTILINE)
_MACHINE = re.compile(
    rf"^(?! ).*(?:{_says(errno.ENOENT, errno.EACCES, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.EFBIG)}"
    rf"|(?:[Ww]rit|out#|[Oo]utput|avio|hls @).*{_says(errno.EIO)}"
    r"|Traceback \(most recent call last\)"
    rf"|received signal (?!{signal.SIGXCPU:d}\b)\d+)",
    re.MULTILINE,
)
"""What an ffmpeg says that could not read, write or go on. The protocols that it may use are safe: a video cannot make
it say so by naming other files."""

SAFE_INPUT = ("-protocol_whitelist", "file,pipe", "-format_whitelist", _FORMATS, *THREADS)
"""Before `-i`: a playlist or a script in place of a video must not make ffmpeg read other files, or the network."""

_TRIAL_INPUT = ["-f", "lavfi", "-i", "color=size=64x64:duration=0.1"]
_TRIAL_OUTPUT = ["-c:v", "libx264", "-f", "null", "-"]
_TRIAL_SECONDS = 20.0

OnProgress = Callable[[dict[str, str]], None]


class _LogError(Exception):
    """`log` is the end of what ffmpeg said."""

    def __init__(self, log: str) -> None:
        super().__init__(log.strip()[-_SHOWN_LETTERS:])
        self.log = log


class FfmpegError(_LogError):
    """It ended with an error of its input."""


class FfmpegTroubleError(_LogError):
    """It could not do its work, for a reason that says nothing of its input. Another try may succeed."""


class FfmpegKilledError(FfmpegTroubleError):
    """It did not end by itself: we killed it, as it hung, or a signal did, such as that of the OOM killer."""


class FfmpegLimitError(FfmpegError):
    """The file needs more memory or computing time than it may take."""


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
            f"$FFMPEG is {named!r}, which cannot be run or cannot encode H.264. Name an ffmpeg with libx264 that needs "
            "no files but the programs and libraries in its own folder, lib beside it and the system's folders, "
            "or unset FFMPEG for the one that came with the packages."
        )
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def _can_encode(program: str) -> bool:
    """Whether a picture comes out: other programs end well, too."""
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
    """Runs it to its end, and returns what it said.

    Raises FfmpegError, or FfmpegTroubleError where its input is not to blame.

    It can read those `arguments` that are a Path after `-i`, and write in the folders of all other Paths.
    `on_progress` is called at once and then several times a second, with the values of ffmpeg's last report
    (`-progress`; `out_time_us`, `speed`), none at first. Whatever it raises ends ffmpeg at once, and is raised.
    """
    return _run(ffmpeg_program(), arguments, on_progress, quiet_seconds, cpu_seconds)


def _run(
    program: str,
    arguments: Sequence[str | Path],
    on_progress: OnProgress,
    quiet_seconds: float,
    cpu_seconds: int = CPU_SECONDS,
) -> str:
    # A Path is made absolute, as ffmpeg takes `1:30.mp4` for a protocol.
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
    _judge(process.returncode, text)
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


def _judge(code: int, log: str) -> None:
    """Decide whose fault it was that it failed. What the machine lacks may stand in a log that ends well, too."""
    cannot_start = code in {CANNOT_START, _CANNOT_LOAD}
    if cannot_start or _DISK.search(log) or (code and _MACHINE.search(log)):
        raise FfmpegTroubleError(log)
    if code > 0 and not log.strip():
        raise FfmpegTroubleError(f"It ended with {code}, and without a word.")
    # Without memory some of its parts go on and leave pictures out.
    if _NO_MEMORY.search(log) or code == -signal.SIGXCPU or (code and _NO_MORE_CPU.search(log)):
        raise FfmpegLimitError(log)
    if code < 0:
        raise FfmpegKilledError(f"{log}\nIt was ended by signal {-code}.")
    if code:
        raise FfmpegError(log)


def _watch(process: "subprocess.Popen[bytes]", on_progress: OnProgress, quiet_seconds: float) -> None:
    """Until it has ended. Raises FfmpegKilledError if it gets no further."""
    report: dict[str, str] = {}
    rest, reached, quiet, looked_at = b"", ("", ""), 0.0, time.monotonic()
    with closing(_parts(process)) as parts:
        for part in parts:
            *lines, rest = (rest + part).split(b"\n")
            report.update(_values(lines))
            now = time.monotonic()
            quiet += min(now - looked_at, _LONGEST_LOOK_SECONDS)
            looked_at = now
            # One whose input hangs goes on reporting, but always the same place.
            place = (report.get("frame", ""), report.get("out_time_us", ""))
            if place != reached:
                reached, quiet = place, 0.0
            elif quiet > quiet_seconds:
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
