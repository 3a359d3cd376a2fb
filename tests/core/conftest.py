"""Clients of each role that call Django directly, without a server, so that thousands of requests are cheap."""

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
    """Return a function that makes a client for a role. The client gets a 500 for an unexpected error."""

    def client(role: Role = Role.OWNER, *, must_change_password: bool = False) -> Client:
        user = User.objects.create(tenant=tenant, username=f"{role}-{uuid4()}")
        TenantMembership.objects.create(tenant=tenant, user=user, role=role)
        caller = Caller(user.pk, uuid4(), tenant.pk, tenant.code, role, "somebody", must_change_password)
        headers = {"Authorization": f"Bearer {access_token(caller)}", "Host": "localhost"}
        return Client(raise_request_exception=False, headers=headers)

    return client
