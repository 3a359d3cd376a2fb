"""The indexes exist with the right names and columns, are valid, and are used by their queries."""

from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection

from academy.adapters.db.django.repositories_ai import find_job, jobs_of
from apps.domains.ai.models import AIJob
from realtime.models import OutboxEntry
from realtime.outbox.outbox import unsent
from realtime.outbox.revoke import REVOCATION, still_valid

INDEXES = {
    "idx_student_tenant_name_phone": ("students", "UNIQUE", "(tenant_id, name, parent_phone)", "deleted_at IS NULL"),
    "idx_student_tenant_name_phone_deleted": (
        "students",
        "",
        "(tenant_id, name, parent_phone)",
        "deleted_at IS NOT NULL",
    ),
    "idx_aijob_tenant_status": ("aijob", "", "(tenant_id, status)", ""),
    "idx_aijob_tenant_job_id": ("aijob", "", "(tenant_id, job_id)", ""),
    "idx_aijob_unfinished": ("aijob", "", "(tenant_id, id)", "PENDING"),
    "idx_aijob_stored": ("aijob", "", "(tenant_id)", "stored_bytes > 0"),
    "idx_video_unfinished": ("video", "", "(tenant_id, id)", "PENDING"),
    "idx_video_tenant_status": ("video", "", "(tenant_id, status)", ""),
    "idx_video_announced": ("video", "", "(created_at)", "uploaded_at IS NULL"),
    "idx_video_files_due": ("video", "", "(files_due_at)", "files_due_at IS NOT NULL"),
    "idx_video_replaces": ("video", "", "(replaces_id)", "replaces_id IS NOT NULL"),
    "idx_login_session_expires": ("login_session", "", "(expires_at)", ""),
    "idx_video_session_status": ("video", "", "(session_id, status)", ""),
    "idx_outbox_revocations": ("realtime_outbox", "", "(sent_at)", "revocation"),
    "idx_outbox_due": ("realtime_outbox", "", "COALESCE(next_try_at, created_at)", "failed_at IS NULL"),
    "idx_outbox_failed": ("realtime_outbox", "", "(failed_at)", "failed_at IS NOT NULL"),
}
JOBS, TENANTS = 100_000, 50


@pytest.mark.django_db
@pytest.mark.parametrize("name", INDEXES)
def test_each_index_exists_and_is_valid(name: str) -> None:
    table, unique, columns, condition = INDEXES[name]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexdef, indisvalid FROM pg_indexes JOIN pg_index ON indexrelid = indexname::regclass"
            " WHERE indexname = %s AND tablename = %s",
            [name, table],
        )
        definition, valid = cursor.fetchone()
    assert valid
    assert columns in definition
    assert condition in definition
    assert ("UNIQUE" in definition) == bool(unique)


@pytest.fixture
def many_jobs(transactional_db: None) -> tuple[int, UUID]:
    """Insert many tenants and jobs, and analyse the table. Return the ids of a tenant and of one of its jobs."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tenant (code, name, active, created_at) SELECT 't' || n, '', true, now()"
            " FROM generate_series(1, %s) n RETURNING id",
            [TENANTS],
        )
        first = cursor.fetchone()[0]
        cursor.execute(
            "INSERT INTO aijob (job_id, tenant_id, job_type, status, attempt, payload, created_at, updated_at)"
            " SELECT gen_random_uuid(), %s + n %% %s, 'x', CASE WHEN n %% 100 < 98 THEN 'DONE' ELSE 'PENDING' END, 1,"
            " '{}', now(), now() FROM generate_series(1, %s) n",
            [first, TENANTS, JOBS],
        )
        cursor.execute("ANALYZE aijob")
    job = AIJob.objects.filter(tenant_id=first).order_by("id")[0]
    return first, job.job_id


def test_the_queries_for_a_job_and_for_unfinished_jobs_use_an_index(many_jobs: tuple[int, UUID]) -> None:
    tenant_id, job_id = many_jobs
    by_status = jobs_of(tenant_id, status="DONE").explain()
    unfinished = jobs_of(tenant_id, status="PENDING").explain()
    by_id = jobs_of(tenant_id).filter(job_id=job_id).explain()
    assert "idx_aijob_tenant_status" in by_status, by_status
    assert "idx_aijob_unfinished" in unfinished, unfinished
    assert "idx_aijob_tenant_job_id" in by_id or "aijob_job_id" in by_id, by_id
    assert find_job(tenant_id, job_id) is not None


@pytest.mark.usefixtures("transactional_db")
@pytest.mark.parametrize("records_sent", [True, False], ids=["records sent", "Redis away"])
def test_the_query_for_marks_uses_an_index_even_in_a_large_outbox(*, records_sent: bool) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO realtime_outbox (kind, tenant_id, payload, created_at, sent_at)"
            " SELECT CASE WHEN n %% 1000 = 0 THEN 'revocation' ELSE 'record' END, 1, '{}', now(),"
            " CASE WHEN (n %% 1000 = 0 AND n %% 3000 > 0) OR %s THEN now() END FROM generate_series(1, %s) n",
            [records_sent, JOBS],
        )
        cursor.execute("ANALYZE realtime_outbox")
    assert "idx_outbox_revocations" in still_valid().explain()
    # If few rows are unsent, the index of all unsent rows is just as good.
    good = {"idx_outbox_revocations", "idx_outbox_unsent"} if records_sent else {"idx_outbox_revocations"}
    for marks in (unsent(REVOCATION), unsent(REVOCATION).order_by("id")[:200]):
        plan = marks.explain()
        assert any(name in plan for name in good), plan


@pytest.mark.usefixtures("transactional_db")
def test_the_next_migration_builds_an_index_whose_creation_was_interrupted() -> None:
    OutboxEntry.objects.bulk_create(OutboxEntry(kind="x", tenant_id=1, payload={}) for _ in range(2))
    call_command("migrate", "realtime", "0001", verbosity=0)
    try:
        with pytest.raises(IntegrityError), connection.cursor() as cursor:  # this leaves an INVALID index
            cursor.execute("CREATE UNIQUE INDEX CONCURRENTLY idx_outbox_revocations ON realtime_outbox (kind)")
    finally:
        call_command("migrate", "realtime", verbosity=0)
    test_each_index_exists_and_is_valid("idx_outbox_revocations")
    call_command("migrate", "realtime", "0001", fake=True, verbosity=0)  # as if the migration was not recorded
    call_command("migrate", "realtime", "0002", verbosity=0)
    call_command("migrate", "realtime", fake=True, verbosity=0)  # the later indexes exist already
    test_each_index_exists_and_is_valid("idx_outbox_revocations")
