"""Tests of progress that a worker of an older version wrote.

Only the job's academy can read it. A poll reads it without SQL.
"""

from collections.abc import Callable
from uuid import uuid4

import orjson
import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings
from redis import Redis

from academy.adapters.cache.redis_progress_adapter import RedisProgressAdapter
from academy.domain.roles import Role
from apps.core.models import Tenant, TenantMembership, User
from apps.core.tokens import Caller, access_token
from apps.domains.ai.models import AIJob
from realtime import conf

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis")]


@pytest.fixture(autouse=True)
def old_keys_are_read(settings: Settings) -> None:
    settings.REALTIME_LEGACY_KEYS = "read"


def owner_of(tenant: Tenant) -> Client:
    user = User.objects.create(tenant=tenant, username=f"owner-{uuid4()}")
    TenantMembership.objects.create(tenant=tenant, user=user, role=Role.OWNER)
    caller = Caller(user.pk, uuid4(), tenant.pk, tenant.code, Role.OWNER, "somebody", must_change_password=False)
    return Client(headers={"Authorization": f"Bearer {access_token(caller)}", "Host": "localhost"})


@pytest.fixture
def academies() -> tuple[Tenant, Tenant]:
    made = [Tenant.objects.create(code=f"t-{uuid4()}", name="Academy") for _ in range(2)]
    return made[0], made[1]


def test_a_poll_shows_an_old_workers_progress_only_to_its_owner_without_a_query(
    redis: Redis, academies: tuple[Tenant, Tenant], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    mine, theirs = academies
    job = AIJob.objects.create(tenant=mine, job_type="test", status="PROCESSING")
    me, they = owner_of(mine), owner_of(theirs)
    redis.set(f"job:{job.job_id}:progress", orjson.dumps({"step": "parse", "percent": 30}))
    path = f"/api/v1/jobs/{job.job_id}/"
    with django_assert_num_queries(0):
        assert me.get(f"{path}progress/").json() == {"status": "UNKNOWN"}  # no record names its tenant yet
    assert me.get(path).status_code == 200  # the detail view restores the status from the database
    with django_assert_num_queries(0):
        told = me.get(f"{path}progress/").json()
        assert they.get(f"{path}progress/").json() == {"status": "UNKNOWN"}
    assert they.get(path).status_code == 404
    assert (told["status"], told["progress"]["percent"]) == ("PROCESSING", 30)
    assert redis.keys(f"tenant:{theirs.pk}:*") == []


def test_the_adapter_reads_what_an_old_worker_wrote_with_the_same_rule(
    redis: Redis, academies: tuple[Tenant, Tenant]
) -> None:
    mine, theirs = academies
    job_id = uuid4()
    redis.set(f"job:{job_id}:progress", orjson.dumps({"step": "parse", "percent": 30}))
    conf.publisher().status(tenant_id=mine.pk, topic=f"job:{job_id}", attempt=1, status="PENDING")
    adapter = RedisProgressAdapter()
    assert adapter.get_progress(theirs.pk, job_id) is None
    found = adapter.get_progress(mine.pk, job_id)
    assert found is not None
    assert (found["percent"], found["step"]["name"]) == (30, "parse")


def test_a_new_worker_takes_over_where_the_old_one_was(redis: Redis, academies: tuple[Tenant, Tenant]) -> None:
    mine, _ = academies
    job_id = uuid4()
    redis.set(f"job:{job_id}:progress", orjson.dumps({"percent": 30}))
    conf.publisher().status(tenant_id=mine.pk, topic=f"job:{job_id}", attempt=1, status="PENDING")
    adapter: Callable[[], RedisProgressAdapter] = RedisProgressAdapter
    adapter().get_progress(mine.pk, job_id)
    adapter().record_progress(mine.pk, job_id, "parse", {"percent": 5, "attempt": 2})
    found = adapter().get_progress(mine.pk, job_id)
    assert found is not None
    assert found["percent"] == 5
