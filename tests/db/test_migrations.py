"""Tests that the migrations describe the models."""

import pytest
from django.core.management import call_command


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    """In a project that uses the engine, `makemigrations` would write a missing migration into the engine's package."""
    call_command("makemigrations", check=True, dry_run=True)  # exits with an error if it would write one
