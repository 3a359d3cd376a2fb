"""Tests of the admin: who may use it, which changes revoke tokens, and that the API ignores the admin's cookie."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import httpx
import jwt
import pytest

from embedded.plan import Web
from harness.operators import running_admin, send_form, sign_in_operator
from harness.system import PASSWORD, PATIENCE_SECONDS, System, new_ticket
from harness.watcher import Watcher


@pytest.fixture(scope="module")
def admin(system: System) -> Iterator[Web]:
    with running_admin(system) as web:
        yield web


@contextmanager
def browser(admin: Web) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=admin.address, timeout=30, follow_redirects=True) as client:
        yield client


def account(system: System, username: str) -> int:
    ((found,),) = system.query(
        'SELECT u.id FROM "user" u JOIN tenant t ON t.id = u.tenant_id WHERE t.code = %s AND u.username = %s',
        "hanbit",
        username,
    )
    return int(found)


def test_an_operator_signs_in_and_sees_the_academies(admin: Web) -> None:
    with browser(admin) as client:
        answer = sign_in_operator(client)
        assert "Academies, accounts and sign-ins" in answer.text
        assert "hanbit" in client.get("/admin/core/tenant/").text
        assert answer.headers["Cache-Control"] == "no-store"
        assert "script-src" not in answer.headers["Content-Security-Policy"]
        (cookie,) = [cookie for cookie in client.cookies.jar if cookie.name == "operator"]
        assert cookie.path == "/admin/"
        assert cookie.has_nonstandard_attr("HttpOnly")
        assert client.get("/static/admin/css/base.css").status_code == 200


@pytest.mark.parametrize("column", ["is_active", "is_superuser"])
def test_a_session_does_not_outlive_the_closing_of_its_account(system: System, admin: Web, column: str) -> None:
    with browser(admin) as client:
        sign_in_operator(client)
        for value in (False, True):
            system.shell(
                f"from apps.core.models import User; "
                f"User.objects.filter(username='operator', tenant=None).update({column}={value})"
            )
        assert client.get("/admin/").url.path == "/admin/login/"
        sign_in_operator(client)
        assert client.get("/admin/").url.path == "/admin/"


def test_code_that_read_an_account_earlier_does_not_overwrite_when_it_was_closed(system: System, admin: Web) -> None:
    system.shell(
        "from apps.core.models import User; before = User.objects.get(username='operator', tenant=None); "
        "other = User.objects.get(pk=before.pk); other.is_active = False; other.save(); "
        "before.is_active = True; before.save()"
    )
    ((closed_at,),) = system.query(
        "SELECT last_closed_at FROM \"user\" WHERE username = 'operator' AND tenant_id IS NULL"
    )
    assert closed_at is not None


@pytest.mark.parametrize(("username", "password"), [("operator", "wrong"), ("owner", PASSWORD), ("nobody", "wrong")])
def test_only_operators_sign_in_to_the_admin(admin: Web, username: str, password: str) -> None:
    with browser(admin) as client:
        assert "Please enter the correct username and password" in sign_in_operator(client, username, password).text
        assert "/admin/login/" in str(client.get("/admin/core/user/").url)


def test_guessing_the_password_of_an_operator_is_limited_like_any_other(admin: Web) -> None:
    with browser(admin) as client:
        for _ in range(10):
            assert "Please enter" in sign_in_operator(client, "guessed-operator", "wrong").text
        assert "Too many" in sign_in_operator(client, "guessed-operator", "wrong").text


def test_without_the_setting_there_is_no_admin(system: System) -> None:
    assert httpx.get(f"{system.address}/admin/").status_code == 404
    assert httpx.get(f"{system.address}/admin/login/").status_code == 404
    assert httpx.get(f"{system.address}/static/admin/css/base.css").status_code == 404


def test_the_api_ignores_the_cookie_of_the_admin_without_any_statement(system: System, admin: Web) -> None:
    with browser(admin) as client:
        sign_in_operator(client)
        token = system.access_token("hanbit", "owner")
        answer = client.get(f"/api/v1/jobs/{uuid4()}/progress/", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
        view = 'realtime_sql_statements_total{view="/api/v1/jobs/<uuid:job_id>/progress/"} 0.0'
        assert view in httpx.get(f"{admin.address}/metrics").text
        assert client.get("/api/v1/students/").status_code == 401


def create_teacher(system: System, username: str) -> None:
    """Create an account that no other test uses, because its tokens will be revoked."""
    system.shell(
        "from apps.core.models import *; from academy.adapters.db.django.repositories_core import create_account\n"
        "from academy.domain.roles import Role; from django.contrib.auth.hashers import make_password\n"
        f"hashed = make_password('{PASSWORD}')\n"
        f"create_account(Tenant.objects.get(code='hanbit'), '{username}', '', Role.TEACHER, hashed)"
    )


async def test_setting_a_password_in_the_admin_ends_the_sessions_of_the_account(system: System, admin: Web) -> None:
    create_teacher(system, "renewed")
    name, new = {"tenant": "hanbit", "username": "renewed", "password": PASSWORD}, "호랑이 담배 피우던 시절 이야기"
    async with httpx.AsyncClient(base_url=system.address, timeout=30) as bare:
        tokens = (await bare.post("/api/v1/auth/token/", json=name)).json()
        bare.headers["Authorization"] = f"Bearer {tokens['access']}"
        ticket = await new_ticket(bare)
        with browser(admin) as client:
            sign_in_operator(client)
            async with await Watcher.connect(ticket["websocket_url"], ticket["ticket"]) as watcher:
                await watcher.read_until("snapshot")
                path = f"/admin/core/user/{account(system, 'renewed')}/password/"
                done = send_form(client, path, password1=new, password2=new, usable_password="true")
                assert "Password changed successfully" in done.text
                assert (await watcher.closed())[0] == 4410
        assert (await bare.get("/api/v1/jobs/")).status_code == 401
        assert (await bare.post("/api/v1/auth/refresh/", json={"refresh": tokens["refresh"]})).status_code == 401
        assert (await bare.post("/api/v1/auth/token/", json={**name, "password": new})).status_code == 200


async def test_the_admin_ends_a_sign_in(system: System, admin: Web) -> None:
    create_teacher(system, "ended")
    name = {"tenant": "hanbit", "username": "ended", "password": PASSWORD}
    async with httpx.AsyncClient(base_url=system.address, timeout=30) as bare:
        tokens = (await bare.post("/api/v1/auth/token/", json=name)).json()
        with browser(admin) as client:
            sign_in_operator(client)
            user = account(system, "ended")
            done = send_form(client, "/admin/core/user/", action="end_sessions", _selected_action=str(user), index="0")
            assert "sign-ins ended" in done.text
        assert (await bare.post("/api/v1/auth/refresh/", json={"refresh": tokens["refresh"]})).status_code == 401
        bare.headers["Authorization"] = f"Bearer {tokens['access']}"
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await bare.get("/api/v1/students/")).status_code != 401:
                await asyncio.sleep(0.05)


def test_the_admin_ends_one_of_several_sign_ins_of_an_account(system: System, admin: Web) -> None:
    name = {"tenant": "saebom", "username": "owner", "password": PASSWORD}
    with httpx.Client(base_url=system.address, timeout=30) as bare, browser(admin) as client:
        chosen, kept = (bare.post("/api/v1/auth/token/", json=name).json() for _ in range(2))
        session = jwt.decode(chosen["access"], options={"verify_signature": False})["session"]
        sign_in_operator(client)
        done = send_form(client, "/admin/core/loginsession/", action="end", _selected_action=session, index="0")
        assert "1 sign-ins ended" in done.text
        answers = [bare.post("/api/v1/auth/refresh/", json={"refresh": tokens["refresh"]}) for tokens in (chosen, kept)]
        assert [answer.status_code for answer in answers] == [401, 200]


def test_pages_of_the_admin_can_be_opened(system: System, admin: Web) -> None:
    ((tenant, name),) = system.query("SELECT id, name FROM tenant WHERE code = 'saebom'")
    with browser(admin) as client:
        sign_in_operator(client)
        for path in ("tenant/", f"tenant/{tenant}/change/", "user/", "loginsession/", "tenant/add/"):
            assert client.get(f"/admin/core/{path}").status_code == 200, path
        assert client.get(f"/admin/core/user/{account(system, 'owner')}/change/").status_code == 200
        assert client.get(f"/admin/core/tenant/{tenant}/delete/").status_code == 403
        assert client.get("/admin/core/user/add/").status_code == 403
        saved = send_form(client, f"/admin/core/tenant/{tenant}/change/", name="Saebom", active="on", quota_jobs="500")
        assert "was changed successfully" in saved.text
    saved_row = system.query("SELECT name, quota_jobs, quota_storage_bytes FROM tenant WHERE code = 'saebom'")
    system.query("UPDATE tenant SET name = %s, quota_jobs = NULL WHERE id = %s RETURNING 1", name, tenant)
    assert saved_row == [("Saebom", 500, None)]
