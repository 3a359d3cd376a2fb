"""A fault of the machine is not blamed on the file: ffmpeg is killed, or the disk is full for a while."""

from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from embedded.plan import Worker
from harness.system import System, eventually
from harness.videos import sample, slow_ffmpeg, uploaded, write_ffmpeg
from harness.watcher import Watcher

pytestmark = pytest.mark.slow


def programs_of(worker: Worker) -> list[psutil.Process]:
    """Return the processes that the worker has started."""
    assert worker.pid is not None
    found: list[psutil.Process] = psutil.Process(worker.pid).children(recursive=True)
    return found


def begun(watcher: Watcher, topic: str, worker: Worker) -> bool:
    return watcher.percent(topic) > 3 and bool(programs_of(worker))


async def test_an_ffmpeg_that_the_oom_killer_ends_costs_one_attempt(own_system: System, tmp_path: Path) -> None:
    content, slow = sample(tmp_path, 24), slow_ffmpeg(tmp_path / "tools")
    async with own_system.client() as client, await own_system.watcher(client) as watcher:
        with own_system.running_worker("video_worker", FFMPEG=slow) as worker:
            topic = f"video:{await uploaded(client, content)}"
            await watcher.until(lambda: begun(watcher, topic, worker))
            for program in programs_of(worker):
                with suppress(psutil.NoSuchProcess):
                    program.kill()
            end = await watcher.until_terminal(topic)
            assert "It was ended by signal 9" in worker.log_file.read_text()
    assert (end["status"], end["attempt"]) == ("READY", 2)


async def test_a_disk_that_is_full_for_a_while_costs_attempts_but_no_video(own_system: System, tmp_path: Path) -> None:
    content, program = sample(tmp_path, 2), full_disk(tmp_path / "tools")
    (tmp_path / "tools" / "full").touch()
    async with own_system.client() as client, await own_system.watcher(client) as watcher:
        with own_system.running_worker("video_worker", FFMPEG=program) as worker:
            topic = f"video:{await uploaded(client, content)}"
            await watcher.until(lambda: watcher.records.get(topic, {}).get("attempt", 1) >= 2)
            (tmp_path / "tools" / "full").unlink()
            end = await watcher.until_terminal(topic)
            await eventually(lambda: "No space left on device" in worker.log_file.read_text())
    assert (end["status"], end["error"]) == ("READY", None)


def full_disk(folder: Path) -> str:
    """Write an ffmpeg whose encodings report a full disk while `folder` has a file `full`. Return its path."""
    says = "echo '[hls @ 0x55] Failed to open file: No space left on device' >&2; exit 228"
    return write_ffmpeg(folder, f'[ -e {folder}/full ] && case "$*" in *-filter_complex*) {says};; esac')
