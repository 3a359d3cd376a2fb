"""The video worker is killed during an encoding: the video still becomes READY, with one set of files.

`script/test --faults` kills the worker at ten random moments, CI at one.
"""

import os
import random
from pathlib import Path

import boto3
import psutil
import pytest

from embedded.plan import Worker
from harness.system import System, eventually
from harness.videos import sample, slow_ffmpeg, uploaded

MOMENTS = 10 if os.environ.get("LONG_FAULTS") else 1
SECONDS = 36

pytestmark = pytest.mark.slow


def made_of(system: System, video_id: int) -> set[str]:
    """Return the names of the video's files in the storage."""
    variables = system.environment
    storage = boto3.client(
        "s3",
        endpoint_url=variables["S3_ENDPOINT_URL"],
        region_name=variables["AWS_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )
    ((tenant_id,),) = system.query("SELECT tenant_id FROM video WHERE id = %s", video_id)
    prefix = f"videos/{tenant_id}/{video_id}/"
    listed = storage.list_objects_v2(Bucket=variables["S3_BUCKET"], Prefix=prefix)
    return {entry["Key"].removeprefix(prefix) for entry in listed.get("Contents", [])}


def kill_in_the_middle(worker: Worker) -> list[psutil.Process]:
    """Kill the worker during an encoding. Return the processes that the worker had started."""
    assert worker.pid is not None
    children: list[psutil.Process] = psutil.Process(worker.pid).children(recursive=True)
    worker.kill()
    return children


async def test_after_kill_9_at_any_moment_the_video_is_ready_with_one_set_of_files(
    own_system: System, tmp_path: Path
) -> None:
    chance = random.Random(7)
    content, slow = sample(tmp_path, SECONDS), slow_ffmpeg(tmp_path / "tools")
    for _ in range(MOMENTS):
        moment = chance.uniform(0, 90)
        print(f"killed at {moment:.1f} %")
        async with own_system.client() as client, await own_system.watcher(client) as watcher:
            with own_system.running_worker("video_worker", FFMPEG=slow) as worker:
                video_id = await uploaded(client, content)
                topic = f"video:{video_id}"
                await watcher.until(lambda topic=topic, moment=moment: watcher.percent(topic) > moment)  # type: ignore[misc]
                children = kill_in_the_middle(worker)
                assert children, "no ffmpeg was at work"
                await eventually(lambda children=children: not any(child.is_running() for child in children))  # type: ignore[misc]
                await watcher.until(lambda topic=topic: watcher.records[topic]["stalled"])  # type: ignore[misc]
                worker.start()
                end = await watcher.until_terminal(topic)
        assert (end["status"], end["attempt"]) == ("READY", 2)
        percents = [record["progress"]["percent"] for record in watcher.history if record["progress"]]
        assert max(percents) < 100
        names = made_of(own_system, video_id)
        assert {name.partition("/")[0] for name in names} == {"2"}
        assert {"2/master.m3u8", "2/thumbnail.jpg", "2/90p/index.m3u8"} <= names
        assert len({name for name in names if name.endswith(".ts")}) == SECONDS // 6
