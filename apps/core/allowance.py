"""Decides, before a large body is read, whether its sender may send it. Needs the access token and Redis, but no SQL.

A view that accepts files has the attribute `max_upload_bytes`, a function that returns the limit on a body with files.
Its `roles` name the roles that may send files. In any other request, the faculty may send a body of up to
`DATA_UPLOAD_MAX_MEMORY_SIZE`. Students and parents may send only `SMALL_BODY_BYTES`, like callers who are not signed
in, so they never take a slot for large bodies.
"""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.urls import Resolver404, resolve

from academy.domain.roles import FACULTY
from apps.core.authentication import identity_of
from apps.core.tokens import UPLOAD_SECONDS, Caller, TokenError, TokenExpiredError, read_access_token
from config.body_limit import SMALL_BODY_BYTES, Allowance, BodyLimits, BodyRefusedError
from config.body_pace import PaceLimits
from config.body_slots import Sender, SlotLimits
from realtime.protocol.close_codes import CloseCode, RefusedError
from realtime.web.process_state import this_process

MULTIPART = b"multipart/form-data"


async def admit_body(scope: dict[str, Any]) -> Allowance:
    """Return who sends a large body, and how large it may be. Raises BodyRefusedError if the sender may not send it."""
    headers = dict(scope["headers"])
    view = _view_of(scope["path"])
    takes_files = hasattr(view, "max_upload_bytes")
    caller = _caller_of(headers.get(b"authorization", b"").decode("latin-1"), takes_files=takes_files)
    if caller.must_change_password:
        message = "Change your password first (POST /api/v1/auth/password/)."
        raise BodyRefusedError(403, "password_change_needed", message, known=True)
    await _check_revocations(caller)
    sender = Sender(caller.tenant_id, caller.user_id)

    async def recheck() -> None:
        await _check_not_revoked_meanwhile(caller)

    if not (takes_files and scope["method"] == "POST" and _is_multipart(headers)):
        if caller.role not in FACULTY:
            message = f"A request of the role {caller.role.value!r} may have {SMALL_BODY_BYTES // 1024} KiB."
            raise BodyRefusedError(413, "too_large", message, known=True)
        return Allowance(settings.DATA_UPLOAD_MAX_MEMORY_SIZE, sender, recheck)
    if caller.role not in view.roles.get("POST", ()):
        raise BodyRefusedError(403, "role_refused", f"The role {caller.role.value!r} may not do this.", known=True)
    max_upload_bytes: Callable[[], int] = view.max_upload_bytes
    return Allowance(max_upload_bytes(), sender, recheck)


def _view_of(path: str) -> Any:
    try:
        return getattr(resolve(path).func, "view_class", None)
    except Resolver404:
        return None


def _is_multipart(headers: dict[bytes, bytes]) -> bool:
    return headers.get(b"content-type", b"").strip().lower().startswith(MULTIPART)


def _caller_of(authorization: str, *, takes_files: bool) -> Caller:
    scheme, _, token = authorization.strip().partition(" ")
    if scheme.lower() != "bearer":
        if takes_files:
            raise _unauthorized("not_authenticated", "Sign in to send files.")
        message = f"A request without an access token may have {SMALL_BODY_BYTES // 1024} KiB."
        raise BodyRefusedError(413, "too_large", message)
    try:
        return read_access_token(token.strip())
    except TokenExpiredError as problem:
        raise _unauthorized("token_expired", str(problem)) from None
    except TokenError as problem:
        raise _unauthorized("token_invalid", str(problem)) from None


async def _check_revocations(caller: Caller) -> None:
    """Raise BodyRefusedError if the caller was revoked (401), or if Redis does not answer (503).

    The view checks the caller again when the body has arrived.
    """
    try:
        await this_process().admit(identity_of(caller))
    except RefusedError as refused:
        if refused.code is CloseCode.FEED_UNAVAILABLE:
            message = "It cannot be checked at the moment whether this session was revoked; try again in a few seconds."
            raise BodyRefusedError(503, "redis_unavailable", message, (("retry-after", "5"),)) from None
        raise _unauthorized("session_ended", str(refused)) from None


async def _check_not_revoked_meanwhile(caller: Caller) -> None:
    """Raise BodyRefusedError if the caller has been revoked since the body began to arrive.

    If Redis does not answer, the caller may continue, since the view checks again at the end.
    """
    try:
        await _check_revocations(caller)
    except BodyRefusedError as refused:
        if refused.status != 503:  # noqa: PLR2004 - Redis does not answer
            raise


def _unauthorized(code: str, message: str) -> BodyRefusedError:
    return BodyRefusedError(401, code, message, (("www-authenticate", "Bearer"),))


def body_limits() -> BodyLimits:
    """Return the limits from the settings.

    A body may take at most `UPLOAD_SECONDS` to arrive. Its token may expire meanwhile: when the body has arrived,
    `read_access_token` accepts the token if it expired less than `UPLOAD_SECONDS` ago.
    """
    pace = PaceLimits(settings.BODY_GRACE_SECONDS, settings.BODY_MIN_BYTES_PER_SECOND, UPLOAD_SECONDS)
    slots = SlotLimits(
        unfinished=settings.BODY_MAX_UNFINISHED,
        unfinished_per_tenant=settings.BODY_MAX_UNFINISHED_PER_TENANT,
        unfinished_per_user=settings.BODY_MAX_UNFINISHED_PER_USER,
        total_bytes=settings.BODY_TOTAL_BYTES,
    )
    return BodyLimits(pace, slots)
