"""Tests of announced uploads: they reserve storage while their address is valid, and a user may have only a few."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db.models import F
from django.utils import timezone

from academy import quotas, videos
from academy.adapters.db.django import repositories_lectures
from academy.adapters.db.django.repositories_quotas import stored_bytes
from academy.domain.jobs import JobStateError
from academy.domain.roles import Role
from academy.domain.videos import UPLOAD_SECONDS
from academy.quotas import QuotaError
from apps.core.models import Tenant, User
from apps.core.tokens import Caller
from apps.domains.lectures.models import Session
from apps.support.video.models import Video
from apps.support.video.services.files import ADDRESS_EXPIRED, ANNOUNCED_KEPT, DELETED_KEPT
from apps.support.video.views.new_videos import expect_upload
from apps.worker.video_worker.encoding import HANDLERS

LIMIT = 1_000
ADDRESS = timedelta(seconds=UPLOAD_SECONDS)


@pytest.fixture
def lesson(transactional_db: None, redis: object, storage: None) -> Session:
    tenant = Tenant.objects.create(code=f"t-{uuid4()}", name="Academy", quota_storage_bytes=LIMIT)
    lecture = repositories_lectures.create_lecture(tenant.pk, {"title": "Lecture"})
    lesson = repositories_lectures.add_session(tenant.pk, lecture.pk, "Lesson")
    assert lesson is not None
    return lesson


@pytest.fixture
def owner(lesson: Session) -> Caller:
    return somebody(lesson)


def somebody(lesson: Session) -> Caller:
    user = User.objects.create(tenant=lesson.tenant, username=f"{uuid4()}")
    code = lesson.tenant.code
    return Caller(user.pk, uuid4(), lesson.tenant_id, code, Role.OWNER, "Owner", must_change_password=False)


def announce(caller: Caller, lesson: Session, size: int = 100) -> Video:
    made = expect_upload(caller, {"title": "Video", "session": lesson.pk, "file_name": "a.mp4", "size": size})
    return Video.objects.get(pk=made.video_id)


def of_age(video: Video, age: timedelta) -> None:
    Video.objects.filter(pk=video.pk).update(created_at=timezone.now() - age)


def made_earlier(video: Video, by: timedelta) -> None:
    """Make a video older by setting all its times back."""
    Video.objects.filter(pk=video.pk).update(
        **{name: F(name) - by for name in ("created_at", "uploaded_at", "deleted_at", "files_due_at")}
    )


def announced_long_ago(lesson: Session, *, arrived: bool = False) -> Video:
    """Create a video that was announced long ago, and store its file. `arrived`: whether an arrival was noted."""
    source = default_storage.save(f"uploads/videos/{lesson.tenant_id}/{uuid4()}", ContentFile(b"video"))
    video = Video.objects.create(tenant=lesson.tenant, session=lesson, title="Video", source=source, size=5)
    of_age(video, ANNOUNCED_KEPT * 1.1)
    Video.objects.filter(pk=video.pk).update(uploaded_at=timezone.now() if arrived else None)
    return video


def sweep() -> None:
    soon = HANDLERS["video_encoding"].sweep_soon
    assert soon is not None
    soon()


@pytest.mark.parametrize("arrived", [True, False])
def test_an_upload_that_never_arrives_is_deleted_with_its_parts_in_the_storage(lesson: Session, arrived: bool) -> None:
    old, new = announced_long_ago(lesson, arrived=arrived), announced_long_ago(lesson)
    of_age(new, ADDRESS * 1.5)  # its upload may still be running
    sweep()
    left = [Video.objects.filter(pk=video.pk).exists() for video in (old, new)]
    assert left == [default_storage.exists(video.source) for video in (old, new)] == [arrived, True]


def test_an_upload_that_arrives_while_it_is_given_up_stays(lesson: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    video = announced_long_ago(lesson)
    given_up = [(video.tenant_id, video.pk, video.source)]
    monkeypatch.setattr(
        "academy.adapters.db.django.repositories_video.announced_before",
        lambda *_: videos.mark_uploaded(video.tenant_id, video.pk, 5) and given_up,
    )
    sweep()
    assert Video.objects.filter(pk=video.pk).exists()
    assert default_storage.exists(video.source)


bucket = pytest.mark.parametrize("storage", ["bucket"], indirect=True)


@bucket
def test_an_announced_upload_counts_as_stored_and_one_too_many_is_refused(lesson: Session, owner: Caller) -> None:
    announce(owner, lesson, 600)
    with pytest.raises(QuotaError) as refused:
        announce(owner, lesson, 600)
    assert (refused.value.code, Video.objects.filter(tenant=lesson.tenant).count()) == ("quota_storage", 1)


def send(video: Video) -> None:
    """Store the file, like an upload to the announced address. Until the address expires, uploads can be repeated."""
    default_storage.save(video.source, ContentFile(b"x" * (video.size or 0)))


def arrive(video: Video) -> None:
    send(video)
    assert videos.mark_uploaded(video.tenant_id, video.pk, video.size or 0)


@bucket
@pytest.mark.parametrize("arrived", [True, False])
@pytest.mark.parametrize("end", [videos.cancel, videos.delete])
def test_an_ended_upload_counts_as_stored_while_its_address_accepts_the_file(
    lesson: Session, owner: Caller, end: Callable[[int, int], bool], arrived: bool
) -> None:
    video = announce(owner, lesson, 700)
    if arrived:
        arrive(video)
    end(lesson.tenant_id, video.pk)
    sweep()
    assert stored_bytes(lesson.tenant_id) == 700
    with pytest.raises(QuotaError):
        announce(owner, lesson, 700)
    of_age(video, ADDRESS * 1.01)
    kept = arrived and end is videos.cancel  # a cancelled video keeps its file, because it can be tried again
    assert stored_bytes(lesson.tenant_id) == (700 if kept else 0)


@bucket
def test_a_file_that_is_sent_again_after_its_deletion_is_deleted_when_the_address_has_expired(
    lesson: Session, owner: Caller
) -> None:
    video = announce(owner, lesson)
    arrive(video)
    videos.delete(lesson.tenant_id, video.pk)
    sweep()
    for age in (ADDRESS_EXPIRED, ANNOUNCED_KEPT, DELETED_KEPT):  # an upload that began before the expiry may end later
        send(video)
        sweep()
        assert default_storage.exists(video.source)
        made_earlier(video, age)
        sweep()
        assert not default_storage.exists(video.source)
    assert not Video.objects.filter(pk=video.pk).exists()


@bucket
def test_a_file_that_came_with_its_request_does_not_count_after_its_deletion(lesson: Session) -> None:
    """No file can be sent later, because the video has no upload address. So no space stays reserved for it."""
    video_id = videos.submit(lesson.tenant_id, lesson.pk, title="Video", source="uploads/videos/1/x", size=700)
    assert stored_bytes(lesson.tenant_id) == 700
    videos.delete(lesson.tenant_id, video_id)
    assert stored_bytes(lesson.tenant_id) == 0


@bucket
def test_an_upload_is_known_as_announced_although_two_hosts_disagree_on_the_time(
    lesson: Session, owner: Caller
) -> None:
    video = announce(owner, lesson)
    of_age(video, timedelta(seconds=-5))
    arrive(video)
    video.refresh_from_db()
    assert video.was_announced


@bucket
def test_an_expired_address_reserves_nothing(lesson: Session, owner: Caller) -> None:
    video = announce(owner, lesson, LIMIT)
    of_age(video, ADDRESS * 0.9)
    assert stored_bytes(lesson.tenant_id) == LIMIT
    of_age(video, ADDRESS * 1.01)
    assert stored_bytes(lesson.tenant_id) == 0


@bucket
def test_an_upload_that_arrives_late_is_counted_then(lesson: Session, owner: Caller) -> None:
    late, other = announce(owner, lesson, 700), somebody(lesson)
    of_age(late, ADDRESS * 1.1)
    second = announce(other, lesson, 700)
    with pytest.raises(QuotaError) as refused:
        videos.mark_uploaded(lesson.tenant_id, late.pk, 700)
    assert refused.value.code == "quota_storage"
    of_age(second, ADDRESS * 1.1)
    assert videos.mark_uploaded(lesson.tenant_id, late.pk, 650)  # exactly the bytes that are left in the quota
    assert stored_bytes(lesson.tenant_id) == 650


@bucket
def test_a_cancelled_upload_cannot_arrive(lesson: Session, owner: Caller) -> None:
    video = announce(owner, lesson)
    videos.cancel(lesson.tenant_id, video.pk)
    with pytest.raises(JobStateError) as refused:
        videos.mark_uploaded(lesson.tenant_id, video.pk, 100)
    assert refused.value.code == "video_ended"


@bucket
@pytest.mark.parametrize("became", ["cancelled", "deleted", "sent and deleted", "nothing"])
def test_a_user_has_a_limited_number_of_addresses_at_a_time(
    lesson: Session, owner: Caller, became: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload address counts until its file arrives or the address expires, even if the video is cancelled.

    If the video is deleted, the address counts until it expires, even if the file has arrived, because another file
    can be sent to that address.
    """
    monkeypatch.setattr(quotas, "ANNOUNCED_PER_USER", 3)
    announced = [announce(owner, lesson, 1) for _ in range(3)]
    if became.startswith("sent"):
        arrive(announced[0])
    if became != "nothing":
        end = videos.cancel if became == "cancelled" else videos.delete
        end(lesson.tenant_id, announced[0].pk)
    of_age(announced[0], ADDRESS / 2)
    with pytest.raises(QuotaError) as refused:
        announce(owner, lesson, 1)
    assert refused.value.code == "quota_announced"
    assert 0 < (refused.value.retry_seconds or 0) <= UPLOAD_SECONDS / 2
    announce(somebody(lesson), lesson, 1)
    videos.mark_uploaded(lesson.tenant_id, announced[1].pk, 1)
    announce(owner, lesson, 1)
    of_age(announced[0], ADDRESS * 1.1)
    announce(owner, lesson, 1)


@bucket
def test_an_academy_has_a_limited_number_of_addresses_independent_of_others(
    lesson: Session, owner: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "ANNOUNCED_PER_TENANT", 3)
    for _ in range(3):
        announce(somebody(lesson), lesson, 1)
    with pytest.raises(QuotaError) as refused:
        announce(owner, lesson, 1)
    assert refused.value.code == "quota_announced"
    other = Tenant.objects.create(code=f"t-{uuid4()}", name="Other")
    lecture = repositories_lectures.create_lecture(other.pk, {"title": "Lecture"})
    elsewhere = repositories_lectures.add_session(other.pk, lecture.pk, "Lesson")
    assert elsewhere is not None
    announce(somebody(elsewhere), elsewhere, 1)


@bucket
def test_a_user_cannot_reserve_all_free_space_with_several_announcements(lesson: Session, owner: Caller) -> None:
    announce(owner, lesson, 400)
    announce(owner, lesson, 100)
    with pytest.raises(QuotaError) as refused:
        announce(owner, lesson, 100)
    assert (refused.value.code, "half of your academy's free storage" in str(refused.value)) == (
        "quota_announced",
        True,
    )
    announce(somebody(lesson), lesson, 500)  # the first upload of a user may reserve all free space
