"""Note in the audit log that somebody names an id of another academy.

The answer is that for an id that does not exist. Only a refused request costs the queries that tell the two apart: one
for each name of an id that it holds.
"""

from collections.abc import Iterator
from typing import Any

from django.db import DatabaseError, transaction
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from academy.adapters.db.django.tenancy import other_tenants
from apps.core.audit import Event
from apps.core.audit_requests import audit_as
from apps.core.tokens import Caller

IN_PATHS = {
    "student_id": ("students.Student", "pk"),
    "lecture_id": ("lectures.Lecture", "pk"),
    "enrolment_id": ("lectures.Enrollment", "pk"),
    "video_id": ("video.Video", "pk"),
    "job_id": ("ai.AIJob", "job_id"),
    "session_id": ("core.LoginSession", "pk"),
}
"""Names in addresses: model, and the field that they give."""

IN_REQUESTS = {
    "student": "students.Student",
    "students": "students.Student",
    "lecture": "lectures.Lecture",
    "session": "lectures.Session",
    "user": "core.User",
}
"""Names in bodies and filters: the model whose primary key they give."""

MOST_IDS = 50
"""Of one name. A request may hold thousands."""
MAX_ID = 2**63 - 1


def note_other_tenants_ids(context: dict[str, Any]) -> None:
    """Look at a request that was refused. Never raises."""
    request, view = context.get("request"), context.get("view")
    caller: object = getattr(request, "user", None)
    if not isinstance(request, Request) or not isinstance(caller, Caller):
        return
    for kind, model, field, values in _named(request, getattr(view, "kwargs", {})):
        for value in _beyond_the_wall(caller.tenant_id, model, field, values):
            audit_as(request, Event.OTHER_TENANT_REFUSED, subject=f"{kind}:{value}", outcome="refused", reason="id")


def _named(request: Request, in_path: dict[str, Any]) -> Iterator[tuple[str, str, str, list[object]]]:
    """The ids that a request names: kind, model, field and values."""
    for name, value in in_path.items():
        if name in IN_PATHS:
            yield name.removesuffix("_id"), *IN_PATHS[name], [value]
    try:
        body = request.data
    except APIException:  # it could not be read, which is why it was refused
        body = {}
    for given in (body, request.query_params):
        for name, model in IN_REQUESTS.items():
            if isinstance(given, dict) and (ids := _ids(given.get(name))):
                yield name.removesuffix("s"), model, "pk", ids


def _ids(value: object) -> list[object]:
    """The ids in what a client sent, which may be anything."""
    values = value[:MOST_IDS] if isinstance(value, list) else [value]
    texts = [str(each) for each in values if isinstance(each, int | str) and len(str(each)) < len(str(MAX_ID))]
    return [int(text) for text in texts if text.isdecimal()]


def _beyond_the_wall(tenant_id: int, model: str, field: str, values: list[object]) -> list[object]:
    try:
        with transaction.atomic():
            return other_tenants(tenant_id, model, field, values)
    except DatabaseError:
        return []
