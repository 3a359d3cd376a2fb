"""ffmpeg never outlives its caller, its errors are classified, and it is ended when it hangs."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import psutil
import pytest

from academy.adapters.video.blame import Blame, blame
from academy.adapters.video.ffmpeg import (
    CPU_SECONDS,
    MAX_MEMORY_BYTES,
    SAFE_INPUT,
    FfmpegError,
    FfmpegKilledError,
    FfmpegLimitError,
    FfmpegMissingError,
    FfmpegTroubleError,
    ffmpeg_program,
    run_ffmpeg,
)
from academy.adapters.video.sample import make_sample
from embedded.home import PROJECT
from harness.videos import write_ffmpeg
from tests.embedded.runs import eventually
from tests.video.started import children

FOREVER = ["-re", "-f", "lavfi", "-i", "testsrc2=duration=3600", "-f", "null", "-"]
NOWHERE = ["-c:v", "libx264", "-f", "null", "-"]
HOLD = f"""
from academy.adapters.video.ffmpeg import run_ffmpeg
run_ffmpeg({FOREVER!r}, lambda report: print(report.get("frame", ""), flush=True))
"""


class Enough(Exception):  # noqa: N818 - what a report may raise
    pass


def test_ffmpeg_is_ended_when_the_report_raises() -> None:
    before = {process.pid for process in children()}
    seen: list[psutil.Process] = []

    def watch(report: dict[str, str]) -> None:
        if report:
            seen.extend(process for process in children() if process.pid not in before)
            raise Enough

    with pytest.raises(Enough):
        run_ffmpeg(FOREVER, watch)
    assert seen
    assert not any(process.is_running() for process in seen)


def test_ffmpeg_dies_with_its_parent_however_the_parent_ends() -> None:
    parent = subprocess.Popen([sys.executable, "-c", HOLD], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    while not parent.stdout.readline().strip():
        pass
    (child,) = psutil.Process(parent.pid).children(recursive=True)
    assert child.exe() == str(Path(ffmpeg_program()).resolve())
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "the end of ffmpeg")


def test_ffmpeg_sees_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "a secret")
    environments: list[dict[str, str]] = []
    before = {process.pid for process in children()}  # such as servers of other tests

    def look(report: dict[str, str]) -> None:
        if report:
            environments.extend(process.environ() for process in children() if process.pid not in before)
            raise Enough

    with pytest.raises(Enough):
        run_ffmpeg(FOREVER, look)
    assert environments
    assert all("SECRET_KEY" not in environment for environment in environments)


def test_a_silent_ffmpeg_is_given_up(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # nothing ever writes into the pipe
    reports: list[dict[str, str]] = []
    with pytest.raises(FfmpegKilledError, match="It got no further for 1 s"):
        run_ffmpeg(["-i", pipe, "-f", "null", "-"], reports.append, quiet_seconds=1.0)
    assert len(reports) > 1, "who wants to end it was not asked"


def test_an_ffmpeg_that_repeats_the_same_progress_is_given_up() -> None:
    reports: list[dict[str, str]] = []
    stuck = "testsrc2=duration=60,realtime=speed=0.001:limit=3600"

    def watch(report: dict[str, str]) -> None:
        reports.append(report)
        assert len(reports) < 200, "it was not given up"

    with pytest.raises(FfmpegKilledError, match="It got no further for 2 s"):
        run_ffmpeg(["-f", "lavfi", "-i", stuck, "-f", "null", "-"], watch, quiet_seconds=2.0)
    assert reports[-1]["progress"] == "continue"


def test_the_error_contains_the_output_of_ffmpeg(tmp_path: Path) -> None:
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(bytes(range(256)) * 40)
    with pytest.raises(FfmpegError, match="Invalid data found"):
        run_ffmpeg(["-i", noise, "-f", "null", "-"], lambda _report: None)


def test_a_full_disk_is_not_blamed_on_the_video() -> None:
    with pytest.raises(FfmpegTroubleError, match="No space left on device"):
        run_ffmpeg(
            ["-f", "lavfi", "-i", "testsrc2=duration=1", "-f", "rawvideo", Path("/dev/full")], lambda _report: None
        )


def test_a_missing_file_is_not_blamed_on_the_video(tmp_path: Path) -> None:
    with pytest.raises(FfmpegTroubleError, match="No such file or directory"):
        run_ffmpeg(["-i", tmp_path / "missing.mp4", "-f", "null", "-"], lambda _report: None)


def encoding(folder: Path) -> list[str | Path]:
    """Return ffmpeg's arguments for an encoding like ours: two sizes of one input."""
    make_sample(folder / "lesson.mp4", 2)
    (folder / "made").mkdir()
    outputs: list[str | Path] = []
    for number, name in enumerate(("small", "large")):
        outputs += ["-map", f"[v{number}]", "-c:v", "libx264", "-map", "0:a:0", "-c:a", "aac", "-f", "hls"]
        outputs += ["-hls_segment_filename", folder / "made" / f"{name}%d.ts", folder / "made" / f"{name}.m3u8"]
    filters = "[0:V:0]split=2[s0][s1];[s0]scale=320:180[v0];[s1]scale=640:360[v1]"
    return [*SAFE_INPUT, "-i", folder / "lesson.mp4", "-filter_complex", filters, *outputs]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("ulimit -n 4", "Too many open files"),
        ("ulimit -n 5", "Failed to open file"),
        ("echo 'libx264.so.164: cannot open shared object file: No such file or directory' >&2; exit 127", "libx264"),
        ("exit 1", "It ended with 1"),
        ("kill -KILL $$", "It was ended by signal 9"),
        ("kill -TERM $$", "It was ended by signal 15"),
    ],
)
def test_a_lack_of_resources_is_not_blamed_on_the_video(
    line: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, ours = encoding(tmp_path), write_ffmpeg(tmp_path / "tools", line)
    monkeypatch.setattr("academy.adapters.video.ffmpeg.ffmpeg_program", lambda: ours)
    with pytest.raises(FfmpegTroubleError, match=re.escape(says)):
        run_ffmpeg(arguments, lambda _report: None, quiet_seconds=60.0)


@pytest.mark.parametrize("kilobytes", [8_000, 150_000, 200_000, 250_000, 300_000, 350_000, 450_000])
def test_a_worker_with_a_low_memory_limit_blames_no_video(kilobytes: int, tmp_path: Path) -> None:
    """With little memory ffmpeg reports various errors: an encoder did not open, a thread could not be created."""
    encode = (
        "import resource\n"
        "from pathlib import PosixPath\n"
        "from academy.adapters.video import ffmpeg\n"
        "ffmpeg.ffmpeg_program()\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({kilobytes * 1024}, {kilobytes * 1024}))\n"
        "try:\n"
        f"    ffmpeg.run_ffmpeg({encoding(tmp_path)!r}, lambda report: None, quiet_seconds=60.0)\n"
        "except ffmpeg.FfmpegError as error:\n"
        "    print('blamed', repr(error))\n"
        "except (ffmpeg.FfmpegTroubleError, OSError, MemoryError):\n"
        "    print('trouble')\n"
        "else:\n"
        "    print('done')\n"
    )
    run = subprocess.run([sys.executable, "-c", encode], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert run.stdout.strip() in {"trouble", "done"}, run.stdout + run.stderr


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGBUS], ids=lambda number: number.name)
def test_an_ffmpeg_ended_by_a_signal_is_not_blamed_on_the_video(number: signal.Signals) -> None:
    """Signals come from the OOM killer, from a manual kill, or from the failure of a disk with a mapped file."""
    before = {process.pid for process in children()}

    def end(report: dict[str, str]) -> None:
        if report:
            for process in children():
                if process.pid not in before:
                    process.send_signal(number)

    with pytest.raises(FfmpegTroubleError):
        run_ffmpeg(FOREVER, end)


def test_a_pause_of_this_process_does_not_count_as_silence_of_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole machine stops for longer than ffmpeg may be silent. Neither this process nor ffmpeg runs meanwhile."""
    before, paused = {process.pid for process in children()}, False
    clock, ahead = time.monotonic, 0.0

    def pause(report: dict[str, str]) -> None:
        nonlocal ahead, paused
        if report and not paused:
            paused, ahead = True, 63.0
            for process in children():
                if process.pid not in before:
                    process.suspend()
                    threading.Timer(0.5, process.resume).start()
        elif paused and report.get("progress") == "end":
            raise Enough

    monkeypatch.setattr(time, "monotonic", lambda: clock() + ahead)
    with pytest.raises(Enough):
        run_ffmpeg(["-re", "-f", "lavfi", "-i", "testsrc2=duration=3", "-f", "null", "-"], pause)


def test_a_playlist_cannot_open_other_files_even_where_ffmpeg_would(tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    make_sample(tmp_path / "others" / "lesson.ts", 1)
    playlist = tmp_path / "list.m3u8"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\nothers/lesson.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(FfmpegError, match=r"Error when loading first segment '.*others/lesson.ts'"):
        run_ffmpeg(["-i", playlist, "-f", "null", "-"], lambda _report: None)


@pytest.mark.parametrize("most", [100_000_000, 400_000_000])
def test_a_video_that_needs_too_much_memory_is_not_called_damaged(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either error may be raised: in some runs ffmpeg fails to get memory, and in others to start a thread."""
    ffmpeg_program()  # tries the program once, while the limit is still the usual one
    monkeypatch.setattr("academy.adapters.video.ffmpeg.MAX_MEMORY_BYTES", most)
    with pytest.raises((FfmpegLimitError, FfmpegTroubleError)):
        run_ffmpeg(["-f", "lavfi", "-i", "testsrc2=size=7680x4320:duration=1", *NOWHERE], lambda _report: None)


def test_memory_that_only_our_limit_can_refuse_is_too_much_for_one_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "[fc#0 @ 0x55] Error while filtering: Cannot allocate memory\nConversion failed!\n"
    monkeypatch.setattr("academy.adapters.sandbox.trouble._OVERCOMMIT", Path("/nowhere"))
    assert blame(244, said, memory_bytes=MAX_MEMORY_BYTES, cpu_seconds=CPU_SECONDS) is Blame.LIMIT
    strict = tmp_path / "overcommit_memory"
    strict.write_text("2\n")
    monkeypatch.setattr("academy.adapters.sandbox.trouble._OVERCOMMIT", strict)
    assert blame(244, said, memory_bytes=MAX_MEMORY_BYTES, cpu_seconds=CPU_SECONDS) is Blame.MACHINE


def test_an_ffmpeg_that_uses_too_much_processor_time_is_ended() -> None:
    with pytest.raises(FfmpegLimitError):
        run_ffmpeg(
            ["-f", "lavfi", "-i", "testsrc2=duration=3600", *NOWHERE],
            lambda _report: None,
            cpu_seconds=1,
        )


def test_text_from_the_file_is_not_taken_for_a_lack_of_memory(tmp_path: Path) -> None:
    make_sample(tmp_path / "plain.mp4", 1)
    titled = tmp_path / "titled.mp4"
    title = ["-metadata", "title=x\nCannot allocate memory"]
    run_ffmpeg(["-i", tmp_path / "plain.mp4", "-c", "copy", *title, titled], lambda _report: None)
    assert "Cannot allocate memory" in run_ffmpeg(["-i", titled, *NOWHERE], lambda _report: None)


OF_THE_MACHINE = """\
[hls @ 0x55] Failed to open file '/tmp/made/00001.ts': Disk quota exceeded
[hls @ 0x55] Failed to open file '/tmp/made/00001.ts'
[out#0/hls @ 0x55] Error opening output /tmp/made/index.m3u8: Read-only file system
[out#0/hls @ 0x55] Error writing trailer: Input/output error
[in#0 @ 0x55] Error opening input: Stale file handle
[in#0 @ 0x55] Error opening input: Permission denied
[in#0 @ 0x55] Error during demuxing: Transport endpoint is not connected
[in#0 @ 0x55] Error during demuxing: Structure needs cleaning
[in#0 @ 0x55] Error opening input: Too many open files in system
[vist#0:0/h264 @ 0x55] [dec:h264 @ 0x55] Error while opening decoder: Resource temporarily unavailable
[fc#0 @ 0x55] pthread_create() failed: Resource temporarily unavailable
[enc:libx264 @ 0x55] Error while opening encoder - maybe incorrect parameters such as bit_rate, rate, width or height.
/opt/ffmpeg: error while loading shared libraries: libx264.so.164: failed to map segment from shared object
Fatal Python error: init_sys_streams: can't initialize sys standard streams
Exiting normally, received signal 15.
"""
OF_THE_FILE = """\
[in#0 @ 0x55] Error opening input: Invalid data found when processing input
[in#0/mov @ 0x55] Error during demuxing: Input/output error
    title           : Error opening input: Too many open files
[enc:libx264 @ 0x55] Could not open encoder before EOF
[libx264 @ 0x55] invalid width x height (65536x2)|[enc] Error while opening encoder - maybe incorrect parameters
[dec:h264 @ 0x55] Decoding error: Operation not permitted
"""


@pytest.mark.parametrize("words", OF_THE_MACHINE.splitlines())
def test_these_errors_are_blamed_on_the_machine(words: str) -> None:
    said = f"Input #0, mov, from 'lesson.mp4':\n{words}\nConversion failed!\n"
    assert blame(1, said, memory_bytes=MAX_MEMORY_BYTES, cpu_seconds=CPU_SECONDS) is Blame.MACHINE


@pytest.mark.parametrize("words", OF_THE_FILE.splitlines())
def test_these_errors_are_blamed_on_the_file(words: str) -> None:
    lines = words.replace("|", "\n")
    said = f"Input #0, mov, from 'lesson.mp4':\n{lines}\nConversion failed!\n"
    assert blame(1, said, memory_bytes=MAX_MEMORY_BYTES, cpu_seconds=CPU_SECONDS) is Blame.INPUT


@pytest.fixture
def forget_the_choice() -> Iterator[None]:
    ffmpeg_program.cache_clear()
    yield
    ffmpeg_program.cache_clear()


def program(path: Path, line: str) -> Path:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return path


def test_the_configured_ffmpeg_is_chosen_first(
    tmp_path: Path, forget_the_choice: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = write_ffmpeg(tmp_path / "tools", ":")
    ffmpeg_program.cache_clear()
    monkeypatch.setenv("FFMPEG", ours)
    assert ffmpeg_program() == ours


@pytest.mark.parametrize("line", ["exit 1", "exit 0", "kill -9 $$"])
def test_a_configured_ffmpeg_that_does_not_work_is_reported(
    line: str, tmp_path: Path, forget_the_choice: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FFMPEG", str(program(tmp_path / "broken", line)))
    with pytest.raises(FfmpegMissingError, match=r"\$FFMPEG is .*broken', which cannot be run or cannot encode H.264"):
        ffmpeg_program()


def test_an_ffmpeg_on_the_path_that_does_not_work_is_skipped(
    tmp_path: Path, forget_the_choice: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "ffmpeg", "exit 1")
    monkeypatch.delenv("FFMPEG", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ffmpeg_program() == imageio_ffmpeg.get_ffmpeg_exe()
