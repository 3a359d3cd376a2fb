"""Tests that no migration locks a table while it rewrites rows."""

from datetime import timedelta
from importlib import import_module
from pathlib import Path
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations import RunPython
from django.db.migrations.loader import MigrationLoader
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from academy.adapters.db.django.repositories_core import create_account, create_tenant
from academy.domain.roles import Role
from apps.core.models import LoginSession

ROOT = Path(__file__).parents[2]


def test_no_migration_changes_tables_and_rows_in_one_transaction() -> None:
    for (label, name), migration in MigrationLoader(connection=None).disk_migrations.items():
        if not Path(apps.get_app_config(label).path).is_relative_to(ROOT / "apps"):
            continue
        of_rows = [operation for operation in migration.operations if isinstance(operation, RunPython)]
        if of_rows:
            assert len(of_rows) == len(migration.operations), f"{label}.{name} changes tables, too."
            assert not migration.atomic, f"{label}.{name} changes its rows in one transaction."


@pytest.mark.django_db(transaction=True)
def test_older_sessions_get_the_time_of_their_last_rotation_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    migration = import_module("apps.core.migrations.0005_session_times")
    monkeypatch.setattr(migration, "BATCH", 2)
    tenant = create_tenant("hanbit", "Hanbit")
    assert tenant is not None
    user, now = create_account(tenant, "kim", "Kim", Role.OWNER, "!"), timezone.now()
    rotated = [now - timedelta(hours=hours) for hours in (5, 4, 3, 2, 1)] + [now + timedelta(hours=1)]
    made = [
        LoginSession.objects.create(
            user=user, token_id=uuid4(), rotated_at=at, created_at=now, expires_at=now + timedelta(days=1)
        )
        for at in rotated
    ]
    for _ in range(2):
        with CaptureQueriesContext(
            connection,
        ) as statements:
            migration.take_last_rotation(apps, None)
        assert sum(statement["sql"].startswith("UPDATE") for statement in statements) == 3
    for session in made:
        session.refresh_from_db()
    assert [session.created_at for session in made] == [*rotated[:5], now]
    assert [session.last_used_at for session in made[:5]] == rotated[:5]
