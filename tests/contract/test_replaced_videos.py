"""Tests of replacing a video with the running product: a worker encodes the new one, and the feed tells everybody."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from embedded.plan import Worker
from harness.system import System, eventually
from harness.videos import sample, slow_ffmpeg, upload
from harness.watcher import Watcher

SECONDS = 24


@pytest.fixture(scope="module")
def worker(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    slow = slow_ffmpeg(tmp_path_factory.mktemp("tools"))
    with system.running_worker("video_worker", WORKER_HEARTBEAT_SECONDS="1", FFMPEG=slow) as running:
        yield running


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return sample(tmp_path_factory.mktemp("clip"), SECONDS)


async def replace(client: httpx.AsyncClient, video_id: int, content: bytes, name: str = "새 수업.mp4") -> int:
    answer = await client.post("/media/videos/", data={"replaces": video_id}, files={"file": (name, content)})
    assert answer.status_code == 202, answer.text
    new_id: int = answer.json()["id"]
    return new_id


async def videos_of(client: httpx.AsyncClient, lecture: int) -> list[int]:
    answer = await client.get("/media/videos/", params={"lecture": lecture})
    return [video["id"] for video in answer.json()["results"]]


async def changes_of(client: httpx.AsyncClient, lecture: int) -> int:
    lectures = (await client.get("/api/v1/my/lectures/")).json()["results"]
    (changes,) = [found["video_changes"] for found in lectures if found["id"] == lecture]
    return int(changes)


def data_of(watcher: Watcher, video_id: int) -> dict[str, Any]:
    found: dict[str, Any] = watcher.records.get(f"video:{video_id}", {}).get("data") or {}
    return found


async def test_students_watch_the_old_video_until_the_encoded_new_one_takes_its_place(
    system: System, worker: Worker, clip: bytes
) -> None:
    async with system.client() as owner, system.client(username="student") as student:
        lecture = (await student.get("/api/v1/my/lectures/")).json()["results"][0]["id"]
        async with await system.watcher(owner) as watcher:
            old = (await upload(owner, clip, title="극한", lecture=lecture)).json()["id"]
            assert (await watcher.until_terminal(f"video:{old}"))["status"] == "READY"
            address = (await owner.get(f"/media/videos/{old}/")).json()["hls_url"]
            change = await changes_of(student, lecture)
            new = await replace(owner, old, clip)
            await watcher.until(lambda: watcher.records.get(f"video:{new}", {}).get("status") == "PROCESSING")
            seen = await videos_of(student, lecture)
            still_played = (await student.get(address)).status_code
            assert (old in seen) != (new in seen)
            if watcher.records[f"video:{new}"]["status"] == "PROCESSING":  # else this machine was too busy to look
                assert (old in seen, still_played) == (True, 200)
            await watcher.until(lambda: "deleted" in data_of(watcher, old))
            ready = await watcher.until_terminal(f"video:{new}")
            await watcher.until(lambda: watcher.records[f"lecture:{lecture}"]["attempt"] > change)
        assert (ready["status"], ready["data"]["title"], ready["data"]["replaces"]) == ("READY", "극한", old)
        assert data_of(watcher, old)["replaced_by"] == new
        seen = await videos_of(student, lecture)
        assert (old in seen, new in seen) == (False, True)
        gone = await student.get(f"/media/videos/{old}/")
        assert (gone.status_code, gone.json()["code"], gone.json()["replaced_by"]) == (404, "video_replaced", new)
        shown = (await student.get(f"/media/videos/{new}/")).json()
        assert (await student.get(shown["hls_url"])).status_code == 200
    url = f"{system.address}{address}"
    await eventually(lambda: httpx.get(url).status_code == 404, what="the end of the old video's files")
    (line,) = audited(system.folder / f"{worker.name}.log", old)
    assert (line["logger"], line["replaced_by"]) == ("academy.audit", new)
    assert (line["user"], bool(line["uploaded_by"])) == (None, True)


def audited(log: Path, video_id: int) -> list[dict[str, Any]]:
    """Return the lines of the audit log on the deletion of a video."""
    lines = [line for line in log.read_text().splitlines() if '"event": "video_deleted"' in line]
    return [line for line in map(json.loads, lines) if line["subject"] == f"video:{video_id}"]


async def test_a_replacement_that_is_no_video_leaves_the_old_one(system: System, worker: Worker, clip: bytes) -> None:
    async with system.client() as owner, await system.watcher(owner) as watcher:
        old = (await upload(owner, clip)).json()["id"]
        await watcher.until_terminal(f"video:{old}")
        before = (await owner.get(f"/media/videos/{old}/")).json()
        new = await replace(owner, old, b"notes" * 100, "notes.mp4")
        failed = await watcher.until_terminal(f"video:{new}")
        assert (failed["status"], failed["error"]["code"], failed["data"]["replaces"]) == ("FAILED", "not_a_video", old)
        after = (await owner.get(f"/media/videos/{old}/")).json()
        signed = {"hls_url", "thumbnail_url"}
        assert {k: v for k, v in after.items() if k not in signed} == {
            k: v for k, v in before.items() if k not in signed
        }
        better = await replace(owner, old, clip)
        assert (await owner.get(f"/media/videos/{new}/")).status_code == 404
        assert (await watcher.until_terminal(f"video:{better}"))["status"] == "READY"
        assert (await owner.get(f"/media/videos/{old}/")).json()["replaced_by"] == better
