"""Keeps a chosen number of videos and imports running. Further jobs wait. Whenever a job ends, another is submitted."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx

from academy.adapters.excel.sample import sample_workbook
from academy.adapters.video.ffmpeg import run_ffmpeg
from academy.adapters.video.sample import make_sample
from harness.system import PASSWORD, import_workbook, new_ticket
from harness.watcher import Watcher, rank

CLIP_SECONDS, CLIP_REPEATS, CLIP_WIDTH, CLIP_HEIGHT, CLIP_RATE = 20, 15, 160, 90, 50
"""A small clip with many frames: 20 s of video, 15 times in a row. Encoding it takes one core 10 s if nothing else
runs. With the default of 45 jobs, 23 videos are encoded at the same time, and share the cores."""
WORKBOOKS, WORKBOOK_ROWS = 4, 10_000
LOOK_SECONDS = 0.25
FILL_SECONDS = 300.0
SUBMITTED_AT_ONCE = 3
"""How many jobs are submitted at the same time: fewer than the web process has connections to the database."""


@dataclass(frozen=True)
class Material:
    clip: bytes
    workbooks: list[bytes]

    @classmethod
    def make(cls, folder: Path, jobs: int) -> Self:
        """Make the files for a load of `jobs` jobs. A small load needs fewer workbooks."""
        once, clip = folder / "once.mp4", folder / "clip.mp4"
        make_sample(once, CLIP_SECONDS, width=CLIP_WIDTH, height=CLIP_HEIGHT, audio=False, frame_rate=CLIP_RATE)
        repeated: list[str | Path] = ["-stream_loop", str(CLIP_REPEATS - 1), "-i", once, "-c", "copy", clip]
        run_ffmpeg(repeated, lambda _report: None)
        workbooks = range(min(WORKBOOKS, jobs))
        return cls(clip.read_bytes(), [sample_workbook(WORKBOOK_ROWS, seed) for seed in workbooks])


class JobEndedBadlyError(Exception):
    pass


class Load:
    """Keeps one unfinished job in each of a fixed number of places, and watches these jobs.

    `topics[place]` is the topic of the job in a place. Even places have videos, odd places imports. There are more
    places than `jobs`, the number of jobs that the workers run at a time. So another job is waiting whenever one ends.

    The jobs are submitted and watched through one web process. A benchmark should measure another web process.
    """

    def __init__(self, client: httpx.AsyncClient, watcher: Watcher, material: Material, jobs: int) -> None:
        self._client, self._watcher, self._material = client, watcher, material
        self._numbers = itertools.count()
        self._turn = asyncio.Semaphore(SUBMITTED_AT_ONCE)
        self.jobs = jobs
        self.topics = [""] * (jobs + max(2, jobs // 8 * 2))
        self.submitted = 0

    def status(self, topic: str) -> str:
        return str(self._watcher.records.get(topic, {}).get("status", "PENDING"))

    def has_ended(self, topic: str) -> bool:
        return rank(self.status(topic)) > 1

    def running(self) -> int:
        return sum(self.status(topic) == "PROCESSING" for topic in self.topics)

    async def keep(self, place: int) -> None:
        """Submit a job in this place, and a new job whenever one has ended.

        Raises JobEndedBadlyError if a job fails.
        """
        while True:
            async with self._turn:
                topic = await (self._submit_video() if place % 2 == 0 else self._submit_import())
            self.topics[place] = topic
            self.submitted += 1
            while not self.has_ended(topic):
                await asyncio.sleep(LOOK_SECONDS)
            if self.status(topic) not in {"DONE", "READY"}:
                raise JobEndedBadlyError(f"{self._watcher.records[topic]}")

    async def listen(self) -> None:
        """Read the states of the jobs, for ever."""
        while True:
            await self._watcher.read()

    async def fill(self) -> None:
        """Wait until each place has a job, and `jobs` of them run. Raises TimeoutError after FILL_SECONDS."""
        async with asyncio.timeout(FILL_SECONDS):
            while not all(self.topics) or self.running() < self.jobs:
                await asyncio.sleep(LOOK_SECONDS)

    async def _submit_video(self) -> str:
        lectures = (await self._client.get("/api/v1/lectures/")).json()["results"]
        form = {"title": "수업", "lecture": lectures[0]["id"]}
        answer = await self._client.post("/media/videos/", data=form, files={"file": ("a.mp4", self._material.clip)})
        answer.raise_for_status()
        return f"video:{answer.json()['id']}"

    async def _submit_import(self) -> str:
        workbook = self._material.workbooks[next(self._numbers) % len(self._material.workbooks)]
        return f"job:{await import_workbook(self._client, workbook)}"


@asynccontextmanager
async def signed_in(address: str) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client with its own token, which is valid for 600 s.

    The server closes connections that were idle for 5 s, so the client reuses none that was idle for more than 2 s.
    """
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=2.0)
    async with httpx.AsyncClient(base_url=address, timeout=60, limits=limits) as client:
        account = {"tenant": "hanbit", "username": "owner", "password": PASSWORD}
        answer = await client.post("/api/v1/auth/token/", json=account)
        answer.raise_for_status()
        client.headers["Authorization"] = f"Bearer {answer.json()['access']}"
        yield client


async def look(client: httpx.AsyncClient, address: str) -> bool:
    """Send a GET. Return True if it succeeded, and False if the answer was "try again later" (503).

    If the connection breaks before the answer arrives, send the GET a second time, as browsers do. Raises
    httpx.HTTPError if the connection breaks again, or if the answer has another status that is no success.
    """
    try:
        answer = await client.get(address)
    except (httpx.RemoteProtocolError, httpx.NetworkError):
        answer = await client.get(address)
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return False
    answer.raise_for_status()
    return True


@asynccontextmanager
async def running_load(address: str, material: Material, jobs: int) -> AsyncIterator[Load]:
    """Yield a load as soon as each of its places has a job and `jobs` of the jobs run.

    Jobs that are unfinished at the end of the `with` block are not cancelled.
    """
    async with signed_in(address) as client:
        client.headers["Connection"] = "close"  # an upload on a connection that the server closes would fail
        ticket = await new_ticket(client)
        async with await Watcher.connect(ticket["websocket_url"], ticket["ticket"]) as watcher:
            load = Load(client, watcher, material, jobs)
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(load.listen()),
                    *(group.create_task(load.keep(n)) for n in range(len(load.topics))),
                ]
                await load.fill()
                yield load
                for task in tasks:
                    task.cancel()
