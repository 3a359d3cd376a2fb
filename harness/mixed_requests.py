"""Sends requests of all kinds, several at once, as on a busy day, to test how much memory a web process keeps."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Self

import boto3
import httpx
from websockets.asyncio.client import connect

from academy.adapters.excel.sample import sample_workbook
from academy.adapters.video.sample import make_sample
from apps.support.video.playback import Playable, playback_address
from embedded.plan import Web
from harness.event_stream import EventStream
from harness.system import PASSWORD, System, new_ticket

AT_ONCE = 12
REQUESTS_OF_A_TOKEN = 20
ACADEMIES = "hanbit", "saebom"
MB = 1_000_000
WITHOUT_LIMITS = {
    "QUOTA_JOBS": "1000000",
    "QUOTA_ENCODING_MINUTES": "10000000",
    "QUOTA_STORAGE_BYTES": "1000000000000000",
    "QUOTA_CHANGES_PER_USER": "1000000",
    "QUOTA_CHANGES_PER_TENANT": "10000000",
    "BODY_MAX_UNFINISHED_PER_USER": "100",
    "BODY_MAX_UNFINISHED_PER_TENANT": "100",
    "SIGN_IN_ACCOUNT_LIMIT": "100000",
    "SIGN_IN_ADDRESS_LIMIT": "1000000",
    "SIGN_IN_TENANT_LIMIT": "1000000",
}
"""Environment variables that set the limits of the web process so high that no request exceeds them."""
MIX = {
    "poll": 17,
    "list_students": 12,
    "list_lectures": 10,
    "list_jobs": 8,
    "look_at_job": 8,
    "get_ticket": 8,
    "get_snapshot": 6,
    "open_websocket": 6,
    "open_stream": 4,
    "create_lecture": 4,
    "send_invalid": 5,
    "send_large": 3,
    "play": 2,
    "upload_video": 3,
    "import_workbook": 1,
    "import_damaged": 1,
    "download_export": 1,
    "sign_in": 1,
}
"""How many of a hundred requests are of each kind. The names are those of `Client`'s methods."""


@dataclass(frozen=True)
class Memory:
    """The memory in bytes and the number of threads of one process at one moment, as Linux counts them."""

    resident: int
    own: int
    """The part of `resident` that the process does not share with others."""
    threads: int

    @classmethod
    def of(cls, pid: int | None) -> Self:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
        sizes = {name: int(number) * 1024 for name, number in re.findall(r"^(\w+): +(\d+) kB$", text, re.MULTILINE)}
        threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
        return cls(sizes["Rss"], sizes["Private_Clean"] + sizes["Private_Dirty"], threads)

    def __str__(self) -> str:
        return f"{self.resident / MB:.0f} MB, {self.own / MB:.0f} MB of them its own, {self.threads} threads"


@dataclass
class Material:
    """The files that the clients upload, and the ids and addresses that they request."""

    video: bytes
    """A real video. Each upload appends bytes to it that no player reads."""
    video_bytes: Sequence[int]
    """Sizes of uploaded videos, in bytes. Each upload has one of these sizes."""
    workbook: bytes
    segment: str
    """The address of a file of a finished video."""
    exports: dict[str, str] = field(default_factory=dict)
    """For each academy, the id of a finished export."""
    lectures: dict[str, int] = field(default_factory=dict)


@dataclass
class Client:
    """A client of one academy. Each method sends a request, and returns the status of the answer."""

    http: httpx.AsyncClient
    academy: str
    material: Material
    random: Random

    async def poll(self) -> int:
        return await self._get(f"/api/v1/jobs/{self.material.exports[self.academy]}/progress/")

    async def list_students(self) -> int:
        return await self._get("/api/v1/students/")

    async def list_lectures(self) -> int:
        return await self._get("/api/v1/lectures/")

    async def list_jobs(self) -> int:
        return await self._get("/api/v1/jobs/")

    async def look_at_job(self) -> int:
        return await self._get(f"/api/v1/jobs/{self.material.exports[self.academy]}/")

    async def get_snapshot(self) -> int:
        return await self._get("/api/v1/realtime/snapshot/")

    async def play(self) -> int:
        return await self._get(self.material.segment)

    async def download_export(self) -> int:
        return await self._get(f"/api/v1/jobs/{self.material.exports[self.academy]}/file/")

    async def get_ticket(self) -> int:
        await new_ticket(self.http)
        return 200

    async def open_websocket(self) -> int:
        ticket = await new_ticket(self.http)
        subprotocols: Any = ["realtime.v1", f"ticket.{ticket['ticket']}"]
        async with connect(ticket["websocket_url"], subprotocols=subprotocols) as socket:
            await socket.recv()
        return 101

    async def open_stream(self) -> int:
        ticket = await new_ticket(self.http)
        async with await EventStream.open(ticket["events_url"], ticket["ticket"]) as events:
            await events.read()
        return 200

    async def create_lecture(self) -> int:
        return await self._post("/api/v1/lectures/", json={"title": "새 강의", "description": "x" * 1000})

    async def send_invalid(self) -> int:
        content = self.random.choice([b'{"title": ', b'{"title": "' + b"x" * 30_000 + b'"}', b"[]", b"\xff"])
        return await self._post("/api/v1/lectures/", content=content, headers={"Content-Type": "application/json"})

    async def send_large(self) -> int:
        return await self._post("/api/v1/lectures/", json={"title": "큰 강의", "notes": ["x" * 1000] * 900})

    async def sign_in(self) -> int:
        account = {"tenant": self.academy, "username": "teacher", "password": PASSWORD}
        return await self._post("/api/v1/auth/token/", json=account)

    async def import_workbook(self) -> int:
        return await self._import(self.material.workbook)

    async def import_damaged(self) -> int:
        return await self._import(self.material.workbook[: self.random.randrange(1000, len(self.material.workbook))])

    async def _import(self, content: bytes) -> int:
        return await self._post("/api/v1/students/import/", files={"file": ("학생.xlsx", content)})

    async def upload_video(self) -> int:
        content = self.material.video.ljust(self.random.choice(self.material.video_bytes), b"\0")
        form = {"title": "수업", "lecture": self.material.lectures[self.academy]}
        return await self._post("/media/videos/", data=form, files={"file": ("수업.mp4", content)})

    async def _get(self, address: str) -> int:
        return (await self.http.get(address)).status_code

    async def _post(self, address: str, **body: Any) -> int:
        return (await self.http.post(address, **body)).status_code


class MixedRequests:
    """Sends mixed requests to one web process, and counts the statuses of the answers."""

    def __init__(self, system: System, web: Web, folder: Path, video_bytes: Sequence[int]) -> None:
        self._system, self._web = system, web
        named = system.environment
        self._bucket = named["S3_BUCKET"]
        self._s3 = boto3.client("s3", named["AWS_REGION"], endpoint_url=named["S3_ENDPOINT_URL"])
        make_sample(folder / "sample.mp4", 2)
        played = Playable(tenant_id=1, video_id=1_000_000, attempt=1)
        self._s3.put_object(Bucket=self._bucket, Key=f"{played.folder}/360p/00000.ts", Body=b"s" * 2 * MB)
        self.material = Material(
            (folder / "sample.mp4").read_bytes(),
            video_bytes,
            sample_workbook(20, seed=1),
            playback_address(played, "360p/00000.ts"),
        )
        self.statuses: dict[str, Counter[int]] = {}

    async def prepare(self) -> None:
        """For each academy, find a lecture and make an export."""
        for academy in ACADEMIES:
            async with self._client(academy) as http:
                lectures = (await http.get("/api/v1/lectures/")).json()["results"]
                self.material.lectures[academy] = lectures[0]["id"]
                job_id = (await http.post("/api/v1/students/export/", json={})).json()["job_id"]
                async with asyncio.timeout(120):
                    while (await http.get(f"/api/v1/jobs/{job_id}/progress/")).json()["status"] != "DONE":
                        await asyncio.sleep(0.1)
                self.material.exports[academy] = job_id

    async def send(self, number: int, seed: int, at_once: int = AT_ONCE) -> None:
        """Send about `number` requests, and then delete the uploaded videos. The same seed makes the same requests."""
        kinds = [kind for kind, weight in MIX.items() for _ in range(number * weight // 100)]
        Random(seed).shuffle(kinds)
        await asyncio.gather(
            *(self._send_mixed_requests(kinds[place::at_once], place, seed) for place in range(at_once))
        )
        self._delete("uploads/videos/")

    async def _send_mixed_requests(self, kinds: list[str], place: int, seed: int) -> None:
        academy, random = ACADEMIES[place % len(ACADEMIES)], Random(f"{seed}-{place}")
        for first in range(0, len(kinds), REQUESTS_OF_A_TOKEN):
            async with self._client(academy) as http:
                client = Client(http, academy, self.material, random)
                for kind in kinds[first : first + REQUESTS_OF_A_TOKEN]:
                    status = await getattr(client, kind)()
                    self.statuses.setdefault(kind, Counter())[status] += 1

    @asynccontextmanager
    async def _client(self, academy: str) -> AsyncIterator[httpx.AsyncClient]:
        headers = {"Authorization": f"Bearer {self._system.access_token(academy, 'owner')}"}
        async with httpx.AsyncClient(base_url=self._web.address, headers=headers, timeout=120) as http:
            yield http

    def _delete(self, folder: str) -> None:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=folder)
        for name in [found["Key"] for page in pages for found in page.get("Contents", ())]:
            self._s3.delete_object(Bucket=self._bucket, Key=name)
