"""Tests of several video workers: they stay within the fleet's limit, and finish jobs that other workers give back."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from redis import Redis

from harness.system import System, eventually
from harness.videos import cancel_unfinished, sample, slow_ffmpeg, uploaded, write_ffmpeg
from harness.watcher import Record, Watcher


@pytest.fixture(autouse=True)
async def _videos_of_earlier_tests_are_cancelled(system: System) -> None:
    await cancel_unfinished(system)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return sample(tmp_path_factory.mktemp("short"), 6)


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a video that the ffmpeg of `slow` encodes so slowly that a test can stop the worker meanwhile."""
    return sample(tmp_path_factory.mktemp("lesson"), 40)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> str:
    return slow_ffmpeg(tmp_path_factory.mktemp("tools"))


def most_at_once(history: list[Record]) -> int:
    """Return the largest number of topics that were PROCESSING at the same time, by the order of the feed."""
    running: set[str] = set()
    most = 0
    for record in history:
        if record["status"] == "PROCESSING":
            running.add(record["topic"])
        else:
            running.discard(record["topic"])
        most = max(most, len(running))
    return most


def status_of(watcher: Watcher, topic: str) -> str | None:
    return watcher.records[topic]["status"] if topic in watcher.records else None


async def test_two_workers_together_run_no_more_than_the_fleet_may(
    system: System, short: bytes, tmp_path: Path
) -> None:
    # Each encoding waits for a line. The sandbox forbids new processes, so the shell waits with its built-in `read`.
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    wait = f'case "$*" in *-filter_complex*) read -r _ < {gate};; esac'
    limit = {"VIDEO_WORKER_MAX_CONCURRENCY": "2", "FFMPEG": write_ffmpeg(tmp_path, wait)}
    async with system.client() as client, await system.watcher(client) as watcher:
        await watcher.read_until("snapshot")
        watcher.history.clear()
        with (
            gate.open("r+b", buffering=0) as lines,  # opened for both, so that opening waits for nobody
            system.running_worker("video_worker", **limit),
            system.running_worker("video_worker", **limit),
        ):
            topics = [f"video:{await uploaded(client, short)}" for _ in range(4)]
            await watcher.until(lambda: [status_of(watcher, topic) for topic in topics].count("PROCESSING") == 2)
            lines.write(b"\n" * 1000)  # until now no encoding could begin
            for topic in topics:
                end = await watcher.until_terminal(topic)
                assert end["status"] == "READY", str(end["error"])
    assert most_at_once([record for record in watcher.history if record["topic"] in topics]) == 2


async def test_a_worker_that_is_stopped_gives_its_video_and_its_slot_back_and_leaves_no_files(
    system: System, lesson: bytes, slow: str
) -> None:
    async with system.client() as client, await system.watcher(client) as watcher:
        with system.running_worker("video_worker", WORKER_DRAIN_SECONDS="0", FFMPEG=slow) as worker:
            video_id = await uploaded(client, lesson)
            topic = f"video:{video_id}"
            await watcher.until(lambda: bool(watcher.records.get(topic, {}).get("progress")))
            assert worker.pid is not None
            process = psutil.Process(worker.pid)
            await eventually(lambda: bool(process.children()))
            children = process.children()
            process.send_signal(signal.SIGTERM)
            await watcher.until(lambda: watcher.records[topic]["attempt"] == 2)
            assert watcher.records[topic]["status"] == "PENDING"
            await eventually(lambda: not any(child.is_running() for child in children))
        with Redis.from_url(system.redis.url) as redis:
            assert redis.zcard("worker:video:slots") == 0
        with system.running_worker("video_worker"):
            end = await watcher.until_terminal(topic)
    assert (end["status"], end["attempt"]) == ("READY", 2)


class VideoQueue:
    """The queue of a system's video workers, and its dead letters."""

    def __init__(self, system: System) -> None:
        variables = system.environment
        self._sqs = boto3.client(
            "sqs",
            endpoint_url=variables["SQS_ENDPOINT_URL"],
            region_name=variables["AWS_REGION"],
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        )
        self._name = f"{variables['SQS_QUEUE_PREFIX']}-video"

    def send(self, body: object) -> None:
        url = self._sqs.get_queue_url(QueueName=self._name)["QueueUrl"]
        self._sqs.send_message(QueueUrl=url, MessageBody=json.dumps(body))

    def buried(self) -> int:
        """Return how many messages are in the dead letters."""
        url = self._sqs.get_queue_url(QueueName=f"{self._name}-dead")["QueueUrl"]
        wanted: Any = "ApproximateNumberOfMessages"
        return int(self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[wanted])["Attributes"][wanted])

    def waiting(self) -> int:
        url = self._sqs.get_queue_url(QueueName=self._name)["QueueUrl"]
        wanted: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
        return sum(map(int, found.values()))


async def test_a_message_for_another_tenants_video_moves_to_the_dead_letters_and_one_without_a_tenant_is_done(
    system: System, short: bytes
) -> None:
    queue = VideoQueue(system)
    before = queue.buried()
    async with system.client() as client, await system.watcher(client) as watcher:
        video_id = await uploaded(client, short)
        wrong = [{"video_id": video_id, "tenant_id": 10**6}, {"video_id": 10**9}, {"video_id": "first"}, {}]
        for body in (*wrong, {"video_id": video_id, "tenant_code": "saebom"}, {"video_id": video_id}):
            queue.send(body)
        with system.running_worker("video_worker"):
            assert (await watcher.until_terminal(f"video:{video_id}"))["status"] == "READY"
            await eventually(lambda: queue.waiting() == 0)
    assert queue.buried() == before + len(wrong) + 1
