"""Tests that a workbook is not left in the storage if its job cannot be created."""

from pathlib import Path
from unittest.mock import Mock

import pytest
from django.core.files.base import ContentFile
from django.db import DatabaseError
from pytest_django import Settings

from academy.imports import submit_import


def test_a_workbook_whose_job_cannot_be_created_is_deleted(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = {"BACKEND": "academy.adapters.storage.backends.FolderStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = {**settings.STORAGES, "default": local}
    stored: list[str] = []

    def fails(**job: object) -> None:
        stored.extend(path.name for path in tmp_path.rglob("*.xlsx"))
        raise DatabaseError("away")

    monkeypatch.setattr("academy.quotas.check_before", Mock())
    monkeypatch.setattr("academy.jobs.submit", fails)
    with pytest.raises(DatabaseError):
        submit_import(
            tenant_id=7, created_by=1, file=ContentFile(b"rows", "list.xlsx"), lecture_id=None, hash_password=None
        )
    assert len(stored) == 1
    assert list(tmp_path.rglob("*.xlsx")) == []
