"""Tests that the row of a job or a video is written together with its record, and only by `PublishedRows`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.utils import timezone

from academy import jobs
from academy.adapters.db.django import repositories_ai, repositories_video
from academy.adapters.db.django.published_rows import State
from academy.domain.jobs import AttemptSupersededError
from apps.core.models import Tenant
from apps.domains.ai.models import AIJob, AIJobResult
from apps.support.video.models import Video
from realtime.models import OutboxEntry

PROJECT = Path(__file__).resolve().parents[2]
REPOSITORIES = "academy/adapters/db/django/repositories"
THE_WRITER = "academy/adapters/db/django/published_rows.py"
OF_NO_STATE = {"pk", "tenant_id", "job_id", "updated_at", "payload"}
"""Columns that are not checked: ids, `updated_at` (it only orders records), and `payload`. Of the payload, a record
contains only the file name, which never changes."""
PUBLISHED = {"status", "attempt", "error", "finished_at", "job_type", "result"} | {
    "title", "hls_path", "duration", "uploaded_at", "deleted_at", "replaces_id", "replaced_by_id",
}  # fmt: skip
TABLES = "aijob|aijob_result|video"
WRITES = {
    f"{prefix}{name}" for prefix in ("", "a") for name in ("update", "save", "create", "bulk_create", "bulk_update")
}
WRITES |= {f"{prefix}{name}" for prefix in ("", "a") for name in ("get_or_create", "update_or_create")}
OTHER_ROWS = {
    f"{REPOSITORIES}_ai.py: AIJobResult.objects.update_or_create",  # called by the writer
    f"{REPOSITORIES}_core.py: session.save",
    f"{REPOSITORIES}_lectures.py: Lecture.objects.create",
    f"{REPOSITORIES}_lectures.py: rows_of(tenant_id, Enrollment).bulk_create",
    f"{REPOSITORIES}_lectures.py: Session.objects.create",
    f"{REPOSITORIES}_lectures.py: rows_of(tenant_id, Lecture).filter(pk=lecture_id).update",
    f"{REPOSITORIES}_lectures.py: rows_of(tenant_id, Session).filter(pk=session_id).update",
    f"{REPOSITORIES}_messages.py: claimed.update",
    f"{REPOSITORIES}_messages.py: message.save",
    f"{REPOSITORIES}_messages.py: rows_of(tenant_id, Message).bulk_create",
    f"{REPOSITORIES}_messages.py: messages_of(job.tenant_id, job.job_id, MessageStatus.CLAIMED).update",
    f"{REPOSITORIES}_students.py: student.save",
    "apps/core/models.py: user.save",
    "realtime/outbox/claims.py: _claimed(entry).update",
    "realtime/outbox/claims.py: rows.order_by().update",
}
"""Calls that the test finds but allows. The first one is part of a write by `PublishedRows`. The others write other
tables, but they write a column that is named like a published one, or name no columns."""
FILES = (": default_storage.save", ": book.save")
LITERALS = (ast.List, ast.Tuple, ast.Set, ast.Dict)


def product() -> Iterator[tuple[str, ast.Module]]:
    for folder in ("academy", "apps", "config", "realtime"):
        for path in sorted((PROJECT / folder).rglob("*.py")):
            name = path.relative_to(PROJECT).as_posix()
            if "/migrations/" not in name and name != THE_WRITER:
                yield name, ast.parse(path.read_text(encoding="utf-8"))


def columns_of(call: ast.Call) -> set[str] | None:
    """Return the columns that a call names; None if it names not all of them.

    `save` names its columns only with `update_fields`, and `bulk_create` never does. A variable or `**` names none.
    """
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    if method.endswith("save") or "update_fields" in named:
        fields = named.get("update_fields")
        return strings_of(fields) if fields is not None else None
    lists: list[ast.expr] = []
    if method.endswith("bulk_update"):
        lists = [*call.args[1:], *(named[name] for name in ("fields",) if name in named)]
    elif method.endswith("or_create"):
        lists = [*call.args, *(named[name] for name in ("defaults", "create_defaults") if name in named)]
    if None in named or method.endswith("bulk_create") or not all(isinstance(node, LITERALS) for node in lists):
        return None
    return set(filter(None, named)) | strings_of(*lists, *named.values())


def strings_of(*nodes: ast.AST) -> set[str]:
    found = (node for root in nodes for node in ast.walk(root))
    return {node.value for node in found if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def writers_of_published_columns(name: str, module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES:
            columns = columns_of(node)
            if columns is None or columns & PUBLISHED:
                yield f"{name}: {ast.unparse(node.func)}"
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from (f"{name}: {sql}" for sql in published_sql(node.value))


def published_sql(text: str) -> Iterator[str]:
    for match in re.finditer(rf'\b(?:INSERT INTO|MERGE INTO|UPDATE)\s+"?(?:{TABLES})"?(?=\s|$)', text, re.IGNORECASE):
        changed = text[match.end() :].partition(" WHERE ")[0]
        if not match[0].upper().startswith("UPDATE") or any(
            re.search(rf"\b{column}\b", changed) for column in PUBLISHED
        ):
            yield match[0]


def test_only_one_function_writes_the_columns_that_a_record_contains() -> None:
    found = {writer for name, module in product() for writer in writers_of_published_columns(name, module)}
    assert {writer for writer in found if not writer.endswith(FILES)} == OTHER_ROWS


@pytest.mark.parametrize(
    "text",
    [
        "AIJob.objects.filter(pk=1).update(status='DONE')",
        "Video.objects.create(title='Video')",
        "video.save(update_fields=['attempt', 'updated_at'])",
        "job.save()",
        "rows_of(1, Video).update(**changes)",
        "Video.objects.bulk_create(videos)",
        "Video.objects.bulk_update(videos, ['status'])",
        "Video.objects.bulk_update(videos, fields)",
        "Video.objects.update_or_create(pk=1, defaults=changes)",
        "Video.objects.get_or_create({'title': 'Video'}, pk=1)",
        "cursor.execute('UPDATE aijob SET attempt = 2 WHERE id = 1')",
        "cursor.execute('INSERT INTO video (title) VALUES (1)')",
    ],
)
def test_code_that_writes_a_published_column_is_found(text: str) -> None:
    assert list(writers_of_published_columns("a.py", ast.parse(text)))


class ReadRecorder:
    """A row that remembers which of its columns were read."""

    def __init__(self, row: Any) -> None:
        self.row, self.columns = row, set[str]()

    def __getattr__(self, name: str) -> Any:
        self.columns.add(name)
        return getattr(self.row, name)


def test_the_list_of_published_columns_is_complete() -> None:
    fields: dict[str, Any] = {"tenant_id": 1, "finished_at": timezone.now()}
    done = AIJob(job_type="test", status="DONE", **fields)
    AIJobResult(job=done, result={})
    read: set[str] = set()
    for state_of, row in (
        (repositories_ai.state_of, done),
        (repositories_video.state_of, Video(pk=1, status="READY", **fields)),
        (repositories_video.state_of, Video(pk=1, status="CANCELLED", deleted_at=timezone.now(), **fields)),
    ):
        recorder: Any = ReadRecorder(row)
        state_of(recorder)
        read |= recorder.columns
    assert read - OF_NO_STATE <= PUBLISHED


@pytest.fixture
def job(db: None) -> AIJob:
    tenant = Tenant.objects.create(code=f"t-{uuid4()}", name="Academy")
    return AIJob.objects.create(tenant=tenant, job_type="test")


def test_a_row_in_another_state_is_not_changed(job: AIJob) -> None:
    rows = AIJob.objects.filter(pk=job.pk)
    with transaction.atomic(), pytest.raises(AttemptSupersededError):
        repositories_ai.published_jobs.write(rows, State(2, "PROCESSING"), status="DONE")
    assert (rows.get().status, OutboxEntry.objects.count()) == ("PENDING", 0)


@pytest.mark.parametrize(
    ("known", "changes"),
    [
        (State(2, "PROCESSING"), {"status": "PENDING"}),
        (State(2, "PENDING"), {"attempt": 1}),
        (State(1, "FAILED"), {"status": "PENDING"}),
        (State(1, "CANCELLED"), {"status": "DONE"}),
    ],
)
def test_a_step_whose_record_redis_would_refuse_raises_an_error(
    job: AIJob, known: State, changes: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="cannot come into"):
        repositories_ai.published_jobs.write(AIJob.objects.filter(pk=job.pk), known, **changes)


def test_a_rollback_undoes_both_the_row_and_the_record(job: AIJob) -> None:
    with transaction.atomic():
        jobs.cancel(job.tenant_id, job.job_id)
        assert OutboxEntry.objects.filter(kind="record").count() == 1
        transaction.set_rollback(True)
    job.refresh_from_db()
    assert (job.status, OutboxEntry.objects.count()) == ("PENDING", 0)
