"""Tests of signing in and out, tokens, roles and the tenant wall, over HTTP with the running product."""

import httpx
import jwt
import pytest

from apps.core.tokens import Caller, access_token
from harness.system import PASSWORD, System

ABSENT = "6b7a9c2e-0000-4000-8000-000000000000"


def sign_in(system: System, **changes: str) -> httpx.Response:
    account = {"tenant": "hanbit", "username": "teacher", "password": PASSWORD} | changes
    return httpx.post(f"{system.address}/api/v1/auth/token/", json=account, timeout=30)


def post(system: System, path: str, body: object, token: str = "") -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.post(f"{system.address}{path}", json=body, headers=headers, timeout=30)


def get(system: System, path: str, token: str, **headers: str) -> httpx.Response:
    return httpx.get(f"{system.address}{path}", headers={"Authorization": f"Bearer {token}"} | headers, timeout=30)


def test_the_access_token_names_the_caller(system: System) -> None:
    answer = sign_in(system).json()
    claims = jwt.decode(answer["access"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 600
    assert (claims["tenant_code"], claims["role"], claims["must_change_password"]) == ("hanbit", "teacher", False)
    assert answer.keys() == {"access", "refresh"}


@pytest.mark.parametrize("changes", [{"password": "wrong"}, {"username": "nobody"}, {"tenant": "nowhere"}])
def test_a_wrong_sign_in_does_not_say_what_was_wrong(system: System, changes: dict[str, str]) -> None:
    answer = sign_in(system, **changes)
    assert (answer.status_code, answer.json()["code"]) == (401, "bad_credentials")
    assert "Traceback" not in answer.text


def test_guessing_passwords_is_limited_and_the_answer_says_for_how_long(system: System) -> None:
    answers = [sign_in(system, username="guessed", password=f"wrong {number}") for number in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert answers[-1].json()["code"] == "throttled"
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60


def test_an_account_of_one_academy_cannot_sign_in_to_another(system: System) -> None:
    hanbit = jwt.decode(sign_in(system).json()["access"], options={"verify_signature": False})
    saebom = jwt.decode(sign_in(system, tenant="saebom").json()["access"], options={"verify_signature": False})
    assert hanbit["user"] != saebom["user"]
    assert hanbit["tenant"] != saebom["tenant"]


def test_refreshing_rotates_and_a_token_used_twice_ends_the_session(system: System) -> None:
    first = sign_in(system).json()["refresh"]
    second = post(system, "/api/v1/auth/refresh/", {"refresh": first}).json()["refresh"]
    third = post(system, "/api/v1/auth/token/refresh/", {"refresh": second}).json()["refresh"]
    stolen = post(system, "/api/v1/auth/refresh/", {"refresh": first})
    afterwards = post(system, "/api/v1/auth/refresh/", {"refresh": third})
    assert len({first, second, third}) == 3
    assert (stolen.status_code, stolen.json()["code"]) == (401, "token_invalid")
    assert afterwards.status_code == 401


def test_two_tabs_that_refresh_at_the_same_moment_both_succeed(system: System) -> None:
    first = sign_in(system).json()["refresh"]
    answers = [post(system, "/api/v1/auth/refresh/", {"refresh": first}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert post(system, "/api/v1/auth/refresh/", {"refresh": answers[1].json()["refresh"]}).status_code == 200


def test_after_logout_the_refresh_token_opens_nothing(system: System) -> None:
    tokens = sign_in(system).json()
    assert post(system, "/api/v1/auth/logout/", {}, tokens["access"]).status_code == 204
    assert post(system, "/api/v1/auth/refresh/", {"refresh": tokens["refresh"]}).status_code == 401


def test_the_header_of_another_academy_is_refused(system: System) -> None:
    token = system.access_token("hanbit", "owner")
    right = get(system, "/api/v1/students/", token, **{"X-Tenant-Code": "hanbit"})
    wrong = get(system, "/api/v1/students/", token, **{"X-Tenant-Code": "saebom"})
    ticket = httpx.post(
        f"{system.address}/api/v1/realtime/ticket/",
        headers={"Authorization": f"Bearer {token}", "X-Tenant-Code": "saebom"},
    )
    assert right.status_code == 200
    assert (wrong.status_code, wrong.json()["code"]) == (403, "tenant_mismatch")
    assert ticket.status_code == 403


@pytest.mark.parametrize("token", ["none", "x.y.z", "a b"])
def test_without_a_valid_token_every_endpoint_is_closed(system: System, token: str) -> None:
    for path in (
        "students/",
        "students/1/",
        "lectures/",
        "lessons/1/",
        "my/lectures/",
        "enrolments/",
        "jobs/",
        f"jobs/{ABSENT}/progress/",
    ):
        answer = get(system, f"/api/v1/{path}", token)
        assert answer.status_code == 401, path
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def caller(system: System, **changes: object) -> str:
    """Return an access token with changed claims, for roles and states that the demo data do not have."""
    (tenant_id,) = system.query("SELECT id FROM tenant WHERE code = 'hanbit'")[0]
    claims = read_caller(system, "owner")
    fields = {name: getattr(claims, name) for name in Caller.__slots__ if name != "is_authenticated"}
    return access_token(Caller(**(fields | {"tenant_id": tenant_id} | changes)))


def read_caller(system: System, username: str) -> Caller:
    from apps.core.tokens import read_access_token  # noqa: PLC0415 - used only here

    return read_access_token(system.access_token("hanbit", username))


@pytest.mark.parametrize(
    ("role", "opened"),
    [
        ("owner", {"students/", "lectures/", "enrolments/", "jobs/", "people/", "students/import/sample/"}),
        ("staff", {"students/", "lectures/", "enrolments/", "jobs/", "people/", "students/import/sample/"}),
        ("teacher", {"students/", "lectures/", "enrolments/", "jobs/"}),
        ("student", {"students/", "my/lectures/"}),
        ("parent", {"my/lectures/"}),
    ],
)
def test_each_role_may_use_only_its_endpoints(system: System, role: str, opened: set[str]) -> None:
    from academy.domain.roles import Role  # noqa: PLC0415 - used only here

    token = caller(system, role=Role(role))
    doors = ["students/", "lectures/", "my/lectures/", "enrolments/", "jobs/", "people/", "students/import/sample/"]
    found = {door for door in doors if get(system, f"/api/v1/{door}", token).status_code == 200}
    assert found == opened
    refused = post(system, "/api/v1/students/", {}, token)
    assert refused.status_code == (400 if role in {"owner", "staff"} else 403)


def test_a_student_sees_only_their_own_record(system: System) -> None:
    token = system.access_token("hanbit", "student")
    listed = get(system, "/api/v1/students/", token).json()
    ((other,),) = system.query("SELECT max(id) FROM students")
    assert [row["username"] for row in listed["results"]] == ["student"]
    assert get(system, f"/api/v1/students/{listed['results'][0]['id']}/", token).status_code == 200
    assert get(system, f"/api/v1/students/{other}/", token).status_code == 404


def test_until_the_password_is_changed_a_token_opens_nothing_else(system: System) -> None:
    token = caller(system, must_change_password=True)
    shut = [get(system, "/api/v1/students/", token), post(system, "/api/v1/realtime/ticket/", {}, token)]
    assert [answer.status_code for answer in shut] == [403, 403]
    assert shut[0].json()["code"] == "password_change_needed"


def test_changing_the_password_ends_other_sessions(own_system: System) -> None:
    other, tokens = sign_in(own_system).json(), sign_in(own_system).json()
    path, new = "/api/v1/auth/password/", {"old_password": PASSWORD, "new_password": "호랑이 담배 피우던 시절 이야기"}
    wrong = post(own_system, path, new | {"old_password": "no"}, tokens["access"])
    weak = post(own_system, path, new | {"new_password": "12345678"}, tokens["access"])
    changed = post(own_system, path, new, tokens["access"])
    assert (wrong.status_code, wrong.json()["code"]) == (400, "wrong_password")
    assert (weak.status_code, list(weak.json()["fields"])) == (400, ["new_password"])
    assert changed.status_code == 200
    assert get(own_system, "/api/v1/students/", tokens["access"]).status_code == 401
    assert get(own_system, "/api/v1/students/", changed.json()["access"]).status_code == 200
    assert post(own_system, "/api/v1/auth/refresh/", {"refresh": other["refresh"]}).status_code == 401
    assert post(own_system, "/api/v1/auth/refresh/", {"refresh": changed.json()["refresh"]}).status_code == 200
    assert sign_in(own_system).status_code == 401
    assert sign_in(own_system, password="호랑이 담배 피우던 시절 이야기").status_code == 200
