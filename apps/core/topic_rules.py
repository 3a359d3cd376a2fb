"""What the push engine asks of this project: who wants a ticket, and which topics that person may see."""

from typing import Any

from rest_framework.exceptions import APIException
from rest_framework.request import Request

from academy.adapters.db.django import repositories_video
from academy.domain.roles import FACULTY, Role
from apps.core.authentication import AccessTokenAuthentication, identity_of
from apps.core.other_tenants import note_other_tenants_videos
from realtime.identity import Identity
from realtime.records.errors import ForbiddenTopicError, TicketError

MAX_NAMED_TOPICS = 40


def authenticate(request: Any) -> Identity:
    """The caller of the ticket endpoint. Raises TicketError or ForbiddenTopicError."""
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
    """Owner, staff and teacher: what they name, or everything. Students: the videos of their lectures, named.

    Of these they may watch what the list of videos shows them, which is those that are ready: a video that is still
    encoded, has failed or was cancelled is the academy's own business, and so are its title and its error.

    Raises ForbiddenTopicError. Everything that no line here allows is refused.
    """
    role = Role(identity.role)
    if role in FACULTY:
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
