"""Queries on the waiting and running jobs of all tenants. Only `academy.dispatch` may call them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.db import connection
from django.db.models import Count, Min, Q, QuerySet, Window
from django.db.models.functions import Now, RowNumber

from academy.adapters.db.django.patience import limit_waiting
from academy.domain.turns import Line
from apps.domains.ai.models import AIJob
from apps.support.video.models import Video

Row = TypeVar("Row", AIJob, Video)

LOCKS = 7322
"""The first number of the advisory lock of each queue. The second number is a hash of the queue's name."""
WAITS = Q(status="PENDING", dispatched_at=None)
PAUSES = Q(status="PENDING", dispatched_at__gt=Now())
"""Selects jobs whose last attempt failed. The message of such a job stays hidden until `dispatched_at`."""


@dataclass(frozen=True, slots=True)
class Load:
    """The load of a queue, or of one tenant in it: how many jobs are PENDING, and how many PROCESSING.

    `oldest` is the earliest `updated_at` of the PENDING jobs, or None.
    """

    waiting: int
    running: int
    oldest: datetime | None


def lock_queue(queue: str) -> bool:
    """Take the lock for choosing the jobs to send to this queue. It is released when the transaction ends.

    Return whether the lock was taken. If another process holds it, return False at once.
    """
    limit_waiting()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", [LOCKS, queue])
        (locked,) = cursor.fetchone()
    return bool(locked)


def any_waiting(unfinished: QuerySet[Row]) -> bool:
    return unfinished.filter(WAITS).exists()


def lines_of(unfinished: QuerySet[Row], most: int) -> list[Line]:
    """Return a `Line` for each tenant with unfinished jobs. A line has the oldest waiting jobs, at most `most`."""
    sent = unfinished.exclude(WAITS).values("tenant_id")
    counts = sent.annotate(running=Count("pk"), paused=Count("pk", filter=PAUSES))
    counted = {
        tenant: (running, paused) for tenant, running, paused in counts.values_list("tenant_id", "running", "paused")
    }
    place = Window(RowNumber(), partition_by="tenant_id", order_by="pk")
    heads = unfinished.filter(WAITS).annotate(place=place).filter(place__lte=most).order_by("tenant_id", "pk")
    waiting: dict[int, list[int]] = {}
    for tenant_id, pk in heads.values_list("tenant_id", "pk"):
        waiting.setdefault(tenant_id, []).append(pk)
    lines = []
    for tenant in sorted(counted.keys() | waiting.keys()):
        running, paused = counted.get(tenant, (0, 0))
        lines.append(Line(tenant, running, tuple(waiting.get(tenant, ())), paused))
    return lines


def mark_sent(unfinished: QuerySet[Row], ids: Sequence[int]) -> list[Row]:
    """Mark the jobs with these ids as sent. Return their rows with their tenants, in the order of `ids`.

    Jobs that are not waiting any more, or are being cancelled at this moment, are left out.
    """
    free = unfinished.filter(WAITS, pk__in=ids).select_for_update(skip_locked=True, of=("self",), no_key=True)
    rows = {row.pk: row for row in free.select_related("tenant")}
    unfinished.filter(pk__in=rows).update(dispatched_at=Now())
    return [rows[pk] for pk in ids if pk in rows]


def mark_sent_again(unfinished: QuerySet[Row], pk: int, sent_at: datetime) -> Row | None:
    """Record that a job is sent again, and return its row with its tenant.

    Return None if another process has sent the job again since `sent_at` was read, or if the job has ended.
    """
    if not unfinished.filter(pk=pk, dispatched_at=sent_at).update(dispatched_at=Now()):
        return None
    return unfinished.select_related("tenant").filter(pk=pk).first()


def sent_before(
    unfinished: QuerySet[Row], age: timedelta, *, columns: Sequence[str], after: int, most: int
) -> list[Row]:
    """Return the unfinished jobs that were sent longer than `age` ago: the first `most` with ids above `after`.

    The rows have only the id, the tenant, `dispatched_at` and the `columns`. The age is measured by the clock of the
    database, which also wrote `dispatched_at`.
    """
    found = unfinished.filter(dispatched_at__lt=Now() - age, pk__gt=after).order_by("pk")
    return list(found.only("tenant_id", "dispatched_at", *columns)[:most])


def load_of(unfinished: QuerySet[Row]) -> Load:
    found = unfinished.aggregate(
        waiting=Count("pk", filter=Q(status="PENDING")),
        running=Count("pk", filter=Q(status="PROCESSING")),
        oldest=Min("updated_at", filter=Q(status="PENDING")),
    )
    return Load(**found)


def loads_by_tenant(unfinished: QuerySet[Row]) -> dict[int, Load]:
    """Return the load of each tenant that has unfinished jobs in a queue. This is one statement."""
    found = unfinished.values("tenant_id").annotate(
        waiting=Count("pk", filter=Q(status="PENDING")),
        running=Count("pk", filter=Q(status="PROCESSING")),
        oldest=Min("updated_at", filter=Q(status="PENDING")),
    )
    return {row["tenant_id"]: Load(row["waiting"], row["running"], row["oldest"]) for row in found.order_by()}


def running_for(age: timedelta, unfinished: QuerySet[Row], *, columns: Sequence[str], most: int) -> list[Row]:
    """Return the jobs that were claimed longer than `age` ago and still run, at most `most`.

    The rows have only the id, the tenant and the `columns`.
    """
    found = unfinished.filter(status="PROCESSING", updated_at__lt=Now() - age).order_by("pk")
    return list(found.only("tenant_id", *columns)[:most])
