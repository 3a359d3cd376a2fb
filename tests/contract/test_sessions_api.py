"""Tests of the list of sessions, of who may read and end them, and of the refresh token in a cookie."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest

from harness.system import PASSWORD, PATIENCE_SECONDS, System, eventually_now, new_ticket
from harness.watcher import Watcher

SESSIONS = "/api/v1/auth/sessions/"


_open: list[httpx.Client] = []


@pytest.fixture(autouse=True)
def close_browsers() -> Iterator[None]:
    yield
    while _open:
        _open.pop().close()


class Browser:
    """An HTTP client that signs in, and so has a session of its own."""

    def __init__(self, system: System, username: str = "staff", academy: str = "hanbit", **fields: Any) -> None:
        headers = {"User-Agent": f"Tests\t{username}/1.0", "Origin": system.address}
        self.http = httpx.Client(base_url=system.address, headers=headers, timeout=30)
        _open.append(self.http)
        account = {"tenant": academy, "username": username, "password": PASSWORD}
        answer = self.http.post("/api/v1/auth/token/", json=account | fields)
        assert answer.status_code == 200, answer.text
        self.tokens: dict[str, str] = answer.json()
        self.set_cookie = answer.headers.get("Set-Cookie", "")
        self.http.headers["Authorization"] = f"Bearer {self.tokens['access']}"
        claims = jwt.decode(self.tokens["access"], options={"verify_signature": False})
        self.session, self.user = claims["session"], claims["user"]

    def refresh(self) -> int:
        return self.http.post("/api/v1/auth/refresh/", json={"refresh": self.tokens["refresh"]}).status_code

    def sessions(self, **parameters: Any) -> list[dict[str, Any]]:
        answer = self.http.get(SESSIONS, params={**parameters, "page_size": 200})
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["results"]
        return found


def test_the_list_shows_address_time_and_the_present_session(system: System) -> None:
    one, other = Browser(system), Browser(system)
    listed = {session["id"]: session for session in one.sessions()}
    assert {session["id"] for session in listed.values() if session["current"]} == {one.session}
    assert listed[other.session]["user_agent"] == "Tests staff/1.0"
    assert listed[other.session]["address"] == "127.0.0.1"
    assert listed[other.session]["created_at"] <= listed[other.session]["last_used_at"]
    assert other.refresh() == 200
    assert next(iter(one.sessions()))["id"] == other.session, "The one that was used last comes first."


async def test_ending_another_session_ends_its_connection_its_token_and_its_refresh_token(system: System) -> None:
    one, other = await asyncio.to_thread(lambda: (Browser(system), Browser(system)))
    async with httpx.AsyncClient(base_url=system.address, headers=dict(other.http.headers)) as client:
        ticket = await new_ticket(client)
    async with await Watcher.connect(ticket["websocket_url"], ticket["ticket"]) as watcher:
        await watcher.read_until("snapshot")
        assert one.http.delete(f"{SESSIONS}{other.session}/").status_code == 204
        assert (await watcher.closed())[0] == 4410
    assert other.http.get(SESSIONS).status_code == 401
    assert other.refresh() == 401
    assert one.http.get(SESSIONS).status_code == 200
    assert one.http.delete(f"{SESSIONS}{other.session}/").status_code == 404


def test_ending_all_others_keeps_the_present_session(own_system: System) -> None:
    one, others = Browser(own_system), [Browser(own_system) for _ in range(3)]
    assert one.http.delete(SESSIONS).json() == {"ended": 3}
    assert [session["id"] for session in one.sessions()] == [one.session]
    assert [other.refresh() for other in others] == [401] * 3
    assert one.refresh() == 200


def test_the_office_lists_and_ends_only_sessions_of_its_academy(system: System) -> None:
    owner, teacher, stranger = Browser(system, "owner"), Browser(system, "teacher"), Browser(system, "owner", "saebom")
    assert teacher.session in {session["id"] for session in owner.sessions(user=teacher.user)}
    beyond = [
        owner.http.get(SESSIONS, params={"user": stranger.user}),
        owner.http.delete(SESSIONS, params={"user": stranger.user}),
        owner.http.delete(f"{SESSIONS}{stranger.session}/"),
        owner.http.delete(f"{SESSIONS}{uuid4()}/"),
        teacher.http.delete(f"{SESSIONS}{owner.session}/"),
    ]
    assert [answer.status_code for answer in beyond] == [404] * 5
    assert teacher.http.get(SESSIONS, params={"user": owner.user}).status_code == 403
    assert stranger.http.get(SESSIONS).status_code == 200
    assert owner.http.delete(f"{SESSIONS}{teacher.session}/").status_code == 204
    assert teacher.refresh() == 401


def test_staff_see_and_end_the_sessions_of_teachers_and_students_but_of_no_owner(system: System) -> None:
    owner, staff, teacher = Browser(system, "owner"), Browser(system), Browser(system, "teacher")
    answer = staff.http.get(SESSIONS, params={"user": owner.user})
    assert (answer.status_code, answer.json()["code"]) == (403, "role_refused")
    assert staff.http.delete(SESSIONS, params={"user": owner.user}).status_code == 403
    assert staff.http.delete(f"{SESSIONS}{owner.session}/").status_code == 404
    assert owner.refresh() == 200
    assert teacher.session in {session["id"] for session in staff.sessions(user=teacher.user)}
    assert staff.http.delete(f"{SESSIONS}{teacher.session}/").status_code == 204
    assert teacher.refresh() == 401
    assert owner.http.delete(f"{SESSIONS}{staff.session}/").status_code == 204
    assert staff.refresh() == 401


# The refresh token in a cookie.


def test_a_page_gets_its_refresh_token_in_a_cookie_that_no_script_reads(system: System) -> None:
    page = Browser(system, cookie=True)
    assert page.tokens.keys() == {"access"}
    words = {word.strip() for word in page.set_cookie.split(";")}
    assert words >= {"HttpOnly", "SameSite=Strict", "Path=/api/v1/auth/"}
    before = page.http.cookies["refresh_hanbit"]
    answer = page.http.post("/api/v1/auth/refresh/", json={"cookie": True, "tenant": "hanbit"})
    assert answer.status_code == 200
    assert answer.json().keys() == {"access"}
    assert page.http.cookies["refresh_hanbit"] != before


def test_a_page_exchanges_a_refresh_token_for_a_cookie(system: System) -> None:
    page = Browser(system)
    body = {"refresh": page.tokens["refresh"], "cookie": True}
    refused = page.http.post("/api/v1/auth/refresh/", json=body, headers={"Origin": "https://evil.example"})
    assert refused.status_code == 403
    answer = page.http.post("/api/v1/auth/refresh/", json=body)
    assert (answer.status_code, answer.json().keys()) == (200, {"access"})
    assert page.http.post("/api/v1/auth/refresh/", json={"cookie": True, "tenant": "hanbit"}).status_code == 200


def test_academies_in_one_browser_have_separate_cookies(system: System) -> None:
    page = Browser(system, "owner", cookie=True)
    account = {"tenant": "saebom", "username": "owner", "password": PASSWORD, "cookie": True}
    assert page.http.post("/api/v1/auth/token/", json=account).status_code == 200
    for academy in ("hanbit", "saebom"):
        answer = page.http.post("/api/v1/auth/refresh/", json={"cookie": True, "tenant": academy})
        claims = jwt.decode(answer.json()["access"], options={"verify_signature": False})
        assert claims["tenant_code"] == academy
    stolen = page.http.cookies["refresh_saebom"]
    with httpx.Client(base_url=system.address, headers={"Origin": system.address}) as other:
        other.cookies.set("refresh_hanbit", stolen)
        answer = other.post("/api/v1/auth/refresh/", json={"cookie": True, "tenant": "hanbit"})
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


@pytest.mark.parametrize("origin", [None, "https://evil.example", "null", "http://["])
def test_a_page_of_another_site_cannot_use_the_cookie(system: System, origin: str | None) -> None:
    page = Browser(system, cookie=True)
    del page.http.headers["Origin"]
    headers = {"Origin": origin} if origin else {}
    account = {"tenant": "hanbit", "username": "staff", "password": PASSWORD, "cookie": True}
    passwords = {"old_password": "x", "new_password": "y", "cookie": True}
    for path, body in (
        ("refresh/", {"cookie": True, "tenant": "hanbit"}),
        ("token/", account),
        ("password/", passwords),
    ):
        answer = page.http.post(f"/api/v1/auth/{path}", json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"cookie": True},
        {"tenant": "hanbit"},
        {"refresh": "x", "tenant": "a"},
        {"refresh": "x", "tenant": "a", "cookie": True},
    ],
)
def test_a_refresh_names_exactly_one_place_of_its_token(system: System, body: dict[str, Any]) -> None:
    answer = httpx.post(f"{system.address}/api/v1/auth/refresh/", json=body, headers={"Origin": system.address})
    assert answer.status_code == 400


def test_signing_out_deletes_the_cookie_and_a_new_password_renews_it(system: System) -> None:
    page = Browser(system, cookie=True)
    answer = page.http.post("/api/v1/auth/logout/")
    assert answer.status_code == 204
    assert "refresh_hanbit" not in page.http.cookies
    api = Browser(system)
    assert "Set-Cookie" not in api.http.post("/api/v1/auth/logout/").headers


# Signing out without an access token, by the cookie.

BY_COOKIE = {"cookie": True, "tenant": "hanbit"}


def sign_out(page: Browser, **headers: str) -> httpx.Response:
    """Sign out with only the cookie."""
    del page.http.headers["Authorization"]
    return page.http.post("/api/v1/auth/logout/", json=BY_COOKIE, headers=headers)


def test_signing_out_by_the_cookie_ends_the_session_and_deletes_the_cookie(system: System) -> None:
    page = Browser(system, cookie=True)
    stolen, access = page.http.cookies["refresh_hanbit"], page.http.headers["Authorization"]
    assert sign_out(page).status_code == 204
    assert "refresh_hanbit" not in page.http.cookies
    page.http.cookies.set("refresh_hanbit", stolen)
    assert page.http.post("/api/v1/auth/refresh/", json=BY_COOKIE).status_code == 401
    assert page.http.get(SESSIONS, headers={"Authorization": access}).status_code == 401


def test_signing_out_works_while_redis_is_away(own_system: System) -> None:
    """The database stores that the session ended, so its tokens are not refreshed.

    The answer is 503 nevertheless, because Redis does not have the revocation yet.
    """
    page, api = Browser(own_system, cookie=True), Browser(own_system)
    stolen = page.http.cookies["refresh_hanbit"]
    own_system.redis.stop()
    try:
        refused = api.http.get(SESSIONS)
        assert (refused.status_code, refused.json()["code"]) == (503, "redis_unavailable")
        with_token = api.http.post("/api/v1/auth/logout/")
        assert (with_token.status_code, with_token.json()["code"]) == (503, "revocation_pending")
        assert api.refresh() == 401
        answer = sign_out(page)
        assert (answer.status_code, answer.json()["code"]) == (503, "revocation_pending")
        assert "refresh_hanbit" not in page.http.cookies
        page.http.cookies.set("refresh_hanbit", stolen)
        assert page.http.post("/api/v1/auth/refresh/", json=BY_COOKIE).status_code == 401
    finally:
        own_system.redis.start()
    eventually_now(lambda: api.http.get(SESSIONS).status_code == 401, "the relay to tell it")


def test_a_page_of_another_site_cannot_sign_anybody_out(system: System) -> None:
    page = Browser(system, cookie=True)
    answer = sign_out(page, Origin="https://evil.example")
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused")
    assert "Set-Cookie" not in answer.headers
    assert page.http.post("/api/v1/auth/refresh/", json=BY_COOKIE).status_code == 200


def test_a_cookie_that_opens_nothing_is_deleted_and_ends_nothing_of_another_academy(system: System) -> None:
    stranger = Browser(system, "owner", "saebom", cookie=True)
    for held in ("no token", stranger.http.cookies["refresh_saebom"]):
        with httpx.Client(base_url=system.address, headers={"Origin": system.address}) as other:
            other.cookies.set("refresh_hanbit", held)
            answer = other.post("/api/v1/auth/logout/", json=BY_COOKIE)
        assert answer.status_code == 204
        assert "refresh_hanbit" in answer.headers["Set-Cookie"]
    assert stranger.http.get(SESSIONS).status_code == 200


def test_a_program_signs_out_with_its_refresh_token_and_not_without_any(system: System) -> None:
    api = Browser(system)
    address = f"{system.address}/api/v1/auth/logout/"
    assert httpx.post(address, json={"refresh": api.tokens["refresh"]}).status_code == 204
    assert api.refresh() == 401
    assert [httpx.post(address).status_code, httpx.post(address, json={}).status_code] == [401, 401]
    assert httpx.post(address, json={"cookie": True}).status_code == 400


# The audit log.


def test_the_audit_log_has_who_did_what_but_no_typed_text(own_system: System) -> None:
    secret = "typed-into-the-wrong-field"
    account = {"tenant": "hanbit", "username": secret, "password": "x"}
    for _ in range(12):
        httpx.post(f"{own_system.address}/api/v1/auth/token/", json=account, timeout=30)
    owner, staff, stranger = Browser(own_system, "owner"), Browser(own_system), Browser(own_system, "owner", "saebom")
    account = {"tenant": "hanbit", "username": "owner", "password": "wrong"}
    httpx.post(f"{own_system.address}/api/v1/auth/token/", json=account, timeout=30)
    ((student,),) = own_system.query(
        "SELECT max(s.id) FROM students s JOIN tenant t ON t.id = s.tenant_id WHERE t.code = 'hanbit'"
    )
    ((lecture,),) = own_system.query(
        "SELECT min(l.id) FROM lecture l JOIN tenant t ON t.id = l.tenant_id WHERE t.code = 'hanbit'"
    )
    assert stranger.http.get(f"/api/v1/students/{student}/").status_code == 404
    assert stranger.http.get("/api/v1/students/999999999/").status_code == 404
    for path, body in (
        ("/api/v1/enrolments/", {"lecture": lecture, "student": 999999999}),
        ("/api/v1/messages/", {"students": [999999999, student], "text": "Hello"}),
        ("/api/v1/students/export/", {"lecture": lecture}),
    ):
        assert stranger.http.post(path, json=body).status_code in {400, 404}, path
    assert stranger.http.get(f"{SESSIONS}?user={owner.user}").status_code == 404
    for path in (f"/api/v1/students/?lecture={lecture}", f"/api/v1/enrolments/?student={student}"):
        assert stranger.http.get(path).json()["count"] == 0
    assert stranger.http.get("/api/v1/students/?lecture=999999999").json()["count"] == 0
    assert stranger.http.get("/api/v1/students/", headers={"X-Tenant-Code": "hanbit"}).status_code == 403
    owner.http.post("/api/v1/students/export/", json={})
    owner.http.delete(f"{SESSIONS}{staff.session}/")
    staff.refresh()
    owner.http.post("/api/v1/auth/logout/")
    text = (own_system.folder / "web.log").read_text(encoding="utf-8")
    assert secret not in text
    lines = [line for line in map(json.loads, text.splitlines()) if line.get("logger") == "academy.audit"]
    of = {name: [line for line in lines if line["event"] == name] for name in {line["event"] for line in lines}}
    assert len(of["sign_in_failed"]) == 11
    assert len(of["sign_in_limited"]) == 1
    assert {line["reason"] for line in of["sign_in_failed"]} == {"no_account", "wrong_password"}
    assert of["sign_in_failed"][-1]["subject"] == f"user:{owner.user}"
    assert [line["user"] for line in of["signed_in"]] == [owner.user, staff.user, stranger.user]
    assert [line["subject"] for line in of["other_tenant_refused"]] == [
        f"student:{student}",
        f"lecture:{lecture}",
        f"student:{student}",
        f"lecture:{lecture}",
        f"user:{owner.user}",
        f"lecture:{lecture}",
        f"student:{student}",
        _tenant(stranger),
    ]
    assert [line["what"] for line in of["personal_data_read"]] == ["export_started"]
    assert [(line["user"], line["of_user"]) for line in of["session_ended"]] == [(owner.user, staff.user)]
    assert [line["reason"] for line in of["refresh_refused"]] == ["ended"]
    assert of["signed_out"][0]["session"] == owner.session


def _tenant(browser: Browser) -> str:
    claims = jwt.decode(browser.tokens["access"], options={"verify_signature": False})
    return f"tenant:{claims['tenant']}"


def test_the_audit_log_has_who_made_a_revocation_by_sql(own_system: System) -> None:
    staff = Browser(own_system)
    own_system.query("""UPDATE "user" SET password = '!' WHERE id = %s RETURNING id""", staff.user)

    async def written() -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                for line in _audit_lines(own_system):
                    if line["event"] == "revoked" and line["subject"] == f"session:{staff.session}":
                        return line
                await asyncio.sleep(0.05)

    line = asyncio.run(written())
    assert (line["cause"], line["database_user"] is not None) == ("session_ended", True)


def _audit_lines(system: System) -> list[dict[str, Any]]:
    files = [file.read_text(encoding="utf-8") for file in system.folder.glob("*.log")]
    return [json.loads(line) for text in files for line in text.splitlines() if '"academy.audit"' in line]
