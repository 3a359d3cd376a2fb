"""Between two tests that commit, all tables are emptied, but for those that `migrate` fills."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection

from apps.core.models import Tenant
from harness.flush import KEPT, SMALL_BYTES, empty_tables
from harness.system import eventually_now
from realtime.models import OutboxEntry

pytestmark = pytest.mark.django_db(transaction=True)


def rows_of(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(table)}")  # noqa: S608 - the name of a table
        (rows,) = cursor.fetchone()
    return int(rows)


def test_small_and_large_tables_are_emptied_and_content_types_and_permissions_stay() -> None:
    Tenant.objects.create(code="t", name="Academy")
    payload = {"text": "가" * 500}
    OutboxEntry.objects.bulk_create(
        OutboxEntry(kind="record", tenant_id=1, payload=payload) for _ in range(SMALL_BYTES // 500)
    )
    kept = ContentType.objects.count(), Permission.objects.count()
    empty_tables()
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    assert {table for table in {*tables} - KEPT if rows_of(table)} == set()
    assert (ContentType.objects.count(), Permission.objects.count()) == kept
    assert min(kept) > 0


def test_rows_of_a_transaction_that_still_writes_are_not_left_behind() -> None:
    """The writing transaction commits as soon as `empty_tables` waits for it."""
    parameters = connection.get_connection_params()
    waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND %s = ANY (pg_blocking_pids(pid))"

    with psycopg.connect(**parameters) as writer, psycopg.connect(**parameters, autocommit=True) as looker:
        writer.execute("INSERT INTO tenant (code, name, active, created_at) VALUES ('t', 'Academy', true, now())")

        def commit_when_waited_for() -> None:
            pid = writer.info.backend_pid
            eventually_now(lambda: looker.execute(waits, (pid,)).fetchone() is not None, "a wait for the writer")
            writer.commit()

        with ThreadPoolExecutor(1) as pool:
            committed = pool.submit(commit_when_waited_for)
            empty_tables()
            committed.result()
    assert rows_of("tenant") == 0
