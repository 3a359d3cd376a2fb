"""Tests the steps of the page "Upload and play a video" on a running system, and the videos shown in the reference."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import httpx
import pytest

from academy.adapters.video import sample
from embedded.group import Servers
from embedded.home import PROJECT
from embedded.plan import Worker
from harness.system import System
from tests.docs.claims import claimed_by
from tests.docs.pages import blocks, page
from tests.docs.scripts import PATIENCE_SECONDS, bare_environment, pointed_at

PAGE = "docs/how-to/upload-and-play-a-video.md"
SCRIPTS = ("api.py", "upload.py", "play.py", "change.py", "poll.py", "presigned.py")


@pytest.fixture
def folder(system: System, tmp_path: Path) -> Path:
    """Save the scripts of the page under the names that it gives them, and return their folder."""
    texts = [blocks()[f"{PAGE}#python-{number}"] for number in range(1, len(SCRIPTS) + 1)]
    for name, text in zip(SCRIPTS, texts, strict=True):
        pointed = pointed_at(text, address=system.address) if name == "api.py" else text
        (tmp_path / name).write_text(pointed, encoding="utf-8")
    return tmp_path


@pytest.fixture
def worker(system: System) -> Iterator[Worker]:
    with system.running_worker("video_worker", WORKER_HEARTBEAT_SECONDS="1") as running:
        yield running


def run(number: int, folder: Path, video_id: int = 3) -> str:
    """Run a block of shell of the page, with `video_id` in place of the documented id, and return its output."""
    text = blocks()[f"{PAGE}#sh-{number}"].replace(" 3", f" {video_id}")
    text = text.replace(".venv/bin/python", shlex.quote(sys.executable))
    text = text.replace("script/sample-video", shlex.quote(str(PROJECT / "script" / "sample-video")))
    done = subprocess.run(
        ["/bin/sh", "-eu"],
        input=text,
        cwd=folder,
        env=bare_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def shown(number: int) -> str:
    return page(PAGE).fenced("text")[number]


async def test_the_page_works_from_its_first_to_its_last_step(system: System, folder: Path, request: Any) -> None:
    run(1, folder)
    async with system.client() as client:
        assert await changed_before_a_worker_came(client, folder) == shown(1)
        request.getfixturevalue("worker")
        lines = run(2, folder).splitlines()
        topic = lines[0].split()[0]
        assert lines[0] == f"{topic} PENDING"
        assert lines[-1].split() == [topic, "READY"]
        steps = {words[2] for words in map(str.split, lines) if len(words) > 2}
        assert {"transcode", "store"} <= steps
        video_id = int(topic.partition(":")[2])
        address, *playlist = run(3, folder, video_id).splitlines()
        assert address.startswith(system.address)
        assert playlist[0] == "#EXTM3U"
        assert run(5, folder) == shown(2)
        assert run(6, folder) == "PENDING\n"
        newest = (await client.get("/media/videos/")).json()["results"][0]
        assert (newest["file_name"], newest["status"] in {"PENDING", "PROCESSING", "READY"}) == ("lesson.mp4", True)
        await announced_as_shown(client)


async def changed_before_a_worker_came(client: httpx.AsyncClient, folder: Path) -> str:
    """Upload a video, run the code block of the page that cancels and retries it, and return what the block prints.

    No worker may run yet, because it could change the status that the block prints.
    """
    lecture = (await client.get("/api/v1/lectures/")).json()["results"][0]["id"]
    files = {"file": ("lesson.mp4", (folder / "lesson.mp4").read_bytes())}
    video = await client.post("/media/videos/", data={"title": "Lesson", "lecture": lecture}, files=files)
    return run(4, folder, video.json()["id"])


async def announced_as_shown(client: httpx.AsyncClient) -> None:
    (name,) = (
        block for block in claimed_by("test_the_page_works_from_its_first_to_its_last_step") if "http.md" in block
    )
    example = json.loads(blocks()[name])
    lecture = (await client.get("/api/v1/lectures/")).json()["results"][0]["id"]
    size = int(example["headers"]["Content-Length"])
    wanted = {"title": "Lesson", "lecture": lecture, "file_name": "lesson.mp4", "size": size}
    upload = (await client.post("/media/videos/", json=wanted)).json()["upload"]
    assert upload.keys() == example.keys()
    assert {**upload, "url": example["url"]} == example


def test_the_page_saves_its_scripts_under_the_names_by_which_it_runs_them() -> None:
    assert re.findall(r"[Ss]ave\s(?:this|it)\sas\s`([\w.]+)`", page(PAGE).text) == list(SCRIPTS)
    commands = " ".join(blocks()[f"{PAGE}#sh-{number}"] for number in range(2, 7))
    assert set(re.findall(r"python (\S+)", commands)) == set(SCRIPTS) - {"api.py"}


def test_a_bucket_is_told_as_shown_which_pages_may_upload(servers: Servers) -> None:
    variables = servers.environment()
    with patch.dict(os.environ, {**variables, "AWS_ENDPOINT_URL_S3": variables["S3_ENDPOINT_URL"]}):
        storage = boto3.client("s3")
        location: Any = {"LocationConstraint": variables["AWS_REGION"]}
        storage.create_bucket(Bucket="academy-uploads", CreateBucketConfiguration=location)
        exec(blocks()[f"{PAGE}#python-7"], {})  # noqa: S102 - the page's own text
        (rule,) = storage.get_bucket_cors(Bucket="academy-uploads")["CORSRules"]
    assert rule["AllowedMethods"] == ["PUT"]
    assert rule["AllowedOrigins"] == ["https://academy.example.com"]


async def test_a_video_has_the_fields_that_are_shown(system: System) -> None:
    """The video is the one of the demo data, which is READY."""
    detail, progress = (json.loads(blocks()[name]) for name in claimed_by("test_a_video_has_the_fields_that_are_shown"))
    async with system.client() as client:
        video = (await client.get("/media/videos/?status=READY")).json()["results"][-1]
        polled = (await client.get(f"/media/videos/{video['id']}/progress/")).json()
    assert list(video) == list(detail)
    assert {name for name, value in video.items() if value is None} == {
        name for name, value in detail.items() if value is None
    }
    assert list(polled)[: len(progress)] == list(progress)
    assert polled.keys() - progress.keys() == {"hls_path", "duration"}


@pytest.mark.parametrize("name", claimed_by("test_lines_of_the_sample_script_are_understood"))
def test_lines_of_the_sample_script_are_understood(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []
    monkeypatch.setattr(sample, "make_sample", lambda path, *_, **__: made.append(path))
    for script, *words in map(shlex.split, blocks()[name].splitlines()):
        assert (PROJECT / script).exists()
        monkeypatch.setattr(sys, "argv", [script, *words])
        assert sample.main() == 0
    assert len(made) == len(blocks()[name].splitlines())
