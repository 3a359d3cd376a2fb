"""Writes into the audit log which ids in a request belong to another academy.

The client gets the same answer as for an id that does not exist. If a request is refused or a filtered list is empty,
one query for each kind of id finds out whether the ids belong to another academy. No other request needs these queries.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.db import DatabaseError, transaction
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from academy.adapters.db.django.tenancy import other_tenants
from apps.core.audit import Event, audit
from apps.core.audit_requests import audit_as
from apps.core.tokens import Caller
from realtime.identity import Identity

IN_PATHS = {
    "student_id": ("students.Student", "pk"),
    "lecture_id": ("lectures.Lecture", "pk"),
    "lesson_id": ("lectures.Session", "pk"),
    "enrolment_id": ("lectures.Enrollment", "pk"),
    "video_id": ("video.Video", "pk"),
    "job_id": ("ai.AIJob", "job_id"),
    "session_id": ("core.LoginSession", "pk"),
    "user_id": ("core.User", "pk"),
}
"""Names of ids in the paths of URLs, each with its model and the model's field."""

IN_REQUESTS = {
    "student": ("student", "students.Student"),
    "students": ("student", "students.Student"),
    "lecture": ("lecture", "lectures.Lecture"),
    "session": ("session", "lectures.Session"),
    "replaces": ("video", "video.Video"),
    "user": ("user", "core.User"),
}
"""Names of ids in bodies and filters, each with its kind in the audit log and its model. The ids are primary keys."""

_Named = tuple[str, str, str, list[object]]
"""Ids of one kind: the kind's name in the audit log, the model, the model's field, and the ids."""

MOST_IDS = 50
"""The most ids that are checked of each kind (such as students). A request may name thousands."""
MAX_ID = 2**63 - 1


def note_other_tenants_ids(context: dict[str, Any]) -> None:
    """Write into the audit log which ids of a refused request belong to another academy. Never raises."""
    request, view = context.get("request"), context.get("view")
    if isinstance(request, Request):
        _note(request, _named(request, getattr(view, "kwargs", {})))


def note_other_tenants_filters(request: Request) -> None:
    """Write into the audit log which ids in the filters of an empty list belong to another academy. Never raises."""
    _note(request, _named_by_keys(request.query_params))


TOPIC_KINDS = {"video": "video.Video", "lecture": "lectures.Lecture"}
"""The kinds of topics that students and parents may name, each with the model whose primary key is the topic's id."""


def note_other_tenants_topics(identity: Identity, kind: str, ids: set[int]) -> None:
    """Write into the audit log which of the refused topics belong to another academy. Never raises."""
    for value in _beyond_the_wall(identity.tenant_id, TOPIC_KINDS[kind], "pk", sorted(ids)[:MOST_IDS]):
        audit(
            Event.OTHER_TENANT_REFUSED,
            tenant=identity.tenant_id,
            user=identity.user_id,
            session=identity.session_id,
            subject=f"{kind}:{value}",
            outcome="refused",
            reason="id",
        )


def _note(request: Request, named: Iterator[_Named]) -> None:
    caller: object = getattr(request, "user", None)
    if not isinstance(caller, Caller):
        return
    for kind, model, field, values in named:
        for value in _beyond_the_wall(caller.tenant_id, model, field, values):
            audit_as(request, Event.OTHER_TENANT_REFUSED, subject=f"{kind}:{value}", outcome="refused", reason="id")


def _named(request: Request, in_path: dict[str, Any]) -> Iterator[_Named]:
    """Yield the ids in the path, the body and the filters of a request, grouped by kind."""
    for name, value in in_path.items():
        if name in IN_PATHS:
            yield name.removesuffix("_id"), *IN_PATHS[name], [value]
    try:
        body = request.data
    except (APIException, SuspiciousOperation, OSError):  # wrong, too many fields or files, or the client has gone
        body = {}
    yield from _named_by_keys(body)
    yield from _named_by_keys(request.query_params)


def _named_by_keys(given: object) -> Iterator[_Named]:
    for name, (kind, model) in IN_REQUESTS.items():
        if isinstance(given, dict) and (ids := _ids(given.get(name))):
            yield kind, model, "pk", ids


def _ids(value: object) -> list[object]:
    """Return the ids in a value that a client sent. The value may be of any type."""
    values = value[:MOST_IDS] if isinstance(value, list) else [value]
    texts = [str(each) for each in values if isinstance(each, int | str) and len(str(each)) < len(str(MAX_ID))]
    return [int(text) for text in texts if text.isdecimal()]


def _beyond_the_wall(tenant_id: int, model: str, field: str, values: Sequence[object]) -> list[object]:
    try:
        with transaction.atomic():
            return other_tenants(tenant_id, model, field, values)
    except DatabaseError:
        return []
