"""Tests of functions whose names are from the first version. The tests call them as older code does."""

import inspect
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from redis import Redis

from academy import jobs, videos
from academy.adapters.cache.redis_progress_adapter import RedisProgressAdapter
from academy.domain.jobs import AttemptSupersededError, ClaimRefusal, job_topic
from academy.domain.videos import ClaimedVideo
from apps.core.models import Tenant
from apps.domains.ai.redis_status_cache import cache_job_status, get_job_status_from_redis, refresh_job_progress_ttl
from apps.domains.lectures.models import Lecture, Session
from apps.support.video.encoding_progress import record_encoding_progress
from apps.support.video.models import Video
from apps.support.video.redis_status_cache import (
    cache_video_status,
    get_video_status_from_redis,
    refresh_video_progress_ttl,
)
from apps.support.video.services.sqs_queue import complete_video, fail_video, mark_processing
from realtime import conf

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis")]
HOURS = 3600
SIGNATURES: list[tuple[Callable[..., object], str]] = [
    (get_video_status_from_redis, "tenant_id, video_id"),
    (cache_video_status, "tenant_id, video_id, status, hls_path=None, duration=None, *, ttl=21600"),
    (refresh_video_progress_ttl, "tenant_id, video_id, ttl=21600"),
    (get_job_status_from_redis, "tenant_id, job_id"),
    (cache_job_status, "tenant_id, job_id, status, result=None, *, ttl=21600"),
    (refresh_job_progress_ttl, "tenant_id, job_id, ttl=21600"),
    (RedisProgressAdapter.record_progress, "self, tenant_id, job_id, step, extra=None"),
    (RedisProgressAdapter.get_progress, "self, tenant_id, job_id"),
    (record_encoding_progress, "tenant_id, video_id, step, extra=None"),
    (mark_processing, "tenant_id, video_id, *, lease_alive"),
    (complete_video, "video, *, hls_path, duration, made_bytes=0"),
    (fail_video, "video, code, message"),
]


@pytest.mark.parametrize(("function", "expected"), SIGNATURES, ids=lambda value: getattr(value, "__name__", ""))
def test_the_signatures_are_those_that_older_code_uses(function: Callable[..., object], expected: str) -> None:
    """Parameters that were added after the first version are optional."""
    found = inspect.signature(function).parameters.values()
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in found]
    shown = str(inspect.Signature(plain))[1:-1]
    assert shown in {expected, f"{expected}, attempt=None, error=None"}


@pytest.fixture
def tenant(redis: Redis) -> Tenant:
    return Tenant.objects.create(code=f"t-{uuid4()}", name="Academy")


@pytest.fixture
def video(tenant: Tenant) -> Video:
    lecture = Lecture.objects.create(tenant=tenant, title="Lecture")
    session = Session.objects.create(tenant=tenant, lecture=lecture, title="Lesson")
    return Video.objects.get(pk=videos.submit(tenant.pk, session.pk, title="Video", source="uploads/a"))


@pytest.fixture
def job_id(tenant: Tenant) -> UUID:
    return jobs.submit(tenant_id=tenant.pk, job_type="test", payload={"file_name": "a.xlsx"}, created_by=None)


def status_of(tenant: Tenant, video: Video) -> dict[str, Any]:
    found = get_video_status_from_redis(tenant.pk, video.pk)
    assert found is not None
    return found


def test_a_video_is_claimed_encoded_and_completed(tenant: Tenant, video: Video) -> None:
    claimed = mark_processing(tenant.pk, video.pk, lease_alive=False)
    assert isinstance(claimed, ClaimedVideo)
    assert status_of(tenant, video)["status"] == "PROCESSING"
    record_encoding_progress(tenant.pk, video.pk, "transcode", {"percent": 40, "attempt": claimed.attempt})
    record_encoding_progress(tenant.pk, video.pk, "verify")
    progress = status_of(tenant, video)["progress"]
    assert (progress["percent"], progress["step"]["name"]) == (40, "verify")
    complete_video(claimed, hls_path="videos/1/master.m3u8", duration=61.5)
    data = status_of(tenant, video)["data"]
    assert (data["title"], data["hls_path"], data["duration"]) == ("Video", "videos/1/master.m3u8", 61.5)
    with pytest.raises(AttemptSupersededError):
        fail_video(claimed, "code", "Why.")
    assert mark_processing(tenant.pk, video.pk, lease_alive=False) is ClaimRefusal.ENDED


def test_a_status_is_cached_read_and_refreshed(redis: Redis, tenant: Tenant, video: Video) -> None:
    assert cache_video_status(tenant.pk, video.pk, "PROCESSING", ttl=8 * HOURS)
    assert refresh_video_progress_ttl(tenant.pk, video.pk)
    assert 6 * HOURS < redis.ttl(f"tenant:{tenant.pk}:video:{video.pk}:status") <= 8 * HOURS
    assert cache_video_status(tenant.pk, video.pk, "READY", "videos/1/master.m3u8", 61.5)
    found = status_of(tenant, video)
    assert (found["status"], found["attempt"]) == ("READY", 1)
    assert found["data"] == {
        "job_type": "video_encoding", "title": "Video", "hls_path": "videos/1/master.m3u8", "duration": 61.5,
    }  # fmt: skip
    assert not refresh_video_progress_ttl(tenant.pk, video.pk), "it has ended"
    assert redis.ttl(f"tenant:{tenant.pk}:video:{video.pk}:status") == -1


def test_a_status_older_than_the_record_is_not_cached(tenant: Tenant, video: Video) -> None:
    assert cache_video_status(tenant.pk, video.pk, "FAILED", attempt=2, error={"code": "damaged", "message": "Why."})
    assert cache_video_status(tenant.pk, video.pk, "FAILED"), "it is known already"
    assert not cache_video_status(tenant.pk, video.pk, "READY", "videos/1/master.m3u8", 61.5)
    assert not cache_video_status(tenant.pk, video.pk, "PROCESSING", attempt=1)
    found = status_of(tenant, video)
    assert (found["status"], found["attempt"], found["error"]["code"]) == ("FAILED", 2, "damaged")


def test_missing_fields_come_from_the_row_if_redis_has_no_record(redis: Redis, tenant: Tenant, job_id: UUID) -> None:
    jobs.cancel(tenant.pk, job_id)
    jobs.retry(tenant.pk, job_id)
    redis.flushall()
    assert cache_job_status(tenant.pk, job_id, "PENDING")
    found = get_job_status_from_redis(tenant.pk, job_id)
    assert found is not None
    assert (found["attempt"], found["data"]) == (2, {"job_type": "test", "file_name": "a.xlsx"})


def test_nothing_is_cached_for_another_tenant(redis: Redis, tenant: Tenant, video: Video, job_id: UUID) -> None:
    other = Tenant.objects.create(code=f"t-{uuid4()}", name="Other")
    assert not cache_video_status(other.pk, video.pk, "READY", "videos/1/master.m3u8", 61.5)
    assert not cache_job_status(other.pk, job_id, "DONE", {"rows": 1})
    assert redis.keys(f"tenant:{other.pk}:*") == []


def test_a_job_reports_and_ends(tenant: Tenant, job_id: UUID) -> None:
    adapter = RedisProgressAdapter()
    assert adapter.get_progress(tenant.pk, job_id) is None
    adapter.record_progress(tenant.pk, job_id, "parse", {"percent": 30, "step_index": 1, "step_total": 2})
    adapter.record_progress(tenant.pk, job_id, "import")
    found = adapter.get_progress(tenant.pk, job_id)
    assert found is not None
    assert (found["percent"], found["step"]["name"]) == (30, "import")
    assert refresh_job_progress_ttl(tenant.pk, job_id)
    assert cache_job_status(tenant.pk, job_id, "DONE", {"created": 3})
    told = get_job_status_from_redis(tenant.pk, job_id)
    assert told is not None
    assert told["data"] == {"job_type": "test", "file_name": "a.xlsx", "result": {"created": 3}}


def test_progress_without_an_attempt_belongs_to_the_present_one(tenant: Tenant, job_id: UUID) -> None:
    conf.publisher().status(tenant_id=tenant.pk, topic=job_topic(job_id), attempt=2, status="PROCESSING")
    RedisProgressAdapter().record_progress(tenant.pk, job_id, "parse", {"percent": 5})
    found = RedisProgressAdapter().get_progress(tenant.pk, job_id)
    assert found is not None
    assert found["percent"] == 5


def test_a_topic_that_redis_does_not_have_is_none(tenant: Tenant) -> None:
    assert get_video_status_from_redis(tenant.pk, 1_000_000) is None
    assert get_job_status_from_redis(tenant.pk, uuid4()) is None
    assert not refresh_video_progress_ttl(tenant.pk, 1_000_000)
    assert not refresh_job_progress_ttl(tenant.pk, uuid4())
