"""Makes a sample video of any length and size: `python -m academy.adapters.video.sample FILE`."""

import argparse
import re
import sys
from pathlib import Path

from academy.adapters.video.ffmpeg import FfmpegError, FfmpegMissingError, FfmpegTroubleError, run_ffmpeg

MAX_SECONDS = 6 * 3600.0
SUFFIXES = (".mp4", ".mkv", ".mov", ".avi", ".ts", ".flv")


def make_sample(
    path: Path, seconds: float, *, width: int = 640, height: int = 360, audio: bool = True, frame_rate: int = 25
) -> None:
    """Make a video with a moving test picture, a clock and a tone. The suffix of `path` chooses the format.

    Raises FfmpegMissingError if there is no usable ffmpeg, and FfmpegError or FfmpegTroubleError if ffmpeg fails.
    """
    picture = f"testsrc2=size={width}x{height}:rate={frame_rate}:duration={seconds}"
    tone = ["-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds}"] if audio else []
    options = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-t", str(seconds)]
    run_ffmpeg(["-f", "lavfi", "-i", picture, *tone, *options, path], lambda _report: None)


def _file(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in SUFFIXES:
        raise argparse.ArgumentTypeError(
            f"{text!r} does not end like a video; name it with one of {' '.join(SUFFIXES)}"
        )
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is in a folder that does not exist; make the folder first")
    return path


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)
    if match is None or int(match[1]) % 2 or int(match[2]) % 2:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write two even numbers, like 1280x720")
    return int(match[1]), int(match[2])


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d{1,5}(\.\d{1,3})?", text) or not 0 < float(text) <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no length; give seconds, from 0.1 to {MAX_SECONDS:.0f}")
    return float(text)


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/sample-video", description="Makes a video to try the system with.")
    parser.add_argument("file", type=_file, metavar="FILE", help="the file; its suffix says the format (.mp4, .mkv)")
    parser.add_argument("--seconds", type=_seconds, default=30.0, metavar="N", help="length in seconds (default: 30)")
    parser.add_argument("--size", type=_size, default=(640, 360), metavar="WxH", help="picture size (default: 640x360)")
    parser.add_argument("--no-audio", action="store_true", help="without a tone")
    chosen = parser.parse_args()
    width, height = chosen.size
    try:
        make_sample(chosen.file, chosen.seconds, width=width, height=height, audio=not chosen.no_audio)
    except (FfmpegError, FfmpegMissingError, FfmpegTroubleError, OSError) as problem:
        sys.stderr.write(f"{chosen.file} could not be made: {str(problem).splitlines()[-1]}\n")
        return 1
    sys.stdout.write(f"{chosen.file}: {chosen.seconds:g} s, {width}x{height}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
