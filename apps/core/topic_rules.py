"""The functions by which the push engine finds out who requests a ticket, and which topics that person may watch."""

from typing import Any

from rest_framework.exceptions import APIException
from rest_framework.request import Request

from academy.adapters.db.django import repositories_video
from academy.domain.roles import FACULTY, Role
from apps.core.authentication import AccessTokenAuthentication, identity_of
from apps.core.other_tenants import note_other_tenants_videos
from realtime.identity import Identity
from realtime.records.errors import ForbiddenTopicError, TicketError
from realtime.records.topics import is_unlisted

MAX_NAMED_TOPICS = 40


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

    Owner, staff and teacher may watch the topics that they name, or all topics if they name none. Only the owner may
    watch the figures of the academy (`stats:now`), which "all topics" does not include. Students and parents
    must name the videos. They may watch only the videos that the list of videos shows them: the READY videos of their
    lectures. The titles and errors of all other videos are only for the faculty. Everything else is refused.
    """
    role = Role(identity.role)
    if role in FACULTY:
        if role is not Role.OWNER and any(map(is_unlisted, named)):
            raise ForbiddenTopicError("Only the owner may watch the figures of the academy.")
        return named or ["*"]
    if len(named) > MAX_NAMED_TOPICS:
        raise ForbiddenTopicError(f"Name at most {MAX_NAMED_TOPICS} topics.")
    wanted = {topic: int(topic.removeprefix("video:")) for topic in named if _is_video(topic)}
    visible: set[int] = set()
    if wanted and role in {Role.STUDENT, Role.PARENT}:
        visible = repositories_video.videos_visible_to(identity.tenant_id, identity.user_id, set(wanted.values()))
    if refused := set(wanted.values()) - visible:
        note_other_tenants_videos(identity, refused)
    for topic in named:
        if wanted.get(topic) not in visible:
            raise ForbiddenTopicError(f"You may not watch {topic[:100]}.")
    return named


def _is_video(topic: str) -> bool:
    number = topic.removeprefix("video:")
    return topic.startswith("video:") and number.isascii() and number.isdigit() and len(number) <= 18  # noqa: PLR2004
