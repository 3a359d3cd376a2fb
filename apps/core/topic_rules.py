"""The functions by which the push engine finds out who requests a ticket, and which topics that person may watch."""

from collections.abc import Callable
from typing import Any

from rest_framework.exceptions import APIException
from rest_framework.request import Request

from academy.adapters.db.django import repositories_lectures, repositories_video
from academy.domain.roles import FACULTY, Role
from apps.core.authentication import AccessTokenAuthentication, identity_of
from apps.core.other_tenants import note_other_tenants_topics
from realtime.identity import Identity
from realtime.records.errors import ForbiddenTopicError, TicketError
from realtime.records.topics import is_unlisted

MAX_NAMED_TOPICS = 40
OUTSIDERS = frozenset({Role.STUDENT, Role.PARENT})
VISIBLE: dict[str, Callable[[int, int, set[int]], set[int]]] = {
    "video": repositories_video.videos_visible_to,
    "lecture": repositories_lectures.lectures_visible_to,
}
"""For each kind of topic that students and parents may name when they ask for a ticket: a function that returns which
of the given ids the user may watch."""


def authenticate(request: Any) -> Identity:
    """Return who calls the ticket endpoint.

    Raises TicketError if there is no valid token, and ForbiddenTopicError (403) if the caller may not have a ticket.
    """
    try:
        found = AccessTokenAuthentication().authenticate(Request(request))
    except APIException as problem:
        kind = ForbiddenTopicError if problem.status_code == 403 else TicketError  # noqa: PLR2004 - HTTP
        raise kind(str(problem.detail)) from None
    if found is None:
        raise TicketError("Send the access token: Authorization: Bearer <token>.")
    caller, _token = found
    if caller.must_change_password:
        raise ForbiddenTopicError("Change your password first (POST /api/v1/auth/password/).")
    return identity_of(caller)


def allowed_topics(identity: Identity, named: list[str]) -> list[str]:
    """Return the topics that the ticket allows. Raises ForbiddenTopicError for a topic that the person may not watch.

    Owners, staff and teachers may watch the topics that they name, or all topics if they name none. "All topics" does
    not include the figures of the academy (`stats:now`): an owner must name them, and nobody else may watch them.

    Students and parents must name each topic. They may watch their lectures, and the READY videos of their lectures.
    The record of a lecture shows only that its READY videos have changed. All other topics are refused, because the
    titles and errors of videos that are not READY are only for the faculty.
    """
    role = Role(identity.role)
    if role in FACULTY:
        if role is not Role.OWNER and any(map(is_unlisted, named)):
            raise ForbiddenTopicError("Only the owner may watch the figures of the academy.")
        return named or ["*"]
    if len(named) > MAX_NAMED_TOPICS:
        raise ForbiddenTopicError(f"Name at most {MAX_NAMED_TOPICS} topics.")
    visible: set[str] = set()
    for kind, visible_to in VISIBLE.items():
        wanted = {number for topic in named if (number := _id_of(topic, kind)) is not None}
        found = visible_to(identity.tenant_id, identity.user_id, wanted) if wanted and role in OUTSIDERS else set()
        if refused := wanted - found:
            note_other_tenants_topics(identity, kind, refused)
        visible |= {topic for topic in named if _id_of(topic, kind) in found}
    for topic in named:
        if topic not in visible:
            raise ForbiddenTopicError(f"You may not watch {topic[:100]}.")
    return named


def _id_of(topic: str, kind: str) -> int | None:
    """Return the number of a topic of this kind. Return None if the topic is of another kind, or has no number."""
    given, _, number = topic.partition(":")
    is_number = number.isascii() and number.isdigit() and len(number) <= 18  # noqa: PLR2004 - fits into a bigint
    return int(number) if given == kind and is_number else None
