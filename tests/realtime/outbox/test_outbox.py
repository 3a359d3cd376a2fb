"""Tests that the outbox publishes a transaction's states after its commit, and not before."""

import datetime as dt
from collections.abc import Callable
from typing import Any
from uuid import UUID

import orjson
import pytest
from django.db import transaction
from pytest_django import Settings
from redis import Redis

from realtime import conf
from realtime.models import OutboxEntry
from realtime.outbox.outbox import publish_status_on_commit, send, send_on_commit
from realtime.records.errors import BadRecordError

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "forget_clients")]
TOPIC = "job:a1"
delivered: list[dict[str, object]] = []


def deliver(payload: dict[str, object]) -> None:
    delivered.append(payload)


def say_done(tenant_id: int) -> None:
    publish_status_on_commit(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="DONE", data={"result": {}})


def test_a_state_is_published_after_the_commit_and_its_row_is_marked_as_sent(tenant_id: int) -> None:
    with transaction.atomic():
        say_done(tenant_id)
        assert conf.publisher().record(tenant_id, TOPIC) is None
    record = conf.publisher().record(tenant_id, TOPIC)
    assert record is not None
    assert record.status == "DONE"
    assert OutboxEntry.objects.get().sent_at is not None


def test_a_transaction_that_is_rolled_back_publishes_nothing(tenant_id: int) -> None:
    with transaction.atomic():
        say_done(tenant_id)
        transaction.set_rollback(True)
    assert conf.publisher().record(tenant_id, TOPIC) is None
    assert not OutboxEntry.objects.exists()


def test_outside_a_transaction_it_is_refused(tenant_id: int) -> None:
    with pytest.raises(RuntimeError, match="inside atomic"):
        say_done(tenant_id)


def test_a_record_that_can_never_be_published_is_refused_at_once(tenant_id: int) -> None:
    with pytest.raises(BadRecordError), transaction.atomic():
        publish_status_on_commit(tenant_id=tenant_id, topic=TOPIC, attempt=0, status="DONE")


@pytest.mark.parametrize("text", ["\0", "\udcff"])
def test_values_that_json_does_not_have_are_published_and_do_not_abort_the_transaction(
    tenant_id: int, text: str
) -> None:
    data: Any = {"name": "a\0b", "rate": float("nan"), "when": dt.date(2026, 11, 30), "id": UUID(int=1), 7: {"x"}}
    error = {"code": "broken", "message": text}
    with transaction.atomic():
        publish_status_on_commit(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="FAILED", data=data, error=error)
    said = {"name": "a\ufffdb", "rate": None, "when": "2026-11-30", "id": str(UUID(int=1)), "7": ["x"]}
    record = conf.publisher().record(tenant_id, TOPIC)
    assert record is not None
    told, kept = orjson.loads(record.body), OutboxEntry.objects.get().payload
    assert told["data"] == kept["data"] == said
    assert told["error"] == kept["error"] == {"code": "broken", "message": "\ufffd"}


def test_without_redis_the_commit_succeeds_and_the_row_stays_for_the_relay(
    tenant_id: int, settings: Settings, forget_clients: Callable[[], None]
) -> None:
    settings.REALTIME_REDIS_URL = "redis://127.0.0.1:1/0"
    forget_clients()
    with transaction.atomic():
        say_done(tenant_id)
    assert OutboxEntry.objects.get().sent_at is None


def test_a_rejected_record_counts_as_sent(redis: Redis, tenant_id: int) -> None:
    """Redis has a newer state, so nothing has to be published."""
    conf.publisher().status(tenant_id=tenant_id, topic=TOPIC, attempt=2, status="PROCESSING")
    with transaction.atomic():
        say_done(tenant_id)
    assert OutboxEntry.objects.get().sent_at is not None


def test_other_kinds_are_sent_by_the_sender_in_the_settings(tenant_id: int, settings: Settings) -> None:
    settings.REALTIME_OUTBOX_SENDERS = {"letter": f"{__name__}.deliver"}
    with transaction.atomic():
        send_on_commit("letter", tenant_id, {"to": "parents"})
    assert delivered.pop() == {"to": "parents"}
    with pytest.raises(KeyError):
        send(OutboxEntry(kind="parcel", tenant_id=tenant_id, payload={}))
