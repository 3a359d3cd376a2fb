"""Tests that `AcademySource` gives the push engine the records of jobs and videos, rebuilt from the database."""

import time
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import orjson
import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from redis import Redis

from academy import jobs
from academy.adapters.db.django.realtime_source import AcademySource
from academy.domain.jobs import ClaimedJob, job_topic
from apps.core.models import Tenant
from apps.domains.ai.models import AIJob, AIJobResult
from apps.domains.lectures.models import Lecture, Session
from apps.support.video.models import Video
from realtime import conf
from realtime.models import OutboxEntry

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis")]


@pytest.fixture
def tenant() -> Tenant:
    return Tenant.objects.create(code=f"t-{uuid4()}", name="Academy")


@pytest.fixture
def other() -> Tenant:
    return Tenant.objects.create(code=f"t-{uuid4()}", name="Other")


def make_job(tenant: Tenant, status: str = "PENDING", **fields: object) -> AIJob:
    return AIJob.objects.create(tenant=tenant, job_type="test", status=status, **fields)


def make_video(tenant: Tenant, status: str = "PENDING", **fields: object) -> Video:
    lecture = Lecture.objects.create(tenant=tenant, title="Lecture")
    session = Session.objects.create(tenant=tenant, lecture=lecture, title="1")
    given = {"uploaded_at": timezone.now(), **fields}
    return Video.objects.create(tenant=tenant, session=session, title="Video", status=status, **given)


def claimed(tenant: Tenant, payload: dict[str, object]) -> ClaimedJob:
    job_id = jobs.submit(tenant_id=tenant.pk, job_type="test", payload=payload, created_by=None)
    found = jobs.claim(tenant.pk, job_id, lease_alive=False)
    assert isinstance(found, ClaimedJob)
    return found


@pytest.mark.parametrize(
    "end",
    [
        lambda job: jobs.finish(job, {"created": 3}),
        lambda job: jobs.finish(job, {"rows": ["x" * 100] * 200}),
        lambda job: jobs.fail(job, "damaged", "The file is damaged."),
        lambda job: jobs.cancel(job.tenant_id, job.job_id),
        jobs.give_back,
    ],
    ids=["done", "done with a large result", "failed", "cancelled", "given back"],
)
def test_a_job_is_rebuilt_as_it_was_published(
    redis: Redis, tenant: Tenant, end: Callable[[ClaimedJob], object]
) -> None:
    job = claimed(tenant, {"file_name": "명단.xlsx", "password_hash": "secret"})
    end(job)
    published = conf.publisher().record(tenant.pk, job.topic)
    (state,) = AcademySource().states([job.topic]).values()
    assert published is not None
    fields = orjson.loads(published.body)
    told = {"attempt": state.attempt, "status": state.status, "data": state.data, "error": state.error}
    assert told == {name: fields[name] for name in told}
    assert abs(state.published_at - fields["published_at"]) < 60
    assert state.tenant_id == tenant.pk


def test_the_result_of_an_earlier_attempt_is_not_in_the_next_ones_record(tenant: Tenant) -> None:
    job = make_job(tenant, "PROCESSING", attempt=2)
    AIJobResult.objects.create(job=job, result={"created": 1})
    (state,) = AcademySource().states([job_topic(job.job_id)]).values()
    assert "result" not in state.data


def test_the_record_of_a_video_contains_its_address(tenant: Tenant) -> None:
    ready = make_video(tenant, "READY", hls_path="hls/1/master.m3u8", duration=61.5)
    failed = make_video(tenant, "FAILED", attempt=2, error={"code": "no_video", "message": "There is no video in it."})
    states = AcademySource().states(
        [f"video:{ready.pk}", f"video:{failed.pk}", "video:0", "video:99999999999999999999"]
    )
    assert set(states) == {f"video:{ready.pk}", f"video:{failed.pk}"}
    assert states[f"video:{ready.pk}"].data == {
        "job_type": "video_encoding",
        "title": "Video",
        "hls_path": "hls/1/master.m3u8",
        "duration": 61.5,
    }
    assert states[f"video:{failed.pk}"].error == failed.error


def test_a_video_whose_file_has_not_arrived_has_no_record(tenant: Tenant) -> None:
    video = make_video(tenant, uploaded_at=None)
    assert AcademySource().states([f"video:{video.pk}"]) == {}
    assert list(AcademySource().unfinished([tenant.pk])) == []


def test_unfinished_topics_are_those_of_the_given_tenants_in_order_of_change(tenant: Tenant, other: Tenant) -> None:
    first, video, last = make_job(tenant), make_video(tenant, "PROCESSING"), make_job(tenant, "PROCESSING")
    make_job(tenant, "DONE")
    make_job(other)
    topics = [state.topic for state in AcademySource().unfinished([tenant.pk])]
    assert topics == [job_topic(first.job_id), f"video:{video.pk}", job_topic(last.job_id)]


def test_ended_topics_are_those_that_ended_since_a_given_time(tenant: Tenant) -> None:
    now = timezone.now()
    recent = make_job(tenant, "DONE", finished_at=now)
    make_job(tenant, "FAILED", finished_at=now - timedelta(hours=25), error={"code": "x", "message": "y"})
    video = make_video(tenant, "READY", finished_at=now)
    make_job(tenant)
    topics = {state.topic for state in AcademySource().ended([tenant.pk], time.time() - 24 * 3600)}
    assert topics == {job_topic(recent.job_id), f"video:{video.pk}"}


def test_unknown_topic_names_are_left_out(tenant: Tenant) -> None:
    job = make_job(tenant)
    topics = ["job:no-uuid", "mail:7", "video:seven", "video:-1", job_topic(uuid4()), job_topic(job.job_id)]
    assert set(AcademySource().states(topics)) == {job_topic(job.job_id)}


def test_each_query_takes_two_statements_for_any_number_of_topics(
    tenant: Tenant, other: Tenant, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    topics = [job_topic(make_job(owner).job_id) for owner in (tenant, other) for _ in range(20)]
    source = AcademySource()
    with django_assert_num_queries(2):
        assert len(source.states([*topics, "video:1"])) == 40
    with django_assert_num_queries(2):
        assert len(list(source.unfinished([tenant.pk, other.pk]))) == 40
    with django_assert_num_queries(1):
        assert set(source.tenants()) >= {tenant.pk, other.pk}
    with django_assert_num_queries(1):
        assert source.tenant_id(tenant.code) == tenant.pk
    assert source.tenant_id("nobody") is None


def test_an_emptied_redis_is_rebuilt_from_the_database_by_its_codes(
    redis: Redis, tenant: Tenant, other: Tenant
) -> None:
    for owner in (tenant, other):
        make_job(owner, "PROCESSING", attempt=2)
        make_job(owner, "DONE", finished_at=timezone.now())
    assert not OutboxEntry.objects.exists()
    call_command("realtime_rebuild", tenant=tenant.code)
    assert redis.zcard(f"tenant:{tenant.pk}:feed:index") == 1
    assert len(redis.keys(f"tenant:{tenant.pk}:*:status")) == 2
    assert redis.keys(f"tenant:{other.pk}:*") == []
