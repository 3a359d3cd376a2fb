"""Tests that the Excel import reports each finished chunk, even if they follow each other quickly."""

from uuid import uuid4

import orjson
from redis import Redis

from academy.domain.jobs import ClaimedJob
from apps.worker.ai_worker.excel_parsing import STEPS
from apps.worker.chunk_report import ChunkReport
from apps.worker.handlers import JobProgress
from realtime.publish import Publisher
from tests.realtime.twins import NEVER_DUE


def test_finished_chunks_are_reported_at_once_and_other_reports_are_limited(redis: Redis, tenant_id: int) -> None:
    publisher = Publisher(redis, pace=NEVER_DUE)
    job = ClaimedJob(tenant_id, uuid4(), "excel_parsing", 1, {})
    progress = JobProgress(job, STEPS, publisher=publisher)
    finished = ChunkReport(progress, "import")
    for chunk in range(1, 11):
        finished(200 * chunk, 2000)
        progress.report("import", 99)
    record = publisher.record(tenant_id, job.topic)
    assert record is not None
    assert record.offset == 10
    assert orjson.loads(record.body)["data"]["rows_done"] == 2000
    publisher.close()
