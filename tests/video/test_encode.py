"""Tests of encoding with a real ffmpeg: the files that it makes, its progress, and its errors for invalid files."""

import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from academy.adapters.video import encode as encoder
from academy.adapters.video.encode import STEPS, Encoded, Encoding, encode
from academy.adapters.video.errors import EncodingFailedError, TooHeavyError, TooLongError, VideoError
from academy.adapters.video.ffmpeg import FfmpegTroubleError, run_ffmpeg
from academy.adapters.video.probe import probe
from academy.adapters.video.renditions import rate_of, read_segments, renditions_of
from academy.adapters.video.sample import make_sample
from academy.adapters.video.whole import whole_segments
from embedded.home import PROJECT
from harness.videos import write_ffmpeg
from tests.embedded.runs import eventually
from tests.video.conftest import (
    QUICKLY,
    Make,
    before_zero,
    cut_in_half,
    ffmpeg,
    late,
    one_entry,
    one_picture,
    picture,
    recorded,
    titled,
    tone,
    turned,
    uneven,
    wrapped,
)
from tests.video.started import children


def nothing(_encoding: Encoding) -> None:
    """Ignore the progress report."""


@dataclass(frozen=True)
class Made:
    """An encoded video, the folder with its files, and its progress reports."""

    folder: Path
    encoded: Encoded
    told: list[Encoding]


@pytest.fixture(scope="module")
def made(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Encode the sample once for all tests. They must not change the encoded files."""
    folder, told = tmp_path_factory.mktemp("made"), list[Encoding]()
    return Made(folder, encode(sample, folder, told.append), told)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a video that becomes one segment. The segment is larger than every file size limit in these tests."""
    path: Path = tmp_path_factory.mktemp("short") / "short.mp4"
    make_sample(path, 5)
    return path


def test_a_video_becomes_playlists_segments_and_a_picture(made: Made) -> None:
    folder, encoded = made.folder, made.encoded
    assert encoded.duration == pytest.approx(13, abs=0.2)
    segments = read_segments(folder / "360p" / "index.m3u8")
    assert segments.seconds == pytest.approx([6, 6, 1], abs=0.1)
    assert encoded.files == [
        Path("360p/00000.ts"), Path("360p/00001.ts"), Path("360p/00002.ts"), Path("360p/index.m3u8"),
        Path("master.m3u8"), Path("thumbnail.jpg"),
    ]  # fmt: skip
    assert sorted(path.relative_to(folder) for path in folder.rglob("*.*")) == encoded.files
    master = (folder / encoded.playlist).read_text()
    assert 'RESOLUTION=640x360,CODECS="avc1.4d4028,mp4a.40.2"\n360p/index.m3u8\n' in master
    played = probe(folder / "360p" / "00000.ts")
    assert (played.width, played.height, played.has_audio) == (640, 360, True)


def test_percent_never_decreases_and_the_steps_come_in_order(made: Made) -> None:
    told = made.told
    percents = [encoding.percent for encoding in told]
    assert percents == sorted(percents)
    assert (percents[0], percents[-1]) == (0.0, 100.0)
    assert len({encoding.percent for encoding in told if encoding.step == "transcode"}) > 2
    steps = [encoding.step for encoding in told]
    assert list(dict.fromkeys(steps)) == list(STEPS)


@pytest.mark.parametrize(
    ("name", "make", "sizes", "seconds"),
    [
        ("넓은 수업.mp4", lambda path: make_sample(path, 1, width=1280, height=720), [(640, 360), (1280, 720)], 1),
        ("세로 영상.mp4", lambda path: make_sample(path, 1, width=720, height=1280), [(360, 640), (720, 1280)], 1),
        ("turned.mp4", turned, [(360, 640)], 1),
        ("odd.mkv", lambda path: ffmpeg(*picture(1, "641x359"), "-c:v", "ffv1", path), [(640, 358)], 1),
        ("small.mp4", lambda path: make_sample(path, 1, width=160, height=120), [(160, 120)], 1),
        ("silent.mp4", lambda path: make_sample(path, 1, audio=False), [(640, 360)], 1),
        ("uneven.mp4", uneven, [(640, 360)], 4),
        ("uneven.mkv", uneven, [(640, 360)], 4),
        ("late.mkv", late, [(640, 360)], 5),
        ("one picture.mp4", one_picture, [(640, 360)], 0),
        ("one entry.mp4", one_entry, [(640, 360)], 5),
        ("before zero.mkv", before_zero, [(640, 360)], 3),
        ("wrapped.ts", wrapped, [(640, 360)], 5),
        ("titled.mp4", titled, [(640, 360)], 1),
        ("length unknown.m1v", lambda path: ffmpeg(*picture(3), "-c:v", "mpeg1video", path), [(640, 360)], 3),
        ("browser.webm", recorded, [(640, 360)], 1),
        ("sound goes on.mp4", lambda path: ffmpeg(*picture(1), *tone(4), *QUICKLY, path), [(640, 360)], 4),
        ("sound ends.mp4", lambda path: ffmpeg(*picture(4), *tone(1), *QUICKLY, path), [(640, 360)], 4),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unusual_but_valid_videos_are_encoded(
    name: str, make: Make, sizes: list[tuple[int, int]], seconds: float, tmp_path: Path
) -> None:
    source, folder = tmp_path / name, tmp_path / "made"
    make(source)
    folder.mkdir()
    encoded = encode(source, folder, nothing)
    assert encoded.duration == pytest.approx(seconds, abs=0.2)
    assert len(encoded.renditions) == len(sizes)
    for rendition, size in zip(encoded.renditions, sizes, strict=True):
        found = probe(folder / rendition / "00000.ts")
        assert (found.width, found.height) == size
        assert seconds_played(folder / rendition / "00000.ts") == pytest.approx(encoded.duration, abs=0.1)
    assert encoded.thumbnail is not None
    picture_made = probe_picture(folder / encoded.thumbnail)
    assert picture_made[0] < picture_made[1] if sizes[0][0] < sizes[0][1] else picture_made[0] > picture_made[1]


@pytest.mark.parametrize("limit", ["memory", "time"])
def test_a_video_that_needs_too_much_is_refused_with_the_reason(
    limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heavy = tmp_path / "heavy.mp4"
    if limit == "memory":
        make_sample(heavy, 1)
        says = "echo '[fc#0 @ 0x55] Error while filtering: Cannot allocate memory' >&2; exit 244"
        program = failing_ffmpeg(tmp_path, "*-filter_complex*", says)
        monkeypatch.setattr("academy.adapters.video.ffmpeg.ffmpeg_program", lambda: program)
    else:
        monkeypatch.setattr(encoder, "_cpu_seconds", lambda _found: 1)
        lesson = tmp_path / "lesson.mp4"
        make_sample(lesson, 2, width=1280, height=720)
        ffmpeg("-stream_loop", "29", "-i", lesson, "-c", "copy", heavy)
    with pytest.raises(TooHeavyError) as caught:
        encode(heavy, tmp_path, nothing)
    assert caught.value.code == "too_heavy"
    assert "at most 1920×1080" in caught.value.message


def seconds_played(segment: Path) -> float:
    """Return the seconds from the first sound or picture to the end of the last picture."""
    report: dict[str, str] = {}
    run_ffmpeg(["-i", segment, "-map", "0:v", "-f", "null", "-"], report.update)
    return int(report["out_time_us"]) / 1e6


def probe_picture(path: Path) -> tuple[int, int]:
    """Return width and height of a JPEG, read from its start-of-frame segment."""
    content = path.read_bytes()
    place = next(at for at in range(len(content)) if content[at] == 0xFF and content[at + 1] in {0xC0, 0xC2})
    return int.from_bytes(content[place + 7 : place + 9]), int.from_bytes(content[place + 5 : place + 7])


def naming_another(text: str) -> Make:
    """Return a function that writes a playlist or a script that names another tenant's video."""

    def make(path: Path) -> None:
        other = path.with_name("other.ts")
        make_sample(other, 1)
        path.write_text(text.format(other=other))

    return make


PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{other}\n#EXT-X-ENDLIST\n"
SCRIPT = "ffconcat version 1.0\nfile {other}\n"


@pytest.mark.parametrize(
    ("name", "make", "code"),
    [
        ("nothing.mp4", lambda path: path.write_bytes(b""), "empty_file"),
        ("text.mp4", lambda path: path.write_text("수업 노트\n" * 100), "not_a_video"),
        ("playlist.mp4", naming_another(PLAYLIST), "not_a_video"),
        ("playlist.m3u8", naming_another(PLAYLIST), "not_a_video"),
        ("script.ffconcat", naming_another(SCRIPT), "not_a_video"),
        ("noise.mp4", lambda path: path.write_bytes(bytes(range(256)) * 40), "not_a_video"),
        ("sound.m4a", lambda path: ffmpeg(*tone(1), path), "no_video_stream"),
        ("sound.wav", lambda path: ffmpeg(*tone(1), path), "no_video_stream"),
        ("half.mp4", cut_in_half, "truncated"),
        ("half of a streamed one.mp4", lambda path: cut_in_half(path, "-movflags", "+faststart"), "truncated"),
        ("half.mkv", cut_in_half, "truncated"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_kind_of_invalid_file_has_its_own_error(name: str, make: Make, code: str, tmp_path: Path) -> None:
    source, folder = tmp_path / name, tmp_path / "made"
    make(source)
    folder.mkdir()
    with pytest.raises(VideoError) as problem:
        encode(source, folder, nothing)
    assert problem.value.code == code
    assert problem.value.message.endswith(".")


def test_a_video_is_encoded_even_if_no_poster_can_be_made(
    short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "_STILL", ("-map", "0:V:0", "-vf", "nonsense"))
    encoded = encode(short, tmp_path, nothing)
    assert encoded.thumbnail is None
    assert Path("thumbnail.jpg") not in encoded.files
    assert Path("master.m3u8") in encoded.files


def failing_ffmpeg(folder: Path, when: str, lines: str) -> str:
    """Write a stand-in for ffmpeg, and return its path.

    If its arguments match the pattern `when`, it runs `lines`, which make it fail. Otherwise it runs ffmpeg.
    """
    return write_ffmpeg(folder, f'case "$*" in {when})\n{lines}\n;; esac')


@pytest.mark.parametrize("when", ["*-filter_complex*", "*-i*source.mp4"], ids=["encoded", "probed"])
@pytest.mark.parametrize(
    "lines",
    [
        "kill -9 $$",
        "echo '[hls @ 0x55] Error opening: No space left on device' >&2; exit 228",
        "echo '[out#0/hls] Error writing: Input/output error' >&2; exit 1",
        "echo 'ffmpeg: error while loading shared libraries: libx.so' >&2; exit 127",
        "exit 1",
    ],
    ids=["oom", "full", "broken", "libraries", "wordless"],
)
def test_a_lack_of_resources_is_not_blamed_on_the_file(
    lines: str, when: str, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tools").mkdir()
    source, made = tmp_path / "source.mp4", tmp_path / "made"
    made.mkdir()
    shutil.copy(sample, source)
    program = failing_ffmpeg(tmp_path / "tools", when, lines)
    monkeypatch.setattr("academy.adapters.video.ffmpeg.ffmpeg_program", lambda: program)
    with pytest.raises(FfmpegTroubleError):
        encode(source, made, nothing)


@pytest.mark.parametrize("blocks", [8, 100, 400])
def test_a_segment_that_the_disk_cut_short_is_an_error(
    blocks: int, short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here ffmpeg ends with status 0 and no error. A file size limit imitates a disk that fills up in a write."""
    program = write_ffmpeg(tmp_path / "tools", f"ulimit -f {blocks}")
    monkeypatch.setattr("academy.adapters.video.ffmpeg.ffmpeg_program", lambda: program)
    with pytest.raises(OSError, match="breaks off, although ffmpeg wrote it"):
        encode(short, tmp_path, nothing)


def test_a_segment_without_its_last_packets_is_recognized(sample: Path, made: Made, tmp_path: Path) -> None:
    folder = shutil.copytree(made.folder / "360p", tmp_path / "360p")
    rate = rate_of(probe(sample))
    names = whole_segments(folder, rate).names
    segment = folder / names[0]
    whole = segment.read_bytes()
    for part in (b"", whole[:-1], whole[: 188 * (len(whole) // 188 // 2)], whole[:-188] + bytes(188)):
        segment.write_bytes(part)
        with pytest.raises(OSError, match=f"Segment {names[0]} of 360p"):
            whole_segments(folder, rate)


class Stopped(Exception):  # noqa: N818 - like the exception that stops a worker
    pass


@pytest.mark.parametrize("step", ["probe", "transcode", "thumbnail"])
def test_an_exception_from_the_report_ends_ffmpeg_in_every_step(step: str, short: Path, tmp_path: Path) -> None:
    before = set(children())
    seen: list[psutil.Process] = []

    def stop(encoding: Encoding) -> None:
        if encoding.step == step:
            seen.extend(process for process in children() if process not in before)
            if seen:
                raise Stopped

    with pytest.raises(Stopped):
        encode(short, tmp_path, stop)
    assert not any(process.is_running() for process in seen)


ENCODE = """
import sys
from pathlib import Path
from academy.adapters.video.encode import encode
encode(Path(sys.argv[1]), Path(sys.argv[2]), lambda encoding: print(encoding.step, flush=True))
"""


def test_ffmpeg_ends_when_the_encoding_process_is_killed(sample: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", ENCODE, str(sample), str(tmp_path)]
    parent = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    while parent.stdout.readline().strip() != "transcode":
        pass
    started: list[psutil.Process] = []

    def at_work() -> bool:
        started[:] = psutil.Process(parent.pid).children(recursive=True)
        return bool(started)

    eventually(at_work, "an ffmpeg at work")
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    eventually(lambda: not any(alive(child) for child in started), "the end of ffmpeg")


def alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_file_name_that_looks_like_a_url_is_read_as_a_file(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("1강:30.mp4").symlink_to(sample)
    Path("http:lesson.mp4").symlink_to(sample)
    assert probe(Path("1강:30.mp4")) == probe(Path("http:lesson.mp4")) == probe(sample)


def test_key_frames_are_at_the_segment_starts_at_every_frame_rate(tmp_path: Path) -> None:
    source = tmp_path / "slides.mkv"
    ffmpeg(*picture(20, "160x120", rate="1/5"), source)
    encode(source, tmp_path, nothing)
    assert read_segments(tmp_path / "120p" / "index.m3u8").seconds == pytest.approx([6, 6, 6, 2], abs=0.1)


def test_a_video_of_unknown_length_is_still_limited(
    short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "MAX_SECONDS", 3)
    with pytest.raises(TooLongError):
        encode(short, tmp_path, nothing)


def test_the_remaining_time_is_estimated_from_the_pace_of_the_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("academy.adapters.video.encode.time.monotonic", lambda: now)
    told: list[Encoding] = []
    progress = encoder._Progress(told.append)
    for second in range(21):  # for 10 s ten times as fast as playback, then twice as fast
        now = float(second)
        progress.transcoded(10.0 * min(second, 10) + 2.0 * max(0, second - 10), 200.0)
    assert told[0].remaining_seconds is None
    assert told[5].remaining_seconds == pytest.approx(15.0)
    assert told[20].remaining_seconds == pytest.approx(40.0)


def test_a_video_from_which_no_picture_comes_is_refused(
    short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in for `run_ffmpeg` imitates an ffmpeg that ends without an error, but writes nothing."""
    monkeypatch.setattr(encoder, "run_ffmpeg", lambda *_arguments, **_options: "frame=0")
    with pytest.raises(EncodingFailedError, match="frame=0"):
        encode(short, tmp_path, nothing)


def test_a_video_that_plays_longer_than_its_source_is_refused(sample: Path, made: Made) -> None:
    found = replace(probe(sample), duration=1.0)
    with pytest.raises(EncodingFailedError, match=r"play of 1\.0 s"):
        encoder._verify(made.folder, found, renditions_of(found), reached=0.5)
