"""Tests that the next `migrate` completes a migration that was interrupted."""

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection
from django.db.migrations.loader import MigrationLoader

from apps.core.models import Tenant
from apps.domains.ai.models import AIJob
from tests.db.test_indexes import test_each_index_exists_and_is_valid as check_index

SEVERAL = {"ai.0002_indexes", "video.0002_indexes", "students.0002_indexes"}
"""Migrations outside a transaction that have several operations. They have been released, so they stay as they are."""
OURS = ("core", "ai", "video", "students", "lectures", "messaging", "realtime")


def test_a_migration_outside_a_transaction_has_one_operation() -> None:
    migrations = MigrationLoader(None, ignore_no_migrations=True).disk_migrations
    several = {
        f"{app}.{name}"
        for (app, name), migration in migrations.items()
        if app in OURS and not migration.atomic and len(migration.operations) > 1
    }
    assert several <= SEVERAL


@pytest.fixture
def backlog(transactional_db: None) -> Iterator[list[int]]:
    """Yield the ids of two jobs of a version that had no turns, and so sent the message of each new job at once."""
    call_command("migrate", "ai", "0004", verbosity=0)
    tenant = Tenant.objects.create(code="academy", name="Academy")
    yield [AIJob.objects.create(tenant=tenant, job_type="test").pk for _ in range(2)]
    call_command("migrate", "ai", verbosity=0)


@pytest.mark.parametrize(("before", "index"), [("0004", "idx_aijob_unfinished"), ("0005", "idx_aijob_stored")])
def test_a_half_built_or_unrecorded_index_exists_in_the_end(backlog: list[int], before: str, index: str) -> None:
    with pytest.raises(IntegrityError), connection.cursor() as cursor:  # this leaves an INVALID index
        cursor.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {index} ON aijob (tenant_id)")
    call_command("migrate", "ai", verbosity=0)
    check_index(index)
    call_command("migrate", "ai", before, fake=True, verbosity=0)
    call_command("migrate", "ai", verbosity=0)
    check_index(index)
    assert not AIJob.objects.filter(pk__in=backlog, dispatched_at=None).exists()
