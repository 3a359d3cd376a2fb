"""Tests that a request holds no database connection while it does something slow (files, the queue, Redis)."""

import asyncio
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage
from django.db import connection, connections, transaction
from django.test import Client
from django.utils import timezone
from openpyxl import Workbook
from pytest_django import Settings
from redis import Redis

from academy import exports
from academy.adapters.storage.backends import SLOW, without_connection
from academy.domain.jobs import JobStatus
from apps.core.models import Tenant
from apps.domains.ai.models import AIJob
from apps.domains.lectures.models import Lecture
from apps.support.video.models import Video
from apps.support.video.views import new_videos
from realtime.outbox import outbox
from realtime.publish import Publisher
from tests.core.conftest import Asks

slow_work: list[tuple[str, bool]] = []
"""The name of each slow operation, and whether its thread held a database connection."""


def note(what: str) -> None:
    slow_work.append((what, connection.connection is not None))


def connections_held() -> dict[str, bool]:
    """Return, for each slow operation, whether a connection was ever held during it."""
    return {what: any(held for name, held in slow_work if name == what) for what, _ in slow_work}


def recording(name: str) -> Any:
    def method(self: Any, *given: Any, **named: Any) -> Any:
        note(name)
        return getattr(FileSystemStorage, name)(self, *given, **named)

    return method


@without_connection
class RecordingStorage(type("Recording", (FileSystemStorage,), {name: recording(name) for name in SLOW})):  # type: ignore[misc]
    """A folder storage that records whether a connection is held when an operation begins."""


@pytest.fixture(autouse=True)
def pooled(
    transactional_db: None, redis: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[None]:
    """Record slow operations, and close each database connection after its use, like the web process."""
    connection.close()
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    storage = {"BACKEND": f"{__name__}.{RecordingStorage.__name__}", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = settings.STORAGES | {"default": storage}
    settings.REALTIME_OUTBOX_SENDERS = {"queue": f"{__name__}.send_nowhere"}
    send = outbox.send

    def recorded_send(entry: Any) -> None:
        note(f"send {entry.kind}")
        send(entry)

    monkeypatch.setattr(outbox, "send", recorded_send)
    yield
    connection.close()


def send_nowhere(payload: dict[str, Any]) -> None:
    """Do nothing, in place of the function that sends to the queue."""


@pytest.fixture
def client(asks: Asks) -> Client:
    made = asks()
    slow_work.clear()
    return made


@pytest.fixture
def lecture(tenant: Tenant) -> Lecture:
    return Lecture.objects.create(tenant=tenant, title="수학")


def video_of(tenant: Tenant, lecture: Lecture, **fields: Any) -> Video:
    session = lecture.sessions.create(tenant=tenant, title="1")
    source = default_storage.save("uploads/video.mp4", ContentFile(b"video"))
    return Video.objects.create(tenant=tenant, session=session, title="v", source=source, size=5, **fields)


def test_an_import(client: Client) -> None:
    file = BytesIO()
    Workbook().save(file)
    file.seek(0)
    file.name = "students.xlsx"
    assert client.post("/api/v1/students/import/", {"file": file}).status_code == 202
    assert connections_held() == {"save": False, "exists": False, "send record": False, "send queue": False}


def test_an_uploaded_video(client: Client, lecture: Lecture) -> None:
    file = ContentFile(b"video", "video.mp4")
    answer = client.post("/media/videos/", {"file": file, "title": "v", "lecture": lecture.pk})
    assert answer.status_code == 202, answer.content
    assert connections_held() == {"save": False, "exists": False, "send record": False, "send queue": False}


def test_a_video_that_was_uploaded_to_the_storage(client: Client, tenant: Tenant, lecture: Lecture) -> None:
    video = video_of(tenant, lecture)
    slow_work.clear()
    assert client.post(f"/media/videos/{video.pk}/uploaded/").status_code == 200
    assert connections_held() == {"exists": False, "size": False, "send record": False, "send queue": False}


def test_a_cancelled_video(client: Client, tenant: Tenant, lecture: Lecture) -> None:
    video = video_of(tenant, lecture, uploaded_at=timezone.now())
    slow_work.clear()
    assert client.post(f"/media/videos/{video.pk}/cancel/").status_code == 200
    assert connections_held() == {"send record": False}


def test_a_deleted_video(client: Client, tenant: Tenant, lecture: Lecture) -> None:
    video = video_of(tenant, lecture, uploaded_at=timezone.now())
    slow_work.clear()
    assert client.delete(f"/media/videos/{video.pk}/").status_code == 204
    assert connections_held() == {"send record": False}


def test_an_upload_whose_lesson_is_deleted_meanwhile(
    client: Client, lecture: Lecture, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the lesson is deleted at the last moment, only the database notices, at the end of the transaction."""
    lesson = lecture.sessions.create(tenant=tenant, title="1")
    monkeypatch.setattr(new_videos, "lesson_of", lambda *_: lesson.delete() and 999_999_999)
    file = ContentFile(b"video", "video.mp4")
    answer = client.post("/media/videos/", {"file": file, "title": "v", "session": lesson.pk})
    assert (answer.status_code, answer.json()["code"]) == (409, "deleted_meanwhile")
    assert default_storage.listdir(f"uploads/videos/{tenant.pk}")[1] == []


def test_the_file_of_an_export(client: Client, tenant: Tenant) -> None:
    job = AIJob.objects.create(
        tenant=tenant,
        job_type="student_export",
        payload={"file_name": "students.xlsx"},
        status=JobStatus.DONE,
        finished_at=timezone.now(),
    )
    default_storage.save(exports._name(tenant.pk, job.job_id, job.attempt), ContentFile(b"workbook"))
    slow_work.clear()
    assert asyncio.run(parts_of(client.get(f"/api/v1/jobs/{job.job_id}/file/"))) == [b"workbook"]
    assert connections_held() == {"open": False}


async def parts_of(answer: Any) -> list[bytes]:
    return [part async for part in answer.streaming_content]


def test_a_status_that_is_restored_in_redis(
    client: Client, tenant: Tenant, lecture: Lecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Publisher, "mend", lambda _publisher, _tenant_id, draft: note(draft.topic))
    job = AIJob.objects.create(tenant=tenant, job_type="student_export", payload={"file_name": "students.xlsx"})
    video = video_of(tenant, lecture, uploaded_at=timezone.now())
    slow_work.clear()
    assert client.get(f"/api/v1/jobs/{job.job_id}/").status_code == 200
    assert client.get(f"/media/videos/{video.pk}/").status_code == 200
    assert connections_held() == {f"job:{job.job_id}": False, f"video:{video.pk}": False}


@pytest.mark.parametrize("name", SLOW)
def test_using_a_file_inside_a_transaction_raises_an_error(name: str) -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="outside atomic"):
        getattr(default_storage, name)("a file")
