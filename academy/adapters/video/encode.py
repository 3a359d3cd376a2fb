"""Encodes an uploaded video for players: HLS (RFC 8216) in one or two sizes, and a thumbnail."""

import shutil
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from academy.adapters.video.errors import EncodingFailedError, TooHeavyError, TooLongError, TruncatedError
from academy.adapters.video.ffmpeg import (
    SAFE_INPUT,
    THREADS,
    FfmpegError,
    FfmpegLimitError,
    FfmpegTroubleError,
    run_ffmpeg,
)
from academy.adapters.video.probe import MAX_SECONDS, Probe, check_readable, probe
from academy.adapters.video.renditions import (
    AUDIO_KBITS,
    Rendition,
    master_playlist,
    rate_of,
    read_segments,
    renditions_of,
)
from academy.adapters.video.whole import is_whole_jpeg, whole_segments

log = structlog.get_logger(__name__)

STEPS = ("probe", "transcode", "thumbnail", "verify")
SEGMENT_SECONDS = 6
MASTER, THUMBNAIL = "master.m3u8", "thumbnail.jpg"
_STILL = (
    *("-map", "0:V:0", "-frames:v", "1", "-vf", "scale='min(640,iw)':-2:out_range=full"),
    *("-pix_fmt", "yuvj420p", "-q:v", "4", "-update", "1"),
)
_STILL_CPU_SECONDS = 60
TOLERANCE_SECONDS = 1.0

_BEGINS = {"probe": 0.0, "transcode": 1.0, "thumbnail": 97.0, "verify": 98.0}
_ENDS = {"probe": 1.0, "transcode": 97.0, "thumbnail": 98.0, "verify": 100.0}
_PACE_SECONDS = 8.0
"""The remaining time is estimated from the pace in the last `_PACE_SECONDS`, because the load of a machine changes."""
_LEAST_PACE_SECONDS = 0.5
_BASE_CPU_SECONDS = 600
_CPU_SECONDS_A_SECOND = 8.0
"""CPU seconds allowed for each second of full HD video at 30 pictures a second. A modern core needs half a second."""
_FULL_HD = 1920 * 1080 * 30


@dataclass(frozen=True, slots=True)
class Encoding:
    """The progress of an encoding. `remaining_seconds` is None while the remaining time cannot be estimated."""

    step: str
    step_percent: float
    percent: float
    remaining_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Encoded:
    """The result of an encoding. `files` has paths relative to the `folder` of `encode`. `duration` is in seconds."""

    duration: float
    files: list[Path]
    renditions: tuple[str, ...]
    thumbnail: str | None
    """None if no picture could be made. The video can be played without it."""
    playlist: str = MASTER


Report = Callable[[Encoding], None]


def encode(
    source: Path, folder: Path, report: Report, on_duration: Callable[[float], None] = lambda _seconds: None
) -> Encoded:
    """Encode `source` into `folder`.

    `report` is called several times a second. `on_duration` is called once before the encoding, with the length of the
    video in seconds, or 0 if the length is not known. If one of them raises, ffmpeg is ended and the error is raised.

    Raises VideoError if the video is to blame, else FfmpegMissingError, FfmpegTroubleError or OSError. After an error
    the caller must empty the folder.
    """
    say = _Progress(report)
    say("probe", 0.0)
    found = probe(source, lambda: say("probe", 50.0))
    on_duration(found.duration or 0.0)
    renditions = renditions_of(found)
    try:
        reached = _transcode(source, folder, found, renditions, say)
        if _sound_alone(source, folder, found, renditions, say):
            reached = _transcode(source, folder, found, renditions, say, hold_picture=True)
    except FfmpegLimitError as problem:
        raise TooHeavyError(str(problem)) from problem
    except FfmpegError as problem:
        check_readable(source, problem.log)
        raise EncodingFailedError(str(problem)) from problem
    say("thumbnail", 0.0)
    thumbnail = _picture(folder, renditions[-1], say)
    say("verify", 0.0)
    duration = _verify(folder, found, renditions, reached)
    (folder / MASTER).write_text(master_playlist(folder, renditions, has_audio=found.has_audio), encoding="utf-8")
    say("verify", 100.0)
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return Encoded(duration, files, tuple(rendition.name for rendition in renditions), thumbnail)


class _Progress:
    """Reports a percentage that never decreases, and the remaining time, estimated by the pace of the last seconds."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._percent = 0.0
        self._paces: deque[tuple[float, float]] = deque()

    def __call__(self, step: str, step_percent: float, remaining: float | None = None) -> None:
        share = min(100.0, max(0.0, step_percent))
        percent = _BEGINS[step] + share / 100 * (_ENDS[step] - _BEGINS[step])
        self._percent = max(self._percent, percent)
        self._report(Encoding(step, share, self._percent, remaining))

    def transcoded(self, seconds: float, duration: float | None) -> None:
        """Report that `seconds` of the video are encoded. Raises TooLongError if `seconds` is above `MAX_SECONDS`."""
        if seconds > MAX_SECONDS:
            raise TooLongError
        remaining = self._remaining(seconds, duration)
        self("transcode", 100 * seconds / duration if duration else 0.0, remaining)

    def _remaining(self, seconds: float, duration: float | None) -> float | None:
        now = time.monotonic()
        self._paces.append((now, seconds))
        while now - self._paces[0][0] > _PACE_SECONDS:
            self._paces.popleft()
        began, done = self._paces[0]
        if duration is None or now - began < _LEAST_PACE_SECONDS or seconds <= done:
            return None
        return round(max(0.0, duration - seconds) * (now - began) / (seconds - done), 1)


def _transcode(
    source: Path,
    folder: Path,
    found: Probe,
    renditions: list[Rendition],
    say: _Progress,
    *,
    hold_picture: bool = False,
) -> float:
    """Encode all sizes in one run, which decodes the source only once. Return how many seconds ffmpeg reported as done.

    With `hold_picture`, the last picture is shown until the announced end of the source.
    """
    # Show the first picture from the beginning, even if it comes later in the source.
    timing = f"fps={rate_of(found):g}:start_time=0"
    if hold_picture:
        timing += f",tpad=stop=-1:stop_mode=clone,trim=duration={found.duration}"
    arguments: list[str | Path] = [
        *SAFE_INPUT,
        "-filter_complex_threads",
        THREADS[1],
        "-i",
        source,
        "-filter_complex",
        _scaling(renditions, timing),
    ]
    for number, rendition in enumerate(renditions):
        target = folder / rendition.name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        arguments += _output(target, rendition, f"[v{number}]", has_audio=found.has_audio)
    reached = 0.0

    def on_progress(report: dict[str, str]) -> None:
        nonlocal reached
        reached = max(reached, _out_seconds(report))
        say.transcoded(reached, found.duration)

    said = run_ffmpeg(arguments, on_progress, cpu_seconds=_cpu_seconds(found))
    if not (folder / renditions[0].name / "index.m3u8").exists():
        raise FfmpegError(said)  # ffmpeg read to the end and found no picture
    return reached


def _cpu_seconds(found: Probe) -> int:
    """Return the limit on CPU time in seconds: more than a normal file of this length and size needs."""
    size = found.width * found.height * (found.frame_rate or 30) / _FULL_HD
    return int(_BASE_CPU_SECONDS + (found.duration or MAX_SECONDS) * _CPU_SECONDS_A_SECOND * max(1.0, size))


def _out_seconds(report: dict[str, str]) -> float:
    """Return how many seconds are done, according to ffmpeg's report. Return 0 if the number is missing or negative."""
    out_time = report.get("out_time_us", "")
    return int(out_time) / 1e6 if out_time.isdigit() else 0.0


def _scaling(renditions: list[Rendition], timing: str) -> str:
    """Return the filters that apply `timing`, and then scale each picture to all sizes. Output 0 is called `[v0]`."""
    numbers = range(len(renditions))
    split = f"[0:V:0]{timing},split={len(renditions)}" + "".join(f"[s{number}]" for number in numbers)
    scales = [
        f"[s{number}]scale={rendition.width}:{rendition.height},setsar=1,format=yuv420p[v{number}]"
        for number, rendition in enumerate(renditions)
    ]
    return ";".join([split, *scales])


def _sound_alone(source: Path, folder: Path, found: Probe, renditions: list[Rendition], say: _Progress) -> bool:
    """Return whether the sound reaches the announced end of the file, but the pictures do not.

    If neither reaches the end, the file is truncated. The sound is read in a run without the pictures, because in a run
    with both, some versions of ffmpeg report the length of the shorter one, and others that of the longer one.
    """
    if found.duration is None or not found.has_audio:
        return False
    least = found.duration - TOLERANCE_SECONDS
    if sum(read_segments(folder / renditions[0].name / "index.m3u8").seconds) >= least:
        return False
    heard = 0.0

    def on_progress(report: dict[str, str]) -> None:
        nonlocal heard
        heard = max(heard, _out_seconds(report))
        say("transcode", 100.0)

    run_ffmpeg(
        [*SAFE_INPUT, "-i", source, "-map", "0:a:0", "-c", "copy", "-f", "null", "-"],
        on_progress,
        cpu_seconds=_cpu_seconds(found),
    )
    return heard >= least


def _output(folder: Path, rendition: Rendition, label: str, *, has_audio: bool) -> list[str | Path]:
    video = (
        f"-map {label} -c:v libx264 -preset veryfast -profile:v main -level:v 4.0 -crf 23 "
        f"-maxrate {rendition.kbits}k -bufsize {2 * rendition.kbits}k -sc_threshold 0"
    ).split()
    # Each segment begins with a key frame, so that players can begin with any segment.
    keys = ["-force_key_frames", f"expr:gte(t,n_forced*{SEGMENT_SECONDS})"]
    audio = f"-map 0:a:0 -c:a aac -b:a {AUDIO_KBITS}k -ac 2 -ar 48000".split() if has_audio else []
    hls = f"-map_metadata -1 -f hls -hls_time {SEGMENT_SECONDS} -hls_playlist_type vod -hls_list_size 0".split()
    flags = ["-hls_flags", "independent_segments"]
    return [
        *video,
        *THREADS,
        *keys,
        *audio,
        *hls,
        *flags,
        "-hls_segment_filename",
        folder / "%05d.ts",
        folder / "index.m3u8",
    ]


def _picture(folder: Path, rendition: Rendition, say: _Progress) -> str | None:
    """Make a thumbnail, and return its name. Return None if that failed.

    The picture is from about a tenth of the way into the video, or else from the beginning. It is taken from an encoded
    segment, because seeking in the source may not work.
    """
    made = folder / rendition.name
    names = read_segments(made / "index.m3u8").names
    for name in dict.fromkeys((names[len(names) // 10], names[0])):
        try:
            run_ffmpeg(
                [*SAFE_INPUT, "-i", made / name, *_STILL, folder / THUMBNAIL],
                lambda _report: say("thumbnail", 50.0),
                cpu_seconds=_STILL_CPU_SECONDS,
            )
        except (FfmpegError, FfmpegTroubleError) as problem:
            log.warning("thumbnail_not_made", error=str(problem))
        if is_whole_jpeg(folder / THUMBNAIL):
            return THUMBNAIL
    (folder / THUMBNAIL).unlink(missing_ok=True)
    return None


def _verify(folder: Path, found: Probe, renditions: list[Rendition], reached: float) -> float:
    """Check that every segment is whole and that the end is not missing. Return the playing time in seconds.

    Each size must play for at least the length that the source announces, and for at most that length or `reached`
    seconds, whichever is longer. Differences of up to `TOLERANCE_SECONDS` are accepted. Raises VideoError if a size
    plays for a wrong time, and OSError if a segment is not whole.
    """
    rate = rate_of(found)
    played = [sum(whole_segments(folder / rendition.name, rate).seconds) for rendition in renditions]
    announced = found.duration or 0.0
    if announced - min(played) > TOLERANCE_SECONDS:
        raise TruncatedError(f"{min(played):.1f} s play of {announced:.1f} s.")
    if max(played) - max(announced, reached) > TOLERANCE_SECONDS:
        raise EncodingFailedError(f"{max(played):.1f} s play of {max(announced, reached):.1f} s.")
    return round(min(played), 3)
