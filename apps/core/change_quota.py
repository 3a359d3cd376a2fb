"""Limits how many requests that change something a user, and an academy, may send in a minute.

Without this limit, one account could add lectures and accounts, or rename things, as fast as the server answers. Each
of these requests is cheap, but its row, its outbox row and its record for every open page are not.
"""

from typing import Any

from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from academy.quotas import QuotaError
from apps.core.throttling import count_change
from apps.core.tokens import Caller

NO_QUOTA: tuple[type[BaseThrottle], ...] = ()
"""The `throttle_classes` of views that take access away, or that count their requests themselves.

These must work even if somebody else has used up the quota of the user or the academy.
"""


class ChangeQuota(BaseThrottle):
    """Counts the requests of signed-in users, except those with a safe method (RFC 9110, 9.2.1), such as GET."""

    def allow_request(self, request: Request, view: Any) -> bool:  # noqa: ARG002 - DRF's signature
        """Return True, or raise QuotaError (429) if there were too many changes within a minute."""
        caller: object = request.user
        if request.method in SAFE_METHODS or not isinstance(caller, Caller):
            return True
        if seconds := count_change(caller.tenant_id, caller.user_id):
            message = f"You or your academy have changed too much within a minute: wait {seconds} s, then try again."
            raise QuotaError("quota_changes", message, seconds)
        return True
