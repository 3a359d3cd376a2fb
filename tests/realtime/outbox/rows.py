"""Writes and reads rows of the outbox, for the tests of relays."""

import time
from datetime import timedelta
from typing import Any

from django.utils import timezone

from realtime import conf
from realtime.models import OutboxEntry
from realtime.outbox.outbox import RECORD

TOPIC = "job:a1"


def left_behind(tenant_id: int, topic: str = TOPIC, *, age_seconds: float = 60, **fields: Any) -> OutboxEntry:
    """Write a row of this age that was not sent, as if its process had ended too early."""
    payload = {"topic": topic, "attempt": 1, "status": "DONE", "published_at": time.time() - age_seconds} | fields
    return aged(OutboxEntry.objects.create(kind=RECORD, tenant_id=tenant_id, payload=payload), age_seconds)


def letter(tenant_id: int, number: int) -> OutboxEntry:
    return aged(OutboxEntry.objects.create(kind="letter", tenant_id=tenant_id, payload={"number": number}), 60)


def aged(entry: OutboxEntry, seconds: float) -> OutboxEntry:
    OutboxEntry.objects.filter(pk=entry.pk).update(created_at=timezone.now() - timedelta(seconds=seconds))
    return entry


def sent(*entries: OutboxEntry) -> list[bool]:
    return [OutboxEntry.objects.get(pk=entry.pk).sent_at is not None for entry in entries]


def mark_sent() -> None:
    OutboxEntry.objects.update(sent_at=timezone.now())


def status_of(tenant_id: int, topic: str = TOPIC) -> str | None:
    record = conf.publisher().record(tenant_id, topic)
    return record.status.value if record else None


def note_filled() -> None:
    """Mark Redis as filled, as a relay does after a fill."""
    publisher = conf.publisher()
    publisher.mark_filling()
    assert publisher.mark_filled(publisher.run_id())
