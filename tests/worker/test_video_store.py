"""Tests of the files of videos: those of the attempt that succeeds stay, and those of other attempts are deleted."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from academy import leftovers, quotas, videos
from academy.adapters.db.django import repositories_lectures, repositories_video
from academy.adapters.db.django.realtime_source import AcademySource
from academy.adapters.db.django.repositories_quotas import encoded_seconds, stored_bytes
from academy.adapters.db.django.repositories_video import Discarded
from academy.adapters.video.encode import Encoded
from academy.domain.jobs import AttemptSupersededError, ClaimRefusal, JobStateError
from academy.domain.roles import Role
from academy.domain.videos import ClaimedVideo
from academy.quotas import QuotaError
from apps.core.errors import ApiError
from apps.core.models import Tenant
from apps.core.tokens import Caller
from apps.domains.lectures.models import Session
from apps.support.video.models import Video
from apps.support.video.playback import FILES, Playable, PlaybackError, playback_address, read_playback
from apps.support.video.serializers import VideoSerializer
from apps.support.video.services import files
from apps.support.video.services.files import keep_files, shown_name, source_name, sweep_discarded
from apps.support.video.views import new_videos
from apps.support.video.views.new_videos import take_upload
from apps.worker.handlers import JobProgress
from apps.worker.store import find_row
from apps.worker.video_worker import encoding
from apps.worker.video_worker.encoding import HANDLERS
from apps.worker.video_worker.store import Videos
from realtime import conf

RESULT = {"hls_path": "videos/x/master.m3u8", "duration": 2.0}
NAMES = [Path("master.m3u8"), Path("360p/index.m3u8"), Path("360p/00000.ts")]


@pytest.fixture
def video(transactional_db: None, redis: object, storage: None) -> ClaimedVideo:
    tenant = Tenant.objects.create(code=f"t-{uuid4()}", name="Academy")
    lecture = repositories_lectures.create_lecture(tenant.pk, {"title": "Lecture"})
    session = repositories_lectures.add_session(tenant.pk, lecture.pk, "Lesson")
    assert session is not None
    row = Video.objects.create(tenant=tenant, session=session, title="Video", uploaded_at=timezone.now())
    claimed = videos.claim(tenant.pk, row.pk, lease_alive=False)
    assert isinstance(claimed, ClaimedVideo)
    return claimed


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"content")
    return folder


def kept(video: ClaimedVideo) -> list[str]:
    """Return the numbers of the attempts whose files are stored."""
    folder = video.folder.rpartition("/")[0]
    try:
        return sorted(default_storage.listdir(folder)[0])
    except FileNotFoundError:
        return []


def leave_behind(video: ClaimedVideo, attempt: int) -> None:
    folder = video.folder.rpartition("/")[0]
    default_storage.save(f"{folder}/{attempt}/360p/00000.ts", ContentFile(b"half"))


def nothing(_percent: float) -> None:
    """A progress callback that does nothing."""


def test_after_the_end_the_files_of_dead_attempts_are_gone(video: ClaimedVideo, made: Path) -> None:
    leave_behind(video, 7)
    keep_files(video, made, NAMES, nothing)
    Videos().finish(video, RESULT)
    after_done = HANDLERS[video.job_type].after_done
    assert after_done is not None
    after_done(video)
    assert kept(video) == ["1"]
    with default_storage.open(f"{video.folder}/360p/00000.ts") as file:
        assert file.read() == b"content"


def test_a_video_that_was_cancelled_while_the_last_file_was_stored_leaves_none(video: ClaimedVideo, made: Path) -> None:
    keep_files(video, made, NAMES, nothing)
    videos.cancel(video.tenant_id, video.video_id)
    with pytest.raises(AttemptSupersededError):
        Videos().finish(video, RESULT)
    assert kept(video) == []


def test_a_late_sweep_keeps_the_files_of_a_video_that_was_renamed(video: ClaimedVideo, made: Path) -> None:
    """The worker dies before it deletes the files of the failed attempt. The sweep runs after the video was renamed."""
    leave_behind(video, video.attempt)
    videos.fail(video, "timeout", "It took too long.")
    videos.retry(video.tenant_id, video.video_id)
    again = videos.claim(video.tenant_id, video.video_id, lease_alive=False)
    assert isinstance(again, ClaimedVideo)
    keep_files(again, made, NAMES, nothing)
    Videos().finish(again, {"hls_path": f"{again.folder}/master.m3u8", "duration": 2.0})
    videos.rename(video.tenant_id, video.video_id, "New title")
    sweep_discarded()
    assert kept(video) == [str(again.attempt)]


def test_if_storing_is_stopped_no_file_stays(video: ClaimedVideo, made: Path) -> None:
    def stop(percent: float) -> None:
        if percent > 50:
            raise AttemptSupersededError

    with pytest.raises(AttemptSupersededError):
        keep_files(video, made, NAMES, stop)
    assert kept(video) == []


def test_files_that_are_stored_again_have_the_same_names_and_no_others_stay(video: ClaimedVideo, made: Path) -> None:
    default_storage.save(f"{video.folder}/360p/00001.ts", ContentFile(b"of a try that was broken off"))
    keep_files(video, made, NAMES, nothing)
    (made / "360p/00000.ts").write_bytes(b"new")
    default_storage.save(f"{video.folder}/360p/00000.ts", ContentFile(b"longer than what comes later"))
    keep_files(video, made, NAMES, nothing)
    assert sorted(default_storage.listdir(f"{video.folder}/360p")[1]) == ["00000.ts", "index.m3u8"]
    with default_storage.open(f"{video.folder}/360p/00000.ts") as file:
        assert file.read() == b"new"


def test_a_file_replaces_one_with_the_same_name(video: ClaimedVideo) -> None:
    name = f"{video.folder}/360p/00000.ts"
    for content in (b"the first one", b"second"):
        assert default_storage.save(name, ContentFile(content)) == name
        with default_storage.open(name) as file:
            assert file.read() == content
    assert default_storage.listdir(f"{video.folder}/360p")[1] == ["00000.ts"]


def test_no_connection_is_held_while_a_video_is_encoded(
    video: ClaimedVideo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    held: list[bool] = []

    def encode(_source: Path, _made: Path, _report: object, on_duration: Callable[[float], None]) -> Encoded:
        on_duration(60.0)
        held.append(connection.connection is not None)
        return Encoded(60.0, [], ("360p",), None)

    monkeypatch.setattr(encoding, "encode", encode)
    monkeypatch.setattr(encoding, "fetch_source", lambda *_: tmp_path)
    encoding.encode_video(video, JobProgress(video, encoding.STEPS))
    assert held == [False]


def test_a_failed_video_keeps_nothing_of_any_attempt(video: ClaimedVideo) -> None:
    Video.objects.filter(pk=video.video_id).update(attempt=2)
    leave_behind(video, 1)
    leave_behind(video, 2)
    Videos().fail(replace(video, attempt=2), "dead_letter", "It was given up.")
    sweep_discarded()
    assert kept(video) == []


def test_an_end_is_written_even_if_the_storage_is_away_and_the_files_are_deleted_later(
    video: ClaimedVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_name: str) -> None:
        raise OSError("the storage is away")

    leave_behind(video, 1)
    Videos().fail(video, "dead_letter", "It was given up.")
    assert Video.objects.get(pk=video.video_id).status == "FAILED"
    with monkeypatch.context() as patch:
        patch.setattr(files, "drop_folder", away)
        with pytest.raises(OSError, match="away"):
            sweep_discarded()
    sweep_discarded()  # too early: another worker may be deleting the files
    assert kept(video) == ["1"]
    Video.objects.update(files_due_at=timezone.now())
    sweep_discarded()
    assert kept(video) == []


def test_encoded_files_of_a_cancelled_video_are_deleted_and_those_of_its_next_attempt_stay(video: ClaimedVideo) -> None:
    leave_behind(video, 1)
    videos.cancel(video.tenant_id, video.video_id)
    again = tried_again(video)
    leave_behind(again, again.attempt)
    sweep_discarded()
    assert kept(video) == ["2"]


def test_a_video_that_is_cancelled_while_its_files_are_deleted_has_them_deleted_again(
    video: ClaimedVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos.cancel(video.tenant_id, video.video_id)
    again = tried_again(video)
    leave_behind(again, again.attempt)
    drop = files._delete_files

    def cancelled_meanwhile(discarded: Discarded) -> None:
        monkeypatch.undo()
        drop(discarded)
        videos.cancel(video.tenant_id, video.video_id)

    monkeypatch.setattr(files, "_delete_files", cancelled_meanwhile)
    sweep_discarded()
    assert kept(video) == []


@pytest.fixture
def ready(video: ClaimedVideo, made: Path) -> ClaimedVideo:
    """Return a READY video that was encoded today, and whose uploaded file is still stored."""
    source = default_storage.save(source_name(video.tenant_id), ContentFile(b"video"))
    Video.objects.filter(pk=video.video_id).update(source=source, size=5)
    quotas.count_encoding(video, 60.0, at_most=HOUR)
    keep_files(video, made, NAMES, nothing)
    Videos().finish(video, RESULT | {"made_bytes": 7})
    return replace(video, source=source)


def record_of(video: ClaimedVideo) -> dict[str, Any]:
    """Return the published record of a video."""
    record = conf.publisher().record(video.tenant_id, video.topic)
    assert record is not None
    found: dict[str, Any] = json.loads(record.body)
    return found


def test_a_deleted_video_is_gone_at_once_and_its_files_soon_after(ready: ClaimedVideo) -> None:
    assert stored_bytes(ready.tenant_id) == 12
    assert videos.delete(ready.tenant_id, ready.video_id)
    record = record_of(ready)
    assert (record["status"], record["attempt"], record["data"]["deleted"]) == ("CANCELLED", 2, True)
    assert not repositories_video.videos_of(ready.tenant_id).exists()
    assert (stored_bytes(ready.tenant_id), encoded(ready)) == (0, 60.0)  # deleting gives no minutes back
    assert default_storage.exists(ready.source)
    sweep_discarded()
    assert (kept(ready), default_storage.exists(ready.source)) == ([], False)
    for deed in (videos.delete, videos.cancel, videos.retry):
        assert not deed(ready.tenant_id, ready.video_id)


def test_a_video_that_is_deleted_while_it_is_encoded_can_no_longer_be_written(video: ClaimedVideo, made: Path) -> None:
    keep_files(video, made, NAMES, nothing)
    videos.delete(video.tenant_id, video.video_id)
    ours = conf.publisher().renew_lease(tenant_id=video.tenant_id, topic=video.topic, attempt=video.attempt)
    assert not ours
    with pytest.raises(AttemptSupersededError):
        Videos().finish(video, RESULT)
    assert kept(video) == []
    assert record_of(video)["data"]["deleted"]


def test_the_message_of_a_deleted_video_starts_nothing(video: ClaimedVideo) -> None:
    videos.delete(video.tenant_id, video.video_id)
    message = f'{{"video_id": {video.video_id}, "tenant_id": {video.tenant_id}}}'
    assert find_row(Videos(), message) == (video.tenant_id, video.video_id)  # found, so the message is no dead letter
    claimed = Videos().claim(video.tenant_id, video.video_id, lease_alive=False)
    assert claimed is ClaimRefusal.ABSENT


def test_another_academy_cannot_delete_a_video(ready: ClaimedVideo) -> None:
    assert not videos.delete(ready.tenant_id + 1, ready.video_id)
    assert repositories_video.videos_of(ready.tenant_id).exists()


def test_the_row_of_a_deleted_video_is_deleted_days_later_with_files_that_were_stored_late(ready: ClaimedVideo) -> None:
    videos.delete(ready.tenant_id, ready.video_id)
    sweep_discarded()
    leave_behind(ready, 1)
    sweep_discarded()  # nothing is due
    assert kept(ready) == ["1"]
    long_ago = timezone.now() - files.DELETED_KEPT
    Video.objects.filter(pk=ready.video_id).update(deleted_at=long_ago, files_due_at=long_ago)
    sweep_discarded()
    assert (kept(ready), Video.objects.filter(pk=ready.video_id).exists()) == ([], False)


def test_a_redis_that_lost_data_gets_the_deletion_again(ready: ClaimedVideo) -> None:
    videos.delete(ready.tenant_id, ready.video_id)
    (state,) = AcademySource().states([ready.topic]).values()
    assert (state.status, state.attempt, dict(state.data)["deleted"]) == ("CANCELLED", 2, True)


@pytest.mark.parametrize("place", ["session", "lecture"])
def test_if_the_lesson_is_deleted_while_a_video_is_stored_the_answer_says_so_and_no_file_stays(
    video: ClaimedVideo, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    lesson = Session.objects.get(tenant_id=video.tenant_id)
    caller = Caller(1, uuid4(), video.tenant_id, "code", Role.OWNER, "Owner", must_change_password=False)
    where = {"session": lesson.pk} if place == "session" else {"lecture": lesson.lecture_id}

    def deleted_meanwhile(tenant_id: int) -> str:
        lesson.lecture.delete()
        return source_name(tenant_id)

    monkeypatch.setattr(new_videos, "source_name", deleted_meanwhile)
    with pytest.raises(ApiError) as refused:
        take_upload(caller, {"title": "Another", "file": ContentFile(b"video", name="a.mp4")} | where)
    code = "lesson_gone" if place == "session" else "lecture_gone"
    assert (refused.value.status_code, refused.value.detail.code) == (409, code)  # type: ignore[union-attr]
    assert stored_uploads(video.tenant_id) == []


def test_an_upload_whose_row_cannot_be_written_leaves_neither_lesson_nor_file(
    video: ClaimedVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the database is full")

    lecture = Session.objects.get(tenant_id=video.tenant_id).lecture
    caller = Caller(1, uuid4(), video.tenant_id, "code", Role.OWNER, "Owner", must_change_password=False)
    monkeypatch.setattr(videos, "submit", broken)
    sent = {"title": "Another", "lecture": lecture.pk, "file": ContentFile(b"video", name="a.mp4")}
    with pytest.raises(RuntimeError):
        take_upload(caller, sent)
    assert Session.objects.filter(lecture=lecture).count() == 1
    assert stored_uploads(video.tenant_id) == []


def stored_uploads(tenant_id: int) -> list[str]:
    try:
        return default_storage.listdir(f"uploads/videos/{tenant_id}")[1]
    except FileNotFoundError:
        return []


def test_the_name_of_a_stored_file_contains_nothing_of_the_original_name() -> None:
    folder, _, name = source_name(7).rpartition("/")
    assert folder == "uploads/videos/7"
    assert str(UUID(name)) == name


def test_the_shown_name_has_no_folders() -> None:
    assert shown_name("C:\\Users\\kim\\수업.mp4") == "수업.mp4"


def test_an_address_says_what_may_be_played_and_for_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    playable = Playable(7, 42, 3)
    signed = playback_address(playable, "master.m3u8").split("/")[3]
    assert read_playback(signed) == playable
    for wrong in (signed[:-1], signed.replace("42", "43", 1), "", "7-42-3"):
        with pytest.raises(PlaybackError):
            read_playback(wrong)
    monkeypatch.setattr("apps.support.video.playback.PLAYBACK_SECONDS", -1)
    with pytest.raises(PlaybackError):
        read_playback(signed)


@pytest.mark.parametrize(
    "name", ["../1/master.m3u8", "360p/../master.m3u8", "master.m3u8/", "360p/1.ts", "/etc/passwd"]
)
def test_only_names_that_the_encoder_makes_are_served(name: str) -> None:
    assert not FILES.fullmatch(name)


HOUR = 3600.0


def encoded(video: ClaimedVideo) -> float:
    """Return how many seconds of video were encoded today and yesterday: the test may run over midnight."""
    today = timezone.localdate()
    return sum(encoded_seconds(video.tenant_id, day) for day in (today - timedelta(days=1), today))


def tried_again(video: ClaimedVideo) -> ClaimedVideo:
    videos.retry(video.tenant_id, video.video_id)
    claimed = videos.claim(video.tenant_id, video.video_id, lease_alive=False)
    assert isinstance(claimed, ClaimedVideo)
    return claimed


def test_for_an_unknown_length_minutes_are_reserved_and_the_real_length_is_counted_at_the_end(
    video: ClaimedVideo,
) -> None:
    quotas.count_encoding(video, 0.0, at_most=HOUR)
    assert encoded(video) == HOUR
    Videos().finish(video, RESULT)
    assert encoded(video) == 2.0


def test_each_try_of_a_video_of_unknown_length_counts(video: ClaimedVideo) -> None:
    Tenant.objects.filter(pk=video.tenant_id).update(quota_encoding_minutes=90)
    quotas.count_encoding(video, 0.0, at_most=HOUR)
    videos.cancel(video.tenant_id, video.video_id)
    again = tried_again(video)
    quotas.count_encoding(again, 0.0, at_most=HOUR)
    assert encoded(video) == 1.5 * HOUR  # the second try was counted only up to the day's quota
    videos.cancel(video.tenant_id, video.video_id)
    with pytest.raises(QuotaError):
        quotas.count_encoding(tried_again(video), 0.0, at_most=HOUR)


def test_a_second_try_on_the_same_day_counts_in_addition_to_the_first(video: ClaimedVideo) -> None:
    quotas.count_encoding(video, 10.0, at_most=HOUR)
    videos.cancel(video.tenant_id, video.video_id)
    again = tried_again(video)
    quotas.count_encoding(again, 0.0, at_most=HOUR)
    Videos().finish(again, RESULT)
    assert encoded(video) == 12.0


def test_all_code_locks_a_video_before_its_tenant(video: ClaimedVideo) -> None:
    def count() -> None:
        quotas.count_encoding(video, 1.0, at_most=HOUR)

    def retry() -> None:
        videos.retry(video.tenant_id, video.video_id)

    for work in (count, retry):
        with CaptureQueriesContext(connection) as queries:
            work()
        locks = [query["sql"] for query in queries if " FOR " in query["sql"] and "UPDATE" in query["sql"]]
        assert [sql.partition('FROM "')[2].partition('"')[0] for sql in locks][:2] == ["video", "tenant"]
        videos.cancel(video.tenant_id, video.video_id)


@pytest.fixture
def stored(ready: ClaimedVideo) -> ClaimedVideo:
    """Return a READY video whose row names its playlist."""
    path = f"{ready.folder}/master.m3u8"
    Video.objects.filter(pk=ready.video_id).update(hls_path=path)
    return ready


def change_of(video: ClaimedVideo) -> int | None:
    """Return the attempt in the record of the video's lecture, or None if there is no record.

    The attempt is the number of changes of the lecture's READY videos.
    """
    lecture_id = Session.objects.get(tenant_id=video.tenant_id).lecture_id
    record = conf.publisher().record(video.tenant_id, f"lecture:{lecture_id}")
    return json.loads(record.body)["attempt"] if record is not None else None


def test_a_renamed_video_has_its_new_title_in_its_record_and_keeps_its_files(
    stored: ClaimedVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert videos.rename(stored.tenant_id, stored.video_id, "Another title")
    record = record_of(stored)
    assert (record["status"], record["attempt"], record["data"]["title"]) == ("READY", 2, "Another title")
    row = Video.objects.get(pk=stored.video_id)
    address = VideoSerializer(row).data["hls_url"]
    assert read_playback(address.split("/")[3]).folder == stored.folder
    monkeypatch.setattr(leftovers, "GRACE", timedelta(seconds=-60))  # as if the files were a day old
    sweep_discarded()
    assert leftovers.sweep_leftovers(only=stored.tenant_id) == []
    assert kept(stored) == ["1"]


def test_only_a_video_that_has_ended_is_renamed_and_the_same_title_changes_nothing(
    video: ClaimedVideo, made: Path
) -> None:
    with pytest.raises(JobStateError) as refused:
        videos.rename(video.tenant_id, video.video_id, "Another title")
    assert refused.value.code == "video_not_ended"
    videos.fail(video, "code", "Why.")
    assert videos.rename(video.tenant_id, video.video_id, video.title)
    assert record_of(video)["attempt"] == 1
    assert videos.rename(video.tenant_id, video.video_id, "Another title")
    assert (record_of(video)["status"], record_of(video)["error"]["code"]) == ("FAILED", "code")
    assert videos.retry(video.tenant_id, video.video_id)
    again = videos.claim(video.tenant_id, video.video_id, lease_alive=False)
    assert isinstance(again, ClaimedVideo)
    assert (again.attempt, again.title) == (3, "Another title")
    assert not videos.rename(video.tenant_id + 1, video.video_id, "Of another academy")


def test_the_record_of_a_lecture_tells_when_its_ready_videos_change_and_not_otherwise(
    video: ClaimedVideo, made: Path
) -> None:
    assert change_of(video) is None
    keep_files(video, made, NAMES, nothing)
    Videos().finish(video, RESULT)
    assert change_of(video) == 1
    videos.rename(video.tenant_id, video.video_id, "Another title")
    assert change_of(video) == 2
    videos.delete(video.tenant_id, video.video_id)
    assert change_of(video) == 3
    failed = Video.objects.create(
        tenant_id=video.tenant_id, session=Session.objects.get(), title="V", uploaded_at=timezone.now(), status="FAILED"
    )
    videos.rename(video.tenant_id, failed.pk, "Another title")
    videos.delete(video.tenant_id, failed.pk)
    assert change_of(video) == 3
