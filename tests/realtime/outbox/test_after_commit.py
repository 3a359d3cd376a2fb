"""Tests that errors in hooks after a commit are never raised, because the transaction is committed."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from django.db import connection, transaction
from redis import Redis
from structlog.testing import capture_logs

from realtime import conf
from realtime.models import OutboxEntry
from realtime.outbox import publish_status_on_commit, send_on_commit
from realtime.outbox.after_commit import run_after_commit
from realtime.outbox.revoke import REVOCATION, revoke_on_commit

pytestmark = pytest.mark.django_db(transaction=True)
PROJECT = Path(__file__).resolve().parents[3]


def fails() -> None:
    raise RuntimeError("anything")


def loses_its_link() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
    cut_link()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def cut_link() -> None:
    """End the link to the database from outside, as a server or a proxy that shuts down does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    ends = connection.copy()
    with ends.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    ends.close()


@pytest.mark.parametrize("hook", [fails, partial(fails), loses_its_link], ids=["error", "partial", "lost link"])
def test_a_hook_that_fails_is_logged_and_later_hooks_run(hook: Callable[[], None]) -> None:
    seen: list[int] = []

    def counts_rows() -> None:
        seen.append(OutboxEntry.objects.count())

    with capture_logs() as logs, transaction.atomic():
        run_after_commit(hook)
        run_after_commit(counts_rows)
    assert seen == [0]
    assert [line["event"] for line in logs] == ["after_commit_failed"]


def test_a_link_lost_between_the_commit_and_the_note_raises_no_error(
    redis: Redis, forget_clients: Callable[[], None], tenant_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = conf.publisher()
    publish = publisher.publish

    def publish_and_lose(*record: object) -> object:
        answer = publish(*record)  # type: ignore[arg-type]
        cut_link()
        return answer

    monkeypatch.setattr(publisher, "publish", publish_and_lose)
    with transaction.atomic():
        publish_status_on_commit(tenant_id=tenant_id, topic="job:a1", attempt=1, status="DONE")
        publish_status_on_commit(tenant_id=tenant_id, topic="job:a2", attempt=1, status="DONE")
    assert [publisher.record(tenant_id, topic) is not None for topic in ("job:a1", "job:a2")] == [True, True]
    assert OutboxEntry.objects.filter(sent_at=None).count() == 2  # a relay sends them again


def test_a_revocation_whose_link_is_lost_raises_no_error(
    redis: Redis, forget_clients: Callable[[], None], tenant_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    revocations = conf.revocations()
    add = revocations.add

    def add_and_lose(*mark: object) -> None:
        add(*mark)  # type: ignore[arg-type]
        cut_link()

    monkeypatch.setattr(revocations, "add", add_and_lose)
    with transaction.atomic():
        revoke_on_commit(tenant_id, user_id=1)
    assert OutboxEntry.objects.get(kind=REVOCATION).sent_at is None


def test_a_kind_without_a_sender_raises_no_error(tenant_id: int) -> None:
    with transaction.atomic():
        send_on_commit("parcel", tenant_id, {})
    assert OutboxEntry.objects.get().sent_at is None


def test_all_hooks_of_the_project_use_run_after_commit() -> None:
    callers = [
        path.relative_to(PROJECT).as_posix()
        for folder in ("realtime", "academy", "apps", "config")
        for path in (PROJECT / folder).rglob("*.py")
        if "transaction.on_commit(" in path.read_text(encoding="utf-8")
    ]
    assert callers == ["realtime/outbox/after_commit.py"]
