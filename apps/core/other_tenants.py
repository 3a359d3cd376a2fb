"""Writes into the audit log who asks for what belongs to another academy.

The answer stays 404, as for an id that does not exist. Only such an answer costs the query that tells the two apart.
"""

from typing import Any

from django.db import DatabaseError, transaction

from academy.adapters.db.django.tenancy import is_another_tenants
from apps.core.audit import Event
from apps.core.audit_requests import audit_as
from apps.core.tokens import Caller

MODELS = {
    "student_id": ("students.Student", "pk"),
    "lecture_id": ("lectures.Lecture", "pk"),
    "enrolment_id": ("lectures.Enrollment", "pk"),
    "video_id": ("video.Video", "pk"),
    "job_id": ("ai.AIJob", "job_id"),
    "session_id": ("core.LoginSession", "pk"),
}
"""Names in addresses: model, and the field that they give."""


def note_other_tenants_id(context: dict[str, Any]) -> None:
    """Look at a request that was answered 404. Never raises."""
    request, view = context.get("request"), context.get("view")
    if request is None or not isinstance(getattr(request, "user", None), Caller):
        return
    for name, value in getattr(view, "kwargs", {}).items():
        model, field = MODELS.get(name, ("", ""))
        if model and _is_another_tenants(request.user.tenant_id, model, field, value):
            audit_as(
                request,
                Event.OTHER_TENANT_REFUSED,
                subject=f"{name.removesuffix('_id')}:{value}",
                outcome="refused",
                reason="id",
            )


def _is_another_tenants(tenant_id: int, model: str, field: str, value: object) -> bool:
    try:
        with transaction.atomic():
            return is_another_tenants(tenant_id, model, **{field: value})
    except DatabaseError:
        return False
