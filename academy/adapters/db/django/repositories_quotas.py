"""Queries on what a tenant has and may have."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db.models import F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from academy.adapters.db.django.patience import limit_waiting
from academy.adapters.db.django.tenancy import rows_of
from academy.domain.videos import UPLOAD_SECONDS, VideoStatus
from apps.core.models import Tenant
from apps.domains.ai.models import UNFINISHED, AIJob
from apps.support.video.models import Video


@dataclass(frozen=True, slots=True)
class Limits:
    """What a tenant may have."""

    jobs: int
    encoding_minutes: int
    storage_bytes: int


OVERRIDES = ("quota_jobs", "quota_encoding_minutes", "quota_storage_bytes")
"""The columns of a tenant's own limits, and the settings of everybody else's."""


def limits_of(tenant_id: int, *, lock: bool = False) -> Limits:
    """The tenant's own limits, or those of the settings; with `lock`, nobody else locks them until the commit.

    Raises OperationalError if another transaction has locked them for too long.
    """
    tenants = Tenant.objects.filter(pk=tenant_id)
    if lock:
        limit_waiting()
        tenants = tenants.select_for_update(no_key=True)
    own = tenants.values_list(*OVERRIDES).get()
    return Limits(*(_or_default(value, name) for value, name in zip(own, OVERRIDES, strict=True)))


def set_limits(tenant_code: str, limits: dict[str, int | None]) -> int | None:
    """Give a tenant limits of its own, by the names of `OVERRIDES`; None stands for the default.

    Returns the tenant's id, or None if there is no such tenant.
    """
    tenant = Tenant.objects.filter(code=tenant_code).first()
    if tenant is None:
        return None
    for name, value in limits.items():
        setattr(tenant, name, value)
    tenant.save(update_fields=list(limits))
    return tenant.pk


def unfinished_jobs(tenant_id: int) -> int:
    jobs = rows_of(tenant_id, AIJob).filter(status__in=UNFINISHED).count()
    return jobs + rows_of(tenant_id, Video).filter(status__in=UNFINISHED, uploaded_at__isnull=False).count()


def encoded_seconds(tenant_id: int, day: date) -> float:
    """How long the videos are whose encoding began on that day."""
    total = rows_of(tenant_id, Video).filter(encoding_day=day).aggregate(total=Sum("encoding_seconds"))["total"]
    return float(total or 0.0)


def stored_bytes(tenant_id: int) -> int:
    """Of uploaded videos and what was made of them, of workbooks that are kept for an import, and of exports.

    A deleted video does not count, though its files go some seconds later. An announced upload counts until its address
    expires, or it is cancelled.
    """
    of_videos = Coalesce(F("size"), 0) + F("made_bytes")
    expected = Q(status=VideoStatus.PENDING, created_at__gt=_oldest_address())
    videos = rows_of(tenant_id, Video).filter(Q(uploaded_at__isnull=False) | expected, deleted_at=None)
    stored = videos.aggregate(total=Sum(of_videos))["total"]
    jobs = rows_of(tenant_id, AIJob).filter(stored_bytes__gt=0).aggregate(total=Sum("stored_bytes"))["total"]
    return int(stored or 0) + int(jobs or 0)


@dataclass(frozen=True, slots=True)
class Announced:
    """An upload whose address is still good, and whose file has not arrived."""

    user_id: int | None
    since: datetime
    reserved: int
    """The bytes that are reserved for it: none once it is cancelled."""


def announced(tenant_id: int) -> list[Announced]:
    """Return the announced uploads of a tenant, oldest first, cancelled ones too: their addresses stay good."""
    rows = _announced(tenant_id).order_by("created_at").values_list("created_by_id", "created_at", "size", "status")
    return [
        Announced(user_id, since, (size or 0) if status == VideoStatus.PENDING else 0)
        for user_id, since, size, status in rows
    ]


def _announced(tenant_id: int) -> QuerySet[Video]:
    return rows_of(tenant_id, Video).filter(uploaded_at=None, created_at__gt=_oldest_address())


def _oldest_address() -> datetime:
    """When the oldest upload was announced whose address is still good."""
    return timezone.now() - timedelta(seconds=UPLOAD_SECONDS)


def _or_default(value: int | None, name: str) -> int:
    default: int = getattr(settings, name.upper())
    return default if value is None else value
