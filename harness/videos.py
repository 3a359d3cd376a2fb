"""Videos that tests upload."""

from pathlib import Path
from typing import Any

import httpx

from academy.adapters.video.sample import make_sample


def sample(folder: Path, seconds: float) -> bytes:
    path = folder / "sample.mp4"
    make_sample(path, seconds)
    return path.read_bytes()


async def lecture_of(client: httpx.AsyncClient) -> int:
    found: int = (await client.get("/api/v1/lectures/")).json()["results"][0]["id"]
    return found


async def upload(
    client: httpx.AsyncClient, content: bytes, name: str = "수업 영상.mp4", **fields: Any
) -> httpx.Response:
    data = {"title": "수업", "lecture": await lecture_of(client)} | fields
    return await client.post("/media/videos/", data=data, files={"file": (name, content)})


async def uploaded(client: httpx.AsyncClient, content: bytes) -> int:
    answer = await upload(client, content)
    assert answer.status_code == 202, answer.text
    video_id: int = answer.json()["id"]
    return video_id
