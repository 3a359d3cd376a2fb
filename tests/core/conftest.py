"""Callers of each role, asking Django directly: no server between, so that thousands of requests cost little."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.test import Client
from redis import Redis

from academy.domain.roles import Role
from apps.core.models import Tenant, TenantMembership, User
from apps.core.tokens import Caller, access_token

Asks = Callable[..., Client]


@pytest.fixture
def tenant(db: None) -> Tenant:
    return Tenant.objects.create(code="hanbit", name="Hanbit")


@pytest.fixture
def asks(tenant: Tenant, redis: Redis) -> Asks:
    """A client for somebody of this role; errors that nobody foresaw are answered (500), as they would be."""

    def client(role: Role = Role.OWNER, *, must_change_password: bool = False) -> Client:
        user = User.objects.create(tenant=tenant, username=f"{role}-{uuid4()}")
        TenantMembership.objects.create(tenant=tenant, user=user, role=role)
        caller = Caller(user.pk, uuid4(), tenant.pk, tenant.code, role, "somebody", must_change_password)
        headers = {"Authorization": f"Bearer {access_token(caller)}", "Host": "localhost"}
        return Client(raise_request_exception=False, headers=headers)

    return client
