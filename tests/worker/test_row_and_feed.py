"""Tests that a row and its record agree after any operations, and that reading a row replaces an older record."""

import json
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from random import Random
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from academy import dispatch, jobs, videos
from academy.adapters.db.django import repositories_ai, repositories_lectures, repositories_video
from academy.domain.jobs import AttemptSupersededError, ClaimedJob, JobFailedError, JobStateError
from academy.domain.videos import ClaimedVideo
from apps.core.models import Tenant
from apps.domains.ai.models import AIJob
from apps.support.video.models import Video
from realtime import conf
from realtime.publish import Publisher

STEPS = 12
Deed = Callable[[], object]


@pytest.fixture
def tenant(transactional_db: None, redis: Redis) -> Tenant:
    return Tenant.objects.create(code="t-rows", name="Academy")


def record_of(tenant: Tenant, topic: str) -> dict[str, Any] | None:
    record = conf.publisher().record(tenant.pk, topic)
    return json.loads(record.body) if record is not None else None


def announced(tenant: Tenant) -> Video:
    lecture = repositories_lectures.create_lecture(tenant.pk, {"title": "Lecture"})
    lesson = repositories_lectures.add_session(tenant.pk, lecture.pk, "Lesson")
    assert lesson is not None
    video_id = videos.announce(tenant.pk, lesson.pk, title="Video", source="uploads/videos/x", size=7)
    return Video.objects.get(pk=video_id)


def deeds_on_video(tenant: Tenant, video_id: int, held: list[Any]) -> list[Deed]:
    numbers = count(1)

    def claim() -> None:
        claimed = videos.claim(tenant.pk, video_id, lease_alive=False)
        if isinstance(claimed, ClaimedVideo):
            held.append(claimed)

    def with_held(deed: Callable[[ClaimedVideo], object]) -> Deed:
        return lambda: deed(held[-1]) if held else None

    return [
        lambda: videos.mark_uploaded(tenant.pk, video_id, 7),
        claim,
        with_held(lambda video: videos.finish(video, hls_path="videos/x/master.m3u8", duration=2.0)),
        with_held(lambda video: videos.fail(video, "code", "Why.")),
        with_held(videos.give_back),
        lambda: videos.cancel(tenant.pk, video_id),
        lambda: videos.retry(tenant.pk, video_id),
        lambda: videos.rename(tenant.pk, video_id, f"Title {next(numbers)}"),
        lambda: videos.delete(tenant.pk, video_id) if len(held) > 2 else None,
    ]


@pytest.mark.parametrize("seed", range(12))
def test_after_any_sequence_of_operations_the_record_of_a_video_agrees_with_its_row(tenant: Tenant, seed: int) -> None:
    """The video begins as an announced upload, which may be cancelled before its file arrives."""
    chance, video, held = Random(seed), announced(tenant), list[Any]()
    deeds = deeds_on_video(tenant, video.pk, held)
    for _ in range(STEPS):
        with suppress(JobStateError, AttemptSupersededError):
            chance.choice(deeds)()
        row = Video.objects.get(pk=video.pk)
        agree(repositories_video.state_of(row), record_of(tenant, f"video:{video.pk}"), known=bool(row.uploaded_at))


@pytest.mark.parametrize("seed", range(12))
def test_after_any_sequence_of_operations_the_record_of_a_job_agrees_with_its_row(tenant: Tenant, seed: int) -> None:
    chance, held = Random(seed), list[ClaimedJob]()
    job_id = jobs.submit(tenant_id=tenant.pk, job_type="test", payload={"password_hash": ""}, created_by=None)

    def claim() -> None:
        claimed = jobs.claim(tenant.pk, job_id, lease_alive=False)
        if isinstance(claimed, ClaimedJob):
            held.append(claimed)

    def with_held(deed: Callable[[ClaimedJob], object]) -> Deed:
        return lambda: deed(held[-1]) if held else None

    deeds: list[Deed] = [
        claim,
        with_held(lambda job: jobs.finish(job, {"rows": 1})),
        with_held(lambda job: jobs.fail(job, "code", "Why.")),
        with_held(jobs.give_back),
        lambda: jobs.cancel(tenant.pk, job_id),
        lambda: jobs.retry(tenant.pk, job_id),
    ]
    for _ in range(STEPS):
        with suppress(JobStateError, AttemptSupersededError, JobFailedError):
            chance.choice(deeds)()
        row = AIJob.objects.select_related("result").get(job_id=job_id)
        agree(repositories_ai.state_of(row), record_of(tenant, f"job:{job_id}"), known=True)


def agree(state: Any, record: dict[str, Any] | None, *, known: bool) -> None:
    if not known:
        assert record is None
    else:
        assert record is not None
        said = (record["attempt"], record["status"], record["data"], record["error"])
        assert said == (state.attempt, state.status, state.data, state.error or None)


def test_reading_a_video_or_a_job_publishes_its_state_if_the_feed_has_an_older_one(tenant: Tenant) -> None:
    video = announced(tenant)
    videos.mark_uploaded(tenant.pk, video.pk, 7)
    job_id = jobs.submit(tenant_id=tenant.pk, job_type="test", payload={}, created_by=None)
    for rows in (Video.objects.filter(pk=video.pk), AIJob.objects.filter(job_id=job_id)):
        rows.update(status="CANCELLED", finished_at=timezone.now())  # without publishing it
    videos.mend(Video.objects.get(pk=video.pk))
    jobs.mend(AIJob.objects.get(job_id=job_id))
    for topic in (f"video:{video.pk}", f"job:{job_id}"):
        record = record_of(tenant, topic)
        assert record is not None
        assert (record["status"], record["offset"] > 2) == ("CANCELLED", True), "the feed moved: everybody is told"


def test_reading_a_row_publishes_nothing_that_only_its_worker_may_publish(tenant: Tenant) -> None:
    job_id = jobs.submit(tenant_id=tenant.pk, job_type="test", payload={}, created_by=None)
    AIJob.objects.filter(job_id=job_id).update(status="PROCESSING")
    jobs.mend(AIJob.objects.get(job_id=job_id))
    record = record_of(tenant, f"job:{job_id}")
    assert record is not None
    assert record["status"] == "PENDING"
    assert conf.publisher().lease_seconds_left(tenant_id=tenant.pk, topic=f"job:{job_id}") == 0


def test_a_row_that_was_read_too_early_does_not_replace_a_newer_state(tenant: Tenant) -> None:
    job_id = jobs.submit(tenant_id=tenant.pk, job_type="test", payload={}, created_by=None)
    read_early = AIJob.objects.get(job_id=job_id)
    jobs.cancel(tenant.pk, job_id)
    jobs.mend(read_early)
    record = record_of(tenant, f"job:{job_id}")
    assert record is not None
    assert record["status"] == "CANCELLED"


def test_a_job_is_shown_and_created_while_neither_its_record_nor_its_message_can_be_written(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_given: object, **_named: object) -> None:
        raise RedisConnectionError("away")

    def times_out(_queue: str) -> int:
        raise OperationalError("canceling statement due to statement timeout")

    monkeypatch.setattr(Publisher, "mend", away)
    monkeypatch.setattr(dispatch, "release", times_out)
    with capture_logs() as logs:
        job_id = jobs.submit(tenant_id=tenant.pk, job_type="test", payload={}, created_by=None)
        jobs.mend(AIJob.objects.get(job_id=job_id))
    noted = [line["event"] for line in logs if line["event"] in {"release_left_to_workers", "feed_not_mended"}]
    assert noted == ["release_left_to_workers", "feed_not_mended"]
