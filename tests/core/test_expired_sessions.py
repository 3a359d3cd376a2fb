"""Tests that sessions are deleted one day after they expired, in batches.

This writes no revocations, because all tokens of these sessions have expired by then.
"""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from academy import sessions
from apps.core.models import LoginSession, Tenant, User
from realtime.models import OutboxEntry

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(tenant: Tenant) -> User:
    return User.objects.create(tenant=tenant, username=f"{uuid4()}")


def session_of(user: User, expired_days_ago: float, *, ended: bool = False) -> LoginSession:
    now = timezone.now()
    return LoginSession.objects.create(
        user=user,
        token_id=uuid4(),
        rotated_at=now - timedelta(days=14 + expired_days_ago),
        expires_at=now - timedelta(days=expired_days_ago),
        ended_at=now - timedelta(days=20) if ended else None,
    )


@pytest.mark.parametrize("ended", [True, False])
def test_a_session_is_deleted_a_day_after_it_expired_without_a_revocation(user: User, ended: bool) -> None:
    old = session_of(user, 1.1, ended=ended)
    kept = [session_of(user, 0.9, ended=ended), session_of(user, -13, ended=ended)]
    before = OutboxEntry.objects.count()
    sessions.sweep_sessions()
    assert not LoginSession.objects.filter(pk=old.pk).exists()
    assert set(LoginSession.objects.filter(user=user)) == set(kept)
    assert OutboxEntry.objects.count() == before


def test_a_session_that_is_open_is_still_revoked_when_it_is_deleted_afterwards(user: User) -> None:
    session_of(user, 2)
    still_open = session_of(user, -1)
    sessions.sweep_sessions()
    before = OutboxEntry.objects.count()
    LoginSession.objects.filter(pk=still_open.pk).delete()
    assert OutboxEntry.objects.count() == before + 1


def test_many_are_deleted_in_batches_and_a_sweep_has_an_end(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "BATCH", 2)
    monkeypatch.setattr(sessions, "BATCHES", 3)
    for _ in range(7):
        session_of(user, 3)
    with CaptureQueriesContext(connection) as statements:
        sessions.sweep_sessions()
    assert sum(each["sql"].startswith('DELETE FROM "login_session"') for each in statements) == 3
    assert LoginSession.objects.filter(user=user).count() == 1
    sessions.sweep_sessions()
    assert LoginSession.objects.filter(user=user).count() == 0


def test_sessions_of_operators_are_deleted_as_well() -> None:
    for key, days in (("old", 2.0), ("new", -1.0)):
        Session.objects.create(session_key=key, session_data="", expire_date=timezone.now() - timedelta(days=days))
    sessions.sweep_sessions()
    assert list(Session.objects.values_list("session_key", flat=True)) == ["new"]
