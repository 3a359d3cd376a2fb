"""Tests that the database writes a revocation whenever an account, a session or an academy loses rights."""

import time
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone
from redis import Redis

from academy.adapters.db.django import repositories_core
from academy.adapters.db.django.repositories_sessions import end_open_sessions, end_sessions, open_sessions
from academy.domain.roles import Role
from apps.core.models import LoginSession, Tenant, TenantMembership, User
from realtime.models import OutboxEntry
from realtime.outbox.relay import Relay
from realtime.outbox.revoke import REVOCATION, revoke

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(tenant: Tenant) -> User:
    return account(tenant)


def account(tenant: Tenant) -> User:
    user = User.objects.create(tenant=tenant, username=f"{uuid4()}")
    TenantMembership.objects.create(tenant=tenant, user=user, role=Role.STAFF)
    return user


def session_of(user: User) -> LoginSession:
    now = timezone.now()
    return LoginSession.objects.create(user=user, token_id=uuid4(), rotated_at=now, expires_at=now + timedelta(days=1))


def revoked() -> set[tuple[int, str]]:
    """Return the tenant and the subject of each unsent revocation."""
    rows = OutboxEntry.objects.filter(kind=REVOCATION, sent_at=None)
    for tenant_id, payload in rows.values_list("tenant_id", "payload"):
        assert tenant_id == payload["tenant"]
    return {(tenant_id, payload["subject"]) for tenant_id, payload in rows.values_list("tenant_id", "payload")}


def by_sql(text: str) -> Callable[[User], None]:
    def change(user: User) -> None:
        with connection.cursor() as cursor:
            cursor.execute(text, {"user": user.pk})

    return change


def in_a_shell(user: User) -> None:
    user.set_password("another password")
    user.save()


ENDING = {
    "a password set in a shell": in_a_shell,
    "a password set by update": lambda user: User.objects.filter(pk=user.pk).update(password="!"),
    "a password set in SQL": by_sql("""UPDATE "user" SET password = 'x' WHERE id = %(user)s"""),
    "an account closed by update": lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
    "an account closed in SQL": by_sql("""UPDATE "user" SET is_active = false WHERE id = %(user)s"""),
    "a session ended in SQL": by_sql("UPDATE login_session SET ended_at = now() WHERE user_id = %(user)s"),
    "a session that is deleted": by_sql("DELETE FROM login_session WHERE user_id = %(user)s"),
}


@pytest.mark.parametrize("what", ENDING)
def test_a_new_password_a_closed_account_and_an_ended_session_end_the_sign_ins(user: User, what: str) -> None:
    session, other = session_of(user), session_of(account(user.tenant))  # type: ignore[arg-type]
    ENDING[what](user)
    assert revoked() == {(user.tenant_id, f"session:{session.pk}")}
    assert not LoginSession.objects.filter(pk=session.pk, ended_at=None).exists()
    other.refresh_from_db()
    assert other.ended_at is None


def rename(role: str) -> Callable[[User], object]:
    return lambda user: TenantMembership.objects.filter(user=user).update(role=role)


MARKING = {
    "a password that must be changed": lambda user: User.objects.filter(pk=user.pk).update(must_change_password=True),
    "another role": rename("parent"),
    "a membership that is removed": lambda user: TenantMembership.objects.filter(user=user).delete(),
    "a membership deleted in SQL": by_sql("DELETE FROM tenant_membership WHERE user_id = %(user)s"),
}


@pytest.mark.parametrize("what", MARKING)
def test_a_changed_account_revokes_access_tokens_but_keeps_the_sign_in(user: User, what: str) -> None:
    session = session_of(user)
    MARKING[what](user)
    assert revoked() == {(user.tenant_id, f"user:{user.pk}")}
    session.refresh_from_db()
    assert session.ended_at is None


def test_suspending_an_academy_needs_one_mark(user: User) -> None:
    session_of(user)
    Tenant.objects.filter(users=user).update(active=False)
    assert revoked() == {(user.tenant_id, "tenant")}


def test_changes_that_take_no_rights_away_end_nothing(user: User) -> None:
    session_of(user)
    User.objects.filter(pk=user.pk).update(name="x", last_login=timezone.now(), must_change_password=False)
    user.save()
    TenantMembership.objects.get(user=user).save()
    Tenant.objects.filter(users=user).update(name="x", active=True)
    LoginSession.objects.filter(user=user).update(rotated_at=timezone.now())
    assert revoked() == set()


def test_a_change_that_is_rolled_back_ends_nothing(user: User) -> None:
    session_of(user)
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(is_active=False)
        transaction.set_rollback(True)
    assert revoked() == set()


def test_an_account_that_is_deleted_takes_its_sessions_along(user: User) -> None:
    session = session_of(user)
    tenant_id, user_id = user.tenant_id, user.pk
    user.delete()
    assert revoked() == {(tenant_id, f"user:{user_id}"), (tenant_id, f"session:{session.pk}")}


def test_a_superuser_who_belongs_to_no_academy_can_be_changed() -> None:
    operator = User.objects.create(username="operator", is_superuser=True)
    session_of(operator)
    in_a_shell(operator)
    operator.delete()
    assert revoked() == set()


def test_a_revoked_user_or_session_cannot_refresh_and_a_revoked_tenant_needs_one_mark(user: User, redis: Redis) -> None:
    first, second = session_of(user), session_of(user)
    colleague, stranger = session_of(account(user.tenant)), session_of(account(other_tenant()))  # type: ignore[arg-type]
    assert user.tenant_id is not None
    revoke(user.tenant_id, session_id=str(first.pk))
    assert may_refresh(first, second, colleague, stranger) == [False, True, True, True]
    revoke(user.tenant_id, user_id=user.pk)
    assert may_refresh(first, second, colleague, stranger) == [False, False, True, True]
    unsent = revoked()
    revoke(user.tenant_id)
    assert may_refresh(first, second, colleague, stranger) == [False, False, False, True]
    assert revoked() == unsent


def test_another_tenants_session_and_an_invalid_id_end_nothing(user: User) -> None:
    session = session_of(user)
    end_sessions(other_tenant().pk, None, str(session.pk))
    end_sessions(other_tenant().pk, user.pk, None)
    end_sessions(user.tenant_id or 0, None, "no session")
    assert may_refresh(session) == [True]


def other_tenant() -> Tenant:
    return Tenant.objects.create(code=f"{uuid4()}", name="Other")


def may_refresh(*sessions: LoginSession) -> list[bool]:
    return [LoginSession.objects.filter(pk=session.pk, ended_at=None).exists() for session in sessions]


@pytest.mark.django_db(transaction=True)
def test_the_relay_sends_a_revocation_at_once(tenant: Tenant, redis: Redis) -> None:
    user = account(tenant)
    session = session_of(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    before = time.time()
    Relay().round()
    assert revoked() == set()
    marked_at = redis.zscore(f"tenant:{tenant.pk}:revoked", f"session:{session.pk}")
    assert marked_at is not None
    assert marked_at >= before * 1000 - 1


def test_a_refresh_says_when_and_from_where_a_session_was_used_last(user: User) -> None:
    session = session_of(user)
    device = repositories_core.Device("2001:db8::7", "Mozilla/5.0")
    repositories_core.rotate_session(session.pk, session.token_id, device)
    before = session.last_used_at
    session.refresh_from_db()
    assert (session.address, session.user_agent) == ("2001:db8::7", "Mozilla/5.0")
    assert session.last_used_at > before


def use_twice(user: User, session: LoginSession) -> None:
    with pytest.raises(repositories_core.SessionEndedError):
        repositories_core.rotate_session(session.pk, uuid4())


OF_THE_API: dict[str, Callable[[User, LoginSession], object]] = {
    "a logout": lambda user, session: repositories_core.end_session(user.tenant_id or 0, session.pk),
    "an end in the list": lambda user, _: end_open_sessions(
        user.tenant_id or 0, open_sessions(user.tenant_id or 0, user.pk)
    ),
    "a refresh token that is used twice": use_twice,
}


@pytest.mark.parametrize("what", OF_THE_API)
def test_a_revocation_by_the_api_writes_one_row_and_later_changes_write_their_own(user: User, what: str) -> None:
    session, later = session_of(user), account(user.tenant)  # type: ignore[arg-type]
    OF_THE_API[what](user, session)
    assert not LoginSession.objects.filter(pk=session.pk, ended_at=None).exists()
    assert list(OutboxEntry.objects.values_list("payload__subject", flat=True)) == [f"session:{session.pk}"]
    other = session_of(later)
    LoginSession.objects.filter(pk=other.pk).update(ended_at=timezone.now())  # in the same transaction
    assert (user.tenant_id, f"session:{other.pk}") in revoked()
