"""Tests of videos over HTTP and as records: uploads, progress, playing, cancelling, retries, and refusals."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from academy.adapters.video.sample import make_sample
from apps.core.tokens import access_token, read_access_token
from config.settings import ACCESS_TOKEN_SECONDS
from embedded.plan import Worker
from harness.system import System, eventually, new_ticket
from harness.videos import lecture_of, sample, slow_ffmpeg, upload, uploaded
from harness.watcher import Record
from tests.page.test_imports import held

PROGRESS_FIELDS = {
    "id", "status", "encoding_progress", "encoding_remaining_seconds", "encoding_step_index", "encoding_step_total",
    "encoding_step_name", "encoding_step_percent",
}  # fmt: skip


@pytest.fixture(scope="module")
def worker(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    slow = slow_ffmpeg(tmp_path_factory.mktemp("tools"))
    with system.running_worker("video_worker", WORKER_HEARTBEAT_SECONDS="1", FFMPEG=slow) as running:
        yield running


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path: Path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    make_sample(path, 2)
    return path.read_bytes()


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a video of 120 s. Its encoding takes about 30 s."""
    return sample(tmp_path_factory.mktemp("long_clip"), 120)


@pytest.fixture
async def client(system: System) -> AsyncIterator[httpx.AsyncClient]:
    async with system.client() as signed_in:
        yield signed_in


def seen(history: list[Record], video_id: int) -> list[Record]:
    return [record for record in history if record["topic"] == f"video:{video_id}"]


async def test_an_upload_may_last_longer_than_its_token_lives(
    system: System, client: httpx.AsyncClient, clip: bytes
) -> None:
    caller = read_access_token(system.access_token("hanbit", "owner"))
    token = access_token(replace(caller, issued_at=time.time() - ACCESS_TOKEN_SECONDS + 5))
    dying = {"Authorization": f"Bearer {token}"}
    form = {"title": "긴 수업", "lecture": await lecture_of(client)}
    request = client.build_request("POST", "/media/videos/", headers=dying, data=form, files={"file": ("a.mp4", clip)})

    async def slowly() -> AsyncIterator[bytes]:
        first = True
        async for part in request.stream:  # type: ignore[union-attr]
            yield part
            while first and (await client.get("/api/v1/jobs/", headers=dying)).status_code != 401:
                await asyncio.sleep(0.1)
            first = False

    answer = await client.post("/media/videos/", headers=request.headers, content=slowly())
    assert answer.status_code == 202, answer.text
    refused = await client.post("/media/videos/", headers=dying, data=form)
    assert (refused.status_code, refused.json()["code"]) == (401, "token_expired")


async def test_a_video_is_watched_from_pending_to_ready_polled_meanwhile_and_played(
    system: System, worker: Worker, client: httpx.AsyncClient, clip: bytes
) -> None:
    async with await system.watcher(client) as watcher:
        with held(worker):  # else its first record could replace the one of the upload before this is sent
            video_id = await uploaded(client, clip)
            await watcher.until(lambda: f"video:{video_id}" in watcher.records)
        end = await watcher.until_terminal(f"video:{video_id}")
    records = seen(watcher.history, video_id)
    assert records[0]["status"] == "PENDING"
    percents = [record["progress"]["percent"] for record in records if record["progress"]]
    assert percents == sorted(percents)
    assert max(percents) < 100
    assert end["status"] == "READY"
    detail = (await client.get(f"/media/videos/{video_id}/")).json()
    polled = (await client.get(f"/media/videos/{video_id}/progress/")).json()
    assert end["data"]["hls_path"] == detail["hls_path"] == polled["hls_path"]
    assert end["data"]["duration"] == detail["duration"] == polled["duration"] == pytest.approx(2, abs=0.2)
    assert (polled["encoding_progress"], detail["file_name"]) == (100.0, "수업 영상.mp4")
    await is_played(system, detail)


async def is_played(system: System, detail: dict[str, Any]) -> None:
    """Check that the video plays from its signed addresses without a token, and that other addresses are refused."""
    async with httpx.AsyncClient(base_url=system.address) as player:
        master = await player.get(detail["hls_url"])
        assert master.headers["content-type"] == "application/vnd.apple.mpegurl"
        folder = detail["hls_url"].rpartition("/")[0]
        playlists = [line for line in master.text.splitlines() if not line.startswith("#")]
        for playlist in playlists:
            listed = await player.get(f"{folder}/{playlist}")
            segment = next(line for line in listed.text.splitlines() if line.endswith(".ts"))
            answer = await player.get(f"{folder}/{playlist.partition('/')[0]}/{segment}")
            assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp2t")
            assert len(answer.content) % 188 == 0  # a transport stream has packets of 188 bytes
        picture = await player.get(detail["thumbnail_url"])
        assert picture.headers["content-type"] == "image/jpeg"
        for name in ("..%2f..%2fsecret", "360p%2f..%2f..%2f1%2fmaster.m3u8", "index.html", "360p/00099.ts"):
            assert (await player.get(f"{folder}/{name}")).status_code == 404
        forged = detail["hls_url"].replace("/hls/", "/hls/9")
        assert (await player.get(forged)).json()["code"] == "address_invalid"


async def test_progress_is_answered_as_old_clients_know_it(
    system: System, worker: Worker, client: httpx.AsyncClient, long_clip: bytes
) -> None:
    video_id = await uploaded(client, long_clip)
    async with await system.watcher(client) as watcher:
        topic = f"video:{video_id}"
        await watcher.until(lambda: (watcher.records.get(topic, {}).get("progress") or {}).get("percent", 0) > 3)
        answer = await client.get(f"/media/videos/{video_id}/progress/")
        assert answer.json().keys() == PROGRESS_FIELDS
        assert answer.json()["status"] == "PROCESSING"
        assert answer.headers["Retry-After"] == "1"
        assert (answer.json()["encoding_step_name"], answer.json()["encoding_step_total"]) == ("transcode", 6)
        cancelled = await client.post(f"/media/videos/{video_id}/cancel/")
        assert cancelled.json()["status"] == "CANCELLED"
        assert (await watcher.until_terminal(topic))["status"] == "CANCELLED"
    etag = {"If-None-Match": (await client.get(f"/media/videos/{video_id}/progress/")).headers["ETag"]}
    assert (await client.get(f"/media/videos/{video_id}/progress/", headers=etag)).status_code == 304
    again = await client.post(f"/media/videos/{video_id}/cancel/")
    assert (again.status_code, again.json()["code"]) == (409, "video_ended")


async def test_a_cancelled_encoding_ends_at_once_and_can_be_tried_again(
    system: System, worker: Worker, client: httpx.AsyncClient, long_clip: bytes, clip: bytes
) -> None:
    video_id = await uploaded(client, long_clip)
    log = system.folder / f"{worker.name}.log"

    async def has_said(event: str) -> None:
        await eventually(lambda: any(said(line, video_id, event) for line in log.read_text().splitlines()))

    await has_said("job_started")
    await client.post(f"/media/videos/{video_id}/cancel/")
    await has_said("job_superseded")
    retried = await client.post(f"/media/videos/{video_id}/retry/")
    assert (retried.json()["status"], retried.json()["attempt"]) == ("PENDING", 2)
    async with await system.watcher(client) as watcher:
        await watcher.until(lambda: watcher.records.get(f"video:{video_id}", {}).get("status") == "PROCESSING")
        await client.post(f"/media/videos/{video_id}/cancel/")
        other = await uploaded(client, clip)  # the worker is free again
        assert (await watcher.until_terminal(f"video:{other}"))["status"] == "READY"


async def test_deleting_a_video_that_is_encoded_ends_its_job_and_reaches_every_client(
    system: System, worker: Worker, client: httpx.AsyncClient, long_clip: bytes
) -> None:
    log = system.folder / f"{worker.name}.log"
    async with await system.watcher(client) as watcher, system.client() as other_window:
        video_id = await uploaded(client, long_clip)
        topic = f"video:{video_id}"
        await watcher.until(lambda: watcher.records.get(topic, {}).get("status") == "PROCESSING")
        used = (await client.get("/api/v1/usage/")).json()["storage_bytes"]["used"]
        assert (await client.delete(f"/media/videos/{video_id}/")).status_code == 204
        await watcher.until(lambda: watcher.records[topic]["data"].get("deleted"))
        assert watcher.records[topic]["status"] == "CANCELLED"
        now_used = (await client.get("/api/v1/usage/")).json()["storage_bytes"]["used"]
        assert now_used == used - len(long_clip)
        await eventually(lambda: any(said(line, video_id, "job_superseded") for line in log.read_text().splitlines()))
        for answer in (
            await other_window.get(f"/media/videos/{video_id}/"),
            await other_window.delete(f"/media/videos/{video_id}/"),
            await other_window.post(f"/media/videos/{video_id}/retry/"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        listed = (await other_window.get("/media/videos/")).json()["results"]
        assert video_id not in {video["id"] for video in listed}


async def test_a_deleted_video_soon_does_not_play_even_with_its_signed_address(
    system: System, worker: Worker, client: httpx.AsyncClient, clip: bytes
) -> None:
    async with await system.watcher(client) as watcher:
        video_id = await uploaded(client, clip)
        await watcher.until_terminal(f"video:{video_id}")
        address = (await client.get(f"/media/videos/{video_id}/")).json()["hls_url"]
        assert (await client.get(address)).status_code == 200
        assert (await client.delete(f"/media/videos/{video_id}/")).status_code == 204
        await watcher.until(lambda: watcher.records[f"video:{video_id}"]["data"].get("deleted"))
    url = f"{system.address}{address}"
    await eventually(lambda: httpx.get(url).status_code == 404, what="the end of its files")
    lines = (system.folder / "web.log").read_text().splitlines()
    (line,) = [line for line in lines if '"event": "video_deleted"' in line and f'"video:{video_id}"' in line]
    assert '"logger": "academy.audit"' in line


async def test_deleting_or_cancelling_an_announced_upload_publishes_nothing(
    system: System, client: httpx.AsyncClient
) -> None:
    wanted = {"title": "직접", "lecture": await lecture_of(client), "file_name": "clip.mp4", "size": 1000}
    used = (await client.get("/api/v1/usage/")).json()["storage_bytes"]["used"]
    for number, end in enumerate(("delete", "cancel"), 1):
        video_id = (await client.post("/media/videos/", json=wanted)).json()["id"]
        if end == "delete":
            assert (await client.delete(f"/media/videos/{video_id}/")).status_code == 204
        else:
            assert (await client.post(f"/media/videos/{video_id}/cancel/")).status_code == 200
        # The upload address still accepts the file, so its size still counts as used.
        assert (await client.get("/api/v1/usage/")).json()["storage_bytes"]["used"] == used + number * 1000
        assert (await client.get(f"/media/videos/{video_id}/progress/")).json() == {"status": "UNKNOWN"}
        late = await client.post(f"/media/videos/{video_id}/uploaded/")
        assert late.status_code == (404 if end == "delete" else 409)


def said(line: str, video_id: int, event: str) -> bool:
    return f'"job": "video:{video_id}"' in line and f'"event": "{event}"' in line


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [("notes.mp4", "수업 노트\n".encode() * 50, "not_a_video"), ("noise.avi", bytes(range(256)) * 50, "not_a_video")],
)
async def test_a_file_that_is_not_a_video_fails_with_a_sentence(
    system: System, worker: Worker, client: httpx.AsyncClient, name: str, content: bytes, code: str
) -> None:
    async with await system.watcher(client) as watcher:
        video_id = (await upload(client, content, name)).json()["id"]
        end = await watcher.until_terminal(f"video:{video_id}")
    assert (end["status"], end["error"]["code"]) == ("FAILED", code)
    polled = (await client.get(f"/media/videos/{video_id}/progress/")).json()
    assert polled["error_reason"] == end["error"]["message"]
    assert polled["error_reason"].endswith(".")


async def test_a_video_that_is_uploaded_to_the_bucket_is_encoded_after_it_arrived(
    system: System, worker: Worker, client: httpx.AsyncClient, clip: bytes
) -> None:
    wanted = {"title": "직접", "lecture": await lecture_of(client), "file_name": "clip.mp4", "size": len(clip)}
    answer = await client.post("/media/videos/", json=wanted)
    assert answer.status_code == 201
    video_id, way = answer.json()["id"], answer.json()["upload"]
    early = await client.post(f"/media/videos/{video_id}/uploaded/")
    assert (early.status_code, early.json()["code"]) == (409, "not_uploaded")
    assert (await client.get(f"/media/videos/{video_id}/progress/")).json() == {"status": "UNKNOWN"}
    async with httpx.AsyncClient() as browser:
        put = await browser.request(way["method"], way["url"], content=clip, headers=way["headers"])
    assert put.status_code == 200
    for signed in ("content-length", "content-type"):  # the bucket refuses other values
        assert signed in way["url"]
    assert way["headers"]["Content-Type"] == "application/octet-stream"
    async with await system.watcher(client) as watcher:
        assert (await client.post(f"/media/videos/{video_id}/uploaded/")).json()["status"] == "PENDING"
        assert (await watcher.until_terminal(f"video:{video_id}"))["status"] == "READY"
    late = await client.post(f"/media/videos/{video_id}/uploaded/")
    assert (late.status_code, late.json()["code"]) == (409, "uploaded_already")


Send = Callable[[httpx.AsyncClient], Any]


@pytest.mark.parametrize(
    ("send", "status", "code"),
    [
        (lambda client: upload(client, b""), 400, "empty_file"),
        (lambda client: upload(client, b"x", title=""), 400, "invalid"),
        (lambda client: upload(client, b"x", lecture=""), 400, "invalid"),
        (lambda client: upload(client, b"x", lecture=999_999_999), 400, "invalid"),
        (lambda client: upload(client, b"x", lecture="", session=999_999_999), 400, "invalid"),
        (lambda client: client.post("/media/videos/", data={"title": "x"}, files={"other": b"x"}), 400, "file_missing"),
        (lambda client: client.post("/media/videos/", json={"title": "x", "lecture": 1}), 400, "invalid"),
        (
            lambda client: client.post(
                "/media/videos/", json={"title": "x", "lecture": 1, "file_name": "x.mp4", "size": 10**12}
            ),
            413,
            "too_large",
        ),
        (lambda client: client.get("/media/videos/?status=DONE"), 400, "invalid"),
        (lambda client: client.get("/media/videos/999999999/"), 404, "not_found"),
        (lambda client: client.post("/media/videos/999999999/cancel/"), 404, "not_found"),
        (lambda client: client.post("/media/videos/999999999/retry/"), 404, "not_found"),
    ],
)
async def test_wrong_requests_get_a_sentence(client: httpx.AsyncClient, send: Send, status: int, code: str) -> None:
    answer = await send(client)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.json()["message"]


async def test_another_academys_video_does_not_exist(system: System, client: httpx.AsyncClient) -> None:
    """The test uses the video of the demo data, which is READY."""
    ours = (await client.get("/media/videos/?status=READY")).json()["results"][-1]
    async with system.client("saebom") as stranger:
        assert ours["id"] not in {video["id"] for video in (await stranger.get("/media/videos/")).json()["results"]}
        assert (await stranger.get(f"/media/videos/{ours['id']}/")).status_code == 404
        assert (await stranger.get(f"/media/videos/{ours['id']}/progress/")).json() == {"status": "UNKNOWN"}
        for deed in ("cancel", "retry", "uploaded"):
            assert (await stranger.post(f"/media/videos/{ours['id']}/{deed}/")).status_code == 404
        assert (await stranger.delete(f"/media/videos/{ours['id']}/")).status_code == 404
    assert (await client.get(f"/media/videos/{ours['id']}/")).status_code == 200


async def test_students_see_ready_videos_of_their_lectures_and_poll_with_a_ticket(system: System) -> None:
    async with system.client(username="student") as student:
        shown = (await student.get("/media/videos/")).json()["results"]
        assert {video["status"] for video in shown} == {"READY"}
        video_id = shown[-1]["id"]
        await is_played(system, shown[-1])
        bare = await student.get(f"/media/videos/{video_id}/progress/")
        assert (bare.status_code, bare.json()["code"]) == (403, "ticket_needed")
        ticket = await new_ticket(student, {"topics": [f"video:{video_id}"]})
        headers = {"X-Realtime-Ticket": ticket["ticket"]}
        polled = await student.get(f"/media/videos/{video_id}/progress/", headers=headers)
        assert polled.status_code == 200
        other = await student.get(f"/media/videos/{video_id + 1}/progress/", headers=headers)
        assert other.status_code == 403
        sent = await student.post("/media/videos/", data={"title": "x"}, files={"file": b"x"})
        assert (sent.status_code, sent.json()["code"]) == (403, "role_refused")
        deleted = await student.delete(f"/media/videos/{video_id}/")
        assert (deleted.status_code, deleted.json()["code"]) == (403, "role_refused")
    async with system.client(username="teacher") as teacher:
        foreign = await teacher.get(f"/media/videos/{video_id}/progress/", headers=headers)
        assert foreign.status_code == 200  # owner, staff and teacher need no ticket


async def test_only_roles_that_may_upload_videos_send_more_than_a_workbook(system: System) -> None:
    async def send(client: httpx.AsyncClient) -> int:
        announced = {"Content-Length": "22000000", "Content-Type": "multipart/form-data; boundary=x"}
        async with asyncio.timeout(30):
            answer = await client.post("/media/videos/", headers=announced, content=bytes(22_000_000))
        return answer.status_code

    async with system.client(username="student") as student:
        assert await send(student) == 403
    async with httpx.AsyncClient(base_url=system.address) as nobody:
        assert await send(nobody) == 401
    async with system.client(username="teacher") as teacher:
        assert await send(teacher) == 400  # the whole body was read; it is not a valid form
