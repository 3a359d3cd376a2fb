"""Tests of the pauses after failed attempts: they last long enough for an outage, and delay no other job."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import Settings
from structlog.testing import capture_logs

from academy import jobs
from academy.adapters.db.django import repositories_turns
from academy.domain.jobs import ClaimedJob, JobFailedError
from apps.core.models import Tenant
from apps.domains.ai.models import AIJob
from apps.worker.dispatching import Dispatching
from apps.worker.handlers import JobProgress
from apps.worker.timing import Timing
from tests.worker.conftest import Bench


def fall(_job: ClaimedJob, _progress: JobProgress) -> dict[str, Any]:
    raise OSError("No space left on device")


def test_the_pauses_grow_to_minutes() -> None:
    timing = Timing.from_settings()
    assert [timing.pause_after(receives) for receives in (1, 2)] == [30, 300]


def test_a_job_in_its_pause_does_not_count_as_one_with_a_lost_message(bench: Bench) -> None:
    bench.knows(fall)
    job_id = bench.submit()
    bench.handle_next()
    AIJob.objects.filter(job_id=job_id).update(dispatched_at=Now() + timedelta(minutes=5))  # as after attempt 2
    dispatching = Dispatching(bench.queue, visibility_seconds=0.01)
    with capture_logs() as logs:
        for now in (0.0, 60.0, 120.0):
            dispatching.look(now)
    assert [line for line in logs if line["event"] == "message_sent_again"] == []


def test_a_job_in_its_pause_takes_no_slot_from_other_academies(bench: Bench, settings: Settings) -> None:
    settings.AI_WORKER_MAX_CONCURRENCY, settings.WORKER_RESERVED_SLOTS = 2, 0
    other = Tenant.objects.create(code="other", name="Other")
    job_ids = [submit(bench.tenant), submit(other), submit(other)]
    waits = AIJob.objects.filter(dispatched_at=None)
    assert [job.job_id for job in waits] == [job_ids[2]]
    bench.knows(fall)
    AIJob.objects.filter(job_id=job_ids[0]).update(status="PROCESSING")
    jobs.give_back(ClaimedJob(bench.tenant.pk, job_ids[0], "test", 1, {}), 300.0)
    assert not waits.all().exists()


def submit(tenant: Tenant) -> UUID:
    return jobs.submit(tenant_id=tenant.pk, job_type="test", payload={}, created_by=None)


def test_the_log_has_the_cause_and_the_row_has_the_sentence(bench: Bench) -> None:
    def refuse(_job: ClaimedJob, _progress: JobProgress) -> dict[str, Any]:
        raise JobFailedError("encoding_failed", "Save it as MP4.") from ValueError("moov atom not found")

    bench.knows(refuse)
    job_id = bench.submit()
    with capture_logs() as logs:
        bench.handle_next()
    (line,) = [line for line in logs if line["event"] == "job_failed"]
    assert line["cause"] == "moov atom not found"
    assert bench.job(job_id).error == {"code": "encoding_failed", "message": "Save it as MP4."}


@pytest.mark.parametrize("pause", [0.0, 300.0])
def test_the_row_says_when_the_next_attempt_begins(bench: Bench, pause: float) -> None:
    job_id = bench.submit()
    claimed = bench.store.claim(bench.tenant.pk, job_id, lease_alive=False)
    assert isinstance(claimed, ClaimedJob)
    jobs.give_back(claimed, pause)
    shows_at = bench.job(job_id).dispatched_at
    assert shows_at is not None
    assert pause - 60 < (shows_at - timezone.now()).total_seconds() < pause + 60
    (line,) = repositories_turns.lines_of(AIJob.objects.all(), most=1)
    assert (line.running, line.paused) == (1, 1 if pause else 0)
