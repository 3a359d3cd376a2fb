"""Videos that tests upload, and programs that encode them."""

from pathlib import Path
from typing import Any

import httpx

from academy.adapters.video.ffmpeg import ffmpeg_program
from academy.adapters.video.sample import make_sample
from harness.system import System, lecture_with_title

SLOW_PACE = 4


def sample(folder: Path, seconds: float) -> bytes:
    """Return a video that needs little CPU time to encode: it is small, and has no sound and few pictures a second."""
    path = folder / "sample.mp4"
    make_sample(path, seconds, width=160, height=90, audio=False, frame_rate=10)
    return path.read_bytes()


def write_ffmpeg(folder: Path, line: str) -> str:
    """Write a program that runs a line of shell, and then the real ffmpeg. Return its path, for the variable FFMPEG.

    The folder has a link to the real ffmpeg, because the program may use only what is in its own folder.
    """
    folder.mkdir(exist_ok=True)
    real, program = folder / "real", folder / "ffmpeg"
    real.symlink_to(ffmpeg_program())
    program.write_text(f'#!/bin/sh\n{line}\nexec {real} "$@"\n')
    program.chmod(0o755)
    return str(program)


def slow_ffmpeg(folder: Path) -> str:
    """Write a program that runs ffmpeg, but encodes at most SLOW_PACE seconds of video a second. Return its path.

    A test can watch or stop such an encoding in the middle, even if the machine is fast and the video is small.
    """
    return write_ffmpeg(folder, f'case "$*" in *-filter_complex*) set -- -readrate {SLOW_PACE} "$@";; esac')


async def lecture_of(client: httpx.AsyncClient) -> int:
    """Return the id of a lecture of the demo data, found by its title, because other tests may have added lectures."""
    found: int = (await lecture_with_title(client, "고3 국어 모의고사"))["id"]
    return found


async def upload(
    client: httpx.AsyncClient, content: bytes, name: str = "수업 영상.mp4", **fields: Any
) -> httpx.Response:
    data = {"title": "수업", "lecture": await lecture_of(client)} | fields
    return await client.post("/media/videos/", data=data, files={"file": (name, content)})


async def cancel_unfinished(system: System) -> None:
    """Cancel the videos that other tests have left, so that the next video worker begins with those of this test."""
    for academy in ("hanbit", "saebom"):
        async with system.client(academy) as client:
            for status in ("PENDING", "PROCESSING"):
                found = (await client.get("/media/videos/", params={"status": status, "page_size": 200})).json()
                for video in found["results"]:
                    await client.post(f"/media/videos/{video['id']}/cancel/")


async def uploaded(client: httpx.AsyncClient, content: bytes) -> int:
    answer = await upload(client, content)
    assert answer.status_code == 202, answer.text
    video_id: int = answer.json()["id"]
    return video_id
