"""Tests that refused requests with ids of other academies' rows are audited, and that this changes no answer."""

import pytest
from django.db import DatabaseError
from django.http import HttpRequest, UnreadablePostError
from django.test import Client
from structlog.testing import capture_logs

from academy.domain.roles import Role
from apps.core import other_tenants
from apps.core.audit import Event
from apps.core.models import Tenant
from apps.domains.lectures.models import Lecture
from tests.core.conftest import Asks


@pytest.fixture
def client(asks: Asks) -> Client:
    return asks()


@pytest.fixture
def lecture(db: None) -> Lecture:
    """Return a lecture of another academy."""
    other = Tenant.objects.create(code="saebom", name="Saebom")
    return Lecture.objects.create(tenant=other, title="Korean")


def test_an_id_of_another_academy_is_audited_even_if_the_body_cannot_be_read(client: Client, lecture: Lecture) -> None:
    with capture_logs() as logs:
        answer = client.generic("DELETE", f"/api/v1/lectures/{lecture.pk}/", b"a body", content_type="text/csv")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    noted = [line["subject"] for line in logs if line["event"] == Event.OTHER_TENANT_REFUSED]
    assert noted == [f"lecture:{lecture.pk}"]


@pytest.mark.parametrize(
    ("method", "body", "content_type", "status"),
    [
        ("PATCH", b"title", "text/csv", 415),
        ("POST", b"{}", "application/json", 405),
        ("PATCH", b"{", "application/json", 400),
    ],
)
def test_an_id_of_another_academy_is_audited_whatever_the_refusal_is(
    client: Client, lecture: Lecture, method: str, body: bytes, content_type: str, status: int
) -> None:
    with capture_logs() as logs:
        answer = client.generic(method, f"/api/v1/lectures/{lecture.pk}/", body, content_type=content_type)
    assert answer.status_code == status
    noted = [line["subject"] for line in logs if line["event"] == Event.OTHER_TENANT_REFUSED]
    assert noted == [f"lecture:{lecture.pk}"]


@pytest.mark.parametrize(("parts", "head"), [(101, ""), (2, '; filename="a.csv"')])
def test_a_form_with_too_many_fields_or_files_is_refused_for_the_role_of_its_sender(
    asks: Asks, parts: int, head: str
) -> None:
    body = "".join(
        f'--B\r\nContent-Disposition: form-data; name="f{number}"{head}\r\n\r\nx\r\n' for number in range(parts)
    )
    answer = asks(Role.STUDENT).post(
        "/api/v1/students/import/", f"{body}--B--\r\n".encode(), content_type="multipart/form-data; boundary=B"
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "role_refused")


def test_a_refused_request_is_answered_even_if_its_body_cannot_be_read(
    asks: Asks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_arguments: object) -> bytes:
        raise UnreadablePostError("the client has gone")

    monkeypatch.setattr(HttpRequest, "read", fails)
    answer = asks(Role.STUDENT).post("/api/v1/lectures/", b"{}", content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (403, "role_refused")


def test_a_refused_request_is_answered_even_if_the_query_for_the_audit_log_fails(
    client: Client, lecture: Lecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def fails(*arguments: object) -> list[object]:
        asked.append(arguments)
        raise DatabaseError("canceling statement due to statement timeout")

    monkeypatch.setattr(other_tenants, "other_tenants", fails)
    answer = client.get(f"/api/v1/lectures/{lecture.pk}/")
    assert (answer.status_code, answer.json()["code"], len(asked)) == (404, "not_found", 1)
