"""Tests of quotas at every endpoint: a refusal gives its reason, writes nothing, and affects no other academy."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from academy.adapters.excel.sample import sample_workbook
from embedded.group import Servers
from embedded.scratch import scratch_folder
from harness.system import System, demo_lecture, running_system
from harness.videos import sample, upload, uploaded

JOBS = 3
EXPORT = "/api/v1/students/export/"
Send = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]


@pytest.fixture(scope="module")
def tight(template: Servers) -> Iterator[System]:
    """Yield a running product with a quota of `JOBS` jobs and without workers. It stores its files in a folder."""
    with scratch_folder("system") as folder:
        media = {"S3_BUCKET": "", "MEDIA_ROOT": str(folder / "media")}
        with running_system(template, folder, "tight_system", QUOTA_JOBS=str(JOBS), **media) as running:
            running.worker.stop()
            yield running


@pytest.fixture
async def client(tight: System) -> AsyncIterator[httpx.AsyncClient]:
    async with tight.client() as signed_in:
        yield signed_in
    tight.query("UPDATE aijob SET status = 'CANCELLED', finished_at = now() RETURNING id")
    tight.query("UPDATE video SET status = 'CANCELLED' WHERE status = 'PENDING' RETURNING id")
    limits(tight, "hanbit", "--jobs", "default", "--encoding-minutes", "default", "--storage-bytes", "default")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return sample(tmp_path_factory.mktemp("clip"), 2)


def limits(system: System, *words: str) -> str:
    """Run `manage.py tenant_quota`, and return what it prints."""
    return system.manage("tenant_quota", *words)


def rows(system: System) -> list[tuple[Any, ...]]:
    return system.query("SELECT (SELECT count(*) FROM aijob), (SELECT count(*) FROM video)")


def files(system: System) -> list[Path]:
    return [path for path in Path(system.environment["MEDIA_ROOT"]).rglob("*") if path.is_file()]


async def fill(client: httpx.AsyncClient) -> list[str]:
    """Create as many jobs as the academy may have, and return their ids."""
    answers = [await client.post(EXPORT, json={}) for _ in range(JOBS)]
    assert {answer.status_code for answer in answers} == {202}
    return [answer.json()["job_id"] for answer in answers]


async def send_import(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/api/v1/students/import/", files={"file": ("학생.xlsx", sample_workbook(3))})


async def send_export(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post(EXPORT, json={})


async def send_messages(client: httpx.AsyncClient) -> httpx.Response:
    lecture = (await demo_lecture(client))["id"]
    return await client.post("/api/v1/messages/", json={"text": "휴강입니다.", "lecture": lecture})


async def send_video(client: httpx.AsyncClient) -> httpx.Response:
    return await upload(client, b"a video")


async def retry_job(client: httpx.AsyncClient) -> httpx.Response:
    ended = (await client.get("/api/v1/jobs/?status=CANCELLED")).json()["results"]
    return await client.post(f"/api/v1/jobs/{ended[0]['job_id']}/retry/")


async def retry_video(client: httpx.AsyncClient) -> httpx.Response:
    failed = (await client.get("/media/videos/?status=FAILED")).json()["results"]
    return await client.post(f"/media/videos/{failed[0]['id']}/retry/")


@pytest.mark.parametrize("send", [send_import, send_export, send_messages, send_video, retry_job, retry_video])
async def test_every_endpoint_refuses_one_job_too_many_and_writes_nothing(
    tight: System, client: httpx.AsyncClient, send: Send
) -> None:
    cancelled, *_ = await fill(client)
    assert (await client.post(f"/api/v1/jobs/{cancelled}/cancel/")).status_code == 200
    assert (await send_export(client)).status_code == 202
    before = rows(tight), files(tight)
    refused = await send(client)
    assert refused.status_code == 429, refused.text
    assert refused.json() == {
        "code": "quota_jobs",
        "message": "Your academy may have 3 unfinished jobs at a time, and has them: try again when some have ended.",
    }
    assert int(refused.headers["Retry-After"]) > 0
    assert (rows(tight), files(tight)) == before
    async with tight.client("saebom") as other:
        assert (await send_export(other)).status_code == 202
    limits(tight, "hanbit", "--jobs", "4")
    assert (await send(client)).status_code in {200, 202}


async def test_requests_at_the_same_time_do_not_exceed_the_quota(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(send_export(client) for _ in range(12)))
    # On a busy machine, requests that wait for too long for each other are answered with 503.
    found = Counter(answer.status_code for answer in answers)
    assert (found[202], found[202] + found[429] + found[503]) == (JOBS, 12)
    assert found[429]


async def test_a_frozen_request_delays_others_of_its_academy_only_for_seconds(
    tight: System, client: httpx.AsyncClient
) -> None:
    before = rows(tight)
    with psycopg.connect(tight.database_url) as frozen:
        frozen.execute("SELECT FROM tenant WHERE code = 'hanbit' FOR NO KEY UPDATE")
        refused = await send_export(client)
        async with tight.client("saebom") as other:
            answer = await send_export(other)
            assert answer.status_code == 202
            assert (await other.post(f"/api/v1/jobs/{answer.json()['job_id']}/cancel/")).status_code == 200
    assert (refused.status_code, refused.json()["code"]) == (503, "busy")
    assert int(refused.headers["Retry-After"]) > 0
    assert rows(tight)[0][0] == before[0][0] + 1
    assert (await send_export(client)).status_code == 202


@pytest.mark.parametrize("send", [send_import, send_video])
async def test_a_file_beyond_the_quota_is_refused_and_not_kept(
    tight: System, client: httpx.AsyncClient, send: Send
) -> None:
    used = (await client.get("/api/v1/usage/")).json()["storage_bytes"]["used"]
    limits(tight, "hanbit", "--storage-bytes", str(used))
    before = rows(tight), files(tight)
    refused = await send(client)
    assert (refused.status_code, refused.json()["code"]) == (403, "quota_storage")
    assert "ask the administrator for more" in refused.json()["message"]
    assert "Retry-After" not in refused.headers
    assert (rows(tight), files(tight)) == before


async def test_after_the_minutes_of_a_day_no_more_videos_are_accepted(tight: System, client: httpx.AsyncClient) -> None:
    limits(tight, "hanbit", "--encoding-minutes", "0")
    refused = await send_video(client)
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_encoding")
    assert 0 < int(refused.headers["Retry-After"]) <= 86_400


async def test_a_video_that_is_longer_than_the_rest_of_the_day_fails_with_a_sentence_and_is_encoded_when_it_fits(
    tight: System, client: httpx.AsyncClient, clip: bytes
) -> None:
    video_id = await uploaded(client, clip)
    limits(tight, "hanbit", "--encoding-minutes", "0")
    async with await tight.watcher(client) as watcher:
        with tight.running_worker("video_worker"):
            failed = await watcher.until_terminal(f"video:{video_id}")
            limits(tight, "hanbit", "--encoding-minutes", "1")
            assert (await client.post(f"/media/videos/{video_id}/retry/")).status_code == 200
            await watcher.until(lambda: watcher.records[f"video:{video_id}"]["status"] == "READY")
    assert failed["error"]["code"] == "quota_encoding"
    assert failed["error"]["message"].startswith("Your academy may encode 0 minutes of video a day")
    ((counted,),) = tight.query("SELECT encoding_seconds FROM video WHERE id = %s", video_id)
    assert 1.5 < counted < 2.5


async def test_stored_files_are_counted_to_the_byte(tight: System, client: httpx.AsyncClient, clip: bytes) -> None:
    video_id = await uploaded(client, clip)
    assert (await send_import(client)).status_code == 202
    async with await tight.watcher(client) as watcher:
        with tight.running_worker("video_worker"):
            await watcher.until_terminal(f"video:{video_id}")
    ((tenant_id,),) = tight.query("SELECT id FROM tenant WHERE code = 'hanbit'")
    shown = (await client.get("/api/v1/usage/")).json()
    ours = [path for path in files(tight) if f"/{tenant_id}/" in str(path)]
    demo = tight.query(
        "SELECT sum(size + made_bytes) FROM video WHERE title LIKE '1강 %%' AND tenant_id = %s", tenant_id
    )
    assert shown["storage_bytes"]["used"] == sum(path.stat().st_size for path in ours) + demo[0][0]
    assert shown["jobs"] == {"used": 1, "limit": JOBS}


async def test_only_the_office_sees_the_usage(tight: System) -> None:
    async with tight.client("hanbit", "teacher") as teacher:
        assert (await teacher.get("/api/v1/usage/")).status_code == 403


def test_the_command_says_what_is_wrong(tight: System) -> None:
    assert "of 3 unfinished jobs" in limits(tight, "saebom")
    for words in (["nobody"], ["saebom", "--jobs", "many"], ["saebom", "--jobs", str(2**40)]):
        assert tight.managed("tenant_quota", *words).returncode in (1, 2)
