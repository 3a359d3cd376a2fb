"""Tests that files which dead processes left are deleted, and only those, in a folder and in a bucket."""

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings
from redis import Redis
from structlog.testing import capture_logs

from academy import jobs, leftovers
from academy.adapters.db.django import repositories_ai, repositories_lectures
from academy.adapters.db.django.repositories_quotas import stored_bytes
from academy.domain.jobs import EXCEL_PARSING, JobStateError
from apps.core.models import Tenant
from apps.domains.ai.models import AIJob
from apps.domains.lectures.models import Session
from apps.support.video.models import Video
from apps.support.video.services.files import source_name
from apps.worker.ai_worker import excel_parsing
from apps.worker.sweeping import by_one_process
from apps.worker.video_worker import encoding
from realtime import conf


@pytest.fixture
def lesson(transactional_db: None, redis: Redis, storage: None) -> Session:
    return lesson_of(Tenant.objects.create(code=f"t-{uuid4()}", name="Academy"))


def lesson_of(tenant: Tenant) -> Session:
    lecture = repositories_lectures.create_lecture(tenant.pk, {"title": "Lecture"})
    lesson = repositories_lectures.add_session(tenant.pk, lecture.pk, "Lesson")
    assert lesson is not None
    return lesson


@pytest.fixture
def a_day_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make everything in the storage old enough to be swept."""
    monkeypatch.setattr(leftovers, "GRACE", timedelta(seconds=-60))


def store(name: str) -> str:
    return default_storage.save(name, ContentFile(b"content"))


def upload(lesson: Session) -> str:
    return store(source_name(lesson.tenant_id))


def video_of(lesson: Session, **fields: Any) -> Video:
    fields = {"source": upload(lesson), "size": 7, "uploaded_at": timezone.now()} | fields
    return Video.objects.create(tenant=lesson.tenant, session=lesson, title="Video", **fields)


def made(video: Video, attempt: int) -> str:
    """Store a playlist and a segment as the files of an attempt, and return the name of the playlist."""
    folder = f"videos/{video.tenant_id}/{video.pk}/{attempt}"
    store(f"{folder}/360p/00000.ts")
    return store(f"{folder}/master.m3u8")


def workbook(lesson: Session, status: str | None, days_ago: float = 0, **payload: Any) -> tuple[str, UUID]:
    job_id = uuid4()
    name = store(f"imports/{lesson.tenant_id}/{job_id}.xlsx")
    if status:
        AIJob.objects.create(
            tenant=lesson.tenant,
            job_id=job_id,
            job_type=EXCEL_PARSING,
            status=status,
            payload={"file": name, "file_name": "a.xlsx"} | payload,
            stored_bytes=7,
            finished_at=None if status == "PENDING" else timezone.now() - timedelta(days=days_ago),
        )
    return name, job_id


def test_uploads_without_a_row_are_deleted_and_those_of_videos_stay(lesson: Session, a_day_later: None) -> None:
    left, needed = upload(lesson), video_of(lesson).source
    assert leftovers.sweep_leftovers(only=lesson.tenant_id) == [left]
    assert (default_storage.exists(left), default_storage.exists(needed)) == (False, True)
    assert leftovers.sweep_leftovers(only=lesson.tenant_id) == []


def test_a_file_of_a_deleted_video_is_deleted_although_its_row_is_kept(lesson: Session, a_day_later: None) -> None:
    """The upload of the file ended after a worker had deleted the video's files."""
    late = video_of(lesson, deleted_at=timezone.now(), status="CANCELLED").source
    assert leftovers.sweep_leftovers(only=lesson.tenant_id) == [late]
    assert not default_storage.exists(late)


def test_files_whose_rows_may_still_be_written_stay(lesson: Session) -> None:
    names = [upload(lesson), workbook(lesson, None)[0]]
    video = video_of(lesson, status="FAILED")
    names.append(made(video, 1))
    assert leftovers.sweep_leftovers(only=lesson.tenant_id) == []
    assert all(default_storage.exists(name) for name in names)


def test_files_of_the_last_attempt_stay_and_those_of_dead_attempts_are_deleted(
    lesson: Session, a_day_later: None
) -> None:
    ready, running = video_of(lesson, status="READY", attempt=2), video_of(lesson, status="PROCESSING", attempt=2)
    failed, cancelled = video_of(lesson, status="FAILED"), video_of(lesson, status="CANCELLED")
    needed = [made(ready, 2), made(running, 2)]
    dead = [made(ready, 1), made(running, 1), made(failed, 1), made(cancelled, 1)]
    assert len(leftovers.sweep_leftovers(only=lesson.tenant_id)) == len(dead)
    assert [default_storage.exists(name) for name in needed + dead] == [True] * 2 + [False] * 4
    assert all(default_storage.exists(name.replace("master.m3u8", "360p/00000.ts")) for name in needed)
    assert not any(default_storage.exists(name.replace("master.m3u8", "360p/00000.ts")) for name in dead)


def test_encoded_files_of_a_video_without_a_row_are_deleted_with_its_upload(lesson: Session, a_day_later: None) -> None:
    """If somebody deletes a lesson in the shell, the rows of its videos are deleted, but not their files."""
    video = video_of(lesson, status="READY")
    names = [made(video, 1), video.source]
    lesson.delete()
    leftovers.sweep_leftovers(only=lesson.tenant_id)
    assert not any(default_storage.exists(name) for name in names)


@pytest.mark.parametrize(
    ("status", "days_ago", "payload", "stays"),
    [
        (None, 0, {}, False),
        ("PENDING", 0, {}, True),
        ("DONE", 0, {}, False),
        ("FAILED", 6, {}, True),
        ("FAILED", 8, {}, False),
        ("CANCELLED", 8, {}, False),
        ("FAILED", 0, {"secrets_erased": True}, False),  # without its secrets it cannot be tried again
    ],
)
def test_a_workbook_stays_as_long_as_its_import_can_be_tried(
    lesson: Session, a_day_later: None, status: str | None, days_ago: float, payload: dict[str, Any], stays: bool
) -> None:
    name, job_id = workbook(lesson, status, days_ago, **payload)
    leftovers.sweep_leftovers(only=lesson.tenant_id)
    assert default_storage.exists(name) == stays
    assert stored_bytes(lesson.tenant_id) == (7 if stays else 0)
    if status in {"FAILED", "CANCELLED"} and not stays:
        with pytest.raises(JobStateError) as refused:
            jobs.retry(lesson.tenant_id, job_id)
        assert refused.value.code == "upload_again"


def test_an_import_that_is_tried_again_at_that_moment_keeps_its_workbook(
    lesson: Session, a_day_later: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, job_id = workbook(lesson, "FAILED", 8)
    forget = repositories_ai.forget_workbook

    def after_a_retry(tenant_id: int, of_job: UUID) -> bool:
        assert jobs.retry(tenant_id, of_job)
        return forget(tenant_id, of_job)

    monkeypatch.setattr(repositories_ai, "forget_workbook", after_a_retry)
    leftovers.sweep_leftovers(only=lesson.tenant_id)
    assert default_storage.exists(name)
    assert AIJob.objects.get(job_id=job_id).payload["file"] == name


def test_files_that_are_not_ours_stay(lesson: Session, a_day_later: None) -> None:
    tenant = lesson.tenant_id
    names = [
        store(name)
        for name in (
            f"uploads/videos/{tenant}/notes.txt",
            f"uploads/videos/{tenant}/deeper/{uuid4()}",
            f"imports/{tenant}/notes.xlsx",
            f"videos/{tenant}/backup/master.m3u8",
            f"videos/{tenant}/7/backup/master.m3u8",
            f"reports/{tenant}/{uuid4()}",
            f"uploads/videos/{tenant}0/{uuid4()}",  # of an academy that is not in the database
        )
    ]
    leftovers.sweep_leftovers()
    assert all(default_storage.exists(name) for name in names)


def test_sweeping_one_academy_keeps_the_files_of_others(lesson: Session, a_day_later: None) -> None:
    other = lesson_of(Tenant.objects.create(code=f"t-{uuid4()}", name="Other"))
    ours, theirs = upload(lesson), upload(other)
    assert leftovers.sweep_leftovers(only=lesson.tenant_id) == [ours]
    assert default_storage.exists(theirs)
    foreign = video_of(lesson, source=theirs)  # the row of one academy does not keep the file of another
    assert leftovers.sweep_leftovers(only=other.tenant_id) == [theirs]
    assert Video.objects.filter(pk=foreign.pk).exists()


def test_an_academy_whose_sweep_fails_does_not_stop_the_others(
    lesson: Session, a_day_later: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = lesson_of(Tenant.objects.create(code=f"t-{uuid4()}", name="Other"))
    names = [upload(lesson), upload(other)]
    monkeypatch.setattr(leftovers, "_uploads", failing_for(lesson.tenant_id, leftovers._uploads))
    assert leftovers.sweep_leftovers() == [names[1]]


def failing_for(tenant_id: int, look: Callable[[int], Any]) -> Callable[[int], Any]:
    def fail(asked: int) -> Any:
        if asked == tenant_id:
            raise OSError("the storage is away")
        return look(asked)

    return fail


def test_nothing_is_deleted_if_the_database_knows_hardly_any_file(
    lesson: Session, a_day_later: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test installation may use the storage of another installation by mistake."""
    monkeypatch.setattr(leftovers, "FEW", 3)
    names = [upload(lesson) for _ in range(4)]
    with capture_logs() as logs:
        assert leftovers.sweep_leftovers(only=lesson.tenant_id) == []
    assert [(line["event"], line["without_row"], line["seen"]) for line in logs] == [("leftovers_too_many", 4, 4)]
    assert set(swept("--tenant", lesson.tenant.code, "--even-most", "--dry-run")) == {*names, "4 would be deleted."}
    assert all(default_storage.exists(name) for name in names)
    assert set(swept("--tenant", lesson.tenant.code, "--even-most")) == {*names, "4 were deleted."}


def test_more_files_than_a_sweep_deletes_are_counted_too(
    lesson: Session, a_day_later: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "FEW", 1)
    monkeypatch.setattr(leftovers, "MOST", 2)
    names = [upload(lesson) for _ in range(5)]
    assert leftovers.sweep_leftovers(only=lesson.tenant_id) == []
    assert all(default_storage.exists(name) for name in names)


def swept(*words: str) -> list[str]:
    """Run `manage.py sweep_storage`, and return its output."""
    said = StringIO()
    call_command("sweep_storage", *words, stdout=said)
    return said.getvalue().splitlines()


def test_the_command_accepts_only_codes_of_academies(lesson: Session) -> None:
    with pytest.raises(CommandError, match="There is no academy 'nobody'"):
        call_command("sweep_storage", "--tenant", "nobody")


def test_a_sweep_deletes_a_limited_number_and_the_next_one_continues(
    lesson: Session, a_day_later: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "MOST", 2)
    for _ in range(3):
        upload(lesson)
    assert [len(leftovers.sweep_leftovers(only=lesson.tenant_id)) for _ in range(3)] == [2, 1, 0]


def test_folders_of_many_pages_are_listed_completely(
    lesson: Session, a_day_later: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("academy.adapters.storage.folders.PAGE", 2)
    names = [upload(lesson) for _ in range(5)]
    assert sorted(leftovers.sweep_leftovers(only=lesson.tenant_id)) == sorted(names)


@pytest.mark.parametrize("storage", ["bucket"], indirect=True)
def test_uploads_in_parts_that_were_never_completed_are_aborted(
    lesson: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket: Any = default_storage.bucket  # type: ignore[attr-defined]
    client = bucket.meta.client

    def begin(key: str) -> None:
        upload_id = client.create_multipart_upload(Bucket=bucket.name, Key=key)["UploadId"]
        client.upload_part(Bucket=bucket.name, Key=key, UploadId=upload_id, PartNumber=1, Body=b"part")

    def unfinished() -> list[str]:
        return [found["Key"] for found in client.list_multipart_uploads(Bucket=bucket.name).get("Uploads", [])]

    ours = [
        source_name(lesson.tenant_id),
        f"imports/{lesson.tenant_id}/{uuid4()}.xlsx",
        f"videos/{lesson.tenant_id}/1/1/x",
    ]
    for key in [*ours, "backups/of somebody else"]:
        begin(key)
    leftovers.sweep_leftovers(only=lesson.tenant_id)
    assert len(unfinished()) == 4  # the uploads may still be running
    monkeypatch.setattr(leftovers, "GRACE", timedelta(seconds=-60))
    leftovers.sweep_leftovers(only=lesson.tenant_id)
    assert unfinished() == ["backups/of somebody else"]


def test_only_workers_that_use_the_storage_sweep_it(lesson: Session, a_day_later: None) -> None:
    for handler in (encoding.HANDLERS["video_encoding"], excel_parsing.HANDLER):
        left = upload(lesson)
        conf.redis().delete("worker:sweep:leftovers")
        assert handler.sweep is not None
        handler.sweep()
        assert not default_storage.exists(left)


def test_one_process_sweeps_in_each_hour(redis: Redis, settings: Settings) -> None:
    swept: list[int] = []
    sweeps = [by_one_process("test", lambda number=number: swept.append(number)) for number in range(3)]  # type: ignore[misc]
    for sweep in sweeps:
        sweep()
    assert swept == [0]
    settings.REALTIME_KEY_PREFIX = "another:"
    sweeps[1]()
    assert swept == [0, 1]
