"""Tests of replacing videos over HTTP: who may, what is refused, what students see, and where the old address leads."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from structlog.testing import capture_logs

from academy import videos
from academy.domain.roles import EVERYONE, FACULTY, Role
from academy.domain.videos import ClaimedVideo
from apps.core.models import Tenant
from apps.domains.lectures.models import Enrollment, Lecture
from apps.support.video.models import Video
from tests.core.conftest import Asks
from tests.core.test_lectures import client_of, make_student, make_video

PATH = "/media/videos/"


@pytest.fixture(autouse=True)
def storage(settings: Settings, tmp_path: Path) -> None:
    settings.STORAGES = settings.STORAGES | {
        "default": {
            "BACKEND": "academy.adapters.storage.backends.FolderStorage",
            "OPTIONS": {"location": str(tmp_path)},
        }
    }


@pytest.fixture
def lecture(tenant: Tenant) -> Lecture:
    return Lecture.objects.create(tenant=tenant, title="수학")


@pytest.fixture
def old(lecture: Lecture) -> Video:
    return make_video(lecture, hls_path="videos/1/1/1/master.m3u8")


def replace(client: Client, video: Video, **fields: Any) -> Any:
    return client.post(PATH, {"file": ContentFile(b"video", "새 수업.mp4"), "replaces": video.pk} | fields)


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def finish(tenant: Tenant, video_id: int) -> None:
    claimed = videos.claim(tenant.pk, video_id, lease_alive=False)
    assert isinstance(claimed, ClaimedVideo)
    videos.finish(claimed, hls_path=f"{claimed.folder}/master.m3u8", duration=2.0)


@pytest.mark.parametrize("role", sorted(EVERYONE))
def test_who_may_upload_and_delete_videos_may_replace_one(asks: Asks, old: Video, role: Role) -> None:
    answer = replace(asks(role), old)
    if role in FACULTY:
        shown = answer.json()
        assert (answer.status_code, shown["replaces_id"], shown["title"]) == (202, old.pk, old.title)
        assert (shown["session_id"], shown["file_name"]) == (old.session_id, "새 수업.mp4")
    else:
        assert refusal(answer) == (403, "role_refused")
        assert Video.objects.count() == 1


def test_a_request_names_one_place_and_a_replacement_has_no_title(asks: Asks, old: Video, lecture: Lecture) -> None:
    client = asks()
    wrong: list[dict[str, Any]] = [
        {"title": "X"},
        {"lecture": lecture.pk},
        {"session": old.session_id},
        {"replaces": "x"},
        {"replaces": old.pk + 9},
    ]
    for fields in wrong:
        assert refusal(replace(client, old, **fields)) == (400, "invalid"), fields
    without_title = client.post(PATH, {"file": ContentFile(b"video", "a.mp4"), "lecture": lecture.pk})
    assert without_title.json()["fields"].keys() == {"title"}
    assert Video.objects.count() == 1


def test_a_refused_replacement_keeps_no_file(asks: Asks, tenant: Tenant, lecture: Lecture, old: Video) -> None:
    client = asks()
    assert refusal(replace(client, make_video(lecture, "PROCESSING"))) == (409, "video_not_ended")
    first = replace(client, old).json()["id"]
    again = replace(client, old)
    assert refusal(again) == (409, "replacement_running")
    assert f"Video {first} " in again.json()["message"]
    announced = {"replaces": old.pk, "file_name": "a.mp4", "size": 5}
    assert client.post(PATH, announced, content_type="application/json").status_code == 409
    assert len(default_storage.listdir(f"uploads/videos/{tenant.pk}")[1]) == 1


def test_a_video_that_is_deleted_while_its_replacement_arrives_gets_none(
    asks: Asks, tenant: Tenant, old: Video, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = videos.replace

    def deleted_meanwhile(tenant_id: int, video_id: int) -> Any:
        videos.delete(tenant_id, video_id)
        return begin(tenant_id, video_id)

    monkeypatch.setattr(videos, "replace", deleted_meanwhile)
    assert refusal(replace(asks(), old)) == (409, "video_gone")
    assert default_storage.listdir(f"uploads/videos/{tenant.pk}")[1] == []


def test_a_replacement_needs_what_is_left_of_the_quotas(asks: Asks, tenant: Tenant, old: Video) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(quota_storage_bytes=4)
    assert refusal(replace(asks(), old)) == (403, "quota_storage")
    Tenant.objects.filter(pk=tenant.pk).update(quota_storage_bytes=None, quota_jobs=0)
    assert refusal(replace(asks(), old)) == (429, "quota_jobs")
    assert Video.objects.count() == 1


def test_the_video_of_another_academy_is_not_replaced_and_the_attempt_is_audited(asks: Asks, tenant: Tenant) -> None:
    other = Tenant.objects.create(code="saebom", name="Saebom")
    foreign = make_video(Lecture.objects.create(tenant=other, title="X"))
    with capture_logs() as logs:
        assert refusal(replace(asks(), foreign)) == (400, "invalid")
    noted = [line["subject"] for line in logs if line["event"] == "other_tenant_refused"]
    assert noted == [f"video:{foreign.pk}"]


def test_students_see_the_old_video_until_the_new_one_has_taken_its_place(
    asks: Asks, tenant: Tenant, lecture: Lecture, old: Video
) -> None:
    student = make_student(tenant, "김하나")
    Enrollment.objects.create(tenant=tenant, lecture=lecture, student=student)
    client = client_of(tenant, student.user, Role.STUDENT)
    newer = make_video(lecture)

    def seen() -> list[int]:
        return [video["id"] for video in client.get(PATH, {"lecture": lecture.pk}).json()["results"]]

    new_id = replace(asks(), old).json()["id"]
    assert seen() == [newer.pk, old.pk]
    finish(tenant, new_id)
    assert seen() == [newer.pk, new_id]
    gone = client.get(f"{PATH}{old.pk}/")
    assert (refusal(gone), gone.json()["replaced_by"]) == ((404, "video_replaced"), new_id)
    assert refusal(client_of(tenant, make_student(tenant, "남").user, Role.STUDENT).get(f"{PATH}{old.pk}/")) == (
        404,
        "not_found",
    )


def test_the_address_of_a_replaced_video_says_which_one_is_in_its_place(asks: Asks, tenant: Tenant, old: Video) -> None:
    client = asks()
    new_id = replace(client, old).json()["id"]
    assert client.get(f"{PATH}{old.pk}/").status_code == 200
    finish(tenant, new_id)
    for answer in (client.get(f"{PATH}{old.pk}/"), client.delete(f"{PATH}{old.pk}/")):
        assert (refusal(answer), answer.json()["replaced_by"]) == ((404, "video_replaced"), new_id)
    shown = client.get(f"{PATH}{new_id}/").json()
    assert (shown["replaces_id"], shown["listed_at"]) == (old.pk, client.get(PATH).json()["results"][0]["listed_at"])
    client.delete(f"{PATH}{new_id}/")
    assert refusal(client.get(f"{PATH}{old.pk}/")) == (404, "not_found")


def test_each_step_of_a_replacement_is_audited(asks: Asks, tenant: Tenant, old: Video) -> None:
    client = asks(Role.TEACHER)
    first = replace(client, old).json()["id"]
    client.post(f"{PATH}{first}/cancel/")
    with capture_logs() as logs:
        second = replace(client, old).json()["id"]
        client.delete(f"{PATH}{old.pk}/")
    noted = [
        (line["event"], line["subject"], line.get("replaced_by"))
        for line in logs
        if line["event"].startswith("video_") and line["session"]
    ]
    assert noted == [
        ("video_deleted", f"video:{first}", None),
        ("video_replacement_begun", f"video:{old.pk}", second),
        ("video_deleted", f"video:{old.pk}", None),
        ("video_deleted", f"video:{second}", None),
    ]


def begun(logs: Any) -> list[tuple[str, int, int]]:
    """Return subject, new video and account from the lines that have a session and say that a replacement has begun."""
    lines = [line for line in logs if line["event"] == "video_replacement_begun"]
    return [(line["subject"], line["replaced_by"], line["user"]) for line in lines if line["session"]]


def test_whoever_retries_a_replacement_or_reports_its_file_is_audited(asks: Asks, tenant: Tenant, old: Video) -> None:
    teacher, owner = asks(Role.TEACHER), asks()
    with capture_logs() as logs:
        new = replace(teacher, old).json()["id"]
    [(_, _, uploader)] = begun(logs)
    teacher.post(f"{PATH}{new}/cancel/")
    with capture_logs() as logs:
        assert owner.post(f"{PATH}{new}/retry/").status_code == 200
        assert owner.post(f"{PATH}{new}/retry/").status_code == 409
    [(subject, replaced_by, actor)] = begun(logs)
    assert (subject, replaced_by) == (f"video:{old.pk}", new)
    assert actor not in {None, uploader}
    Video.objects.filter(pk=new).update(uploaded_at=None)  # as if it had been announced
    with capture_logs() as logs:
        assert owner.post(f"{PATH}{new}/uploaded/").status_code == 200
        assert owner.post(f"{PATH}{new}/uploaded/").status_code == 409
    assert begun(logs) == [(subject, new, actor)]


def test_retrying_a_video_that_replaces_none_begins_no_replacement(asks: Asks, lecture: Lecture) -> None:
    failed = make_video(lecture, "FAILED", uploaded_at=timezone.now())
    with capture_logs() as logs:
        assert asks().post(f"{PATH}{failed.pk}/retry/").status_code == 200
    assert begun(logs) == []


def test_a_replacement_that_is_deleted_before_the_answer_is_audited(
    asks: Asks, tenant: Tenant, old: Video, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = videos.submit

    def deleted_at_once(tenant_id: int, session_id: int, **fields: Any) -> int:
        video_id = submit(tenant_id, session_id, **fields)
        videos.delete(tenant_id, video_id)
        return video_id

    client = asks()
    earlier = replace(client, old).json()["id"]
    client.post(f"{PATH}{earlier}/cancel/")
    monkeypatch.setattr(videos, "submit", deleted_at_once)
    with capture_logs() as logs:
        assert refusal(replace(client, old)) == (404, "not_found")
    assert [subject for subject, _, _ in begun(logs)] == [f"video:{old.pk}"]
    assert f"video:{earlier}" in [line["subject"] for line in logs if line["event"] == "video_deleted"]
