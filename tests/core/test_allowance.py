"""Tests of who may send a large body: strangers and callers whose session cannot be checked are refused early."""

from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings

from academy.domain.roles import Role
from apps.core import allowance
from apps.core.allowance import admit_body
from apps.core.tokens import Caller, access_token
from config.body_limit import BodyRefusedError
from realtime.protocol.close_codes import CloseCode, RefusedError
from realtime.redis.clock import clock

IMPORT = "/api/v1/students/import/"


def token(*, must_change_password: bool = False, issued_at: float = 0.0) -> str:
    return access_token(
        Caller(7, uuid4(), 3, "hanbit", Role.OWNER, "somebody", must_change_password, issued_at=issued_at)
    )


def upload(access: str | None) -> dict[str, Any]:
    """Return the scope of a request with a file."""
    headers = [(b"content-type", b"multipart/form-data; boundary=x")]
    if access is not None:
        headers.append((b"authorization", f"Bearer {access}".encode()))
    return {"method": "POST", "path": IMPORT, "headers": headers}


class Sessions:
    """Replaces this process's list of revoked sessions. Checking a session raises `refusal` if a test has set it."""

    def __init__(self) -> None:
        self.refusal: RefusedError | None = None

    async def admit(self, _ticket: object) -> None:
        if self.refusal:
            raise self.refusal


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> Sessions:
    made = Sessions()
    monkeypatch.setattr(allowance, "this_process", lambda: made)
    return made


REVOKED = RefusedError(CloseCode.REVOKED, "The session was ended.")
UNKNOWN = RefusedError(CloseCode.FEED_UNAVAILABLE, "Redis does not answer.", 1000)


async def refused(scope: dict[str, Any]) -> tuple[int, str]:
    with pytest.raises(BodyRefusedError) as problem:
        await admit_body(scope)
    return problem.value.status, problem.value.code


@pytest.mark.usefixtures("sessions")
async def test_only_a_valid_token_admits_a_file(settings: Settings) -> None:
    assert await refused(upload(None)) == (401, "not_authenticated")
    assert await refused(upload("no token")) == (401, "token_invalid")
    old = token(issued_at=clock.now() - settings.ACCESS_TOKEN_SECONDS - 1)
    assert await refused(upload(old)) == (401, "token_expired")
    assert await refused(upload(token(must_change_password=True))) == (403, "password_change_needed")
    allowed = await admit_body(upload(token()))
    assert (allowed.sender.tenant_id, allowed.sender.user_id) == (3, 7)


async def test_a_session_that_was_revoked_or_cannot_be_checked_admits_no_file(sessions: Sessions) -> None:
    sessions.refusal = REVOKED
    assert await refused(upload(token())) == (401, "session_ended")
    sessions.refusal = UNKNOWN
    assert await refused(upload(token())) == (503, "redis_unavailable")


async def test_while_a_file_arrives_a_revocation_ends_it_but_an_outage_does_not(sessions: Sessions) -> None:
    recheck = (await admit_body(upload(token()))).recheck
    assert recheck is not None
    sessions.refusal = UNKNOWN
    await recheck()
    sessions.refusal = REVOKED
    with pytest.raises(BodyRefusedError, match="ended"):
        await recheck()
