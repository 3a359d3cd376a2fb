"""Tests of the product's part of the figures: it counts jobs by academy and queue in a fixed number of queries."""

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings
from redis import Redis

from academy import figures
from apps.core.models import Tenant
from apps.domains.ai.models import AIJob
from apps.domains.lectures.models import Lecture, Session
from apps.support.video.models import Video
from embedded.group import Servers
from realtime import conf
from realtime.publish import Publisher
from realtime.records.keys import SYSTEM_TENANT

pytestmark = pytest.mark.django_db
STATEMENTS = 7


@pytest.fixture(autouse=True)
def _queues_are_away(redis: Redis, servers: Servers, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "_depths", dict)
    monkeypatch.setattr(conf, "publisher", lambda: Publisher(redis))
    monkeypatch.setattr(conf, "redis", lambda: redis)


def academy() -> Tenant:
    return Tenant.objects.create(code=f"f-{uuid4()}"[:40], name="A")


def long_ago() -> datetime:
    return timezone.now() - timedelta(minutes=5)


def job(tenant: Tenant, status: str, job_type: str = "excel_parsing") -> AIJob:
    made = AIJob.objects.create(tenant=tenant, job_type=job_type, status=status)
    AIJob.objects.filter(pk=made.pk).update(updated_at=long_ago())
    return made


def video(tenant: Tenant, status: str) -> Video:
    lecture = Lecture.objects.create(tenant=tenant, title="L")
    session = Session.objects.create(tenant=tenant, lecture=lecture, title="1", order=1)
    made = Video.objects.create(tenant=tenant, session=session, title="V", status=status, uploaded_at=long_ago())
    Video.objects.filter(pk=made.pk).update(updated_at=long_ago())
    return made


def test_jobs_are_counted_by_academy_and_by_queue() -> None:
    first, second = academy(), academy()
    job(first, "PENDING"), job(first, "PENDING", "bulk_message"), job(first, "DONE"), video(second, "PENDING")
    found = figures.figures([])
    assert (found[first.pk]["code"], found[first.pk]["name"]) == (first.code, "A")
    assert (found[first.pk]["waiting"], found[first.pk]["running"]) == (2, 0)
    assert found[first.pk]["queues"]["messaging"] == {"waiting": 1, "running": 0}
    assert found[second.pk]["queues"]["video"] == {"waiting": 1, "running": 0}
    assert 290 <= found[first.pk]["oldest_waiting"] <= 400
    of_all = {queue["queue"]: queue for queue in found[SYSTEM_TENANT]["queues"]}
    assert [of_all[name]["waiting"] for name in ("ai", "video", "messaging")] == [1, 1, 1]
    assert of_all["ai"]["depth"] is None  # the queue did not answer


def test_an_academy_that_is_watched_is_there_even_without_jobs() -> None:
    quiet = academy()
    assert figures.figures([quiet.pk])[quiet.pk]["waiting"] == 0
    assert quiet.pk not in figures.figures([])


def test_a_running_job_is_stalled_if_its_worker_holds_no_lease(redis: Redis) -> None:
    tenant = academy()
    alive, dead, just_begun = job(tenant, "PROCESSING"), job(tenant, "PROCESSING"), job(tenant, "PROCESSING")
    AIJob.objects.filter(pk=just_begun.pk).update(updated_at=timezone.now())
    topic = f"job:{alive.job_id}"
    Publisher(redis).status(tenant_id=tenant.pk, topic=topic, attempt=1, status="PROCESSING")
    found = figures.figures([])
    assert (found[tenant.pk]["running"], found[tenant.pk]["stalled"]) == (3, 1)
    assert found[SYSTEM_TENANT]["stalled_jobs"] == [{"tenant": tenant.code, "topic": f"job:{dead.job_id}"}]


def test_the_number_of_statements_does_not_grow(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    tenants = [academy() for _ in range(12)]
    for tenant in tenants:
        job(tenant, "PENDING"), job(tenant, "PROCESSING"), video(tenant, "PENDING")
    for watched in ([], [tenant.pk for tenant in tenants]):
        with django_assert_num_queries(STATEMENTS):
            figures.figures(watched)
