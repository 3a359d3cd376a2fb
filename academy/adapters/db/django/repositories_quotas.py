"""Queries on the quotas of a tenant: its limits, and how much of them it uses."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db.models import Q, Sum
from django.utils import timezone

from academy.adapters.db.django.patience import limit_waiting
from academy.adapters.db.django.tenancy import rows_of
from academy.domain.videos import UPLOAD_SECONDS
from apps.core.models import Tenant
from apps.domains.ai.models import UNFINISHED, AIJob
from apps.support.video.models import ANNOUNCED, Video


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a tenant."""

    jobs: int
    encoding_minutes: int
    storage_bytes: int


OVERRIDES = ("quota_jobs", "quota_encoding_minutes", "quota_storage_bytes")
"""The columns with a tenant's own limits. The setting with the default limit has the same name in capitals."""


def limits_of(tenant_id: int, *, lock: bool = False) -> Limits:
    """Return the limits of a tenant: for each, the tenant's own limit or else the default.

    With `lock`, lock the tenant's row until the transaction ends. Raises OperationalError if another transaction keeps
    the row locked for too long.
    """
    tenants = Tenant.objects.filter(pk=tenant_id)
    if lock:
        limit_waiting()
        tenants = tenants.select_for_update(no_key=True)
    own = tenants.values_list(*OVERRIDES).get()
    return Limits(*(_or_default(value, name) for value, name in zip(own, OVERRIDES, strict=True)))


def set_limits(tenant_code: str, limits: dict[str, int | None]) -> int | None:
    """Set a tenant's own limits. The keys of `limits` are names from `OVERRIDES`; a value of None means the default.

    Return the tenant's id, or None if there is no such tenant.
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
    """Return how many seconds of video count towards the tenant's encoding quota of that day."""
    total = rows_of(tenant_id, Video).filter(encoding_day=day).aggregate(total=Sum("encoding_seconds"))["total"]
    return float(total or 0.0)


def stored_bytes(tenant_id: int) -> int:
    """Return the size of the tenant's files: uploaded and encoded videos, workbooks of imports, and exports.

    A deleted video does not count, although its files are deleted only some seconds later. But an announced upload
    counts at least until its address expires, even if its video was deleted: the storage still accepts the file.
    """
    present = Q(uploaded_at__isnull=False, deleted_at=None)
    videos = rows_of(tenant_id, Video).filter(present | _address_is_good())
    stored = videos.aggregate(sent=Sum("size"), made=Sum("made_bytes", filter=Q(deleted_at=None)))
    jobs = rows_of(tenant_id, AIJob).filter(stored_bytes__gt=0).aggregate(total=Sum("stored_bytes"))["total"]
    return sum(int(part or 0) for part in (stored["sent"], stored["made"], jobs))


@dataclass(frozen=True, slots=True)
class Announced:
    """An announced upload whose address is still valid. The file has not arrived, or its video was deleted."""

    user_id: int | None
    since: datetime
    reserved: int
    """The bytes that the upload address accepts. They count as stored until the address expires."""


def announced(tenant_id: int) -> list[Announced]:
    """Return the uploads of a tenant whose files may still take up further space, oldest first.

    The address of such an upload has not expired. Its file has not arrived, or its video was deleted. If a file has
    arrived and its video was not deleted, the quotas count this file already, and sending it again only replaces it.
    """
    absent = Q(uploaded_at=None) | Q(deleted_at__isnull=False)
    rows = rows_of(tenant_id, Video).filter(absent, _address_is_good()).order_by("created_at")
    return [
        Announced(user_id, since, size or 0)
        for user_id, since, size in rows.values_list("created_by_id", "created_at", "size")
    ]


def _address_is_good() -> Q:
    return ANNOUNCED & Q(created_at__gt=timezone.now() - timedelta(seconds=UPLOAD_SECONDS))


def _or_default(value: int | None, name: str) -> int:
    default: int = getattr(settings, name.upper())
    return default if value is None else value
