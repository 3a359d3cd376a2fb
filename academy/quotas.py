"""The quotas of a tenant: unfinished jobs, minutes of video encoded in a day, and bytes stored.

The limits come from the settings, and a tenant may have its own limits instead. Jobs and bytes are checked at the end
of the transaction that creates a job or a video, with the tenant's row locked. So the new job or video is counted, too,
and two requests at the same moment cannot both use the last part of a quota. Minutes are checked when the encoding
begins.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from django.db import transaction
from django.utils import timezone

from academy.adapters.db.django import repositories_quotas, repositories_video
from academy.adapters.db.django.repositories_quotas import Announced, Limits
from academy.domain.videos import UPLOAD_SECONDS, ClaimedVideo

JOBS_RETRY_SECONDS = 30
GIGABYTE = 1_000_000_000
ANNOUNCED_PER_USER, ANNOUNCED_PER_TENANT = 20, 100
"""How many announced uploads may be pending, of one user and of one tenant. An announced upload counts while its
address is valid, even if its video was cancelled or deleted."""


class QuotaError(Exception):
    """A tenant has used up a quota. The message says which quota, how large it is, and what to do.

    `retry_seconds` is the number of seconds after which to try again, or None if waiting does not help.
    """

    def __init__(self, code: str, message: str, retry_seconds: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_seconds = retry_seconds


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of each quota a tenant uses, and its limits."""

    jobs: int
    encoding_seconds: float
    stored_bytes: int
    limits: Limits


def usage_of(tenant_id: int) -> Usage:
    return Usage(
        repositories_quotas.unfinished_jobs(tenant_id),
        repositories_quotas.encoded_seconds(tenant_id, timezone.localdate()),
        repositories_quotas.stored_bytes(tenant_id),
        repositories_quotas.limits_of(tenant_id),
    )


def check_before(tenant_id: int, *, adds_bytes: int | None = None, encodes: bool = False) -> None:
    """Raise QuotaError if a new job would exceed a quota. Call it before storing a file, and `check` afterwards.

    With `adds_bytes`, also check whether this many bytes fit into the quota of bytes. With `encodes`, also check
    whether any minutes of video are left.
    """
    limits = repositories_quotas.limits_of(tenant_id)
    _check_jobs(tenant_id, limits, adds=1)
    if adds_bytes is not None:
        _check_storage(tenant_id, limits, adds=adds_bytes)
    if encodes:
        _check_minutes(tenant_id, limits)


def check(tenant_id: int, *, storage: bool = False) -> None:
    """Check the quota of jobs, and with `storage` also the quota of bytes.

    Raises QuotaError if a quota is exceeded: the caller must roll the transaction back. The rows that the transaction
    has written are counted. Call this at the end of the transaction, because it locks the tenant's row until the
    transaction ends.
    """
    limits = repositories_quotas.limits_of(tenant_id, lock=True)
    _check_jobs(tenant_id, limits)
    if storage:
        _check_storage(tenant_id, limits)


def check_announced(tenant_id: int, user_id: int) -> None:
    """Check the quotas after this user has announced an upload.

    Raises QuotaError if a quota is exceeded: the caller must roll the transaction back.

    Announcing costs nothing, so a user with several pending uploads may reserve at most half of the free storage.
    Otherwise one user could keep all others from uploading. Call this at the end of the transaction, like `check`.
    """
    limits = repositories_quotas.limits_of(tenant_id, lock=True)
    _check_storage(tenant_id, limits)
    of_tenant = repositories_quotas.announced(tenant_id)
    own = [upload for upload in of_tenant if upload.user_id == user_id]
    for uploads, most, whose in (own, ANNOUNCED_PER_USER, "You"), (of_tenant, ANNOUNCED_PER_TENANT, "Your academy"):
        if len(uploads) > most:
            raise _too_many_announced(f"{whose} may have {most} announced uploads on their way", uploads)
    reserved = sum(upload.reserved for upload in own)
    free = limits.storage_bytes - repositories_quotas.stored_bytes(tenant_id) + reserved
    if sum(upload.reserved > 0 for upload in own) > 1 and 2 * reserved > free:
        raise _too_many_announced("Your announced uploads may reserve half of your academy's free storage", own)


def _too_many_announced(limit: str, uploads: list[Announced]) -> QuotaError:
    expires = uploads[0].since + timedelta(seconds=UPLOAD_SECONDS)
    return QuotaError(
        "quota_announced",
        f"{limit}: send those files first, or try again when an address has expired. That of a video that was "
        "cancelled or deleted counts until then.",
        max(1, int((expires - timezone.now()).total_seconds())),
    )


def count_encoding(video: ClaimedVideo, seconds: float, *, at_most: float) -> None:
    """Count the length of a video towards the tenant's quota for today. Call this when the encoding begins.

    A video counts once for each upload and each retry by a user, but not again for attempts after a failure. `seconds`
    is its length, or 0 if the length is not known yet. For an unknown length, the rest of the day's quota is reserved,
    but at most `at_most` seconds. When the video is READY, its length replaces the reservation. If the video fails or
    is cancelled, the reservation stays counted.

    Raises QuotaError if the quota is used up, or if less is left than the length of the video. Raises
    AttemptSupersededError if the attempt does not hold the video any more. Locks the row of the video before the row of
    the tenant, as all code does.
    """
    today = timezone.localdate()
    with transaction.atomic():
        if repositories_video.lock_encoding(video):
            return
        limits = repositories_quotas.limits_of(video.tenant_id, lock=True)
        used = repositories_quotas.encoded_seconds(video.tenant_id, today)
        left = 60 * limits.encoding_minutes - used
        if seconds > left:
            raise _used_up(limits, used, f", and this video has {_minutes(seconds)}")
        if left <= 0:
            raise _used_up(limits, used)
        repositories_video.count_encoding(video, today, seconds, 0.0 if seconds else min(left, at_most))


def _check_jobs(tenant_id: int, limits: Limits, adds: int = 0) -> None:
    if repositories_quotas.unfinished_jobs(tenant_id) + adds > limits.jobs:
        raise QuotaError(
            "quota_jobs",
            f"Your academy may have {limits.jobs:,} unfinished jobs at a time, and has them: try again when some have "
            "ended.",
            JOBS_RETRY_SECONDS,
        )


def _check_minutes(tenant_id: int, limits: Limits) -> None:
    used = repositories_quotas.encoded_seconds(tenant_id, timezone.localdate())
    if used >= 60 * limits.encoding_minutes:
        raise _used_up(limits, used)


def _used_up(limits: Limits, used: float, what_for: str = "") -> QuotaError:
    now = timezone.localtime()
    midnight = datetime.combine(now.date() + timedelta(days=1), time(), now.tzinfo)
    return QuotaError(
        "quota_encoding",
        f"Your academy may encode {limits.encoding_minutes:,} minutes of video a day; {_minutes(used)} are used"
        f"{what_for}. Try again tomorrow, or ask the administrator for more.",
        max(1, int((midnight - now).total_seconds())),
    )


def _check_storage(tenant_id: int, limits: Limits, adds: int = 0) -> None:
    used = repositories_quotas.stored_bytes(tenant_id) + adds
    if used > limits.storage_bytes:
        raise QuotaError(
            "quota_storage",
            f"Your academy may store {limits.storage_bytes / GIGABYTE:,.1f} GB, and would have "
            f"{used / GIGABYTE:,.1f} GB with this file: delete videos that nobody needs, or ask the administrator "
            "for more.",
        )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:,.0f}"
