"""Tests of replacing a video: the new video takes the old one's place when it becomes READY, and only one time."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.utils import timezone
from structlog.testing import capture_logs

from academy import videos
from academy.adapters.db.django import repositories_lectures, repositories_video
from academy.adapters.db.django.realtime_source import AcademySource
from academy.domain.jobs import AttemptSupersededError, JobStateError
from academy.domain.videos import ClaimedVideo, video_topic
from apps.core.models import Tenant, User
from apps.domains.lectures.models import Lecture, Session
from apps.support.video.models import Video
from apps.support.video.services.files import ANNOUNCED_KEPT, source_name, sweep_announced, sweep_discarded
from apps.worker.video_worker.store import Videos
from realtime import conf


@pytest.fixture
def lesson(transactional_db: None, redis: object, storage: None) -> Session:
    tenant = Tenant.objects.create(code=f"t-{uuid4()}", name="Academy")
    lecture = repositories_lectures.create_lecture(tenant.pk, {"title": "Lecture"})
    session = repositories_lectures.add_session(tenant.pk, lecture.pk, "Lesson")
    assert session is not None
    return session


@pytest.fixture
def old(lesson: Session) -> Video:
    return encoded(upload(lesson, "Old"))


def store_file(tenant_id: int) -> dict[str, Any]:
    return {"source": default_storage.save(source_name(tenant_id), ContentFile(b"video")), "size": 5}


def upload(lesson: Session, title: str) -> Video:
    file = store_file(lesson.tenant_id)
    return Video.objects.get(pk=videos.submit(lesson.tenant_id, lesson.pk, title=title, **file))


def replacement_of(video: Video) -> Video:
    """Upload a replacement, as the API does."""
    file = store_file(video.tenant_id)
    with transaction.atomic():
        place = videos.replace(video.tenant_id, video.pk)
        assert place is not None
        title, replaces_id = place.title, place.replaces_id
        new_id = videos.submit(video.tenant_id, place.session_id, title=title, replaces_id=replaces_id, **file)
    return Video.objects.get(pk=new_id)


def claim(video: Video) -> ClaimedVideo:
    claimed = videos.claim(video.tenant_id, video.pk, lease_alive=False)
    assert isinstance(claimed, ClaimedVideo)
    return claimed


def finish(video: ClaimedVideo) -> None:
    default_storage.save(f"{video.folder}/master.m3u8", ContentFile(b"list"))
    Videos().finish(video, {"hls_path": f"{video.folder}/master.m3u8", "duration": 2.0, "made_bytes": 4})


def encoded(video: Video) -> Video:
    finish(claim(video))
    video.refresh_from_db()
    return video


def record_of(video: Video) -> dict[str, Any]:
    record = conf.publisher().record(video.tenant_id, video_topic(video.pk))
    assert record is not None
    found: dict[str, Any] = json.loads(record.body)
    return found


def listed(video: Video) -> list[int]:
    return list(repositories_video.videos_of(video.tenant_id).values_list("pk", flat=True))


def changes(video: Video) -> int:
    return Lecture.objects.get(tenant=video.tenant_id).video_changes


def state(video: Video) -> dict[str, Any]:
    """Return what a replacement must not change before it becomes READY."""
    row = Video.objects.values().get(pk=video.pk)
    return row | {"record": record_of(video), "changes": changes(video)}


def refusal(deed: Callable[[], object]) -> str:
    with pytest.raises(JobStateError) as refused:
        deed()
    return refused.value.code


def test_a_ready_replacement_takes_the_title_and_the_place_and_the_old_video_is_deleted(
    old: Video, lesson: Session
) -> None:
    newer = upload(lesson, "Newer")
    new = replacement_of(old)
    claimed = claim(new)
    assert record_of(new)["data"] == {"job_type": "video_encoding", "title": "Old", "replaces": old.pk}
    assert listed(old) == [new.pk, newer.pk, old.pk]
    videos.rename(old.tenant_id, old.pk, "Renamed")
    before = changes(old)
    finish(claimed)
    assert changes(old) == before + 1
    assert listed(old) == [newer.pk, new.pk]
    done, gone = record_of(new), record_of(old)
    assert (done["status"], done["attempt"]) == ("READY", 1)
    assert (done["data"]["title"], done["data"]["replaces"], done["data"]["duration"]) == ("Renamed", old.pk, 2.0)
    assert (gone["status"], gone["attempt"]) == ("CANCELLED", 3)
    assert (gone["data"]["deleted"], gone["data"]["replaced_by"]) == (True, new.pk)
    of_rows = AcademySource().states([done["topic"], gone["topic"]])
    assert all(dict(of_rows[record["topic"]].data) == record["data"] for record in (done, gone))
    sweep_discarded()
    new.refresh_from_db()
    assert [default_storage.exists(name) for name in (old.source, old.hls_path)] == [False, False]
    assert [default_storage.exists(name) for name in (new.source, new.hls_path)] == [True, True]


def test_the_deletion_of_the_old_video_is_audited_with_the_uploader_of_the_new_one_who_did_not_act(old: Video) -> None:
    new = replacement_of(old)
    user = User.objects.create(tenant_id=old.tenant_id, username="teacher")
    Video.objects.filter(pk=new.pk).update(created_by=user)
    with capture_logs() as logs:
        encoded(new)
    (line,) = [line for line in logs if line["event"] == "video_deleted"]
    assert (line["tenant"], line["user"], line["subject"]) == (old.tenant_id, None, f"video:{old.pk}")
    assert (line["replaced_by"], line["uploaded_by"]) == (new.pk, user.pk)


@pytest.mark.parametrize("end", ["failed", "cancelled", "deleted", "given back"])
def test_a_replacement_that_does_not_become_ready_leaves_the_old_video_as_it_is(old: Video, end: str) -> None:
    before = state(old)
    claimed = claim(replacement_of(old))
    if end == "failed":
        Videos().fail(claimed, "not_a_video", "This is no video.")
    elif end == "given back":
        Videos().give_back(claimed)
    else:
        deed = videos.cancel if end == "cancelled" else videos.delete
        assert deed(claimed.tenant_id, claimed.video_id)
    if end != "failed":
        with pytest.raises(AttemptSupersededError):
            finish(claimed)
    assert state(old) == before


def test_only_the_attempt_that_holds_the_replacement_takes_over_and_only_once(old: Video) -> None:
    new = replacement_of(old)
    stale = claim(new)
    current = claim(new)  # the worker of the first attempt has gone silent
    assert (stale.attempt, current.attempt) == (1, 2)
    with pytest.raises(AttemptSupersededError):
        finish(stale)
    assert old.pk in listed(old)
    finish(current)
    deleted, count = state(old), changes(old)
    for late in (stale, current):
        with pytest.raises(AttemptSupersededError):
            finish(late)
    assert (state(old), changes(old)) == (deleted, count)


def test_a_failed_replacement_that_is_tried_again_still_replaces(old: Video) -> None:
    new = replacement_of(old)
    Videos().fail(claim(new), "dead_letter", "It was given up.")
    assert record_of(new)["data"]["replaces"] == old.pk
    assert videos.retry(new.tenant_id, new.pk)
    encoded(new)
    assert listed(old) == [new.pk]


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED"])
def test_a_video_that_never_became_ready_can_be_replaced(lesson: Session, status: str) -> None:
    broken = upload(lesson, "Broken")
    if status == "FAILED":
        Videos().fail(claim(broken), "not_a_video", "This is no video.")
    else:
        videos.cancel(broken.tenant_id, broken.pk)
    new = replacement_of(broken)
    encoded(new)
    assert (listed(broken), changes(broken)) == ([new.pk], 1)


def test_a_video_that_is_being_prepared_cannot_be_replaced(lesson: Session) -> None:
    assert refusal(lambda: replacement_of(upload(lesson, "Video"))) == "video_not_ended"


def test_a_video_has_one_replacement_at_a_time_and_an_earlier_one_that_failed_is_deleted_for_it(old: Video) -> None:
    first = replacement_of(old)
    for begun in (None, claim(first)):
        assert refusal(lambda: replacement_of(old)) == "replacement_running", begun
        assert refusal(lambda: videos.check_replaceable(old.tenant_id, old.pk)) == "replacement_running"
    videos.cancel(first.tenant_id, first.pk)
    second = replacement_of(old)
    assert sorted(listed(old)) == [old.pk, second.pk]
    assert record_of(first)["data"]["deleted"]
    sweep_discarded()
    assert not default_storage.exists(first.source)
    assert default_storage.exists(second.source)


def test_of_two_requests_at_the_same_moment_one_gets_the_replacement(old: Video) -> None:
    def begin(_: int) -> str:
        try:
            return str(replacement_of(old).pk)
        except JobStateError as problem:
            return problem.code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(begin, range(4)))
    assert answers.count("replacement_running") == 3
    assert Video.objects.filter(replaces=old).count() == 1


def test_a_replacement_has_no_title_of_its_own_and_is_not_replaced_itself(old: Video) -> None:
    new = replacement_of(old)
    Videos().fail(claim(new), "not_a_video", "This is no video.")
    assert refusal(lambda: videos.rename(new.tenant_id, new.pk, "Other")) == "video_replaces"
    assert refusal(lambda: replacement_of(new)) == "video_replaces"
    videos.retry(new.tenant_id, new.pk)
    encoded(new)
    assert videos.rename(new.tenant_id, new.pk, "Other")
    assert replacement_of(new)


def test_a_failed_replacement_of_a_video_that_a_sweep_has_removed_is_a_video_like_any_other(lesson: Session) -> None:
    announced = videos.announce(lesson.tenant_id, lesson.pk, title="Old", source=source_name(lesson.tenant_id), size=5)
    videos.cancel(lesson.tenant_id, announced)
    new = replacement_of(Video.objects.get(pk=announced))
    Videos().fail(claim(new), "not_a_video", "This is no video.")
    assert refusal(lambda: videos.rename(new.tenant_id, new.pk, "Other")) == "video_replaces"
    Video.objects.filter(pk=announced).update(created_at=timezone.now() - 2 * ANNOUNCED_KEPT)
    sweep_announced()
    assert listed(new) == [new.pk]
    assert videos.rename(new.tenant_id, new.pk, "Other")
    better = encoded(replacement_of(new))
    assert (listed(better), better.title) == ([better.pk], "Other")


@pytest.mark.parametrize("running", [True, False])
def test_deleting_the_old_video_deletes_its_replacement_too(old: Video, *, running: bool) -> None:
    new = replacement_of(old)
    claimed = claim(new)
    if not running:
        Videos().fail(claimed, "not_a_video", "This is no video.")
    assert videos.delete(old.tenant_id, old.pk) == [old.pk, new.pk]
    assert listed(old) == []
    assert record_of(new)["data"]["deleted"]
    assert "replaced_by" not in record_of(old)["data"]
    if running:
        with pytest.raises(AttemptSupersededError):
            finish(claimed)
    sweep_discarded()
    assert not default_storage.exists(new.source)
    assert repositories_video.video_in_place_of(old.tenant_id, old.pk) is None


def test_deleting_a_video_and_the_end_of_its_replacement_at_the_same_moment_do_not_block_each_other(
    lesson: Session,
) -> None:
    """Both lock the old video first. Otherwise the database would end one of them because of a deadlock."""

    def do(deed: Callable[..., object], *arguments: Any) -> object:
        try:
            return deed(*arguments)
        except AttemptSupersededError:
            return None
        finally:
            connection.close()

    for number in range(5):
        old = encoded(upload(lesson, f"Old {number}"))
        claimed = claim(replacement_of(old))
        with ThreadPoolExecutor(2) as pool:
            ends = [pool.submit(do, finish, claimed), pool.submit(do, videos.delete, old.tenant_id, old.pk)]
        assert [end.exception() for end in ends] == [None, None]
        assert old.pk not in listed(old)


def test_the_place_is_that_of_the_first_of_several_videos_and_each_leads_to_the_newest(
    old: Video, lesson: Session
) -> None:
    newer = upload(lesson, "Newer")
    second = encoded(replacement_of(old))
    third = encoded(replacement_of(second))
    assert listed(old) == [newer.pk, third.pk]
    assert third.listed_at == old.created_at
    found = repositories_video.video_in_place_of
    assert [found(old.tenant_id, video.pk) for video in (old, second, third)] == [third.pk, third.pk, None]
    assert found(old.tenant_id + 1, old.pk) is None
    long_ago = timezone.now() - timedelta(days=9)
    Video.objects.filter(pk=second.pk).update(deleted_at=long_ago, files_due_at=long_ago)
    sweep_discarded()
    assert found(old.tenant_id, second.pk) == third.pk  # also after its row is gone
    assert videos.delete(third.tenant_id, third.pk)
    assert found(old.tenant_id, second.pk) is None


def test_the_video_of_another_academy_is_not_replaced(old: Video) -> None:
    assert not videos.check_replaceable(old.tenant_id + 1, old.pk)
    with transaction.atomic():
        assert videos.replace(old.tenant_id + 1, old.pk) is None
