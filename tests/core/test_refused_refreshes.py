"""Tests that the audit log says whose refresh token was refused."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client
from django.utils import timezone

from apps.core.models import LoginSession, Tenant, User
from apps.core.tokens import refresh_token
from apps.core.views import auth_views


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return a list to which every line that the views write to the audit log is added."""
    written: list[dict[str, Any]] = []
    monkeypatch.setattr(auth_views, "audit", lambda event, **fields: written.append({"event": event, **fields}))
    return written


def refresh(session_id: UUID, token_id: UUID) -> int:
    token = refresh_token(session_id, token_id, (timezone.now() + timedelta(hours=1)).timestamp())
    headers = {"Host": "localhost"}
    answer = Client().post("/api/v1/auth/refresh/", {"refresh": token}, "application/json", headers=headers)
    return answer.status_code


def test_the_line_of_a_session_that_has_ended_names_its_academy_and_account(
    tenant: Tenant, lines: list[dict[str, Any]]
) -> None:
    user, now = User.objects.create(tenant=tenant, username="kim"), timezone.now()
    session = LoginSession.objects.create(
        user=user, token_id=uuid4(), rotated_at=now, expires_at=now + timedelta(hours=1), ended_at=now
    )
    assert refresh(session.pk, session.token_id) == 401
    (line,) = lines
    assert (line["event"], line["reason"]) == ("refresh_refused", "ended")
    assert (line["tenant"], line["user"], line["session"]) == (tenant.pk, user.pk, session.pk)


def test_the_line_of_a_session_that_is_deleted_names_nobody(db: None, lines: list[dict[str, Any]]) -> None:
    assert refresh(uuid4(), uuid4()) == 401
    assert (lines[0]["tenant"], lines[0]["user"]) == (None, None)
